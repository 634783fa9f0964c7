"""Where a path leads: to a regular file with a name that can be written down, and into which folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bandprobe import remote
from bandprobe.columns import shown
from bandprobe.errors import ImageError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_NO_TEXT = "its path is not UTF-8 text; rename it"


def regular(path: Path) -> Path:
    """The path itself, once it is known to name a file that can be read to its end.

    A pipe or a device would keep whoever opens it waiting for ever.

    Raises:
        ImageError: something else is there, or the name is no UTF-8 text, which tables cannot hold.
        OSError: nothing is there, or it may not be looked at.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ImageError(_NO_TEXT) from None
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ImageError(
            f"cannot be read: it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"
        )
    return path


def writable(name: str) -> str:
    r"""A name as tables can hold it: bytes that are no UTF-8 text stand as `\xff`, and so lead to no file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return shown(name)
    return name


def missing(path: str | Path) -> str:
    """Why there is no file at a path."""
    if remote.is_remote(str(path)):
        return f"{remote.missing(str(path))}: {path}"
    name = os.fsencode(path)
    raw = re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes.fromhex(found[1].decode()), name)
    if raw != name and os.path.lexists(raw):
        return _NO_TEXT
    return f"no such file: {path}"


def is_there(path: str) -> bool:
    """Whether something lies at a path, which may be any text, or at a URL.

    Raises:
        DiskError: it cannot be told of a URL.
    """
    if remote.is_remote(path):
        return remote.kind(path) is not None
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # longer than a path can be, or with a NUL
        return False


def is_folder(path: str) -> bool:
    """Whether a folder lies at a path or a URL."""
    return remote.kind(path) == "folder" if remote.is_remote(path) else Path(path).is_dir()


def is_file(path: str) -> bool:
    """Whether a file lies at a path or a URL."""
    return remote.kind(path) == "file" if remote.is_remote(path) else Path(path).is_file()


def absolute(path: str | Path) -> str:
    """A path from the root on, POSIX, `~` and `..` resolved and links left as they are; a URL stays one."""
    if remote.is_remote(str(path)):
        return remote.normal(str(path))
    # Path.resolve would follow links.
    return Path(os.path.abspath(expanded(path))).as_posix()  # noqa: PTH100


def expanded(path: str | Path) -> str:
    """A path with `~` resolved, where there is such a home: Path.expanduser fails on a file called ~name."""
    try:
        return os.path.expanduser(path)  # noqa: PTH111
    except ValueError:  # a NUL in the name
        return str(path)


def opened(path: str) -> Any:
    """What pyarrow reads a file from: its path, or for a URL the open file.

    Raises:
        FileNotFoundError: nothing is at a URL.
        DiskError: it cannot be read.
    """
    return remote.open_file(path) if remote.is_remote(path) else path


def content(path: str) -> bytes:
    """All of a file, at a path or a URL.

    Raises:
        OSError: it cannot be read.
    """
    return remote.read_bytes(path) if remote.is_remote(path) else Path(path).read_bytes()


def status(path: str, within: float = 0.0) -> remote.Status:
    """Size and time of change of a file, at a path or a URL; see `remote.status`.

    Raises:
        FileNotFoundError: nothing is there.
        OSError: it may not be looked at.
    """
    if remote.is_remote(path):
        return remote.status(path, within)
    found = Path(path).stat()
    return remote.Status(found.st_size, found.st_mtime_ns)


def is_within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path lies below one of some folders; both as `os.path.realpath` gives them."""
    return any(path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def is_below(path: Path, folder: Path) -> bool:
    """Whether a path, links followed, stays below a folder."""
    return is_within(os.path.realpath(path), [os.path.realpath(folder)])
