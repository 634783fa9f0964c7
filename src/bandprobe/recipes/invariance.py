"""Probes on what high-passes leave alone: embeddings with the directions that these change taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bandprobe.filters.presets import CHANGES
from bandprobe.recipes.erasure import Eraser, leace, moved
from bandprobe.recipes.made import Made, folded
from bandprobe.recipes.one_condition import PLAIN
from bandprobe.recipes.training_set import TrainingSet
from bandprobe.recipes.unseen import unseen_auroc

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

COUNTS = (0, 1, 2, 4, 8, 16)  # directions to choose from


def concept_erased(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """LEACE of which of the high-passes, or none, an image went through."""
    X, filtered = _embeddings(training, encoders[0])

    def eraser(rows: Rows) -> Eraser:
        both = np.vstack([X[rows], *(other[rows] for other in filtered)])
        return leace(both, np.repeat(np.arange(1 + len(filtered)), len(rows)))

    return _on_erased(training, encoders[0], X, eraser)


def nuisance_projected(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """The directions along which high-passes move embeddings most taken out, as many as serve unseen generators best.

    Raises:
        InputError: fewer than two training generators.
    """
    X, filtered = _embeddings(training, encoders[0])
    C = training.fitted((encoders[0], PLAIN)).probe.C or 1.0

    counts = [count for count in COUNTS if count < X.shape[1]]
    found: dict[bytes, Eraser] = {}  # of the same rows all counts' directions are found at once

    def eraser(rows: Rows, count: int) -> Eraser:
        key = rows.tobytes()
        if key not in found:
            found[key] = moved(X[rows], [other[rows] for other in filtered], counts[-1])
        return found[key].first(count)

    values = [
        unseen_auroc(training, lambda rows, count=count: eraser(rows, count)(X), C)  # type: ignore[misc]
        for count in counts
    ]
    best = counts[values.index(max(values))]  # the first, so the fewest, on ties
    made = _on_erased(training, encoders[0], X, lambda rows: eraser(rows, best))
    return Made(made.parts, made.probe, f"{best} direction{'' if best == 1 else 's'}")


def _embeddings(training: TrainingSet, encoder: str) -> tuple[Floats, list[Floats]]:
    """Unfiltered and high-passed embeddings of the same rows."""
    filtered = [training.embedding((encoder, spec)) for spec in CHANGES]
    return training.embedding((encoder, PLAIN)), filtered


def _on_erased(training: TrainingSet, encoder: str, X: Floats, eraser: Callable[[Rows], Eraser]) -> Made:
    """A probe on erased embeddings, each fold's eraser fitted on its own rows; the last is folded into the weights."""
    views = [eraser(rows)(X) for rows, _ in training.planned.folds]
    last = eraser(training.planned.kept)
    fitted = training.fit(last(X), views)
    direction, offset = last.folded(fitted.probe.direction, fitted.probe.offset)
    return Made(((encoder, PLAIN),), folded(direction, offset, fitted.held_out, training, fitted.probe.C))
