"""What a JPEG file says before its first scan: tables, sampling, coding, application segments."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import ImageError

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_CODINGS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless"}
_SAMPLINGS: dict[tuple[tuple[int, int], ...], str] = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
    ((1, 2), (1, 1), (1, 1)): "4:4:0",
    ((4, 1), (1, 1), (1, 1)): "4:1:1",
}
_SYMBOLS = {0: 12, 1: 162}  # of the standard's Huffman tables for DC and AC
_SEGMENTS = 4096  # at most; real files have some dozens

# ITU-T T.81, table K.1, in zigzag order.
_LUMINANCE = np.array(
    [
        16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51,
        61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77,
        113, 121, 112, 100, 120, 92, 101, 103, 99,
    ]
)  # fmt: skip


@dataclass
class JpegHeader:
    """A JPEG file's header.

    Attributes:
        width: px, as coded.
        height: px, as coded.
        components: 1 for grey, 3 for colour, 4 for CMYK.
        tables: quantisation tables by their number, 64 values in zigzag order each.
        sampling: `4:2:0` and the like, `grey`, or each component's factors.
        coding: baseline, progressive ...; whether Huffman tables are the standard's; restart intervals.
        segments: names of the application segments and comments, in order, but for JFIF, EXIF, ICC.
        exif: the EXIF block, empty without one.
        icc: the colour profile, or its first part.
        density: JFIF's, as `<unit> <x> <y>`; empty without one.
    """

    width: int = 0
    height: int = 0
    components: int = 0
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sampling: str = ""
    coding: str = ""
    segments: list[str] = field(default_factory=list)
    exif: bytes = b""
    icc: bytes = b""
    density: str = ""

    @property
    def quality(self) -> float:
        """The IJG quality whose luminance table is nearest in its sum, 1 to 100; NaN without a table."""
        if not self.tables:
            return float("nan")
        total = sum(self.tables[min(self.tables)])
        return float(1 + np.abs(_SUMS - total).argmin())

    @property
    def is_ijg(self) -> bool:
        """Whether the luminance table is that of the IJG's scale."""
        table = self.tables.get(0)
        return table is not None and np.array_equal(ijg_table(int(self.quality)), table)


def ijg_table(quality: int) -> NDArray[np.int64]:
    """The luminance table that the Independent JPEG Group's library makes, in zigzag order, int64 (64,)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: NDArray[np.int64] = np.clip((_LUMINANCE * scale + 50) // 100, 1, 255).astype(np.int64)
    return table


_SUMS = np.array([ijg_table(quality).sum() for quality in range(1, 101)])


def read_jpeg_header(stream: BinaryIO) -> JpegHeader:
    """A JPEG's header, from a stream at the file's start.

    Raises:
        ImageError: the header ends early, or holds no frame.

    Source:
        ITU-T T.81, annex B; JFIF 1.02.
    """
    found, huffman, restart = JpegHeader(), True, False
    stream.seek(2)
    for _ in range(_SEGMENTS):
        marker = _marker(stream)
        if marker in _STANDALONE:
            continue
        if marker in (0xD9, 0xDA):  # end of image, start of scan
            break
        payload = _payload(stream)
        if marker in _FRAMES:
            _frame(found, marker, payload)
        elif marker == 0xDB:
            found.tables.update(_quantisation(payload))
        elif marker == 0xC4:
            huffman = huffman and _standard_huffman(payload)
        elif marker == 0xDD:
            restart = payload != b"\0\0"
        elif marker >= 0xE0:
            _application(found, marker, payload)
    if not found.width or not found.height:
        raise ImageError("truncated or corrupt: the JPEG header names no frame with a size")
    found.coding += ("" if huffman else ", own Huffman tables") + (", restarts" if restart else "")
    return found


def _marker(stream: BinaryIO) -> int:
    byte = stream.read(1)
    if byte != b"\xff":
        raise ImageError("truncated or corrupt: the JPEG header ends before the picture")
    while byte == b"\xff":
        byte = stream.read(1)
    if not byte:
        raise ImageError("truncated: the JPEG header ends before the picture")
    return byte[0]


def _payload(stream: BinaryIO) -> bytes:
    head = stream.read(2)
    size = struct.unpack(">H", head)[0] - 2 if len(head) == 2 else -1
    payload = stream.read(size) if size >= 0 else b""
    if size < 0 or len(payload) < size:
        raise ImageError("truncated or corrupt: a segment of the JPEG header ends early")
    return payload


def _frame(found: JpegHeader, marker: int, payload: bytes) -> None:
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise ImageError("corrupt: the JPEG's frame header is too short")
    bits, found.height, found.width, found.components = struct.unpack(">BHHB", payload[:6])
    factors = tuple((pair >> 4, pair & 15) for pair in payload[7 : 6 + 3 * found.components : 3])
    plain = "grey" if found.components == 1 else " ".join(f"{h}x{v}" for h, v in factors)
    found.sampling = _SAMPLINGS.get(factors, plain)
    arithmetic = ", arithmetic" if marker > 0xC8 else ""
    depth = "" if bits == 8 else f", {bits} bits"
    found.coding = _CODINGS.get(marker & 0xC3 if marker > 0xC8 else marker, f"SOF{marker - 0xC0}")
    found.coding += arithmetic + depth


def _quantisation(payload: bytes) -> dict[int, tuple[int, ...]]:
    tables, at = {}, 0
    while at < len(payload):
        wide, number = payload[at] >> 4, payload[at] & 15
        size = 128 if wide else 64
        values = payload[at + 1 : at + 1 + size]
        if len(values) < size:
            raise ImageError("corrupt: a quantisation table of the JPEG is too short")
        tables[number] = struct.unpack(">64H", values) if wide else tuple(values)
        at += 1 + size
    return tables


def _standard_huffman(payload: bytes) -> bool:
    """Whether every table has as many symbols as the standard's; made for the picture, they have fewer."""
    at = 0
    while at + 17 <= len(payload):
        symbols = sum(payload[at + 1 : at + 17])
        if symbols != _SYMBOLS.get(payload[at] >> 4):
            return False
        at += 17 + symbols
    return True


def _application(found: JpegHeader, marker: int, payload: bytes) -> None:
    if marker == 0xE0 and payload.startswith(b"JFIF\0") and len(payload) >= 12:
        unit, x, y = struct.unpack(">BHH", payload[7:12])
        found.density = f"{unit} {x} {y}"
    elif marker == 0xE1 and payload.startswith(b"Exif\0"):
        found.exif = payload[6:]
    elif marker == 0xE2 and payload.startswith(b"ICC_PROFILE\0"):
        found.icc = found.icc or payload[14:]
    elif marker == 0xFE:
        found.segments.append("comment")
    elif marker <= 0xEF:
        name = payload[:32].split(b"\0")[0]
        known = (
            name.decode("ascii") if name and name.isascii() and name.decode("ascii").isprintable() else "?"
        )
        found.segments.append(f"APP{marker - 0xE0} {known[:24]}")
