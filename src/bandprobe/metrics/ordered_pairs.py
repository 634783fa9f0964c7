"""Which of two items is better, for all pairs of a list at once.

A list of scores always has an order, and so have scores that differ by chance alone. A pair is *decided* where the
95 % interval of its difference, from resamples, leaves zero out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.metrics.intervals import normal_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """All pairs of a list's items, in the order of `numpy.triu_indices(items, 1)`.

    Attributes:
        items: how many.
        difference: of the scores, shape (pairs,).
        deviation: its standard deviation over resamples, shape (pairs,).
    """

    items: int
    difference: Floats
    deviation: Floats

    @classmethod
    def of(cls, scores: Floats) -> Pairs:
        """The pairs of a list.

        Args:
            scores: shape (1 + resamples, items): of the data, then of every resample.
        """
        left, right = np.triu_indices(scores.shape[1], 1)
        apart = scores[:, left] - scores[:, right]
        deviation = np.where(np.ptp(apart[1:], axis=0) == 0, 0.0, apart[1:].std(axis=0))
        return cls(scores.shape[1], apart[0], deviation)

    def decided(self, level: float = 0.95) -> NDArray[np.int8]:
        """1 where the first item of a pair is better, -1 where the second is, 0 where neither can be said, (pairs,).

        Args:
            level: of the interval of each difference by itself, which reaches equally far to either side.
        """
        beyond = np.abs(self.difference) > normal_quantile(level) * self.deviation
        signs: NDArray[np.int8] = np.where(beyond, np.sign(self.difference), 0).astype(np.int8)
        return signs

    def against(self, item: int, level: float = 0.95) -> NDArray[np.int8]:
        """`decided` for one item and each of the others, 1 where it is better, shape (items - 1,)."""
        signs = np.zeros((self.items, self.items), np.int8)
        signs[np.triu_indices(self.items, 1)] = self.decided(level)
        return np.delete((signs - signs.T)[item], item)

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Where both items have one score in the data and in every resample, (pairs,)."""
        tied: NDArray[np.bool_] = (self.difference == 0) & (self.deviation == 0)
        return tied


@dataclass(frozen=True)
class Order:
    """How far two lists order the same pairs alike, as far as that is decided.

    Attributes:
        pairs: those not tied for certain in either list.
        kept: those that both lists decide alike.
        turned: those that they decide differently.
    """

    pairs: int
    kept: int
    turned: int

    @property
    def tau(self) -> tuple[float, float]:
        """The least and the most that Kendall's tau may be: with every undecided pair turned, or kept."""
        if not self.pairs:
            return np.nan, np.nan
        return 2 * self.kept / self.pairs - 1, 1 - 2 * self.turned / self.pairs


def order(first: Pairs, second: Pairs) -> Order:
    """What the resamples of two lists of the same items say of their orders."""
    counted = ~(first.tied | second.tied)
    product: Any = (first.decided() * second.decided())[counted]
    return Order(int(counted.sum()), int((product > 0).sum()), int((product < 0).sum()))
