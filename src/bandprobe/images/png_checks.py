"""Whether a PNG is whole: Pillow reads past wrong checksums, and paints rows that are not there black."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from bandprobe.errors import ImageError

_CHECKED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})  # what the pixels are made of
_BLOCK = 1 << 20
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
# Adam7: first column and row of each pass, and the steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_png(stream: BinaryIO, *, rows: bool) -> None:
    """See that what a PNG's pixels are made of is as its writer left it.

    Args:
        stream: of a file that Pillow has decoded, anywhere in it.
        rows: whether to count the rows as well, by decompressing them once more.

    Raises:
        ImageError: a chunk is cut off or fails its checksum, or there are fewer rows than the header says.
    """
    header = b""
    unpacker = zlib.decompressobj()
    held = 0
    for name, block in _blocks(stream):
        if name == b"IHDR":
            header += block
        elif name == b"IDAT" and rows:
            held += _unpacked(unpacker, block, _needed(header) - held)
    if rows and held < _needed(header):
        raise ImageError("truncated: there are fewer rows than the header says")


def _blocks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The content of all chunks up to the end of the image, each checked, in blocks of bounded size."""
    stream.seek(8)
    while len(start := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", start)
        if name == b"IEND":
            return
        if name not in _CHECKED:
            stream.seek(length + 4, 1)
            continue
        check = zlib.crc32(name)
        while length:
            block = stream.read(min(length, _BLOCK))
            if not block:
                raise ImageError(f"truncated: its chunk {name.decode()} is cut off")
            check = zlib.crc32(block, check)
            length -= len(block)
            yield name, block
        if stream.read(4) != struct.pack(">I", check):
            raise ImageError(f"corrupt: its chunk {name.decode()} fails its checksum")


def _unpacked(unpacker: zlib._Decompress, block: bytes, enough: int) -> int:
    """How many bytes a block comes to, counted until there are enough; never more than a few in memory."""
    count = 0
    while block and count < enough and not unpacker.eof:
        count += len(unpacker.decompress(block, _BLOCK))
        block = unpacker.unconsumed_tail
    return count


def _needed(header: bytes) -> int:
    """Bytes of all rows before compression, each with its filter's byte in front."""
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _SAMPLES[kind]
    if not interlaced:
        return int(height * (1 + (width * bits + 7) // 8))
    total = 0
    for x, y, right, down in _PASSES:
        columns, lines = max(0, -(-(width - x) // right)), max(0, -(-(height - y) // down))
        total += lines * (1 + (columns * bits + 7) // 8) if columns else 0
    return int(total)
