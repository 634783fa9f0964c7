"""From light to eight bits: lens blur, the pixels' area, and a sensor's noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EXPOSURE = 0.92
_READ_NOISE, _SHOT_NOISE = 0.006, 0.016  # standard deviations, the second at full exposure
_REFERENCE = 64  # the side whose pixels a lens blur is given in


def expose(
    radiance: NDArray[np.float32], size: int, blur: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Take the photograph.

    Args:
        radiance: float32, shape (s, s, 3), at least 0, s a multiple of `size`.
        size: side of the photograph in pixels.
        blur: standard deviation of the lens's Gaussian blur, in pixels of a 64 px photograph.
        rng: draws the noise: Poisson-Gaussian, each colour by itself.

    Returns:
        uint8, shape (size, size, 3).

    Source:
        Noise: Foi et al. 2008, *Practical Poissonian-Gaussian noise modeling and fitting*.
    """
    side = len(radiance)
    factor = side // size
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(
        radiance, blur * side / _REFERENCE, mode="nearest", axes=(0, 1), truncate=3.0
    )
    pixels = _EXPOSURE * blurred.reshape(size, factor, size, factor, 3).mean((1, 3))
    noise = np.sqrt(_READ_NOISE**2 + _SHOT_NOISE**2 * pixels) * rng.standard_normal(pixels.shape, np.float32)
    levels: NDArray[np.uint8] = np.rint((pixels + noise).clip(0, 1) * 255).astype(np.uint8)
    return levels
