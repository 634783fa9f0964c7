"""Every detection metric in every paired resample of a whole grid, against scikit-learn's functions."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from bandprobe.metrics import METRICS
from bandprobe.metrics.detection import PD_RATES
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples
from bandprobe.seeding import generator
from side_by_side import Row, check_equal, device, ratio, times

_TOLERANCE = 1e-6
_COMPARED = tuple(name for name in METRICS if name != "ece")  # of which scikit-learn has no function


@dataclass(frozen=True)
class Grid:
    """The size of a study's evaluation, and how much of it each side is timed on."""

    probes: int = 14
    test_sets: int = 11
    conditions: int = 40
    resamples: int = 1000
    images: int = 1000  # of a test set, half of them fake
    cells: int = 2  # that scikit-learn is timed on
    their_resamples: int = 50


def rows(*, grid: Grid | None = None, rounds: int = 3) -> list[Row]:
    """A test set's share of a grid, 1 of its test sets, against a few cells and resamples of it by scikit-learn.

    Raises:
        ArithmeticError: a metric of a resample is more than 1e-6 from scikit-learn's.
    """
    grid = grid or Grid()
    draw = generator(0, "bootstrap benchmark")
    half, k = grid.images // 2, grid.probes * grid.conditions
    labels = np.repeat([0, 1], half)
    scores = draw.standard_normal((k, 2 * half)) + labels * draw.uniform(0.2, 3, (k, 1))
    probabilities = 1 / (1 + np.exp(-scores))
    thresholds = np.zeros(k)
    resamples = Resamples.draw(half, half, grid.resamples, draw)

    def ours() -> dict[str, NDArray[np.float64]]:
        return replicates(labels, scores, probabilities, thresholds, resamples)

    def theirs() -> NDArray[np.float32]:
        found = np.empty((len(_COMPARED), grid.cells, grid.their_resamples), np.float32)
        for number in range(grid.their_resamples):
            counts = np.concatenate([resamples.reals[number], resamples.fakes[number]])
            images = np.repeat(np.arange(2 * half), counts)
            for cell in range(grid.cells):
                given = labels[images], scores[cell, images], probabilities[cell, images]
                found[:, cell, number] = by_scikit_learn(*given)
        return found

    mine = ours()
    part = np.stack([mine[name][: grid.cells, : grid.their_resamples] for name in _COMPARED])
    there = theirs()
    shown = ~np.isnan(part).all((1, 2))  # PD@x% is blank on few images
    check_equal("bootstrap", part[shown].astype(np.float32), there[shown], _TOLERANCE)
    taken = times({"ours": ours, "theirs": theirs}, rounds)
    whole = {
        "ours": grid.test_sets,
        "theirs": k * grid.test_sets / grid.cells * grid.resamples / grid.their_resamples,
    }
    seconds = {name: [value * whole[name] for value in values] for name, values in taken.items()}
    return [
        Row(
            name="bootstrap",
            ratio=ratio(seconds["ours"], seconds["theirs"]),
            target=100.0,
            ours=statistics.median(seconds["ours"]),
            other=statistics.median(seconds["theirs"]),
            unit=f"s for {grid.resamples} resamples of {grid.probes} x {grid.test_sets} x {grid.conditions} cells, "
            f"extrapolated from {grid.probes} x 1 x {grid.conditions} and {grid.cells} x {grid.their_resamples}",
            device=device(),
        )
    ]


def by_scikit_learn(
    labels: NDArray[np.int64], scores: NDArray[np.float64], probabilities: NDArray[np.float64]
) -> list[float]:
    """The metrics of one resample in the order of `_COMPARED`; PD@x% and EER from scikit-learn's ROC curve."""
    called = scores >= 0
    false_alarms, detections, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    one: dict[str, Callable[[], float]] = {
        "auroc": lambda: sk.roc_auc_score(labels, scores),
        "ap": lambda: sk.average_precision_score(labels, scores),
        "accuracy": lambda: sk.accuracy_score(labels, called),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(labels, called),
        "real_accuracy": lambda: sk.recall_score(labels, called, pos_label=0),
        "fake_accuracy": lambda: sk.recall_score(labels, called),
        "recall": lambda: sk.recall_score(labels, called),
        "f1": lambda: sk.f1_score(labels, called),
        "precision": lambda: sk.precision_score(labels, called),
        "brier": lambda: sk.brier_score_loss(labels, probabilities),
        "eer": lambda: equal_error_rate(false_alarms, detections),
        **{name: partial(detected, false_alarms, detections, rate) for name, rate in PD_RATES.items()},
    }
    return [one[name]() for name in _COMPARED]


def detected(false_alarms: NDArray[np.float64], detections: NDArray[np.float64], rate: float) -> float:
    """The share of fakes found at a false-alarm rate of at most `rate`."""
    return float(detections[false_alarms <= rate].max())


def equal_error_rate(false_alarms: NDArray[np.float64], detections: NDArray[np.float64]) -> float:
    """Where the polygon through the curve's corners meets the line on which misses equal false alarms."""
    gap = false_alarms - (1 - detections)
    after = int(np.argmax(gap >= 0))
    if after == 0 or gap[after] == 0:
        return float(false_alarms[after])
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(false_alarms[after - 1] + share * (false_alarms[after] - false_alarms[after - 1]))
