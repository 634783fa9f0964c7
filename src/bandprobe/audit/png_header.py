"""What a PNG file says besides its pixels: chunks, text, and how its rows were filtered and packed."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

from bandprobe.errors import ImageError

_COLOURS = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_CHUNKS = 100_000  # at most: a picture of 64 million pixels in chunks of 8 KiB has a quarter of that
_READ = 16_384  # bytes of packed and of unpacked rows that are looked at
_LARGEST_TEXT = 1 << 20


@dataclass
class PngHeader:
    """A PNG file's chunks.

    Attributes:
        width: px.
        height: px.
        mode: `RGB`, `L`, `P`, `LA` or `RGBA`, with the bits of a sample where these are not 8.
        chunks: kinds of chunk in the order of their first one.
        packing: zlib's level flag and window, interlacing, and the size of a data chunk where there are
            several: each encoder has its own.
        filters: the kinds of row filter among the first rows, e.g. `1234`; empty when interlaced.
        texts: keywords of text chunks.
        exif: the EXIF block, empty without one.
        icc: the packed colour profile with its name, empty without one.
        density: as `<unit> <x> <y>`; empty without one.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    chunks: list[str] = field(default_factory=list)
    packing: str = ""
    filters: str = ""
    texts: list[str] = field(default_factory=list)
    exif: bytes = b""
    icc: bytes = b""
    density: str = ""


def read_png_header(stream: BinaryIO) -> PngHeader:
    """A PNG's chunks, from a stream at the file's start. Picture data are passed over but for the first rows.

    Raises:
        ImageError: the file does not begin with a header chunk, or ends before the picture.

    Source:
        PNG Specification (Third Edition), W3C 2025.
    """
    found, rows = PngHeader(), b""
    sizes: list[int] = []
    bits = colour = interlaced = 0
    stream.seek(8)
    for number in range(_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head)
        start = stream.tell()
        if (kind == b"IHDR") != (number == 0):
            raise ImageError("corrupt: the PNG does not begin with its one header chunk")
        if kind == b"IHDR":
            header = stream.read(13)
            if len(header) < 13:
                raise ImageError("truncated: the PNG's header chunk ends early")
            found.width, found.height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        elif kind == b"IDAT":
            if not sizes:
                rows = stream.read(min(size, _READ))
            sizes.append(size)
        elif size <= _LARGEST_TEXT:
            _note(found, kind, stream.read(size))
        name = kind.decode("latin-1")
        if name not in found.chunks:
            found.chunks.append(name)
        if kind == b"IEND":
            break
        stream.seek(start + size + 4)
    if not sizes or not found.width or not found.height or colour not in _COLOURS:
        raise ImageError("truncated or corrupt: the PNG holds no picture data")
    found.mode = _COLOURS[colour] + ("" if bits == 8 else f" {bits} bits")
    found.packing = _packing(rows, sizes, bool(interlaced))
    if not interlaced:
        found.filters = _filters(rows, (found.width * _CHANNELS[colour] * bits + 7) // 8)
    return found


def _note(found: PngHeader, kind: bytes, data: bytes) -> None:
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        found.texts.append(data.split(b"\0")[0][:40].decode("latin-1"))
    elif kind == b"eXIf":
        found.exif = data
    elif kind == b"iCCP":
        found.icc = data
    elif kind == b"pHYs" and len(data) == 9:
        x, y, unit = struct.unpack(">IIB", data)
        found.density = f"{unit} {x} {y}"


def _packing(rows: bytes, sizes: list[int], interlaced: bool) -> str:
    if len(rows) < 2:
        return "empty"
    said = f"zlib level {rows[1] >> 6}, window {1 << (8 + (rows[0] >> 4))}"
    return (
        said + (f", chunks of {sizes[0]}" if len(sizes) > 1 else "") + (", interlaced" if interlaced else "")
    )


def _filters(rows: bytes, width: int) -> str:
    try:
        unpacked = zlib.decompressobj().decompress(rows, _READ)
    except zlib.error:
        return "damaged"
    return "".join(map(str, sorted(set(unpacked[:: width + 1]))))
