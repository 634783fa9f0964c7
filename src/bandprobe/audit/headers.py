"""What a file tells of itself without its pixels: one value for each trace."""

from __future__ import annotations

import functools
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from bandprobe.audit.jpeg_header import JpegHeader, read_jpeg_header
from bandprobe.audit.png_header import PngHeader, read_png_header
from bandprobe.errors import ImageError
from bandprobe.images import embedded, image_extensions

CATEGORIES = (
    "format", "dimensions", "mode", "quantisation tables", "chroma subsampling", "JPEG coding", "PNG chunks",
    "PNG packing", "PNG filters", "EXIF", "ICC profile", "other metadata", "resolution tag",
)  # fmt: skip
NUMBERS = ("pixels", "aspect", "JPEG quality", "file size", "bits per pixel")
METADATA = (*CATEGORIES, *NUMBERS)

NO_TABLES = 101.0  # the quality of a file without quantisation tables: above every other
NONE = "none"

Values = dict[str, Any]  # by trace: text for a category, a float for a number

_EXIF_TAGS = (0x010F, 0x0110, 0x0131)  # make, model, software


def header_of(source: str | Path) -> Values:
    """The metadata traces of a file, or of `FILE.parquet::ROW`. Thread-safe; no pixel is decoded.

    Raises:
        ImageError: it is missing, empty, no image, or its header is damaged.
    """
    place = embedded.locate(source)
    if place is not None:
        data = embedded.read(*place)
        return read_header(io.BytesIO(data), len(data))
    path = Path(source)
    try:
        with path.open("rb") as stream:
            return read_header(stream, path.stat().st_size)
    except FileNotFoundError as error:
        raise ImageError(f"no such file: {path}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_header(stream: BinaryIO, size: int) -> Values:
    """The metadata traces of an encoded picture.

    Args:
        stream: at its start; sought in.
        size: bytes of the whole.

    Returns:
        A value for each name of `METADATA`: text for `CATEGORIES` (`none` where a format has no such
        thing), floats for `NUMBERS`. `dimensions` are those coded, before EXIF orientation; `file size` is in
        bytes, `pixels` is width times height, `aspect` width over height, `JPEG quality` the nearest of the
        IJG's scale (101 without tables).

    Raises:
        ImageError: empty, no image, or a damaged header.
    """
    if size == 0:
        raise ImageError("empty file (0 bytes)")
    start = stream.read(8)
    if start.startswith(b"\xff\xd8\xff"):
        found = _of_jpeg(read_jpeg_header(stream))
    elif start == b"\x89PNG\r\n\x1a\n":
        found = _of_png(read_png_header(stream))
    else:
        stream.seek(0)
        found = _of_other(stream)
    width, height = found.pop("size")
    return {
        **dict.fromkeys(CATEGORIES, NONE),
        "JPEG quality": NO_TABLES,
        **found,
        "dimensions": f"{width}x{height}",
        "pixels": float(width * height),
        "aspect": width / height,
        "file size": float(size),
        "bits per pixel": 8 * size / (width * height),
    }


def _of_jpeg(header: JpegHeader) -> Values:
    digest = _digest(repr(sorted(header.tables.items())).encode())
    near = f"near quality {header.quality:.0f}, {digest}"
    return {
        "size": (header.width, header.height),
        "format": "JPEG",
        "mode": {1: "L", 3: "RGB", 4: "CMYK"}.get(header.components, f"{header.components} components"),
        "quantisation tables": f"quality {header.quality:.0f}, {digest}" if header.is_ijg else near,
        "chroma subsampling": header.sampling,
        "JPEG coding": header.coding,
        "JPEG quality": header.quality if header.tables else NO_TABLES,
        "EXIF": _exif(header.exif),
        "ICC profile": _profile(header.icc),
        "other metadata": ", ".join(dict.fromkeys(header.segments)) or NONE,
        "resolution tag": header.density or NONE,
    }


def _of_png(header: PngHeader) -> Values:
    return {
        "size": (header.width, header.height),
        "format": "PNG",
        "mode": header.mode,
        "PNG chunks": " ".join(header.chunks),
        "PNG packing": header.packing,
        "PNG filters": header.filters or NONE,
        "EXIF": _exif(header.exif),
        "ICC profile": _profile(header.icc),
        "other metadata": ", ".join(f"text {word}" for word in dict.fromkeys(header.texts)) or NONE,
        "resolution tag": header.density or NONE,
    }


def _of_other(stream: BinaryIO) -> Values:
    """By Pillow's reader of the format; the header alone."""
    try:
        with Image.open(stream, formats=_formats()) as image:
            said = {str(key): value for key, value in image.info.items()}
            return {
                "size": image.size,
                "format": image.format or "unknown",
                "mode": image.mode,
                "EXIF": _exif(said.get("exif") or b""),
                "ICC profile": _profile(said.get("icc_profile") or b""),
                "other metadata": ", ".join(_others(said)) or NONE,
                "resolution tag": str(said.get("dpi", NONE)),
            }
    # Pillow's readers meet hostile files with whatever the damage leads to.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise ImageError(
            f"not an image, or its header is damaged: {reason or type(error).__name__}"
        ) from error


def _others(said: Values) -> list[str]:
    named = {"exif", "icc_profile", "dpi", "duration", "loop", "background", "timestamp", "transparency"}
    return sorted(
        f"{key} {value}" if key == "compression" else str(key)
        for key, value in said.items()
        if key not in named and value not in (None, b"", "")
    )


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats that are decoded at all."""
    readers = Image.registered_extensions()
    return tuple(sorted({readers[end] for end in image_extensions()}))


def _exif(block: bytes) -> str:
    """Camera and software where the block names them, else whether there is one."""
    if not block:
        return NONE
    try:
        exif = Image.Exif()
        exif.load(block if block.startswith(b"Exif\0") else b"Exif\0\0" + block)
        named = [" ".join(str(exif[tag]).split())[:40] for tag in _EXIF_TAGS if exif.get(tag)]
    except Exception:  # a damaged block leads to anything
        return "damaged"
    return " / ".join(named) or "present"


def _profile(block: bytes) -> str:
    return f"{len(block)} bytes, {_digest(block)}" if block else NONE


def _digest(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"
