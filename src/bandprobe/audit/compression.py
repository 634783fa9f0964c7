"""Traces that JPEG compression leaves in pixels: block edges, combs of DCT coefficients, coarse chroma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Plane = NDArray[np.floating]

BLOCK = 8

_LARGEST_STEP = 48
_BINS_A_LEVEL = 4
_RANGE = 256  # coefficients beyond are rare, and set aside
_FEW = 25.0  # coefficients: a comb of so many counts half
_COMB = 0.35  # from here on a step is believed
_LEVELS = 13
_ROUGH_SQRT_POISSON = 0.5 * np.sqrt(6) * np.sqrt(2 / np.pi)  # mean of |second difference| of sqrt(counts)

# The nine modes (row, column) after DC in zigzag order.
_MODES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))


def blockiness(luma: Plane) -> dict[str, float]:
    """How much stronger steps are across one line in eight than elsewhere.

    Args:
        luma: shape (h, w), values 0 to 255; its corner is a corner of the file's own block grid.

    Returns:
        `on the grid`: mean absolute third difference across the lines of that grid, relative to that
        across all lines, minus 1, the mean over rows and columns; 0 without blocks. `off the grid`: the
        largest of the seven other offsets, which a crop after compression leaves.

    Source:
        The phase-wise comparison of differences: Fan & de Queiroz 2003, *Identification of bitmap
        compression history*; offsets as in Li, Yuan & Yu 2009, *Passive detection of doctored JPEG image
        via block artifact grid extraction*. The third difference leaves smooth slopes out.
    """
    profiles = []
    for plane in (luma, luma.T):
        # Between columns c + 1 and c + 2; the line before column 8 has c + 2 = 8.
        third = np.abs(plane[:, 3:] - 3 * plane[:, 2:-1] + 3 * plane[:, 1:-2] - plane[:, :-3]).mean(axis=0)
        offset = (np.arange(third.size) + 2) % BLOCK
        mean = np.array([third[offset == each].mean() for each in range(BLOCK)])
        profiles.append(mean / max(float(mean.mean()), 1e-6) - 1)
    profile = np.mean(profiles, axis=0)
    return {"on the grid": float(profile[0]), "off the grid": float(profile[1:].max())}


def dct_blocks(luma: Plane) -> Floats:
    """Orthonormal 8 x 8 DCT of every whole block, as JPEG takes it: shape (n, 8, 8), of luma minus 128."""
    height, width = (side // BLOCK * BLOCK for side in luma.shape)
    whole = np.asarray(luma[:height, :width], np.float64) - 128
    blocks = whole.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(1, 2)
    found: Floats = _DCT @ blocks.reshape(-1, BLOCK, BLOCK) @ _DCT.T
    return found


def _dct_matrix() -> Floats:
    frequency, place = np.arange(float(BLOCK)).reshape(-1, 1), np.arange(float(BLOCK))
    wave = np.cos(np.pi * frequency * (2 * place + 1) / (2 * BLOCK))
    return np.asarray(np.where(frequency == 0, np.sqrt(1 / BLOCK), np.sqrt(2 / BLOCK)) * wave)


_DCT = _dct_matrix()
_STEPS: NDArray[np.int64] = np.arange(2, _LARGEST_STEP + 1)


def _combs() -> tuple[Floats, Floats]:
    """For each bin and step: the cosine of period `step`, and 1, at coefficients that are not rounded to 0."""
    centres = (np.arange(2 * _RANGE * _BINS_A_LEVEL) + 0.5) / _BINS_A_LEVEL - _RANGE
    counted = np.abs(centres)[:, None] > _STEPS / 2
    return np.cos(2 * np.pi * centres[:, None] / _STEPS) * counted, counted.astype(np.float64)


_COSINES, _COUNTED = _combs()


def comb(coefficients: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How closely the coefficients of each mode keep to multiples of one step, and of which.

    Args:
        coefficients: shape (n, modes).

    Returns:
        Strength, shape (modes,), at most 1: the mean of `cos(2 pi c / step)` over the coefficients that lie
        beyond half a step, shrunk by n / (n + 25), at its best step; and that step, the largest whose
        strength is within a tenth of the best (its divisors fit nearly as well), 1 where the strength is
        below 0.35.
    """
    bins = np.floor((coefficients + _RANGE) * _BINS_A_LEVEL).astype(np.int64)
    size = 2 * _RANGE * _BINS_A_LEVEL
    counts = np.stack(
        [np.bincount(column[(column >= 0) & (column < size)], minlength=size) for column in bins.T]
    )
    strength = counts @ _COSINES / (counts @ _COUNTED + _FEW)
    best = strength.max(axis=1)
    near = strength >= 0.9 * best[:, None]
    steps = _STEPS[near.shape[1] - 1 - near[:, ::-1].argmax(axis=1)]
    return best, np.where(best >= _COMB, steps, 1)


