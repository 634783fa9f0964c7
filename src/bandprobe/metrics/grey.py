"""Grey pictures for spectra: luma of a centre crop, and its high-pass residual."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from bandprobe.errors import ShapeError

Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32] | npt.NDArray[np.float64]

LEVELS = 127.5  # 8-bit levels from black to middle grey: level / 127.5 - 1 is in [-1, 1]


def luma(rgb: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Luma of the centre of a colour image in 8-bit levels.

    Args:
        rgb: uint8, shape (height, width, 3), both at least `size`.
        size: side of the square that is cut out, from `height // 2 - size // 2` on.

    Returns:
        uint8, shape (size, size): Pillow's mode L (ITU-R 601 luma, rounded to 8 bits).

    Raises:
        ShapeError: not an 8-bit RGB image, or smaller than the square.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ShapeError(
            f"rgb must be uint8 of shape (height, width, 3); got {rgb.dtype} of shape {rgb.shape}. "
            "Decode the image to 8-bit RGB first."
        )
    height, width = rgb.shape[:2]
    if not 1 <= size <= min(height, width):
        raise ShapeError(
            f"size must lie between 1 and the shorter side; got {size} for an image of {height} x {width}. "
            "Choose a smaller size or leave the image out."
        )
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb[crop(height, width, size)])).convert("L"))


def crop(height: int, width: int, size: int) -> tuple[slice, slice]:
    """Rows and columns of the centre crop of `size` pixels, even margins or one pixel more at the end."""
    top, left = height // 2 - size // 2, width // 2 - size // 2
    return slice(top, top + size), slice(left, left + size)


def to_grey(rgb: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.float32]:
    """`luma` as `x / 127.5 - 1`: float32, shape (size, size), in [-1, 1].

    Raises:
        ShapeError: not an 8-bit RGB image, or smaller than the square.
    """
    return luma(rgb, size).astype(np.float32) / np.float32(LEVELS) - 1


def grey_of(images: Any) -> Any:
    """Grey of filtered colour images, not rounded to 8 bits.

    Args:
        images: float, shape (n, 3, height, width), nominally in [0, 1].

    Returns:
        Same dtype, shape (n, height, width), nominally in [-1, 1]: `2 (0.299 R + 0.587 G + 0.114 B) - 1`.
    """
    red, green, blue = (images[:, channel] for channel in range(3))
    return 2 * (0.299 * red + 0.587 * green + 0.114 * blue) - 1


def median3(images: Images) -> Images:
    """Median of the 3 x 3 pixels around each pixel, borders mirrored.

    Args:
        images: shape (..., height, width), both at least 2.

    Returns:
        Same shape and dtype, the very values of `scipy.ndimage.median_filter(size=3)` on each image in its
        default mode `reflect`, which repeats the border pixel. Columns of three are sorted first and shared
        by the three windows they are in; the median of nine is then the median of the largest of the lows,
        the middle of the middles and the smallest of the highs.
    """
    edges = [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(images, edges, mode="edge")
    low, middle, high = _sorted3(padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :])
    left, centre, right = (slice(None, -2), slice(1, -1), slice(2, None))
    lowest = np.maximum(np.maximum(low[..., left], low[..., centre]), low[..., right])
    highest = np.minimum(np.minimum(high[..., left], high[..., centre]), high[..., right])
    between = _median(middle[..., left], middle[..., centre], middle[..., right])
    return cast(Images, _median(lowest, between, highest))


def _sorted3(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any]:
    a, b = np.minimum(a, b), np.maximum(a, b)
    b, c = np.minimum(b, c), np.maximum(b, c)
    return np.minimum(a, b), np.maximum(a, b), c


def _median(a: Any, b: Any, c: Any) -> Any:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def residual(images: Images) -> Images:
    """High-pass residual: each image minus its 3 x 3 median.

    Args:
        images: grey, shape (n, size, size).

    Returns:
        Same shape and dtype, but float32 of 8-bit levels, which holds them exactly; noise and the traces
        of up-sampling, without the scene.

    Raises:
        ShapeError: images is not (n, size, size) with even size.
    """
    checked = checked_grey(images)
    dtype = np.float32 if checked.dtype == np.uint8 else checked.dtype
    return cast(Images, np.subtract(checked, median3(checked), dtype=dtype))


def centred(images: Images) -> Images:
    """Checked grey around zero: of uint8 levels `level - 127.5` in float32, which is exact; floats as they are."""
    if images.dtype == np.uint8:
        return np.subtract(images, np.float32(LEVELS), dtype=np.float32)
    return images


def unit_of(images: Images) -> float:
    """What takes differences of these values to the range [-1, 1]: 1 / 127.5 of levels, 1 of floats."""
    return 1 / LEVELS if images.dtype == np.uint8 else 1.0


def checked_grey(images: Images, size: int | None = None) -> Images:
    """`images`, uint8 or floats, of shape (n, size, size); other dtypes become float64.

    Raises:
        ShapeError: another shape, or an odd or other size.
    """
    shape = np.shape(images)
    if (
        len(shape) != 3
        or shape[1] != shape[2]
        or shape[1] % 2
        or shape[1] < 4
        or size not in {None, shape[1]}
    ):
        wanted = "(n, size, size) with even size" if size is None else f"(n, {size}, {size})"
        raise ShapeError(
            f"images must have shape {wanted}; got {shape}. Average RGB to grey and crop to a square first."
        )
    known = images.dtype in (np.uint8, np.float32, np.float64)
    return images if known else np.asarray(images, dtype=np.float64)
