"""Every detection metric in every resample, for many conditions at once.

A resample is a vector of counts, one an image. Metrics that are ratios of sums come from matrix products
of all counts with all conditions; metrics of ranks from the counts cumulated in the order of each
condition's scores. No resample is ever spelled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, did_you_mean
from bandprobe.machine import cores
from bandprobe.metrics import detection
from bandprobe.metrics.cells import Cells, Floats, Integers, Mask, PDRule, checked_cells
from bandprobe.metrics.detection import ECE_BINS, METRICS, PD_RATES
from bandprobe.metrics.resampling import Counts, Resamples

_DECIDED = ("accuracy", "balanced_accuracy", "real_accuracy", "fake_accuracy", "f1", "precision", "recall")
_BLOCK = 250_000  # counts cumulated at a time, some 12 bytes each in each thread: they should stay in cache
_CONDITIONS = 64  # whose orders are held at a time
_MATRIX = 2_000_000  # cells of a matrix factor, 8 bytes each


def replicates(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    resamples: Resamples,
    *,
    metrics: Sequence[str] = METRICS,
    pd_rule: PDRule = "strict",
) -> dict[str, Floats]:
    """Every metric of every condition in every resample: the raw material of any bootstrap statement.

    Each value is what `detection.evaluate` gives for the resample written out image by image, but for
    ECE, whose bins stay those of the whole test set: their images' counts are resampled, not their
    borders.

    Args:
        labels: as for `bootstrap.intervals`.
        scores: as for `bootstrap.intervals`.
        probabilities: as for `bootstrap.intervals`.
        thresholds: as for `bootstrap.intervals`.
        resamples: as for `bootstrap.intervals`.
        metrics: which of `METRICS`.
        pd_rule: see `detection.probability_of_detection`.

    Returns:
        For each metric float64 of shape (k, resamples); PD@x% NaN where there are too few reals.

    Raises:
        InputError: as for `bootstrap.intervals`, or an unknown metric.
        ShapeError: the arrays do not fit together.
    """
    return replicates_of(
        checked_cells(labels, scores, probabilities, thresholds, resamples, pd_rule), resamples, metrics
    )


def replicates_of(cells: Cells, resamples: Resamples, metrics: Sequence[str]) -> dict[str, Floats]:
    """`replicates` of input that is checked already."""
    check_metrics(metrics)
    k, n, size = len(cells.scores), cells.fake.size, len(resamples)
    found = {name: np.full((k, size), np.nan) for name in metrics}
    rates = {
        name: rate
        for name, rate in PD_RATES.items()
        if name in metrics and detection.blank_reason(name, cells.n_real) is None
    }
    group = max(1, _MATRIX // (ECE_BINS * n))
    for start in range(0, k, group):
        part = cells.subset(slice(start, start + group))
        design = _design(part, metrics)
        width = max(1, _MATRIX // n) if design.size else size
        for begin in range(0, size, width):
            for name, value in _sums(design, *_taken(resamples, begin, width), cells.fake, metrics).items():
                found[name][start : start + group, begin : begin + width] = value
    if {"auroc", "ap", "eer", *rates}.isdisjoint(metrics):
        return found

    width = max(1, _BLOCK // n)
    for start in range(0, k, _CONDITIONS):
        orders = [_Order.of(cells.fake, row) for row in cells.scores[start : start + _CONDITIONS]]

        def work(begin: int, start: int = start, orders: list[_Order] = orders) -> None:
            reals, fakes = _taken(resamples, begin, width)
            space = _Space.beside(reals, fakes)
            for row, order in enumerate(orders, start):
                space.fill(order, reals, fakes)
                for name, value in _ranks(order, space, metrics, rates, cells.pd_rule).items():
                    found[name][row, begin : begin + width] = value

        with ThreadPoolExecutor(_threads()) as pool:  # blocks write apart, so the threads change nothing
            list(pool.map(work, range(0, size, width)))
    return found


def check_metrics(names: Sequence[str]) -> None:
    """Raises InputError unless all are names of `METRICS`."""
    for name in names:
        if name not in METRICS:
            raise InputError(
                f"metrics must be of {', '.join(METRICS)}; got {name!r}.{did_you_mean(name, METRICS)}"
            )


def _taken(resamples: Resamples, begin: int, width: int) -> tuple[Counts, Counts]:
    """Some of the resamples, image by image: (n_real, width) and (n_fake, width)."""
    rows = slice(begin, begin + width)
    return np.ascontiguousarray(resamples.reals[rows].T), np.ascontiguousarray(resamples.fakes[rows].T)


def _threads() -> int:
    """Processors this process may use, up to eight: each thread holds some 30 MB."""
    return min(cores(), 8)


def _design(cells: Cells, metrics: Sequence[str]) -> Floats:
    """What each image adds to each sum, shape (conditions, sums, n): called fake, squared error, and its
    share of each calibration bin's gap."""
    fake = cells.fake
    parts: list[npt.NDArray[Any]] = []
    if not set(_DECIDED).isdisjoint(metrics):
        called = cells.scores >= cells.thresholds[:, None]
        parts += [(called & fake)[:, None], (called & ~fake)[:, None]]
    if "brier" in metrics:
        parts += [((cells.probabilities - fake) ** 2)[:, None]]
    if "ece" in metrics:
        parts += [np.stack([bin_shares(row) * (row - fake) for row in cells.probabilities])]
    return (
        np.concatenate(parts, axis=1, dtype=np.float64)
        if parts
        else np.empty((len(cells.scores), 0, fake.size))
    )


