"""Procedural photographs, each known by the world's seed, what it is for, and its number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.datasets.camera import expose
from bandprobe.datasets.rendering import render
from bandprobe.datasets.scenes import Scene, draw_scene


def photograph(
    number: int, purpose: str, *, size: int = 64, seed: int = 0
) -> tuple[NDArray[np.uint8], Scene]:
    """One photograph and what it shows.

    Args:
        number: which of them, from 0.
        purpose: what it is for, e.g. `"test"`. No two purposes share a scene.
        size: side in pixels, a divisor of 192.
        seed: the world's.

    Returns:
        uint8, shape (size, size, 3), and its scene. The same scene is seen at every size.
    """
    scene = draw_scene(seeding.generator(seed, "scene", purpose, number))
    radiance = render(scene, seeding.generator(seed, "texture", purpose, number))
    return expose(radiance, size, scene.blur, seeding.generator(seed, "sensor", purpose, number, size)), scene
