"""Image files byte by byte: what no writer of images would write."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(seed: int, *shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(seed: int, height: int = 48, width: int = 40) -> np.ndarray:
    """A picture that lossy codecs keep well: uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9) + rng.uniform(0, 6)) for _ in range(3)]
    return (127 + 100 * np.stack(waves, 2)).astype(np.uint8)


def encoded(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


def png(width: int, height: int, body: bytes, *extra: bytes, depth: int = 8, kind: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        PNG_SIGNATURE + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def flat_png(width: int, height: int, channels: int = 3) -> bytes:
    """A whole and honest PNG of one colour: megapixels in kilobytes."""
    packer = zlib.compressobj(1)
    row = b"\0" + bytes([90, 120, 60, 200][:channels]) * width
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, body, kind={3: 2, 4: 6}[channels])


def segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    """One of a JPEG's marker segments, its length a lie if asked."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2 if length is None else length) + data


def with_segment(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif(tag: int = 0x0112, kind: int = 3, count: int = 1, value: bytes = b"\0\6\0\0") -> bytes:
    """An EXIF block (big-endian TIFF) with one entry."""
    return (
        b"MM\0*\0\0\0\x08" + struct.pack(">HHHI", 1, tag, kind, count) + value[:4].ljust(4, b"\0") + b"\0" * 4
    )


def jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def tiff(
    width: int, height: int, data: bytes, *, bits: int = 8, compression: int = 1, form: int = 1
) -> bytes:
    """A little-endian grey TIFF of one strip; `form` 1 unsigned, 3 float."""
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression), (262, 3, 1), (273, 4, 8),
        (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, form),
    ]  # fmt: skip
    table = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", t, k, 1, v) for t, k, v in entries
    )
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + table + b"\0" * 4


def bmp(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + header + rows


def ico(inside: bytes, side: int = 16) -> bytes:
    """An icon that says it is small, around a PNG of any size."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, side, side, 0, 0, 1, 32, len(inside), 22) + inside


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(n + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for n, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
