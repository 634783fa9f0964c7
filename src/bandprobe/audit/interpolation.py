"""Traces that a resize leaves in pixels: periodic peaks, and neighbours that predict each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.floating]
Floats = NDArray[np.float64]

_LOWEST = 0.06  # cycles a pixel: below lies the picture's own content
_WINDOW = 17  # frequencies, for the level that a peak is compared with
_GRID = 8  # JPEG's blocks give peaks at multiples of 1 / 8, which are no sign of a resize


def interpolation(luma: Plane) -> dict[str, float]:
    """Traces of resampling.

    Args:
        luma: shape (h, w), values 0 to 255, at least 32 x 32.

    Returns:
        `peak`: log2 of the highest peak in the spectrum of the mean absolute second difference of each
        column (row), relative to its surroundings, the mean over rows and columns; multiples of 1/8 of a
        cycle a pixel left out. `period`: the frequency of the higher one, in cycles a pixel. `lag 1`,
        `lag 2`: correlation of the linear prediction's error with its neighbours at these distances, along
        rows and columns; `diagonal`: with the diagonal one. A kernel leaves its own.

    Source:
        Peaks: Gallagher 2005, *Detection of linear and cubic interpolation in JPEG compressed images*.
        The fixed predictor: Kirchner 2008, *Fast and reliable resampling detection by spectral analysis of
        fixed linear predictor residue*.
    """
    height, frequency = zip(*(_peak(plane) for plane in (luma, luma.T)), strict=True)
    error = prediction_error(luma)
    # Large errors are edges of the picture; what a kernel leaves is in the small ones.
    reach = 3 * np.median(np.abs(error)) + 1
    error = np.clip(error, -reach, reach)
    error = error - error.mean()
    power = float((error**2).mean()) + 1e-3

    def correlation(down: int, across: int) -> float:
        rows, columns = error.shape
        here = error[: rows - down, : columns - across]
        return float((here * error[down:, across:]).mean() / power)

    return {
        "peak": float(np.mean(height)),
        "period": frequency[int(np.argmax(height))],
        "lag 1": (correlation(0, 1) + correlation(1, 0)) / 2,
        "lag 2": (correlation(0, 2) + correlation(2, 0)) / 2,
        "diagonal": correlation(1, 1),
    }


def prediction_error(luma: Plane) -> Floats:
    """A pixel's prediction from its eight neighbours less the pixel itself, shape (h - 2, w - 2).

    Kirchner's weights, 1/2 beside and above, -1/4 on the diagonals, make the error minus a quarter of the
    second difference along rows taken along columns, and so two passes of three taps.
    """
    plane = np.asarray(luma, np.float64)
    along = plane[:, 2:] - 2 * plane[:, 1:-1] + plane[:, :-2]
    found: Floats = -(along[2:] - 2 * along[1:-1] + along[:-2]) / 4
    return found


def _peak(plane: Plane) -> tuple[float, float]:
    """The highest peak of the columns' second differences, log2 above its surroundings, and its frequency."""
    second = np.abs(2 * plane[:, 1:-1] - plane[:, :-2] - plane[:, 2:]).mean(axis=0)
    # Content varies slowly from column to column, and multiplies.
    flat = second / (ndimage.uniform_filter1d(second, 9, mode="nearest") + 0.05) - 1
    spectrum = np.abs(np.fft.rfft(flat * np.hanning(flat.size)))
    frequency = np.fft.rfftfreq(flat.size)
    nearest = np.rint(frequency * _GRID) / _GRID
    kept = (frequency >= _LOWEST) & (np.abs(frequency - nearest) > 2.5 / flat.size)
    level = ndimage.median_filter(spectrum, _WINDOW, mode="nearest") + 1e-6
    above = np.where(kept, spectrum / level, 0.0)
    best = int(above.argmax())
    return float(np.log2(above[best] + 0.1)), float(frequency[best])
