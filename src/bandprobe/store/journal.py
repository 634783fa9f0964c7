"""Finished batches that wait to become parts: an append-only file that outlives a killed process.

A record is `BPJ1`, the CRC-32 of its content (4 bytes), the content's length (8 bytes), both little-endian,
and the content: one table as an Arrow IPC stream. The page cache keeps what a killed process wrote, so
nothing is synced. Its writer holds a lock on the file for as long as it lives.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from bandprobe.errors import DiskError
from bandprobe.files import try_lock
from bandprobe.store.parts import described

_HEADER = struct.Struct("<4sIQ")
_MAGIC = b"BPJ1"
SUFFIX = ".journal"


class Journal:
    """The journal of one writer.

    Args:
        folder: where it goes, under a name of its own. Call this where no `abandoned` runs meanwhile.

    Raises:
        OSError: it cannot be made, or this disk has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._length = 0
        try:
            try_lock(self._file)
        except OSError:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            raise

    def append(self, table: pa.Table) -> None:
        """Add a record.

        Raises:
            DiskError: it cannot be written; the records before are kept.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        content = sink.getvalue()
        header = _HEADER.pack(_MAGIC, zlib.crc32(content), content.size)
        try:
            for piece in (header, content):
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # nothing is read behind a broken record
                self._cut(self._length)
            raise DiskError(
                f"cannot write {str(self._path)!r}: {error.strerror or error}. What was finished is kept; make "
                "room and run again."
            ) from error
        self._length += _HEADER.size + content.size

    def clear(self) -> None:
        """Forget every record: they are parts now."""
        if self._length:
            self._cut(0)
            self._length = 0

    def close(self) -> None:
        """Let go of the file; it stays where it still has records."""
        if not self._length:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _cut(self, length: int) -> None:
        os.ftruncate(self._file, length)
        os.lseek(self._file, length, os.SEEK_SET)


@contextlib.contextmanager
def abandoned(folder: Path) -> Iterator[list[pa.Table]]:
    """What the journals of writers that are gone hold, a table a condition; removed when the block ends well."""
    conditions: dict[str, list[pa.Table]] = {}
    with contextlib.ExitStack() as held:
        gone = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                file = held.enter_context(path.open("rb"))
                if not try_lock(file.fileno()):
                    continue
            except OSError:  # gone meanwhile, or a disk without locks
                continue
            for table in _records(file.read()):
                conditions.setdefault(repr(described(table.schema)), []).append(table)
            gone.append(path)
        yield [pa.concat_tables(tables) for tables in conditions.values()]
        for path in gone:
            path.unlink(missing_ok=True)


def _records(content: bytes) -> Iterator[pa.Table]:
    """The whole records, up to the first that is not."""
    at = 0
    while at + _HEADER.size <= len(content):
        magic, checksum, length = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        body = memoryview(content)[at : at + length]
        if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
            return
        try:
            table = pa.ipc.open_stream(body).read_all()
        except pa.ArrowException:
            return
        yield table
        at += length