def bin_shares(probabilities: Floats) -> Floats:
    """How much of each image lies in each bin of `detection.ece`, shape (bins, n); columns sum to 1."""
    n = probabilities.size
    edges = detection.bin_edges(n, ECE_BINS)
    order = np.argsort(probabilities, kind="stable")
    new = np.append(True, np.diff(probabilities[order]) > 0)
    first = np.maximum.accumulate(np.where(new, np.arange(n), 0))
    after = np.append(np.flatnonzero(new)[1:], n)[np.cumsum(new) - 1]
    found = np.zeros((ECE_BINS, n))
    low, high = (
        np.searchsorted(edges, first, side="right") - 1,
        np.searchsorted(edges, after, side="left") - 1,
    )
    low = np.minimum(low, ECE_BINS - 1)
    for number in range(ECE_BINS):
        inside = (low <= number) & (number <= high)
        share = np.minimum(after[inside], edges[number + 1]) - np.maximum(first[inside], edges[number])
        found[number, order[inside]] = share / (after - first)[inside]
    return found


def _sums(
    design: Floats,
    reals: Counts,
    fakes: Counts,
    fake: Mask,
    metrics: Sequence[str],
) -> dict[str, Floats]:
    """Metrics that are ratios of sums over images, each (conditions, resamples of this block)."""
    k, sums, n = design.shape
    if not sums:
        return {}
    counts = np.empty((n, reals.shape[1]))
    counts[fake], counts[~fake] = fakes, reals
    total = (design.reshape(-1, n) @ counts).reshape(k, sums, -1)
    found: dict[str, Floats] = {}
    if not set(_DECIDED).isdisjoint(metrics):
        decided = detection.decisions(total[:, 0], total[:, 1], len(fakes), len(reals))
        found |= {name: value for name, value in decided.items() if name in metrics}
        total = total[:, 2:]
    if "brier" in metrics:
        found["brier"] = total[:, 0] / n
        total = total[:, 1:]
    if "ece" in metrics:
        found["ece"] = np.abs(total).sum(axis=1) / n
    return found


class _Order(NamedTuple):
    """The images of one condition by falling score, and where its thresholds fall among them.

    `reals`, `fakes`: images in order. For each fake in order, the fakes and the reals at or above it and
    the reals above it. For each distinct real score, the reals and fakes at or above it and the fakes
    above it. For each distinct score, the reals and the fakes at or above it, from none.
    """

    reals: Integers
    fakes: Integers
    fake_fakes: Integers | None  # None: no two fakes tie, so 1, 2, 3 ...
    fake_reals: Integers
    fake_reals_above: Integers
    real_reals: Integers
    real_fakes: Integers
    real_fakes_above: Integers
    curve: detection.Roc

    @classmethod
    def of(cls, fake: Mask, scores: Floats) -> _Order:
        falling = -scores
        real, forged = falling[~fake], falling[fake]
        reals, fakes = np.argsort(real, kind="stable"), np.argsort(forged, kind="stable")
        real, forged = real[reals], forged[fakes]
        fake_fakes = np.searchsorted(forged, forged, side="right")
        distinct = real[np.append(True, np.diff(real) > 0)]
        return cls(
            reals,
            fakes,
            None if fake_fakes[0] == 1 and np.all(np.diff(fake_fakes) == 1) else fake_fakes,
            np.searchsorted(real, forged, side="right"),
            np.searchsorted(real, forged, side="left"),
            np.searchsorted(real, distinct, side="right"),
            np.searchsorted(forged, distinct, side="right"),
            np.searchsorted(forged, distinct, side="left"),
            detection.roc_curve(fake, scores),
        )


class _Space(NamedTuple):
    """Counts of one condition in its order, in memory that every condition of a block uses again.

    `alarms` and `hits` hold how many of the first 0, 1, 2 ... reals and fakes are drawn, shapes
    (n_real + 1, resamples) and (n_fake + 1, resamples); `weights` the fakes' own counts; the other two
    are scratch for one number a fake.
    """

    alarms: npt.NDArray[np.int32]
    hits: npt.NDArray[np.int32]
    weights: npt.NDArray[np.uint8]
    whole: npt.NDArray[np.int32]
    broken: Floats

    @classmethod
    def beside(cls, reals: Counts, fakes: Counts) -> _Space:
        (n_real, size), n_fake = reals.shape, len(fakes)
        return cls(
            np.zeros((n_real + 1, size), np.int32),
            np.zeros((n_fake + 1, size), np.int32),
            np.empty((n_fake, size), np.uint8),
            np.empty((n_fake, size), np.int32),
            np.empty((n_fake, size)),
        )

    def fill(self, order: _Order, reals: Counts, fakes: Counts) -> None:
        np.take(fakes, order.fakes, axis=0, out=self.weights, mode="clip")
        for total, counts in ((self.alarms, reals[order.reals]), (self.hits, self.weights)):
            total[1:] = counts
            np.add.accumulate(total, axis=0, out=total)  # twice as fast as a cumsum that widens as it goes


