"""Metrics averaged over mini-batches: what a training loop logs, and what is wrong with it.

A mean over batches of AUROC or PD is not the metric of the test set: each batch ranks its own 128 images
only, and PD@1% of a batch with some sixty reals allows no false alarm at all. For comparison with
published numbers that were made so; never the default.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from bandprobe.metrics.bootstrap import Interval
from bandprobe.metrics.cells import Floats, Mask
from bandprobe.metrics.detection import PD_RATES, auroc, decisions, roc_curve

BATCH = 128
BATCHED = ("auroc", "f1", "precision", "recall", *PD_RATES)


def batch_means(fake: Mask, scores: Floats, thresholds: Floats, size: int = BATCH) -> dict[str, Interval]:
    """PD, AUROC, F1, precision and recall of k conditions, each the mean over consecutive batches.

    PD@x% of a batch is read at the ROC point whose false-alarm rate is nearest to x, whatever the number
    of reals. Batches that lack a class are left out; a batch without a fake called has precision and F1 0.

    Args:
        fake: (n,), in the order in which the images come.
        scores: (k, n), raw logits.
        thresholds: (k,).
        size: images a batch.

    Returns:
        For each name of `BATCHED` the mean with a 95 % t-interval over batches, clipped to [0, 1]; NaN where
        no batch has both classes, and no width where a single one has.
    """
    starts = range(0, len(fake), size)
    batches = [slice(start, start + size) for start in starts]
    both = [batch for batch in batches if 0 < fake[batch].sum() < len(fake[batch])]
    values = {
        name: np.array(
            [
                [_of_batch(name, fake[batch], row[batch], cut) for batch in both]
                for row, cut in zip(scores, thresholds, strict=True)
            ]
        ).reshape(len(scores), len(both))
        for name in BATCHED
    }
    return {name: _mean(rows) for name, rows in values.items()}


def _of_batch(name: str, fake: Mask, scores: Floats, threshold: float) -> float:
    if name == "auroc":
        return auroc(fake, scores)
    if name in PD_RATES:
        roc = roc_curve(fake, scores)
        nearest = np.argmin(np.abs(roc.false_alarms / roc.n_real - PD_RATES[name]))
        return float(roc.detections[nearest] / roc.n_fake)
    called = scores >= threshold
    counts = int((called & fake).sum()), int((called & ~fake).sum())
    return float(decisions(*counts, int(fake.sum()), int((~fake).sum()))[name])


def _mean(rows: Floats) -> Interval:
    n = rows.shape[1]
    if not n:
        blank = np.full(len(rows), np.nan)
        return Interval(blank, blank, blank)
    value = rows.mean(axis=1)
    half = student.ppf(0.975, n - 1) * rows.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(rows))
    return Interval(value, np.clip(value - half, 0, 1), np.clip(value + half, 0, 1))
