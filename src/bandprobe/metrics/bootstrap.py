"""Intervals for every detection metric of many conditions on one test set, and for their differences.

Conditions (probes, filters, encoders) that are tested on the same images share the resamples, so a
whole row of the transfer grid is worked out together, and comparisons are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError
from bandprobe.metrics import detection
from bandprobe.metrics.cells import Cells, Floats, PDRule, checked_cells
from bandprobe.metrics.detection import METRICS
from bandprobe.metrics.intervals import delong, normal_quantile, wilson
from bandprobe.metrics.replication import replicates_of
from bandprobe.metrics.resampling import Resamples

WILSON = ("accuracy", "real_accuracy", "fake_accuracy", "recall")


class Interval(NamedTuple):
    """A metric of k conditions with the ends of its interval, each float64 of shape (k,)."""

    value: Floats
    low: Floats
    high: Floats


def intervals(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    resamples: Resamples,
    *,
    level: float = 0.95,
    pd_rule: PDRule = "strict",
) -> dict[str, Interval]:
    """Every detection metric of k conditions on one test set, with its interval.

    Wilson for accuracy, real_accuracy, fake_accuracy and recall; DeLong on the logit scale for auroc;
    percentile bootstrap for the rest. Two things the percentile bootstrap gets wrong are put right:

    * Where a metric stands at its end (0 or 1) every resample repeats it, and an interval of no width
      would claim certainty. The open side is then Wilson's for m of m, m being the images called fake for
      precision and min(n_real, n_fake) for the rest.
    * ECE is a mean of absolute gaps, which resampling only widens: the interval of a well calibrated
      probe can lie wholly above the value. It is stretched to hold it.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: raw logits, shape (k, n), higher is more fake.
        probabilities: calibrated, of being fake, shape (k, n), in [0, 1].
        thresholds: on the logit, shape (k,).
        resamples: of this test set, columns in the order of the reals and the fakes in `labels`.
        level: coverage, in (0, 1).
        pd_rule: see `detection.probability_of_detection`.

    Returns:
        For each name of `METRICS` value, low and high, shape (k,). PD@x% is NaN in all three where there
        are too few reals.

    Raises:
        InputError: one class only, a NaN, a probability outside [0, 1], resamples of other sizes.
        ShapeError: the arrays do not fit together.
    """
    tail = _tail(level)
    cells = checked_cells(labels, scores, probabilities, thresholds, resamples, pd_rule)
    fake, n_fake, n_real = cells.fake, cells.n_fake, cells.n_real
    value = _plain(cells)
    called = cells.scores >= cells.thresholds[:, None]
    flagged = called.sum(axis=1)
    right = (called == fake).sum(axis=1)
    wholes = {"accuracy": (right, fake.size), "real_accuracy": ((~called & ~fake).sum(axis=1), n_real)}
    wholes["fake_accuracy"] = wholes["recall"] = ((called & fake).sum(axis=1), n_fake)

    drawn = [name for name in METRICS if name not in WILSON and name != "auroc"]
    spread = replicates_of(cells, resamples, drawn)
    found = {}
    for name in METRICS:
        if name in wholes:
            low, high = wilson(*wholes[name], level=level)
        elif name == "auroc":
            low, high = delong(labels, cells.scores, level)[2:]
        else:
            low, high = np.quantile(spread[name], [tail, 1 - tail], axis=1)
            low, high = np.minimum(low, value[name]), np.maximum(high, value[name])
            m = flagged if name == "precision" else np.full(len(flagged), min(n_real, n_fake))
            low = np.where((value[name] == 1) & (low == 1), wilson(m, m, level)[0], low)
            high = np.where((value[name] == 0) & (high == 0), wilson(0 * m, m, level)[1], high)
        found[name] = Interval(value[name], low, high)
    return found


def differences(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    resamples: Resamples,
    pairs: npt.ArrayLike,
    *,
    metrics: Sequence[str] = METRICS,
    level: float = 0.95,
    pd_rule: PDRule = "strict",
) -> dict[str, Interval]:
    """Differences between conditions on the same test set, with paired percentile intervals.

    Both conditions of a pair are read from the same resamples, so what the images have in common
    cancels. For a test of AUROC or PD prefer `delong_paired` and `pd_difference`.

    Args:
        labels: as for `intervals`.
        scores: as for `intervals`.
        probabilities: as for `intervals`.
        thresholds: as for `intervals`.
        resamples: as for `intervals`.
        pairs: rows of `scores`, shape (m, 2): the first of each pair minus the second.
        metrics: which of `METRICS`.
        level: coverage, in (0, 1).
        pd_rule: see `detection.probability_of_detection`.

    Returns:
        For each metric the difference, low and high, shape (m,); NaN where the metric is blank.

    Raises:
        InputError: as for `intervals`, an unknown metric, a pair outside the rows.
        ShapeError: the arrays do not fit together.
    """
    tail = _tail(level)
    cells = checked_cells(labels, scores, probabilities, thresholds, resamples, pd_rule)
    pair = np.asarray(pairs)
    if pair.ndim != 2 or pair.shape[1] != 2 or not np.isin(pair, np.arange(len(cells.scores))).all():
        raise InputError(
            f"pairs must be rows (first, second) of conditions 0 to {len(cells.scores) - 1}; got {pairs!r}."
        )
    rows, places = np.unique(pair, return_inverse=True)
    first, second = places.reshape(pair.shape).T
    cells = cells.subset(rows)
    plain = _plain(cells)
    spread = replicates_of(cells, resamples, metrics)
    found = {}
    for name in metrics:
        value = plain[name]
        low, high = np.quantile(spread[name][first] - spread[name][second], [tail, 1 - tail], axis=1)
        found[name] = Interval(value[first] - value[second], low, high)
    return found


def _tail(level: float) -> float:
    normal_quantile(level)  # checks the level
    return (1 - level) / 2


def _plain(cells: Cells) -> dict[str, Floats]:
    """The metrics of the test set itself, each of shape (k,)."""
    columns = [
        detection.evaluate(cells.fake, s, p, t, pd_rule=cells.pd_rule)
        for s, p, t in zip(cells.scores, cells.probabilities, cells.thresholds, strict=True)
    ]
    return {name: np.array([column[name] for column in columns]) for name in METRICS}