def _ranks(
    order: _Order, space: _Space, metrics: Sequence[str], rates: dict[str, float], pd_rule: PDRule
) -> dict[str, Floats]:
    """Metrics of ranks for one condition, each of shape (resamples of this block,)."""
    alarms, hits, weights, whole, broken = space
    n_real, n_fake = len(alarms) - 1, len(weights)
    found: dict[str, Floats] = {}
    if "auroc" in metrics:
        np.take(alarms, order.fake_reals, axis=0, out=whole, mode="clip")
        whole += alarms[order.fake_reals_above]
        np.copyto(broken, whole)
        found["auroc"] = 1 - np.einsum("ib,ib->b", weights, broken) / (2 * n_real * n_fake)
    if "ap" in metrics:
        at_or_above = hits[1:] if order.fake_fakes is None else hits[order.fake_fakes]
        np.take(alarms, order.fake_reals, axis=0, out=whole, mode="clip")
        whole += at_or_above
        np.maximum(whole, 1, out=whole)  # nothing drawn so far: 0 / 1, with weight 0
        np.divide(at_or_above, whole, out=broken)
        found["ap"] = np.einsum("ib,ib->b", weights, broken) / n_fake
    if "eer" in metrics:
        found["eer"] = _equal_error_rate(order.curve, alarms, hits)
    return found | _detections(order, alarms, hits, rates, pd_rule)


def _first(rows: int, reached: Any, shape: tuple[int, ...]) -> Integers:
    """The first row, for each column, for which `reached(row)` holds; it holds from there on."""
    low, high = np.zeros(shape, dtype=np.int64), np.full(shape, rows - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        yes = reached(middle)
        high = np.where(yes, middle, high)
        low = np.where(yes, low, middle + 1)
    return low


def _equal_error_rate(
    curve: detection.Roc, alarms: npt.NDArray[np.int32], hits: npt.NDArray[np.int32]
) -> Floats:
    n_real, n_fake = int(alarms[-1, 0]), int(hits[-1, 0])
    column = np.arange(alarms.shape[1])

    def counts(point: Integers) -> tuple[Any, Any]:
        return (
            alarms[curve.false_alarms[point], column].astype(np.int64),
            hits[curve.detections[point], column].astype(np.int64),
        )

    def excess(false_alarms: Any, detections: Any) -> Any:
        return false_alarms * n_fake + (detections - n_fake) * n_real

    point = _first(curve.detections.size, lambda p: excess(*counts(p)) >= 0, column.shape)
    before, beyond = counts(point - 1), counts(point)
    low, high = excess(*before), excess(*beyond)
    return np.asarray((before[0] - low / (high - low) * (beyond[0] - before[0])) / n_real)


def _detections(
    order: _Order,
    alarms: npt.NDArray[np.int32],
    hits: npt.NDArray[np.int32],
    rates: dict[str, float],
    pd_rule: PDRule,
) -> dict[str, Floats]:
    """PD@x%, all rates at once. The thresholds of interest are the distinct scores of reals."""
    if not rates:
        return {}
    n_real, n_fake = int(alarms[-1, 0]), int(hits[-1, 0])
    rate = np.array(list(rates.values()))[:, None]
    shares = np.arange(n_real + 1) / n_real
    allowed = np.searchsorted(shares, rate, side="right") - 1
    column = np.arange(alarms.shape[1])

    def reals_at(row: Integers) -> Any:
        return alarms[order.real_reals[row], column]

    shape = (len(rates), column.size)
    beyond = _first(order.real_reals.size, lambda row: reals_at(row) > allowed, shape)
    if pd_rule == "strict":
        found = hits[order.real_fakes_above[beyond], column]
    else:
        # The points either side of the rate. Of points with equal false alarms the first counts, which
        # is where its last real comes in; without any, nothing is called fake.
        within = np.where(beyond > 0, reals_at(np.maximum(beyond - 1, 0)), 0)
        here = _first(order.real_reals.size, lambda row: reals_at(row) >= within, shape)
        lower = np.where(within > 0, hits[order.real_fakes[here], column], 0)
        upper = hits[order.real_fakes[beyond], column]
        nearer = np.abs(shares[within] - rate) <= np.abs(shares[reals_at(beyond)] - rate)
        found = np.where(nearer, lower, upper)
    return dict(zip(rates, found / n_fake, strict=True))