def dct_histogram(blocks: Floats) -> dict[str, float]:
    """Traces of quantisation in the histograms of DCT coefficients.

    Args:
        blocks: shape (n, 8, 8), of luma on the file's own block grid.

    Returns:
        Over the nine lowest modes after DC: `comb`, the mean strength of their combs; `step`, the mean
        log2 of their steps. Over all modes: `zeros`, the share below half a level; `fine detail`, log10 of
        the mean size in the highest frequencies.

    Source:
        Fan & de Queiroz 2003, *Identification of bitmap compression history*; Popescu & Farid 2004,
        *Statistical tools for digital forensics*.
    """
    strength, steps = comb(blocks[:, _ROWS, _COLUMNS])
    rows, columns = np.indices((BLOCK, BLOCK))
    return {
        "comb": float(strength.mean()),
        "step": float(np.log2(steps).mean()),
        "zeros": float((np.abs(blocks[:, rows + columns > 0]) < 0.5).mean()),
        "fine detail": float(np.log10(np.abs(blocks[:, rows + columns > 8]).mean() + 0.01)),
    }


_ROWS, _COLUMNS = (np.array(each) for each in zip(*_MODES, strict=True))


def double_quantisation(blocks: Floats) -> dict[str, float]:
    """Traces of an earlier, other quantisation: histograms of levels that rise and fall from bar to bar.

    Args:
        blocks: shape (n, 8, 8), of luma on the file's own block grid.

    Returns:
        Over the nine lowest modes after DC, each divided by its own step: `roughness`, the mean second
        difference of the root of the counts, in units of counting noise (about 1 where quantised once or
        not at all); `holes`, the share of levels with under a third of their neighbours' geometric mean.
        1 and 0 where there is too little to count.

    Source:
        Popescu & Farid 2004, *Statistical tools for digital forensics*: the periodic artefacts of double
        quantisation. The root makes counting noise the same at every height (Anscombe 1948).
    """
    coefficients = blocks[:, _ROWS, _COLUMNS]
    _, steps = comb(coefficients)
    levels = np.abs(np.rint(coefficients / steps)).astype(np.int64)
    counts = np.stack(
        [np.bincount(column[column < _LEVELS], minlength=_LEVELS)[:_LEVELS] for column in levels.T]
    ).astype(np.float64)
    before, here, after = counts[:, 1:-2], counts[:, 2:-1], counts[:, 3:]
    enough = before + here + after >= 12
    if not enough.any():
        return {"roughness": 1.0, "holes": 0.0}
    rough = np.abs(np.sqrt(before) - 2 * np.sqrt(here) + np.sqrt(after)) / _ROUGH_SQRT_POISSON
    holes = here < np.sqrt(before * after) / 3
    return {"roughness": float(rough[enough].mean()), "holes": float(holes[enough].mean())}


def chroma_detail(rgb: NDArray[np.uint8]) -> dict[str, float]:
    """How fine colour is beside brightness: chroma that was halved and doubled again is smooth.

    Args:
        rgb: uint8, shape (h, w, 3).

    Returns:
        `across` and `down`: log2 of the mean absolute second difference of Cb and Cr, relative to that of
        luma, along rows and along columns.

    Source:
        ITU-R BT.601 for the planes; subsampling as in ITU-T T.81.
    """
    planes = np.einsum("pc,hwc->phw", _YCBCR, rgb.astype(np.float32))
    found = {}
    for name, axis in (("across", 2), ("down", 1)):
        luma, *chroma = np.abs(np.diff(planes, n=2, axis=axis)).mean(axis=(1, 2))
        found[name] = float(np.log2((np.mean(chroma) + 0.05) / (luma + 0.05)))
    return found


_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
