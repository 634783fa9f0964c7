"""Whether two lists of scores rank the same items alike: Kendall's tau-b, Spearman's rho, and who leads.

Many pairs of lists are compared at once, so that a ranking can be followed through every resample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from bandprobe.errors import ShapeError
from bandprobe.metrics.cells import Floats

_BLOCK = 2_000_000  # pairs of items compared at a time


def kendall_tau_b(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Kendall's tau-b of the same items' scores in two lists.

    The pairs of items that both lists order alike less those that they order differently, over the geometric
    mean of the pairs that each orders at all: 1 for one order, -1 for opposite ones.

    Args:
        first: shape (..., items), at least two items.
        second: of the same shape, or one that broadcasts to it.

    Returns:
        float64 of shape (...), in [-1, 1]; NaN where all of a list's scores are equal.

    Raises:
        ShapeError: fewer than two items, or lists that do not fit together.

    Source:
        Kendall 1945, *The treatment of ties in ranking problems*.
    """
    one, other = _lists(first, second)
    items = one.shape[-1]
    left, right = np.triu_indices(items, 1)
    rows = one.reshape(-1, items), other.reshape(-1, items)
    found = np.empty(len(rows[0]))
    block = max(1, _BLOCK // len(left))
    for begin in range(0, len(found), block):
        orders = [
            np.sign(part[begin : begin + block, left] - part[begin : begin + block, right]) for part in rows
        ]
        alike = (orders[0] * orders[1]).sum(axis=1)
        ordered = [np.abs(order).sum(axis=1) for order in orders]
        found[begin : begin + block] = _over(alike, np.sqrt(ordered[0] * ordered[1]))
    return found.reshape(one.shape[:-1])


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Spearman's rank correlation: Pearson's of the ranks, tied scores having their mean rank.

    Arguments, errors and result as of `kendall_tau_b`.

    Source:
        Spearman 1904, *The proof and measurement of association between two things*.
    """
    ranks = [stats.rankdata(part, axis=-1) for part in _lists(first, second)]
    one, other = (part - part.mean(axis=-1, keepdims=True) for part in ranks)
    together = (one * other).sum(axis=-1)
    return _over(together, np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1)))


def leader_stays(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether an item with the highest score of the first list has the highest of the second as well.

    Arguments and errors as of `kendall_tau_b`; of items that lead together, one is enough.
    """
    one, other = _lists(first, second)
    leading = [part == part.max(axis=-1, keepdims=True) for part in (one, other)]
    stays: npt.NDArray[np.bool_] = (leading[0] & leading[1]).any(axis=-1)
    return stays


def _lists(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim < 1 or other.ndim < 1 or one.shape[-1] != other.shape[-1] or one.shape[-1] < 2:
        raise ShapeError(
            f"two rankings must have shape (..., items) with the same items, two or more; got {one.shape} and "
            f"{other.shape}."
        )
    try:
        one, other = np.broadcast_arrays(one, other)
    except ValueError:
        raise ShapeError(f"rankings of shapes {one.shape} and {other.shape} do not fit together.") from None
    return one, other


def _over(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = numerator / denominator
    return np.asarray(np.where(denominator > 0, np.clip(share, -1.0, 1.0), np.nan))
