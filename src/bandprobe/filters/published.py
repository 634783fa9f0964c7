"""Filtered images as the published code makes them: absolute values, cut to 8 bits.

Gray values are 0 to 255. The published code shifts the spectrum before the mask and back after it; with the
mask in the FFT's own order that moves nothing, so it is left out here.

Source:
    The code published with J. Wustl, *The Role of Middle Frequencies in General Deepfake Detection* (2024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def abs_uint8(images: NDArray[np.uint8], mask: NDArray[np.float64]) -> NDArray[np.uint8]:
    """8-bit images under a mask, as the published code filters them.

    Args:
        images: uint8, shape (..., h, w).
        mask: gain in the FFT's own order, shape (h, w), as `masks.gain` gives it.

    Returns:
        uint8, the same shape: the absolute value of the inverse transform without its fraction, and modulo
        256 where it passes 255.
    """
    return truncated(absolute(spectrum(images) * mask))


def spectrum(images: NDArray[np.uint8]) -> NDArray[np.complex128]:
    """The complex transform of each channel, complex128, shape (..., h, w)."""
    transformed: NDArray[np.complex128] = np.fft.fft2(images)
    return transformed


def absolute(changed: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The absolute value of the inverse transform, gray values of at least 0, unbounded."""
    values: NDArray[np.float64] = np.abs(np.fft.ifft2(changed))
    return values


def truncated(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What a cast to uint8 leaves on the processors it ran on: no fraction, and modulo 256."""
    # By way of int64: a direct cast of what passes 255 is left to the compiler.
    return (values.astype(np.int64) & 255).astype(np.uint8)
