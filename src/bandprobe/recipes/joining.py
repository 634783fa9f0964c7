"""Detectors that look at several conditions: bands side by side, radii averaged, encoders stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from bandprobe.filters.presets import PARTS, RADII
from bandprobe.probes.validation import log_loss
from bandprobe.recipes.made import Made, combined, folded
from bandprobe.recipes.one_condition import PLAIN
from bandprobe.recipes.training_set import TrainingSet

Floats = NDArray[np.float64]


def bands(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """One probe on the vectors of low, middle and high frequencies, side by side."""
    parts = tuple((encoders[0], spec) for spec in PARTS)
    return Made(parts, training.fitted(*parts).probe)


def radii(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """The mean of the logits of probes on the image itself and on its low-passes, each trained there."""
    parts = tuple((encoders[0], spec) for spec in (PLAIN, *RADII))
    found = [training.fitted(part) for part in parts]
    shares = [1 / len(parts)] * len(parts)
    direction, offset = combined([one.probe for one in found], shares)
    logits = np.mean([one.held_out for one in found], axis=0)
    return Made(parts, folded(direction, offset, logits, training))


def stacked(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """Plain probes of several encoders, their logits weighed by held-out images.

    Threshold and calibration come from the same held-out logits that weigh the encoders: of some hundred images the
    few numbers fitted there take little.
    """
    parts = tuple((encoder, PLAIN) for encoder in encoders)
    found = [training.fitted(part) for part in parts]
    judged = training.planned.judged
    logits = np.stack([one.held_out for one in found], axis=1)
    mix = mixture(logits, training.label[judged], training.planned.weights[judged])
    direction, offset = combined([one.probe for one in found], mix.shares.tolist(), mix.offset)
    held = logits @ mix.shares + mix.offset
    words = ", ".join(f"{share:.2f} {name}" for share, name in zip(mix.shares, encoders, strict=True))
    return Made(parts, folded(direction, offset, held, training), words)


def best_alone(training: TrainingSet, encoders: Sequence[str]) -> Made:
    """The plain probe of the encoder whose held-out logits lose least: what a stack is held against."""
    judged = training.planned.judged
    label, weights = training.label[judged], training.planned.weights[judged]
    losses = []
    for encoder in encoders:
        fitted = training.fitted((encoder, PLAIN))
        logits = fitted.probe.slope * fitted.held_out + fitted.probe.intercept
        losses.append(log_loss(logits, label, weights))
    chosen = encoders[int(np.argmin(losses))]
    condition = (chosen, PLAIN)
    return Made((condition,), training.fitted(condition).probe, chosen)


class Mixture(NamedTuple):
    """How much each logit counts, none below zero, and what is added."""

    shares: Floats  # (k,)
    offset: float


def mixture(logits: Floats, label: NDArray[np.int8], weights: Floats, C: float = 1.0) -> Mixture:
    """Logistic regression on logits, each scaled to unit deviation, with weights that are not negative.

    Args:
        logits: (n, k), of images that the models behind them were not fitted on.
        label: (n,), 0 real, 1 fake.
        weights: (n,), positive.
        C: scikit-learn's, which keeps the weights finite where the classes are separable.

    Returns:
        The weights on the logits as they are.

    Source:
        Wolpert 1992, *Stacked generalization*; weights that are not negative: Breiman 1996, *Stacked regressions*.
    """
    scale = np.where(logits.std(0) > 0, logits.std(0), 1.0)
    X, total = logits / scale, weights.sum()
    sign = np.where(label == 1, 1.0, -1.0)
    strength = 1 / (C * total)

    def objective(x: Floats) -> tuple[float, Floats]:
        margin = sign * (X @ x[:-1] + x[-1])
        pull = -sign * weights / total * expit(-margin)
        gradient = np.append(X.T @ pull + strength * x[:-1], pull.sum())
        loss = log_loss(X @ x[:-1] + x[-1], label, weights)
        return loss + 0.5 * strength * float(x[:-1] @ x[:-1]), gradient

    k = logits.shape[1]
    bounds = [(0.0, None)] * k + [(None, None)]
    start = np.append(np.ones(k), 0.0)
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 5000}
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options=options).x
    return Mixture(found[:-1] / scale, float(found[-1]))
