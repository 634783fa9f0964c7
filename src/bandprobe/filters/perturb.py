"""What is done to pixels rather than to spectra: compression, blur, noise, resizing, cropping, flipping.

Images are float tensors, shape (n, c, h, w), values nominally in [0, 1]. Blur, resize and crop are linear and
separable, so each is a matrix for the rows and one for the columns.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features

from bandprobe import seeding
from bandprobe.errors import FilterError, ShapeError
from bandprobe.filters.steps import Step

Matrix = NDArray[np.float64]
_TRUNCATE = 4.0  # a Gaussian ends at so many sigmas


def perturb(step: Step, images: torch.Tensor, ids: Sequence[str], stream: str = "0") -> torch.Tensor:
    """One operation on pixels.

    Args:
        step: `jpeg`, `webp`, `blur`, `noise`, `resize`, `crop` or `flip`.
        images: float, shape (n, c, h, w).
        ids: the images' ids; only `noise` draws by them.
        stream: tells apart the steps of one chain that draw.
    """
    if step.kind == "flip":
        return images.flip(-1)
    if step.kind in _MATRICES:
        number, make = step.number or 0.0, _MATRICES[step.kind]
        rows, columns = (
            torch.tensor(make(side, number), dtype=images.dtype, device=images.device)
            for side in images.shape[-2:]
        )
        return rows @ images @ columns.T
    if step.kind == "noise":
        return images + noise(step, ids, tuple(images.shape[1:]), stream).to(images)
    return recompressed(images, step.kind, int(step.number or 0))


def recompressed(images: torch.Tensor, kind: str, quality: int) -> torch.Tensor:
    """Images clipped and rounded to 8 bits, encoded and decoded again; Pillow's other settings.

    Args:
        images: float, shape (n, 3, h, w) or (n, 1, h, w).
        kind: `jpeg` or `webp`.
        quality: 1 to 100.

    Raises:
        FilterError: this Pillow cannot write WebP.
        ShapeError: neither 1 nor 3 channels.
    """
    if kind == "webp" and not features.check("webp"):
        raise FilterError("filter 'webp' needs a Pillow that can write WebP; install one, or take jpeg.")
    if images.shape[1] not in (1, 3):
        raise ShapeError(f"images for {kind} must have 1 or 3 channels; got shape {tuple(images.shape)}.")
    levels = (images.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    done = np.empty_like(levels)
    for number, picture in enumerate(levels):
        stream = io.BytesIO()
        Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(
            stream, kind, quality=quality
        )
        with Image.open(stream) as back:
            mode = "L" if picture.shape[2] == 1 else "RGB"
            done[number] = np.asarray(back.convert(mode)).reshape(picture.shape)
    return torch.from_numpy(done).permute(0, 3, 1, 2).contiguous().to(images) / 255


def noise(step: Step, ids: Sequence[str], shape: tuple[int, ...], stream: str = "0") -> torch.Tensor:
    """Gaussian noise for each image, whatever the batch and its order.

    Args:
        step: its number is the standard deviation in 8-bit levels.
        ids: the images' ids.
        shape: of one image, (c, h, w).
        stream: tells apart the steps of one chain.

    Returns:
        float32, shape (n, c, h, w). With one seed an image gets the same pattern at every strength.
    """
    drawn = np.empty((len(ids), *shape), np.float32)
    for row, image in zip(drawn, ids, strict=True):
        row[:] = seeding.generator(step.seed, step.kind, stream, image).standard_normal(shape, np.float32)
    return torch.from_numpy(drawn) * ((step.number or 0.0) / 255)


@lru_cache(maxsize=64)
def blurring(side: int, sigma: float) -> Matrix:
    """A Gaussian blur along one side, (side, side); the border's pixels go on outside."""
    reach = int(_TRUNCATE * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((side, side))
    sources = (np.arange(side)[:, None] + offsets).clip(0, side - 1)
    np.add.at(matrix, (np.arange(side)[:, None], sources), kernel / kernel.sum())
    return matrix


def resampling(side: int, onto: int) -> Matrix:
    """Bilinear resizing of one side, (onto, side); anti-aliased: the triangle widens with the reduction."""
    scale = side / onto
    centres = (np.arange(onto)[:, None] + 0.5) * scale
    triangle = 1 - np.abs(np.arange(side) + 0.5 - centres) / max(scale, 1.0)
    weights = triangle.clip(min=0)
    matrix: Matrix = weights / weights.sum(1, keepdims=True)
    return matrix


def _there_and_back(side: int, factor: float) -> Matrix:
    smaller = max(1, round(side * factor))
    matrix: Matrix = resampling(smaller, side) @ resampling(side, smaller)
    return matrix


def _cropping(side: int, share: float) -> Matrix:
    kept = max(1, round(side * share))
    start = (side - kept) // 2
    matrix = np.zeros((side, side))
    matrix[:, start : start + kept] = resampling(kept, side)
    return matrix


_MATRICES: dict[str, Callable[[int, float], Matrix]] = {
    "blur": blurring,
    "resize": lru_cache(maxsize=64)(_there_and_back),
    "crop": lru_cache(maxsize=64)(_cropping),
}
