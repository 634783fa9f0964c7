"""What every recipe comes down to: one linear probe on the joined vectors of some conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe.probes import LinearProbe
from bandprobe.probes.linear import set_by
from bandprobe.recipes.training_set import TrainingSet
from bandprobe.recipes.vectors import Condition, Vectors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """A detector that a recipe has made.

    Attributes:
        parts: the conditions that it looks at, joined in this order.
        probe: on their concatenated vectors.
        chosen: what was chosen on validation, in words; empty where nothing was.
    """

    parts: tuple[Condition, ...]
    probe: LinearProbe
    chosen: str = ""

    def logits(self, vectors: Vectors, ids: NDArray[np.object_]) -> Floats:
        """Raw scores of images, shape (n,)."""
        return self.probe.logits(np.hstack([vectors.at(part, ids) for part in self.parts]))


def folded(
    direction: Floats, offset: float, logits: Floats, training: TrainingSet, C: float | None = None
) -> LinearProbe:
    """The probe whose logit is `x @ direction + offset`, with threshold and calibration from held-out logits.

    Args:
        direction: weights on vectors as they are, (dim,).
        offset: the logit of a vector of zeros.
        logits: of the rows that the training set's plan judges, by models that were not fitted on them.
        training: gives labels and weights.
        C: the penalty chosen, where there was one.
    """
    probe = LinearProbe(
        mean=np.zeros(len(direction)),
        scale=np.ones(len(direction)),
        weight=np.asarray(direction, np.float64),
        bias=float(offset),
        threshold=0.0,
        slope=1.0,
        intercept=0.0,
        C=C,
        validation=training.planned.kind,
    )
    return set_by(probe, logits, training.label, training.planned)


def combined(
    probes: Sequence[LinearProbe], shares: Sequence[float], offset: float = 0.0
) -> tuple[Floats, float]:
    """Direction and offset, on joined vectors, of a weighted sum of probes' logits.

    Args:
        probes: one for each part, in order.
        shares: the weight of each one's logit.
        offset: what is added to the sum.
    """
    direction = np.concatenate([share * probe.direction for probe, share in zip(probes, shares, strict=True)])
    shifts = [share * probe.offset for probe, share in zip(probes, shares, strict=True)]
    return direction, float(sum(shifts)) + offset
