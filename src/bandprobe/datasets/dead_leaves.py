"""Dead leaves: discs of power-law sizes that occlude each other, with a natural image's falling spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OVERSAMPLING = 2  # rendered larger, then averaged down: the lens and the pixel's area
_SMALLEST, _LARGEST = 0.02, 0.6  # radii, of the side
_LEAVES = 250
_READ_NOISE, _SHOT_NOISE = 0.006, 0.012  # standard deviations, the second at full exposure


def dead_leaves(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """One procedural photograph.

    Args:
        size: side in pixels.
        rng: draws the scene and the sensor's noise.

    Returns:
        float64, shape (size, size, 3), in [0, 1], with Poisson-Gaussian noise, not yet quantised.

    Source:
        Radii follow r^-3 as in Lee, Mumford & Huang 2001, *Occlusion models for natural images*.
    """
    side = size * _OVERSAMPLING
    canvas = np.empty((side, side, 3))
    canvas[:] = rng.random(3)
    # Inverse of the cumulative distribution of a density ~ r^-3 between the two radii.
    share = rng.random(_LEAVES)
    radii = (_SMALLEST**-2 - share * (_SMALLEST**-2 - _LARGEST**-2)) ** -0.5 * side
    light = rng.uniform(0, 2 * np.pi)
    for radius, (y, x) in zip(radii, rng.uniform(-0.1, 1.1, (_LEAVES, 2)) * side, strict=True):
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        box = canvas[top : max(0, int(y + radius) + 2), left : max(0, int(x + radius) + 2)]
        dy = np.arange(top, top + box.shape[0])[:, None] - y
        dx = np.arange(left, left + box.shape[1])[None, :] - x
        inside = dy**2 + dx**2 < radius**2
        shade = 1 + 0.25 * (np.cos(light) * dx + np.sin(light) * dy)[inside] / radius
        grain = 1 + 0.06 * rng.standard_normal(len(shade))
        box[inside] = rng.random(3) * (shade * grain)[:, None]
    canvas = canvas.clip(0, 1).reshape(size, _OVERSAMPLING, size, _OVERSAMPLING, 3).mean((1, 3))
    noise = np.sqrt(_READ_NOISE**2 + _SHOT_NOISE**2 * canvas) * rng.standard_normal(canvas.shape)
    photograph: NDArray[np.float64] = (canvas + noise).clip(0, 1)
    return photograph
