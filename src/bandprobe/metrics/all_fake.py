"""What can be said of a test set in which every image counts as fake."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from bandprobe.metrics.bootstrap import Interval
from bandprobe.metrics.cells import Floats
from bandprobe.metrics.intervals import wilson


def all_fake(scores: Floats, probabilities: Floats, thresholds: Floats) -> dict[str, Interval]:
    """The metrics that need one class alone, of k conditions on n images that all count as fake.

    Args:
        scores: (k, n), raw logits.
        probabilities: (k, n), of being fake.
        thresholds: (k,); fake is what reaches it.

    Returns:
        accuracy, fake_accuracy and recall (all the share called fake, with Wilson's interval), f1
        (`2 r / (1 + r)` of that share, ends carried over), precision (1 where anything is called fake, else 0)
        and brier (with a t-interval of the mean).
    """
    n = scores.shape[1]
    hits = (scores >= thresholds[:, None]).sum(axis=1)
    low, high = (np.asarray(end, dtype=float) for end in wilson(hits, n))
    recall = Interval(hits / n, low, high)
    f1 = Interval(*(2 * end / (1 + end) for end in recall))
    precision = (hits > 0).astype(float)
    errors = (probabilities - 1) ** 2
    mean = errors.mean(axis=1)
    half = student.ppf(0.975, max(n - 1, 1)) * errors.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else 0 * mean
    brier = Interval(mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1))
    return {
        "accuracy": recall,
        "fake_accuracy": recall,
        "recall": recall,
        "f1": f1,
        "precision": Interval(precision, precision, precision),
        "brier": brier,
    }
