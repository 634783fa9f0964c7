"""From a file to RGB pixels, and from pixels to the picture's identity."""

from __future__ import annotations

import functools
import hashlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import IcoImagePlugin, Image, ImageColor, UnidentifiedImageError

from bandprobe.errors import ImageError, InputError, ShapeError
from bandprobe.images import embedded
from bandprobe.images.places import missing, regular
from bandprobe.images.png_checks import check_png

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
MAX_PIXELS = 64_000_000

# Raster formats with a signature at their start. Left out on purpose: vector formats and those that
# start another program (EPS, PDF, WMF), and those that Pillow guesses without a signature (TGA), which
# would turn a damaged file of another format into a picture of noise.
_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM", "ICO", "PCX", "SGI",
    "QOI", "PSD", "SUN", "XBM", "XPM",
)  # fmt: skip
_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_WORDS_FOR_TRUNCATED = ("truncated", "unexpected end", "end of file", "unrecognized data stream contents")
_STRIP = 1 << 20  # pixels that are worked on at a time
_SHADES = {"L;2": 85, "L;4": 17}  # PNG's transparent grey is given in samples of 2 or 4 bits


@dataclass(frozen=True)
class Decoded:
    """A picture and what its file was.

    Attributes:
        rgb: uint8, shape (H, W, 3), after EXIF orientation.
        format: Pillow's name of the file's format: `PNG`, `JPEG`, `WEBP` ...
        file_bytes: size of the encoded picture.
    """

    rgb: NDArray[np.uint8]
    format: str
    file_bytes: int


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@functools.cache
def image_extensions() -> frozenset[str]:
    """The file name endings taken for images, lower case with the dot: `.png`, `.jpg`, `.webp` ..."""
    formats = _formats()
    return frozenset(end for end, name in Image.registered_extensions().items() if name in formats)


def parse_colour(colour: str | tuple[int, int, int]) -> Colour:
    """A colour as three numbers 0 to 255.

    Args:
        colour: such a triple, a CSS name (`white`, `grey`) or `#rrggbb`.

    Raises:
        InputError: anything else.
    """
    try:
        channels = ImageColor.getrgb(colour) if isinstance(colour, str) else tuple(map(int, colour))
    except (ValueError, TypeError) as error:
        raise InputError(f"background must be a colour like 'white' or '#808080'; got {colour!r}.") from error
    if len(channels) != 3 or not all(0 <= channel <= 255 for channel in channels):
        raise InputError(f"background must be three numbers from 0 to 255; got {colour!r}.")
    return channels[0], channels[1], channels[2]


