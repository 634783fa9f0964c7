"""A scene as light: leaves painted far to near, each textured, shaded and with its shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandprobe.datasets.scenes import COLOURS, SHAPES, Scene

SIDE = 192  # pixels; photographs are reduced from it by 3 (64 px) or 2 (96 px)

_TEXTURE = 0.30  # standard deviation of a texture, of its leaf's brightness
_SHADING = 0.30  # how much brighter a leaf is at its edge towards the light
_SHADOW, _SHADOW_LENGTH = 0.6, 0.22  # what is left in a shadow; its offset, in radii
_HAZE = np.array([0.80, 0.84, 0.88], dtype=np.float32)

Radiance = NDArray[np.float32]


def render(scene: Scene, rng: np.random.Generator) -> Radiance:
    """Paint a scene, large and without a camera.

    Args:
        scene: what is to be seen.
        rng: draws the textures.

    Returns:
        float32, shape (192, 192, 3), 0 to about 1.5: what falls on the lens.
    """
    grain = texture(scene.texture_slope, rng)
    canvas: Radiance = np.empty((SIDE, SIDE, 3), np.float32)
    canvas[:] = np.array(COLOURS[scene.ground], np.float32)
    canvas *= (1 + _TEXTURE * texture(scene.texture_slope, rng))[..., None]
    towards = np.array([np.sin(scene.light_angle), np.cos(scene.light_angle)], np.float32)
    grain = np.tile(grain, (2, 2))  # periodic, so that a window of it may begin anywhere
    leaves = scene.leaves
    n = len(leaves.radii)
    offsets = rng.integers(SIDE, size=(n, 2))
    for i in range(n):
        radius = leaves.radii[i] * SIDE
        centre = leaves.centres[i] * SIDE
        haze = scene.haze * (1 - i / n)
        colour = leaves.colours[i].astype(np.float32) * (1 - haze) + _HAZE * haze
        shadow = centre - towards * _SHADOW_LENGTH * radius
        box, y, x = _window(shadow, radius)
        if box is not None:
            canvas[box][_inside(SHAPES[leaves.shapes[i]], y, x, leaves.angles[i])] *= _SHADOW
        box, y, x = _window(centre, radius)
        if box is None:
            continue
        inside = _inside(SHAPES[leaves.shapes[i]], y, x, leaves.angles[i])
        top, left = offsets[i]
        grains = grain[top : top + len(y), left : left + x.shape[1]]
        light = (1 + _TEXTURE * grains) * (1 + _SHADING * (towards[0] * y + towards[1] * x))
        canvas[box][inside] = light[inside][:, None] * colour
    return canvas.clip(0, None, out=canvas)


def texture(slope: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A periodic Gaussian field whose amplitude falls as 1/f^slope.

    Args:
        slope: the exponent; 0 is white noise, larger is coarser.
        rng: draws the field.

    Returns:
        float32, shape (192, 192), mean 0, standard deviation 1.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf  # no mean
    field = np.fft.irfft2(spectrum * frequency**-slope, s=(SIDE, SIDE))
    unit: NDArray[np.float32] = (field / field.std()).astype(np.float32)
    return unit


def _window(
    centre: NDArray[np.float64], radius: float
) -> tuple[tuple[slice, slice] | None, NDArray[np.float32], NDArray[np.float32]]:
    """The part of the canvas a leaf may touch, and its coordinates in radii from the centre."""
    top, left = (max(0, int(c - radius)) for c in centre)
    bottom, right = (min(SIDE, int(c + radius) + 2) for c in centre)
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(centre[0])) / np.float32(radius)
    x = (np.arange(left, right, dtype=np.float32)[None, :] - np.float32(centre[1])) / np.float32(radius)
    empty = bottom <= top or right <= left
    return None if empty else (slice(top, bottom), slice(left, right)), y, x


def _inside(shape: str, y: NDArray[np.float32], x: NDArray[np.float32], angle: float) -> NDArray[np.bool_]:
    """Which pixels belong to a shape within the unit circle."""
    if shape == "disc":
        disc: NDArray[np.bool_] = y * y + x * x < 1
        return disc
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = c * x + s * y, c * y - s * x
    if shape == "square":
        square: NDArray[np.bool_] = np.maximum(np.abs(u), np.abs(v)) < 0.7071
        return square
    if shape == "bar":
        bar: NDArray[np.bool_] = (np.abs(u) < 0.96) & (np.abs(v) < 0.28)
        return bar
    # An equilateral triangle: three half-planes at half the circle's radius.
    slanted = np.float32(0.8660254) * u
    triangle: NDArray[np.bool_] = (v < 0.5) & (slanted - 0.5 * v < 0.5) & (-slanted - 0.5 * v < 0.5)
    return triangle
