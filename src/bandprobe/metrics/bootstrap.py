"""Intervals for every detection metric of many conditions on one test set, and for their differences.

Conditions (probes, filters, encoders) that are tested on the same images share the resamples, so a
whole row of the transfer grid is worked out together, and comparisons are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from bandprobe.errors import InputError
from bandprobe.metrics import detection
from bandprobe.metrics.calibration_intervals import brier_interval, ece_interval
from bandprobe.metrics.cells import Cells, Floats, PDRule, checked_cells
from bandprobe.metrics.detection import METRICS, PD_RATES
from bandprobe.metrics.intervals import delong, effective_wilson, normal_quantile, on_logit, wilson
from bandprobe.metrics.replication import check_metrics, replicates_of
from bandprobe.metrics.resampling import Resamples

WILSON = ("accuracy", "real_accuracy", "fake_accuracy", "recall")
SPREAD = ("ap", "balanced_accuracy", "eer", "f1", "precision")  # whose variance comes from the bootstrap
RESAMPLED = (*SPREAD, *PD_RATES)
_SYMMETRIC = ("brier", "eer", *PD_RATES)  # whose differences have an interval as long to either side


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
    metrics: Sequence[str] = METRICS,
    level: float = 0.95,
    pd_rule: PDRule = "strict",
) -> dict[str, Interval]:
    """Every detection metric of k conditions on one test set, with its interval.

    Each metric has a method whose 95 % interval covers in 92 to 98 % of simulated test sets (`selftest`):

    * Wilson for accuracy, real_accuracy, fake_accuracy and recall; DeLong on the logit scale for auroc.
    * The variance of the stratified bootstrap for ap, balanced_accuracy, f1 and precision (on the logit scale,
      with Student's quantile) and for eer (Wilson at the effective sample size).
    * Percentiles of the stratified bootstrap for PD@x%.
    * `brier_interval` and `ece_interval` for these two.

    Percentiles, the usual choice for all but the first, cover 85 to 92 % for ap at 50 images a class, 73 % for
    brier near 0, 0 to 92 % for ece, and 98 to 100 % for eer, f1 and precision near their end.

    Where a metric stands at its end (0 or 1) every resample repeats it, and an interval of no width would claim
    certainty: the open side is then Wilson's for m of m, m being the images called fake for precision and
    min(n_real, n_fake) for the rest. An interval always holds its value.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: raw logits, shape (k, n), higher is more fake.
        probabilities: calibrated, of being fake, shape (k, n), in [0, 1].
        thresholds: on the logit, shape (k,).
        resamples: of this test set, columns in the order of the reals and the fakes in `labels`.
        metrics: which of `METRICS`.
        level: coverage, in (0, 1).
        pd_rule: see `detection.probability_of_detection`.

    Returns:
        For each of the metrics value, low and high, shape (k,). PD@x% is NaN in all three where there
        are too few reals.

    Raises:
        InputError: one class only, a NaN, a probability outside [0, 1], resamples of other sizes, an unknown metric.
        ShapeError: the arrays do not fit together.

    Source:
        Efron & Tibshirani 1993, *An Introduction to the Bootstrap*, chapter 12; the factor n / (n - 1) and Student's
        quantile: Hesterberg 2015, *What Teachers Should Know about the Bootstrap*. The other methods name theirs.
    """
    tail = _tail(level)
    check_metrics(metrics)
    cells = checked_cells(labels, scores, probabilities, thresholds, resamples, pd_rule)
    fake, n_fake, n_real = cells.fake, cells.n_fake, cells.n_real
    value = _plain(cells)
    called = cells.scores >= cells.thresholds[:, None]
    flagged = called.sum(axis=1)
    right = (called == fake).sum(axis=1)
    wholes = {"accuracy": (right, fake.size), "real_accuracy": ((~called & ~fake).sum(axis=1), n_real)}
    wholes["fake_accuracy"] = wholes["recall"] = ((called & fake).sum(axis=1), n_fake)

    smaller = min(n_real, n_fake)
    spread = replicates_of(cells, resamples, [name for name in metrics if name in RESAMPLED])
    ends = {"auroc": delong(labels, cells.scores, level)[2:]}
    ends |= {name: wilson(*whole, level=level) for name, whole in wholes.items()}
    for name in (name for name in SPREAD if name in metrics):
        # Resamples of n images vary less than samples do, by (n - 1) / n.
        variance = spread[name].var(axis=1) * smaller / max(smaller - 1, 1)
        variance[np.ptp(spread[name], axis=1) == 0] = 0
        if name == "eer":
            ends[name] = effective_wilson(value[name], variance, smaller, level)
        else:
            behind = flagged if name == "precision" else smaller
            ends[name] = on_logit(value[name], variance, behind, level, freedom=max(smaller - 1, 1))
    for name, interval in (("brier", brier_interval), ("ece", ece_interval)):
        if name in metrics:
            ends[name] = interval(fake, cells.probabilities, level)
    least, most = wilson(np.array([smaller, 0]), smaller, level)
    for name in (name for name in PD_RATES if name in metrics):
        low, high = np.quantile(spread[name], [tail, 1 - tail], axis=1)
        low = np.where((value[name] == 1) & (low == 1), least[0], low)
        high = np.where((value[name] == 0) & (high == 0), most[1], high)
        ends[name] = low, high
    found = {}
    for name in (name for name in METRICS if name in metrics):
        low, high = ends[name]
        found[name] = Interval(value[name], np.minimum(low, value[name]), np.maximum(high, value[name]))
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
    """Differences between conditions on the same test set, with paired bootstrap intervals.

    Both conditions of a pair are read from the same resamples, so what the images have in common
    cancels. Percentiles of few images are too narrow, by `sqrt((m - 1) / m)` and the normal's quantile for
    Student's, m being the smaller class: the ends lie so much farther from the difference. Differences of
    brier, eer and PD lie Student's quantile times the deviation of the resamples to either side: percentiles
    leave out 0 in 7 % of pairs of equal Brier scores near 0, which rest on a few images, and in 1 to 3 % of
    equal EERs and PDs, which are counts. For a test of AUROC or PD prefer `delong_paired` and `pd_difference`.

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

    Source:
        Percentiles drawn apart for few images: Hesterberg 2015, *What Teachers Should Know about the Bootstrap*.
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
    smaller = max(min(cells.n_real, cells.n_fake), 2)
    reach = np.sqrt(smaller / (smaller - 1)) * special.stdtrit(smaller - 1, 1 - tail)
    found = {}
    for name in metrics:
        difference = plain[name][first] - plain[name][second]
        resampled = spread[name][first] - spread[name][second]
        if name in _SYMMETRIC:
            half = reach * resampled.std(axis=1)
            low, high = difference - half, difference + half
        else:
            ends = np.quantile(resampled, [tail, 1 - tail], axis=1)
            low, high = difference + reach / normal_quantile(level) * (ends - difference)
        found[name] = Interval(difference, np.maximum(low, -1), np.minimum(high, 1))
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
