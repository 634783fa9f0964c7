"""Kernels of the distance between vectors, their bandwidth, and distances block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, ShapeError, did_you_mean

Block = npt.NDArray[np.float32]
Kernel = Callable[[Block], Block]

ROWS = 256  # of a block: 20 MB against 20,000 columns
LARGEST_MEDIAN = 10_000  # rows whose distances are all looked at: 200 MB of them


def _gaussian(scaled: Block) -> Block:
    scaled *= np.float32(-0.5)
    return np.exp(scaled, out=scaled)


def _exponential(scaled: Block) -> Block:
    np.sqrt(scaled, out=scaled)
    return np.exp(np.negative(scaled, out=scaled), out=scaled)


def _rational_quadratic(scaled: Block) -> Block:
    scaled *= np.float32(0.5)
    scaled += np.float32(1)
    return np.reciprocal(scaled, out=scaled)


KERNELS: dict[str, Kernel] = {
    "gaussian": _gaussian,
    "exponential": _exponential,
    "rational-quadratic": _rational_quadratic,
}
"""Kernels of t = (d / l)^2, d the Euclidean distance and l the bandwidth; each is 1 at d = 0.

`gaussian`: exp(-d^2 / (2 l^2)). `exponential`: exp(-d / l). `rational-quadratic`: 1 / (1 + d^2 / (2 l^2)),
the case alpha = 1. Computed in place.

Source:
    Rasmussen & Williams 2006, *Gaussian Processes for Machine Learning*, equations 4.9, 4.18 and 4.19.
"""


def check_kernel(name: str) -> None:
    """See that a kernel is known.

    Raises:
        InputError: it is not; the nearest known name is given.
    """
    if name not in KERNELS:
        raise InputError(
            f"kernel must be one of {', '.join(KERNELS)}; got {name!r}.{did_you_mean(name, KERNELS)}"
        )


def median_distance(x: npt.ArrayLike) -> float:
    """The median Euclidean distance between two different rows, a kernel's bandwidth.

    Args:
        x: shape (n, dim), n at least 2. Of more than 10,000 rows 10,000 are taken, evenly spread.

    Returns:
        The median over all pairs i < j, in the unit of `x`.

    Raises:
        ShapeError: not two rows or more of finite numbers.
        InputError: the median is 0: half of the pairs are equal, and no kernel has that width.
    """
    values = sample_rows("x", x)
    if len(values) > LARGEST_MEDIAN:
        values = values[np.linspace(0, len(values) - 1, LARGEST_MEDIAN).astype(np.intp)]
    points = Points.of(values - values.mean(axis=0))
    n = len(values)
    squares = np.empty(n * (n - 1) // 2, np.float32)
    filled = 0
    for begin in range(0, n, ROWS):
        rows = slice(begin, begin + ROWS)
        block = points.distances(rows, points, slice(begin, n))
        for row, line in enumerate(block):
            found = line[row + 1 :]
            squares[filled : filled + len(found)] = found
            filled += len(found)
    middle = len(squares) // 2
    squares.partition([max(middle - 1, 0), middle])
    middles = squares[middle : middle + 1] if len(squares) % 2 else squares[middle - 1 : middle + 1]
    median = float(np.sqrt(middles.astype(np.float64)).mean())
    rounding = 1e-6 * float(np.median(points.squares))  # of a squared distance between equal rows
    if median**2 <= rounding or bool((values == values[0]).all()):
        raise InputError("bandwidth must be positive; half or more of the rows are equal to each other.")
    return median


@dataclass(frozen=True)
class Points:
    """Rows with their squared lengths."""

    values: Block  # (n, dim)
    squares: Block  # (n,)

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Points:
        """Points in float32; their origin should lie among them, or distances round."""
        rows = np.ascontiguousarray(values, np.float32)
        return cls(rows, np.einsum("id,id->i", rows, rows))

    def distances(self, rows: slice, other: Points, columns: slice) -> Block:
        """Squared distances of own rows to others', shape (rows, columns)."""
        found: Block = self.values[rows] @ other.values[columns].T
        found *= -2
        found += self.squares[rows, None]
        found += other.squares[columns]
        np.maximum(found, 0, out=found)
        if other is self and columns.start == rows.start:
            np.fill_diagonal(found, 0)  # a row to itself, without rounding
        return found


def in_bandwidths(values: npt.NDArray[Any], bandwidth: float) -> Block:
    """Rows less their mean, in bandwidths: small numbers, whose float32 distances are exact enough."""
    values = values - values.mean(axis=0)
    values /= bandwidth
    return values.astype(np.float32, copy=False)


def sample_rows(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Rows of finite numbers, in float32 or float64 as they came."""
    array = np.asarray(values)
    if array.ndim != 2 or len(array) < 2 or array.shape[1] < 1:
        raise ShapeError(f"{name} must have shape (n, dim) with n at least 2; got {array.shape}.")
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ShapeError(f"{name} must hold finite numbers; it holds NaN or infinity.")
    return array
