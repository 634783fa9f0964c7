"""A folder of procedural reals and resampled fakes, in the layout of image folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe import progress, seeding
from bandprobe.datasets.dead_leaves import dead_leaves
from bandprobe.datasets.resamplers import RESAMPLERS, resample
from bandprobe.files import output_folder, replacing

_STRENGTH = 0.3  # of the resampler's trace: weak enough that a detector has something to do


def write_world(root: Path, *, size: int = 64, reals: int = 500, fakes: int = 250, seed: int = 0) -> Path:
    """Write `Real` and a folder for each resampler; files that are there already are kept.

    Args:
        root: the folder to fill.
        size: side of the pictures, even.
        reals: number of real images.
        fakes: number of images of each resampler. Each is a scene of its own.
        seed: decides every pixel.

    Returns:
        The root.
    """
    wanted = {"Real": reals, **dict.fromkeys(RESAMPLERS, fakes)}
    with progress.bar("render", sum(wanted.values())) as step:
        for source, n in wanted.items():
            folder = output_folder(root / source)
            for number in range(n):
                path = folder / f"{number:05d}.png"
                if not path.exists():
                    rng = seeding.generator(seed, "world", source, number)
                    picture = dead_leaves(size, rng)
                    if source != "Real":
                        picture = resample(picture, source, _STRENGTH)
                    with replacing(path) as temporary:
                        Image.fromarray(_eight_bits(picture)).save(temporary)
                step()
    return root


def _eight_bits(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return levels
