"""Perceptual hashes: the signs of the lowest frequencies, of a whole picture and of what crops may leave of it.

A copy keeps the signs of its discrete cosine transform through recompression, resizing and changes of
brightness or contrast; a flip negates those of odd frequency, exactly. A crop is the whole of one picture and a
window of another: so each picture has a hash for every window down to 75 % of each side, on a lattice of
margins of 5 %; 80 % is what may be relied on.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandprobe.images.thumbnails import SIDE, Grey

BITS = 48
FLIPS = ((False, False), (False, True), (True, False), (True, True))  # upside down, left to right

_FREQUENCIES = 8  # half cycles along each side, from 0
_STEP = 0.05  # of margins, as a share of the side
_LARGEST = 0.25  # of both margins of a side together

Bits = NDArray[np.bool_]
Floats = NDArray[np.float32]


class Lattice(NamedTuple):
    """The windows, and where their coefficients stand in the product that gives them all.

    Attributes:
        margins: (windows, 4), the shares cut off at top, bottom, left and right; the first window is the whole.
        basis: (axis windows x frequencies, 64), cosines over each window of one side.
        rows, columns: (windows, 48), into `basis @ picture @ basis.T`.
        frequency: (48, 2), vertical and horizontal half cycles of each bit, rising.
    """

    margins: Floats
    basis: Floats
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    frequency: NDArray[np.intp]


@cache
def lattice() -> Lattice:
    """The windows of every hash: every pair of margins of one side with every pair of the other."""
    steps = round(_LARGEST / _STEP)
    sides = [(low, high) for low in range(steps + 1) for high in range(steps + 1 - low)]
    grid = [(u, v) for u in range(_FREQUENCIES) for v in range(_FREQUENCIES) if u or v]
    frequency = np.array(sorted(grid, key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair))[:BITS])
    y, x = np.divmod(np.arange(len(sides) ** 2), len(sides))
    return Lattice(
        margins=np.array([(*sides[a], *sides[b]) for a, b in zip(y, x, strict=True)], np.float32) * _STEP,
        basis=np.concatenate([_cosines(low * _STEP, high * _STEP) for low, high in sides]).astype(np.float32),
        rows=y[:, None] * _FREQUENCIES + frequency[:, 0],
        columns=x[:, None] * _FREQUENCIES + frequency[:, 1],
        frequency=frequency,
    )


def _cosines(low: float, high: float) -> NDArray[np.float64]:
    """`cos(pi k t)` over a window of one side, t from 0 to 1 in it, integrated over each pixel: (frequencies, 64)."""
    edges = np.clip(np.arange(SIDE + 1) / SIDE, low, 1 - high)
    place = (edges - low) / (1 - low - high)
    k = np.arange(_FREQUENCIES)[:, None]
    whole: NDArray[np.float64] = np.where(
        k == 0, place, np.sin(np.pi * k * place) / (np.pi * np.maximum(k, 1))
    )
    return np.diff(whole, axis=1)


def coefficients(thumbnails: Grey, *, whole: bool = False) -> Floats:
    """Cosine coefficients of every window, by rising frequency.

    Args:
        thumbnails: uint8, shape (n, 64, 64).
        whole: of the whole picture alone.

    Returns:
        float32, shape (n, windows, 48), windows as in `lattice().margins`; one window where `whole`.
    """
    known = lattice()
    last = 1 if whole else len(known.rows)
    basis = known.basis[:_FREQUENCIES] if whole else known.basis  # the first axis window is the whole side
    product = basis @ thumbnails.astype(np.float32) @ basis.T
    found: Floats = product[:, known.rows[:last], known.columns[:last]]
    return found


def flipped(coefficients: Floats, upside_down: bool, left_to_right: bool) -> Floats:
    """The coefficients of the same pictures flipped: shape (..., 48) as given."""
    odd = lattice().frequency % 2 == 1
    negated = (odd[:, 0] & upside_down) ^ (odd[:, 1] & left_to_right)
    return np.where(negated, -coefficients, coefficients)


def packed(bits: Bits) -> NDArray[np.uint64]:
    """Rows of 48 bits as numbers, the first bit the highest of 48: shape (..., 48) to (...)."""
    eight = np.zeros((*bits.shape[:-1], 8), np.uint8)
    eight[..., 2:] = np.packbits(bits, axis=-1)
    return eight.view(">u8")[..., 0].astype(np.uint64)


def hamming(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits of two hashes differ, element by element: both of shape (n,)."""
    parts = (first ^ second).view(np.uint16).reshape(-1, 4)
    counts: NDArray[np.uint8] = _ones()[parts].sum(axis=-1, dtype=np.uint8)
    return counts


@cache
def _ones() -> NDArray[np.uint8]:
    """How many bits are set in each number of 16 bits."""
    numbers = np.arange(1 << 16, dtype=np.uint32)
    counts: NDArray[np.uint8] = np.sum([(numbers >> bit) & 1 for bit in range(16)], axis=0, dtype=np.uint8)
    return counts
