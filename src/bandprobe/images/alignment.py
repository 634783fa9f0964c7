"""Whether one picture is a window of another: the window fitted, and the correlation of the detail there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from bandprobe.images.thumbnails import SIDE, Grey

Floats = NDArray[np.float32]

_FURTHEST = 0.02  # a margin moves in one step, as a share of the side
_OUTSIDE, _DEEPEST = -0.02, 0.3  # margins end here


class Look(NamedTuple):
    """On which grid two pictures are compared, and what counts as detail there.

    Attributes:
        size: pixels of the grid's side.
        box: detail is what is left when the mean of so many pixels square is taken away.
        steps: of Gauss-Newton.
    """

    size: int
    box: int
    steps: int


COARSE = Look(24, 7, 4)
FINE = Look(48, 7, 4)


def aligned(first: Grey, second: Grey, margins: Floats, look: Look = FINE) -> tuple[Floats, Floats]:
    """Fit the windows of pictures to other pictures, and say how well their detail agrees there.

    The detail is the grey less its mean over a box: what is left neither of brightness nor of the smooth shading
    in which unlike pictures of one kind agree. Four margins, gain and offset are fitted by Gauss-Newton
    (Lucas & Kanade 1981); the best step counts.

    Args:
        first: uint8, shape (n, 64, 64), of which windows are taken.
        second: uint8, shape (n, 64, 64), flipped already where flips are to be tried.
        margins: (n, 4), where to start: the shares cut off at top, bottom, left and right.
        look: the grid and the detail.

    Returns:
        The margins found, (n, 4), and Pearson's correlation of the detail, (n,), in [-1, 1]; 0 where one of them
        has none.
    """
    there = first.astype(np.float32)
    wanted = _detail(
        _sampled(second.astype(np.float32), np.zeros((len(second), 4), np.float32), look.size), look.box
    )
    place = margins.astype(np.float32)
    best, found = np.full(len(first), -2.0, np.float32), place
    for step in range(look.steps + 1):
        seen = _detail(_sampled(there, place, look.size), look.box)
        agreement = _correlation(seen, wanted)
        better = agreement > best
        best, found = np.where(better, agreement, best), np.where(better[:, None], place, found)
        if step < look.steps:
            place = np.clip(place + _step(seen, wanted, place), _OUTSIDE, _DEEPEST)
    return found, best


def _sampled(pictures: Floats, margins: Floats, size: int) -> Floats:
    """Windows on a grid of their own, bilinear: (n, size, size)."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size

    def places(low: Floats, high: Floats) -> tuple[NDArray[np.intp], Floats]:
        at = np.clip((low[:, None] + centres * (1 - low - high)[:, None]) * SIDE - 0.5, 0, SIDE - 1.001)
        return at.astype(np.intp), (at - np.floor(at)).astype(np.float32)

    row, down = places(margins[:, 0], margins[:, 1])
    column, right = places(margins[:, 2], margins[:, 3])
    number = np.arange(len(pictures))[:, None]
    upper, lower = pictures[number, row], pictures[number, row + 1]  # (n, size, 64)
    lines = upper + (lower - upper) * down[:, :, None]
    number, row = number[:, :, None], np.arange(size)[None, :, None]
    left = lines[number, row, column[:, None]]
    result: Floats = left + (lines[number, row, column[:, None] + 1] - left) * right[:, None]
    return result


def _detail(pictures: Floats, box: int) -> Floats:
    less: Floats = pictures - uniform_filter(pictures, (0, box, box), mode="nearest")
    less -= less.mean(axis=(1, 2), keepdims=True)
    return less


def _correlation(first: Floats, second: Floats) -> Floats:
    both = np.einsum("nij,nij->n", first, second)
    power = np.einsum("nij,nij->n", first, first) * np.einsum("nij,nij->n", second, second)
    # Detail of less than one grey level is rounding.
    enough = power >= float(first[0].size) ** 2
    return np.where(enough, both / np.sqrt(np.where(enough, power, 1)), 0).astype(np.float32)


def _step(seen: Floats, wanted: Floats, margins: Floats) -> Floats:
    """How margins should move, from one linear fit of gain, offset and the four of them."""
    n, size, _ = seen.shape
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    down, right = np.gradient(seen, axis=(1, 2))
    down *= (size / (1 - margins[:, 0] - margins[:, 1]))[:, None, None]
    right *= (size / (1 - margins[:, 2] - margins[:, 3]))[:, None, None]
    slopes = np.stack(
        [
            down * (1 - centres)[:, None],
            -down * centres[:, None],
            right * (1 - centres),
            -right * centres,
            seen,
            np.ones_like(seen),
        ],
        axis=1,
    ).reshape(n, 6, size * size)
    normal = (slopes @ slopes.transpose(0, 2, 1)).astype(np.float64)
    # Detail that runs one way alone says nothing of the other: there margins stay.
    ridge = np.diag([1.0, 1, 1, 1, 0, 0]) * 1e-5 + np.eye(6) * 1e-12
    normal += ridge * (np.trace(normal, axis1=1, axis2=2) + 1)[:, None, None]
    right_side = np.einsum("nkp,np->nk", slopes, wanted.reshape(n, -1)).astype(np.float64)
    fitted = np.linalg.solve(normal, right_side[..., None])[..., 0]
    gain = np.where(fitted[:, 4] < 0, -1.0, 1.0) * np.maximum(np.abs(fitted[:, 4]), 0.3)
    moved: Floats = np.clip(fitted[:, :4] / gain[:, None], -_FURTHEST, _FURTHEST).astype(np.float32)
    return moved
