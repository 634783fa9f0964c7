"""Which pictures may be windows of which others: hashes that differ in few bits, found without comparing every pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.images.perceptual_hash import (
    BITS,
    FLIPS,
    Bits,
    Floats,
    coefficients,
    flipped,
    hamming,
    lattice,
    packed,
)
from bandprobe.images.thumbnails import Grey

WINDOWS = 2  # tried of one picture in another

_BANDS = 6
_KEY = 24  # bits of a band that must agree
_DOUBTED = 3  # of them, the least certain, are tried both ways
_NEAREST = 64  # hashes looked at where more agree: those that agree further
_DIFFERENT = 6  # bits of 48 in which a copy's hash may differ
_MOST = 16  # of one picture: nearest wholes, and nearest windows, that are verified
_BLOCK = 128  # pictures hashed at a time

Integers = NDArray[np.intp]
Numbers = NDArray[np.uint64]


class Candidates(NamedTuple):
    """`inner` may be a window of `outer` after a flip, each of shape (m,).

    Attributes:
        outer, inner: numbers of pictures.
        window: of `lattice().margins`.
        flip: of `FLIPS`.
        rank: 0 for the best guess of a pair, 1 for the next.
    """

    outer: Integers
    inner: Integers
    window: Integers
    flip: Integers
    rank: Integers


def candidates(greys: Grey) -> Candidates:
    """Pairs of pictures of which one may hold the other.

    Time grows as n log n: a window meets at most 64 hashes in each of 6 bands, however many are alike.

    Args:
        greys: thumbnails, uint8, shape (n, 64, 64), n at least 1.

    Returns:
        At most two guesses a pair, pair by pair.
    """
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(greys), _BLOCK)]
    wholes = np.concatenate([coefficients(greys[block], whole=True)[:, 0] for block in blocks])
    asked = np.stack([flipped(wholes, *flip) for flip in FLIPS], axis=1).reshape(-1, BITS)
    hashes = packed(asked > 0)
    bands = [_Band(asked, number) for number in range(_BANDS)]
    parts = []
    with progress.bar("hash", len(greys)) as step:
        for block in blocks:
            bits = coefficients(greys[block]) > 0  # (pictures, windows, 48)
            parts.append(_within(bits, block.start, hashes, bands))
            step(len(bits))
    rows = np.concatenate(parts)
    pair = np.sort(rows[:, :2], axis=1)
    order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 0], rows[:, 4], pair[:, 1], pair[:, 0]))
    rank = _place_in_run(pair[order])
    kept = rank < WINDOWS
    outer, inner, window, flip, _ = rows[order][kept].T
    return Candidates(outer, inner, window, flip, rank[kept])


class _Band:
    """Hashes with their bits in one order, sorted: those that agree in the first bits stand together.

    Source:
        Charikar 2002, *Similarity estimation techniques from rounding algorithms*; trying the least certain
        bits both ways is the multi-probe of Lv et al. 2007.
    """

    def __init__(self, asked: Floats, number: int) -> None:
        draw = seeding.generator(0, "near-duplicates", number)
        self._order = draw.permutation(BITS) if number else np.arange(BITS)  # the first: lowest frequencies
        values = asked[:, self._order]
        bits = values > 0
        frequency = np.hypot(*lattice().frequency[self._order[:_KEY]].T)  # amplitudes fall as its inverse
        doubted = np.argsort(np.abs(values[:, :_KEY]) * frequency, axis=1)[:, :_DOUBTED]
        row = np.arange(len(bits))[:, None]
        entries = []
        for choice in range(1 << _DOUBTED):
            tried = bits.copy()
            tried[row, doubted] ^= [bool(choice >> bit & 1) for bit in range(_DOUBTED)]
            entries.append(packed(tried))
        every = np.concatenate(entries)
        order = np.argsort(every, kind="stable")
        self._entries, self._owner = every[order], (order % len(bits)).astype(np.uint32)
        self._keys = np.zeros(1 << _KEY, np.bool_)
        self._keys[_key(self._entries)] = True

    def agreeing(self, bits: Bits) -> tuple[Integers, Integers]:
        """Rows of `bits` and of what was asked that agree in this band's key: for each row the nearest of them."""
        numbers = packed(bits[:, self._order])
        here = np.flatnonzero(self._keys[_key(numbers)])
        numbers = numbers[here]
        rest = np.uint64((1 << (BITS - _KEY)) - 1)
        centre = np.searchsorted(self._entries, numbers)
        first = np.maximum(np.searchsorted(self._entries, numbers & ~rest), centre - _NEAREST // 2)
        last = np.minimum(np.searchsorted(self._entries, numbers | rest, "right"), centre + _NEAREST // 2)
        count = last - first
        at = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
        return np.repeat(here, count), self._owner[at].astype(np.intp)


def _key(numbers: Numbers) -> Integers:
    return (numbers >> np.uint64(BITS - _KEY)).astype(np.intp)


def _within(bits: Bits, start: int, hashes: Numbers, bands: Sequence[_Band]) -> Integers:
    """Rows (outer, inner, window, flip, bits that differ) for the windows of some pictures, the first being `start`."""
    windows = bits.shape[1]
    flat = bits.reshape(-1, BITS)
    own = packed(flat)
    met = []
    for band in bands:
        here, there = band.agreeing(flat)
        far = hamming(own[here], hashes[there])
        near = (far <= _DIFFERENT) & (here // windows + start != there // len(FLIPS))
        met.append(np.stack([here[near], there[near], far[near].astype(np.intp)], axis=1))
    here, there, far = np.unique(np.concatenate(met), axis=0).T
    rows = np.stack(
        [here // windows + start, there // len(FLIPS), here % windows, there % len(FLIPS), far], axis=1
    )
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 4], rows[:, 1], rows[:, 0]))]
    guess = _place_in_run(rows[:, :2])
    rows, guess = rows[guess < WINDOWS], guess[guess < WINDOWS]
    # Copies of the whole picture are counted apart: a hundred of them must not hide a crop.
    best = rows[guess == 0]
    best = best[np.lexsort((best[:, 1], best[:, 4], best[:, 2] > 0, best[:, 0]))]
    nearest = best[_place_in_run(np.stack([best[:, 0], best[:, 2] > 0], axis=1)) < _MOST]
    span = int(rows[:, 1].max(initial=0)) + 1
    kept: Integers = rows[np.isin(rows[:, 0] * span + rows[:, 1], nearest[:, 0] * span + nearest[:, 1])]
    return kept


def _place_in_run(keys: Integers) -> Integers:
    """The how-many-th of its run of equal rows each row is, from 0: shape (n, k) to (n,)."""
    number = np.arange(len(keys))
    begins = np.ones(len(keys), np.bool_)
    begins[1:] = (np.diff(keys, axis=0) != 0).any(axis=1)
    return number - np.maximum.accumulate(np.where(begins, number, 0))
