"""A low-pass before the encoder, its cut-off chosen on generators that the judging probes have not seen."""

from __future__ import annotations

from collections.abc import Sequence

from bandprobe.filters.presets import RADII
from bandprobe.recipes.made import Made
from bandprobe.recipes.one_condition import PLAIN
from bandprobe.recipes.training_set import TrainingSet
from bandprobe.recipes.unseen import unseen_auroc


def chosen_cutoff(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """The probe at the cut-off, or without a filter, where probes do best on generators that they did not see.

    Raises:
        InputError: fewer than two training generators.
    """
    candidates = [(encoders[0], spec) for spec in (PLAIN, *RADII)]
    values = []
    for condition in candidates:
        X = training.embedding(condition)
        C = training.fitted(condition).probe.C or 1.0
        values.append(unseen_auroc(training, lambda rows, X=X: X, C))  # type: ignore[misc]
    best = candidates[values.index(max(values))]  # the first, so no filter, on ties
    return Made((best,), training.fitted(best).probe, best[1])
