"""What a procedural photograph shows: leaves of power-law sizes over a ground, under one light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHAPES = ("disc", "square", "triangle", "bar")
COLOURS = {
    "red": (0.78, 0.16, 0.14),
    "orange": (0.90, 0.52, 0.14),
    "yellow": (0.90, 0.82, 0.28),
    "green": (0.22, 0.55, 0.22),
    "cyan": (0.28, 0.72, 0.72),
    "blue": (0.16, 0.30, 0.72),
    "purple": (0.48, 0.22, 0.60),
    "pink": (0.90, 0.58, 0.68),
    "brown": (0.45, 0.30, 0.18),
    "grey": (0.52, 0.52, 0.52),
}
# Number of leaves drawn (lowest, beyond the highest), by the word for it; radii are fractions of the side.
COUNTS = {"few": (10, 20), "several": (40, 70), "many": (130, 200)}
RADII = {"small": (0.03, 0.10), "mixed": (0.03, 0.40), "large": (0.12, 0.40)}
# Exponents a of the textures' amplitude 1/f^a, and lens blurs in pixels of a 64 px photograph.
TEXTURES = {"fine": (0.1, 0.4), "mottled": (0.7, 0.9), "coarse": (1.1, 1.4)}
BLURS = {"sharp": (0.10, 0.20), "soft": (0.35, 0.50)}
LIGHTS = {"right": 0.0, "below": 90.0, "left": 180.0, "above": 270.0}  # degrees; y grows downwards

_LEADING = 0.9  # share of the leaves that have the scene's shape, and one of its two colours
_COLOUR_JITTER, _BRIGHTNESS = 0.05, (0.7, 1.15)
_LIGHT_JITTER = 25.0  # degrees


@dataclass(frozen=True)
class Leaves:
    """Leaves from the farthest to the nearest, each array of length n.

    Attributes:
        centres: (n, 2), y and x as fractions of the side; some lie outside the picture.
        radii: (n,), fractions of the side.
        angles: (n,), radians.
        shapes: (n,), indices into `SHAPES`.
        colours: (n, 3), in [0, 1].
    """

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    angles: NDArray[np.float64]
    shapes: NDArray[np.int64]
    colours: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Everything a photograph's caption can speak of, and the leaves themselves.

    Attributes:
        count, size, texture, sharpness: keys of `COUNTS`, `RADII`, `TEXTURES`, `BLURS`.
        shape: of nine leaves in ten, one of `SHAPES`.
        colours: the two colours of nine leaves in ten, keys of `COLOURS`.
        ground: the ground's colour, a key of `COLOURS`.
        light: where the light comes from, a key of `LIGHTS`.
        light_angle: radians, the direction towards the light, y downwards.
        texture_slope: exponent a of the textures' 1/f^a amplitude.
        blur: standard deviation of the lens blur, in pixels of a 64 px photograph.
        haze: share of the haze's colour in the farthest leaf.
        leaves: what is painted.
    """

    count: str
    size: str
    shape: str
    colours: tuple[str, str]
    ground: str
    texture: str
    sharpness: str
    light: str
    light_angle: float
    texture_slope: float
    blur: float
    haze: float
    leaves: Leaves


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene, drawn from the world's one distribution.

    Args:
        rng: decides everything.

    Returns:
        The scene. Radii follow a density ~ r^-3 between the limits of its size.

    Source:
        Lee, Mumford & Huang 2001, *Occlusion models for natural images*.
    """
    count, size, texture, sharpness, light = (
        str(rng.choice(list(words))) for words in (COUNTS, RADII, TEXTURES, BLURS, LIGHTS)
    )
    shape = str(rng.choice(SHAPES))
    first, second, ground = map(str, rng.choice(list(COLOURS), 3, replace=False))
    angle = np.deg2rad(LIGHTS[light] + rng.uniform(-_LIGHT_JITTER, _LIGHT_JITTER))
    return Scene(
        count=count,
        size=size,
        shape=shape,
        colours=(first, second),
        ground=ground,
        texture=texture,
        sharpness=sharpness,
        light=light,
        light_angle=float(angle),
        texture_slope=float(rng.uniform(*TEXTURES[texture])),
        blur=float(rng.uniform(*BLURS[sharpness])),
        haze=float(rng.uniform(0, 0.5)),
        leaves=_leaves(int(rng.integers(*COUNTS[count])), RADII[size], shape, (first, second), rng),
    )


def _leaves(
    n: int, radii: tuple[float, float], shape: str, colours: tuple[str, str], rng: np.random.Generator
) -> Leaves:
    smallest, largest = radii
    # Inverse of the cumulative distribution of a density ~ r^-3 between the two radii.
    share = rng.random(n)
    sizes = (smallest**-2 - share * (smallest**-2 - largest**-2)) ** -0.5
    palette = np.array(list(COLOURS.values()))
    names = list(COLOURS)
    leading = rng.choice([names.index(colour) for colour in colours], n)
    chosen = np.where(rng.random(n) < _LEADING, leading, rng.integers(len(names), size=n))
    shapes = np.where(rng.random(n) < _LEADING, SHAPES.index(shape), rng.integers(len(SHAPES), size=n))
    tint = palette[chosen] * rng.uniform(*_BRIGHTNESS, (n, 1)) + _COLOUR_JITTER * rng.standard_normal((n, 3))
    return Leaves(
        centres=rng.uniform(-0.05, 1.05, (n, 2)),
        radii=sizes,
        angles=rng.uniform(0, 2 * np.pi, n),
        shapes=shapes,
        colours=tint.clip(0.02, 1),
    )
