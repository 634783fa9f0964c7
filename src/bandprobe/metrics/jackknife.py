"""Intervals without repeats: what an estimate does when images are left out.

A bootstrap draws images twice, and a picture that stands twice is its own nearest neighbour and adds no
rank: neighbour and rank measures of resamples are of another kind than those of the sample. Leaving images
out makes no copies, and hardly changes their number, on which such measures depend.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

GROUPS = 50


class Estimate(NamedTuple):
    """A measure of a sample with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def groups(n: int) -> npt.NDArray[np.int64]:
    """The group, up to 50 of them, in which each of n images is left out, shape (n,); in random order."""
    return np.arange(n) % min(n, GROUPS)


def from_groups(value: float, without: npt.ArrayLike) -> Estimate:
    """A delete-a-group jackknife interval around `value`.

    Args:
        value: of the whole sample.
        without: of the sample without each of G groups of equal size, shape (G,).

    Returns:
        `value` and `value -+ t s`, `s^2 = (G - 1) / G sum (without - mean)^2`, t with G - 1 degrees of
        freedom.

    Source:
        Shao & Tu 1995, *The Jackknife and Bootstrap*, section 2.3.
    """
    left = np.asarray(without, dtype=np.float64)
    count = len(left)
    return _interval(value, np.sqrt((count - 1) * left.var()), count - 1)


def from_influence(value: float, influence: npt.ArrayLike) -> Estimate:
    """The interval of the infinitesimal jackknife around `value`.

    Args:
        value: of the whole sample.
        influence: of each of n images: the derivative of the value by the image's weight, times n;
            shape (n,).

    Returns:
        `value` and `value -+ t s`, `s^2 = sum influence^2 / (n (n - 1))`, t with n - 1 degrees of freedom.

    Source:
        Jaeckel 1972, *The Infinitesimal Jackknife*; Efron & Tibshirani 1993, chapter 22.
    """
    each = np.asarray(influence, dtype=np.float64)
    n = len(each)
    return _interval(value, np.sqrt(each.var() / (n - 1)), n - 1)


def _interval(value: float, deviation: float, freedom: int) -> Estimate:
    reach = float(special.stdtrit(freedom, 0.975) * deviation)
    return Estimate(float(value), float(value) - reach, float(value) + reach)
