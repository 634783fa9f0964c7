"""The traces of compression and resampling in one picture's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandprobe.audit.compression import (
    BLOCK,
    blockiness,
    chroma_detail,
    dct_blocks,
    dct_histogram,
    double_quantisation,
)
from bandprobe.audit.interpolation import interpolation
from bandprobe.errors import ImageError

PIXELS = ("blockiness", "DCT histogram", "double JPEG", "chroma detail", "interpolation")
LARGEST = 256  # side of the crop that is looked at
LEAST = 32

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def pixel_traces(rgb: NDArray[np.uint8], side: int) -> dict[tuple[str, str], float]:
    """Every number of every pixel trace, of a centre crop that starts on the file's own block grid.

    Args:
        rgb: uint8, shape (H, W, 3), at least 32 x 32.
        side: of the crop, px; what a smaller picture has of it.

    Returns:
        By trace (of `PIXELS`) and name, e.g. `("blockiness", "on the grid")`.

    Raises:
        ImageError: the picture is smaller than 32 x 32.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < LEAST:
        raise ImageError(f"smaller than the {LEAST} px that pixel traces need: {width} x {height}")
    top, left = (max(0, length - side) // 2 // BLOCK * BLOCK for length in (height, width))
    crop = rgb[top : top + side, left : left + side]
    luma = crop @ _LUMA
    blocks = dct_blocks(luma)
    found = {
        "blockiness": blockiness(luma),
        "DCT histogram": dct_histogram(blocks),
        "double JPEG": double_quantisation(blocks),
        "chroma detail": chroma_detail(crop),
        "interpolation": interpolation(luma),
    }
    return {(trace, name): value for trace, values in found.items() for name, value in values.items()}
