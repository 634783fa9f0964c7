"""A threshold and a probability for a probe's logits, from validation images alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]


def best_threshold(logits: Floats, labels: NDArray[np.int8], weights: Floats) -> float:
    """The threshold that maximises balanced accuracy, midway between two scores.

    Args:
        logits: (n,), raw.
        labels: (n,), 0 real, 1 fake; both occur.
        weights: (n,), positive. Balanced accuracy is taken with them.

    Returns:
        The threshold; a score at or above it is called fake. Where several places are equally good, the
        middle one; where it is best to call everything alike, beyond the last score by half the spread.
    """
    order = np.argsort(logits, kind="stable")
    scores, starts = np.unique(logits[order], return_index=True)
    fake = np.where(labels[order] == 1, weights[order], 0.0)
    real = np.where(labels[order] == 0, weights[order], 0.0)
    # Threshold k lies below score k: what stands before it is called real.
    below_fake = np.concatenate([[0.0], np.cumsum(fake)])[np.append(starts, len(order))]
    below_real = np.concatenate([[0.0], np.cumsum(real)])[np.append(starts, len(order))]
    balanced = (1 - below_fake / fake.sum() + below_real / real.sum()) / 2
    margin = (scores[-1] - scores[0]) / 2 or 1.0
    places = np.concatenate([[scores[0] - margin], (scores[1:] + scores[:-1]) / 2, [scores[-1] + margin]])
    best = np.flatnonzero(balanced >= balanced.max() - 1e-12)
    return float(places[best[len(best) // 2]])


def platt(logits: Floats, labels: NDArray[np.int8], weights: Floats) -> tuple[float, float]:
    """Platt scaling: slope and intercept such that `expit(slope * logit + intercept)` is a probability.

    Targets are smoothed, `(n1 + 1) / (n1 + 2)` and `1 / (n0 + 2)`, which keeps the fit finite on
    separable data. With class-balanced weights the probability is that for as many fakes as reals.

    Args:
        logits: (n,), raw.
        labels: (n,), 0 real, 1 fake.
        weights: (n,), positive.

    Returns:
        (slope, intercept); (0, 0), a probability of one half, where higher logits are not more often fake.

    Source:
        Platt 1999, *Probabilistic outputs for support vector machines*; Lin, Lin & Weng 2007.
    """
    fakes, reals = int((labels == 1).sum()), int((labels == 0).sum())
    target = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    # Unit spread, so that the solver's tolerance means the same for every probe.
    spread = float(logits.std()) or 1.0
    column = np.concatenate([logits, logits])[:, None] / spread
    outcome = np.repeat([1, 0], len(logits))
    weight = np.concatenate([target, 1 - target]) * np.concatenate([weights, weights])
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(column, outcome, sample_weight=weight)
    slope, intercept = float(model.coef_[0, 0]) / spread, float(model.intercept_[0])
    return (slope, intercept) if slope > 0 else (0.0, 0.0)


def probability(logits: Floats, slope: float, intercept: float) -> Floats:
    """Calibrated probability that an image is generated, in [0, 1]."""
    value: Floats = expit(slope * logits + intercept)
    return value
