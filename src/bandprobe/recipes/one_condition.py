"""Probes that look at one condition: the plain one, and those that are trained on randomly filtered images."""

from __future__ import annotations

from collections.abc import Sequence

from bandprobe.recipes.made import Made
from bandprobe.recipes.training_set import TrainingSet

PLAIN = "none"


def plain(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """The ordinary probe on unfiltered images: what every other recipe is held against."""
    condition = (encoders[0], PLAIN)
    return Made((condition,), training.fitted(condition).probe)


def trained_under(training: TrainingSet, encoders: Sequence[str], *, spec: str) -> Made:
    """A probe that is fitted on filtered images and used on unfiltered ones.

    Penalty, threshold and calibration come from unfiltered held-out images, which are what it will meet.

    Args:
        training: what it learns from.
        encoders: the first is taken.
        spec: the filter of its training images.
    """
    condition = (encoders[0], PLAIN)
    fitted = training.fit(training.embedding((encoders[0], spec)), met=training.embedding(condition))
    return Made((condition,), fitted.probe)
