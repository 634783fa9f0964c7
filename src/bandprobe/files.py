"""Output that is either whole or not there."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from bandprobe.errors import DiskError, InputError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

LOCK_SECONDS = 120.0  # how long one process waits for another


def output_folder(path: str | Path) -> Path:
    """The folder, made if it was missing.

    Raises:
        InputError: it cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write to the output folder {str(folder)!r}: {error.strerror or error}. "
            "Choose a folder that can be written."
        ) from None
    return folder


def check_output(path: str | Path) -> None:
    """See that a folder can be made and written, leaving nothing behind.

    Raises:
        InputError: it cannot.
    """
    folder = Path(path)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    output_folder(folder)
    for place in made:
        place.rmdir()


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and else vanishes.

    The folder is made if it is missing.

    Raises:
        DiskError: the file cannot be written.
    """
    target = Path(path)
    # The suffix stays last: writers such as Matplotlib choose a format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        reason = error.strerror or str(error)
        raise DiskError(
            f"{target} cannot be written: {reason}. Free the disk or give another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: str | Path, content: bytes) -> Path:
    """Write bytes, whole or not at all; returns the path.

    Raises:
        DiskError: it cannot be written.
    """
    target = Path(path)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return target


def quoting(texts: Iterable[object]) -> Literal[0, 1]:
    """How a CSV file of some texts is quoted, for `csv` and pandas: only where it must be, or everywhere.

    Python before 3.13 leaves a lone carriage return unquoted, and then reads two rows.
    """
    return csv.QUOTE_ALL if any("\r" in str(text) for text in texts) else csv.QUOTE_MINIMAL


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON, indented, whole or not at all."""
    write_whole(
        path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    )


def try_lock(file: int) -> bool:
    """Lock an open file for as long as it is open; False where another process holds it.

    Args:
        file: its descriptor.

    Raises:
        OSError: this disk, or this system, has no locks.
    """
    if fcntl is None:
        raise OSError("no file locks on this system")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(path: str | Path, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """A block that one process at a time is in. A killed process holds nothing.

    Where the disk has no locks, the block is entered all the same.

    Args:
        path: the lock's file, there while it is held; its folder too, made in a folder that must be there.
        timeout: seconds to wait for another process.

    Raises:
        DiskError: another process held it for longer, or the folder cannot be written.
    """
    place, end = Path(path), time.monotonic() + timeout
    while (file := _held(place)) is None:
        if time.monotonic() > end:
            raise DiskError(
                f"another process has held {str(place)!r} for {timeout:g} seconds; run again when it is done."
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        # Removed while held: whoever waits for this file sees that it is gone, and makes another.
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)
        os.close(file)
        with contextlib.suppress(OSError):
            place.parent.rmdir()


def _held(place: Path) -> int | None:
    """The lock's file, locked; None where another process has it."""
    try:
        place.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise DiskError(
            f"cannot write to {str(place.parent)!r}: {error.strerror or error}. Free the disk or give another folder."
        ) from error
    try:
        file = os.open(place, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:  # another process has just removed the folder
        return None
    except OSError as error:
        raise DiskError(
            f"{str(place)!r} cannot be written: {error.strerror or error}. Free the disk or give another folder."
        ) from error
    try:
        free = try_lock(file)
    except OSError:
        return file
    if free:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), place.stat()):
                return file
    os.close(file)
    return None
