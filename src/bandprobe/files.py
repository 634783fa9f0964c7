"""Output that is either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bandprobe.errors import DiskError, InputError


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


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON, indented, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
