"""Nearest neighbours of every image among the others, with and without a group of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError
from bandprobe.metrics.jackknife import Floats, groups

Places = npt.NDArray[np.int64]

_BLOCK = 2**24  # numbers held at a time


def enough(n: int, k: int) -> None:
    """See that n images have k neighbours each, one image more being left out.

    Raises:
        InputError: k is below 1, or there are fewer than k + 2 images.
    """
    if k < 1:
        raise InputError(f"k must be at least 1 neighbour; got {k}.")
    if n < k + 2:
        raise InputError(
            f"fewer images than neighbours: {n} images cannot have {k} neighbours each with one image left "
            f"out; give {k + 2} images or more, or a smaller k."
        )


def reach(n: int, k: int) -> int:
    """How many neighbours to know, so that k are left whichever group is left out."""
    return min(n - 1, k + -(-n // len(np.unique(groups(n)))))


def nearest(X: Floats, count: int) -> Places:
    """Places of each row's nearest other rows, nearest first, shape (n, count).

    Args:
        X: shape (n, d).
        count: how many, below n.
    """
    n = len(X)
    square = np.einsum("ij,ij->i", X, X)
    places = np.empty((n, count), dtype=np.int64)
    step = max(1, _BLOCK // n)
    for begin in range(0, n, step):
        rows = np.arange(begin, min(begin + step, n))
        apart = square - 2 * (X[rows] @ X.T)  # less the row's own square, which changes no order
        apart[np.arange(len(rows)), rows] = np.inf
        found = np.argpartition(apart, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(apart, found, 1), axis=1, kind="stable")
        places[rows] = np.take_along_axis(found, order, 1)
    return places


def distances(X: Floats, places: Places) -> Floats:
    """Euclidean distances from each row to the rows at its places, shape (n, count).

    From differences: squares less products would lose the digits of near rows.
    """
    apart = np.empty(places.shape)
    step = max(1, _BLOCK // (places.shape[1] * X.shape[1]))
    for begin in range(0, len(X), step):
        rows = slice(begin, begin + step)
        apart[rows] = np.linalg.norm(X[rows, None] - X[places[rows]], axis=2)
    return apart


def left_out(n: int) -> Iterator[tuple[Places, npt.NDArray[np.bool_]]]:
    """Without each group in turn: the rows that stay, and whether each of the n stays."""
    group = groups(n)
    for number in range(int(group.max()) + 1):
        stays = group != number
        yield np.flatnonzero(stays), stays


def remaining(places: Places, stays: npt.NDArray[np.bool_], k: int) -> Places:
    """Columns of the first k of each row's `places` that stay, shape (rows, k)."""
    gone = ~stays[places]
    return np.argsort(gone, axis=1, kind="stable")[:, :k]
