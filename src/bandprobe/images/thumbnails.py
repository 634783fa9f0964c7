"""What near-duplicates are found by: every picture as 64 x 64 grey pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe import progress
from bandprobe.errors import ImageError, ShapeError
from bandprobe.images.decode import MAX_PIXELS, WHITE, Colour, decode
from bandprobe.machine import cores

SIDE = 64
SMALLEST = 16  # pixels of a side below which a picture says too little to be known again

Grey = NDArray[np.uint8]


def thumbnail(rgb: NDArray[np.uint8]) -> Grey:
    """A picture as few grey pixels, squashed to a square.

    Args:
        rgb: uint8, shape (H, W, 3).

    Returns:
        uint8, shape (64, 64): luma (ITU-R BT.601), each pixel the mean of the area it stands for.

    Raises:
        ShapeError: `rgb` is not uint8 of shape (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ShapeError(
            f"rgb must be uint8 of shape (H, W, 3); got {rgb.dtype}, {rgb.shape}. Decode it first."
        )
    grey = Image.fromarray(rgb).convert("L")
    # Mean over an area where pixels are too many; interpolated where they are too few.
    how = Image.Resampling.BOX if min(grey.size) >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(grey.resize((SIDE, SIDE), how))


def thumbnails_of_all(
    paths: Mapping[str, str],
    *,
    background: Colour = WHITE,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    known: Mapping[str, Grey] | None = None,
) -> dict[str, Grey]:
    """The thumbnails of many pictures; one of less than 16 px a side has none, nor one that can no longer be read.

    Args:
        paths: image id to a file, or `FILE::ROW`.
        background: see `decode`.
        max_pixels: see `decode`.
        workers: threads; one per core when None.
        known: thumbnails by image id that need not be made again.
    """
    found = {image: grey for image, grey in (known or {}).items() if image in paths}
    missing = [image for image in paths if image not in found]

    def made(image: str) -> Grey | None:
        try:
            rgb = decode(paths[image], background=background, max_pixels=max_pixels)
        except ImageError:
            return None
        return thumbnail(rgb) if min(rgb.shape[:2]) >= SMALLEST else None

    threads = workers or cores()
    waiting: deque[tuple[str, Future[Grey | None]]] = deque()
    with progress.bar("compare", len(missing)) as step, ThreadPoolExecutor(threads) as pool:

        def take() -> None:
            image, future = waiting.popleft()
            grey = future.result()
            if grey is not None:
                found[image] = grey
            step()

        for image in missing:
            waiting.append((image, pool.submit(made, image)))
            if len(waiting) > 8 * threads:
                take()
        while waiting:
            take()
    return found
