"""What can be said of a test set in which every image counts as fake."""

from __future__ import annotations

import numpy as np

from bandprobe.metrics.bootstrap import Interval
from bandprobe.metrics.calibration_intervals import brier_interval
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
        and brier.
    """
    n = scores.shape[1]
    hits = (scores >= thresholds[:, None]).sum(axis=1)
    low, high = (np.asarray(end, dtype=float) for end in wilson(hits, n))
    recall = Interval(hits / n, low, high)
    f1 = Interval(*(2 * end / (1 + end) for end in recall))
    precision = (hits > 0).astype(float)
    mean = ((probabilities - 1) ** 2).mean(axis=1)
    brier = Interval(mean, *brier_interval(np.ones(n, dtype=bool), probabilities))
    return {
        "accuracy": recall,
        "fake_accuracy": recall,
        "recall": recall,
        "f1": f1,
        "precision": Interval(precision, precision, precision),
        "brier": brier,
    }
