"""Detectors whose every metric is known: two normal distributions of scores, and probabilities made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from bandprobe.metrics.detection import ECE_BINS, PD_RATES

Floats = NDArray[np.float64]

_GRID = np.linspace(-10.0, 18.0, 100_001)


@dataclass(frozen=True)
class Binormal:
    """Reals score N(0, 1), fakes N(distance, 1); classes are equally frequent, the threshold lies midway.

    The log odds of being fake are `distance (s - distance / 2)`. Probabilities are made from them times
    `sharpness` plus `lean`: 1 and 0 are calibrated.
    """

    distance: float
    sharpness: float = 1.0
    lean: float = 0.0

    @property
    def threshold(self) -> float:
        """On the score."""
        return self.distance / 2

    def draw(self, rows: int, n: int, rng: np.random.Generator) -> Floats:
        """Scores of n reals, then of n fakes, shape (rows, 2 n)."""
        scores = rng.standard_normal((rows, 2 * n))
        scores[:, n:] += self.distance
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        """Of being fake, in (0, 1)."""
        odds = self.distance * (scores - self.distance / 2)
        return np.asarray(special.expit(self.sharpness * odds + self.lean))

    def truth(self, metric: str) -> float:
        """The metric of infinitely many images."""
        d = self.distance
        if metric in PD_RATES:
            return float(special.ndtr(d - special.ndtri(1 - PD_RATES[metric])))
        known: dict[str, Callable[[], float]] = {
            "auroc": lambda: float(special.ndtr(d / np.sqrt(2))),
            "eer": lambda: float(special.ndtr(-d / 2)),
            "ap": self._average_precision,
            "brier": self._brier,
            "ece": self._ece,
        }
        # Midway between equal classes, every share of right decisions is the same.
        return known.get(metric, lambda: float(special.ndtr(d / 2)))()

    def _average_precision(self) -> float:
        alarms, hits = special.ndtr(-_GRID), special.ndtr(self.distance - _GRID)
        precision = hits / np.maximum(hits + alarms, 1e-300)
        return float(-((precision[1:] + precision[:-1]) / 2 * np.diff(hits)).sum())

    def _brier(self) -> float:
        real, fake = self._shares()
        chance = self.probabilities(_GRID)
        return float((real * chance**2 + fake * (1 - chance) ** 2).sum())

    def _ece(self) -> float:
        real, fake = self._shares()
        chance = self.probabilities(_GRID)
        number = np.minimum((np.cumsum(real + fake) * ECE_BINS).astype(int), ECE_BINS - 1)
        gap = real * chance + fake * (chance - 1)
        return float(np.abs(np.bincount(number, gap, ECE_BINS)).sum())

    def _shares(self) -> tuple[Floats, Floats]:
        """The share of all images that are real, and fake, in each step of the grid."""
        step = (_GRID[1] - _GRID[0]) / np.sqrt(8 * np.pi)
        real, fake = (step * np.exp(-((_GRID - mean) ** 2) / 2) for mean in (0.0, self.distance))
        return real, fake

    @classmethod
    def with_truth(cls, metric: str, value: float) -> Binormal:
        """The calibrated detector with this metric."""
        return _solved(cls, metric, value, (0.0, 9.0))

    def leaning(self, metric: str, value: float) -> Binormal:
        """This detector with its probabilities moved up until the metric is so large."""
        return _solved(lambda lean: replace(self, lean=lean), metric, value, (0.0, 12.0))

    def sharpened(self, metric: str, value: float) -> Binormal:
        """This detector with its probabilities driven apart until the metric is so large."""
        return _solved(lambda sharpness: replace(self, sharpness=sharpness), metric, value, (1.0, 30.0))


def _solved(
    make: Callable[[float], Binormal], metric: str, value: float, between: tuple[float, float]
) -> Binormal:
    low, high = between
    if metric in PD_RATES:
        low = -2.0
    start = make(low)
    if abs(start.truth(metric) - value) < 1e-9:
        return start
    return make(float(optimize.brentq(lambda x: make(x).truth(metric) - value, low, high, xtol=1e-10)))
