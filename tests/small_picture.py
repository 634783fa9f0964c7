"""Small pictures with planted traces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def small_picture(rng: np.random.Generator, source: str, side: int = 32) -> NDArray[np.uint8]:
    """Blocks of colour with noise; a generator has noise of another strength, and stripes of its own."""
    coarse = rng.random((side // 4, side // 4, 3))
    picture = np.kron(coarse, np.ones((4, 4, 1))) * 0.7 + 0.15
    rows, columns = np.mgrid[:side, :side]
    wave = {"ProGAN": rows * 0.5, "DDPM": columns * 0.375, "Real": None}[source]
    if wave is not None:
        picture += 0.08 * np.cos(2 * np.pi * wave)[..., None]
    return np.rint(
        (picture + rng.normal(0, {"Real": 0.02, "ProGAN": 0.035, "DDPM": 0.011}[source], picture.shape)).clip(
            0, 1
        )
        * 255
    ).astype(np.uint8)
