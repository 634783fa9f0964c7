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

_SENSOR = 0.02  # noise put on a fake after its up-sampling, about as strong as a real's own


def write_world(root: Path, *, size: int = 64, reals: int = 300, fakes: int = 150, seed: int = 0) -> Path:
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
                        picture = resample(picture, source)
                        picture += _SENSOR * rng.standard_normal(picture.shape)
                    with replacing(path) as temporary:
                        Image.fromarray(_eight_bits(picture)).save(temporary)
                step()
    return root


def _eight_bits(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return levels