def decode(
    source: str | Path, *, background: Colour = WHITE, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """The picture in a file, as RGB.

    EXIF orientation is applied; transparency is laid over `background`; of an animation the first
    frame is taken; 16-bit samples keep their high byte, grey as well as colour (which Pillow truncates
    in the same way). CMYK is read as Pillow reads it (a JPEG's inverted, as Adobe writes them). Colour
    profiles (ICC) are ignored: the numbers in the file are the pixels. Thread-safe.

    Args:
        source: an image file or its URL; `FILE.parquet::ROW` or `FILE.arrow::ROW` for a picture in a table,
            `FILE.tar::MEMBER` for one in a tar file.
        background: what shows through transparent pixels, 0 to 255 each.
        max_pixels: largest width times height, held against the header before anything is decoded.

    Returns:
        uint8, shape (H, W, 3).

    Raises:
        ImageError: the file is missing, empty, no image, truncated, corrupt or too large, or its
            samples have no agreed range (32-bit float or integer).
    """
    return read(source, background=background, max_pixels=max_pixels).rgb


def decode_bytes(
    data: bytes, *, background: Colour = WHITE, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """`decode` for an encoded picture in memory."""
    return _read(io.BytesIO(data), len(data), background, max_pixels).rgb


def read(source: str | Path, *, background: Colour = WHITE, max_pixels: int = MAX_PIXELS) -> Decoded:
    """`decode`, with what the file was: its format and size."""
    place = embedded.locate(source)
    if place is not None:
        data = embedded.read(*place)
        return _read(io.BytesIO(data), len(data), background, max_pixels)
    path = Path(source)
    try:
        with regular(path).open("rb") as stream:
            return _read(stream, path.stat().st_size, background, max_pixels)
    except FileNotFoundError as error:
        raise ImageError(missing(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def image_id(rgb: NDArray[np.uint8]) -> str:
    """The identity of a picture: two files that decode to the same pixels have the same.

    Args:
        rgb: uint8, shape (H, W, 3).

    Returns:
        64 hex digits: SHA-256 of H and W as little-endian uint32, followed by the RGB bytes row by row.

    Raises:
        ShapeError: `rgb` is not uint8 of shape (H, W, 3).
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ShapeError(f"rgb must be uint8 of shape (H, W, 3); got {rgb.dtype} of shape {rgb.shape}.")
    digest = hashlib.sha256(struct.pack("<II", rgb.shape[0], rgb.shape[1]))
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def _read(stream: BinaryIO, size: int, background: Colour, max_pixels: int) -> Decoded:
    if size == 0:
        raise ImageError("empty file (0 bytes)")
    try:
        with Image.open(stream, formats=_formats()) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(f"too many pixels: {width} x {height}; the limit is {max_pixels:,}")
            _check_inside(image, max_pixels)
            rgb = _rgb(image, background)
            if image.format == "PNG":
                # Rows that are missing are black, or what black and transparent lies on.
                check_png(stream, rows=bool((rgb[-1] == rgb[-1, 0]).all()))
            return Decoded(_upright(rgb, _orientation(image)), image.format or "unknown", size)
    except ImageError:
        raise
    # Pillow's readers meet hostile files with whatever the damage leads to: OSError, SyntaxError,
    # ValueError, KeyError, struct.error, zlib.error, OverflowError, DecompressionBombError, ...
    except Exception as error:
        raise ImageError(_reason(stream, error)) from error


def _check_inside(image: Image.Image, max_pixels: int) -> None:
    """An icon says its size twice: itself, and in the picture that it holds."""
    if isinstance(image, IcoImagePlugin.IcoImageFile):
        inside = image.ico.frame(image.ico.getentryindex(image.size))
        if inside.width * inside.height > max_pixels:
            raise ImageError(
                f"too many pixels: {inside.width} x {inside.height}; the limit is {max_pixels:,}"
            )


def _reason(stream: BinaryIO, error: Exception) -> str:
    said = " ".join(str(error).split())[:160]
    if isinstance(error, UnidentifiedImageError):
        stream.seek(0)
        start = stream.read(8)
        known = next((name for sign, name in _SIGNATURES.items() if start.startswith(sign)), None)
        if known is not None:
            return f"truncated or corrupt: begins like {known}, but its header cannot be read"
        return f"not an image: it begins with {start!r}, which no known format does"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be read: {error.strerror or said}"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"too many pixels: {said}"
    if any(words in said.lower() for words in _WORDS_FOR_TRUNCATED):
        return f"truncated: {said}"
    return f"corrupt: {said or type(error).__name__}"


def _rgb(image: Image.Image, background: Colour) -> NDArray[np.uint8]:
    rawmode = _rawmode(image)  # gone after loading
    image.load()
    mode = image.mode
    if mode == "La":
        image = image.convert("LA")  # Pillow has no direct way from here to RGBA
    if mode in {"RGBA", "LA", "PA", "P", "RGBa", "La"}:
        return _over(np.asarray(image.convert("RGBA")), background)
    if mode in {"CMYK", "YCbCr", "HSV", "LAB", "RGBX"}:
        return np.array(image.convert("RGB"))
    if mode in {"1", "L", "RGB"}:
        rgb = np.array(image.convert("RGB"))
        rgb[_transparent(rgb, image.info.get("transparency"), mode, rawmode)] = background
        return rgb
    if mode == "I" or mode.startswith("I;16"):
        samples = np.asarray(image)
        rgb = _sixteen_bit_grey(samples)
        key = image.info.get("transparency")
        if isinstance(key, int):
            rgb[samples == key] = background
        return rgb
    if mode == "F":
        raise ImageError("32-bit float samples have no agreed range; save it as 8- or 16-bit")
    raise ImageError(f"pixel format {mode} is not supported; save it as RGB")


def _sixteen_bit_grey(samples: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """The high byte, as Pillow keeps it of 16-bit colour; its own way from 16-bit grey clips at 255."""
    if samples.min() < 0 or samples.max() > 0xFFFF:
        raise ImageError("32-bit integer samples have no agreed range; save it as 8- or 16-bit")
    return np.repeat((samples >> 8).astype(np.uint8)[:, :, None], 3, axis=2)


def _transparent(rgb: NDArray[np.uint8], key: object, mode: str, rawmode: str) -> NDArray[np.bool_]:
    """Where a pixel has the one colour that PNG's tRNS or a GIF declares transparent: bool, shape (H, W)."""
    colour: list[int]
    if mode == "RGB" and isinstance(key, tuple):
        colour = [value >> 8 for value in key] if "16" in rawmode else list(key)
    elif mode == "L" and isinstance(key, int):
        colour = [key * _SHADES.get(rawmode, 1)] * 3
    elif mode == "1" and isinstance(key, int):
        colour = [255 if key else 0] * 3
    else:
        return np.zeros(rgb.shape[:2], dtype=np.bool_)
    return np.asarray(np.all(rgb == np.array(colour), axis=2))


def _rawmode(image: Image.Image) -> str:
    """How the samples lie in a PNG file, e.g. `L;4` or `RGB;16B`; empty where a format says otherwise."""
    tiles = getattr(image, "tile", None)
    said = tiles[0][3] if image.format == "PNG" and tiles else ""
    first = said[0] if isinstance(said, tuple) and said else said
    return first if isinstance(first, str) else ""


def _over(rgba: NDArray[np.uint8], background: Colour) -> NDArray[np.uint8]:
    """Straight alpha over a colour, rounded to the nearest level."""
    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP // rgba.shape[1])
    for start in range(0, len(rgba), rows):  # what lies between takes five times the picture's memory
        strip = rgba[start : start + rows]
        alpha = strip[:, :, 3:].astype(np.uint16)
        colour = strip[:, :, :3] * alpha + np.array(background, dtype=np.uint16) * (255 - alpha)
        rgb[start : start + rows] = (colour + 127) // 255
    return rgb


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:
        # Damaged metadata raise anything, like damaged pixels; the pixels are whole at this point.
        return 1


def _upright(rgb: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as EXIF says it was seen: 2 to 8 are flips and quarter turns, the rest do nothing."""
    turns = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(orientation, 0)
    turned = np.rot90(rgb, turns)
    if orientation in {2, 4}:
        turned = turned[:, ::-1]
    elif orientation in {5, 7}:
        turned = turned[::-1]
    return np.ascontiguousarray(turned)
