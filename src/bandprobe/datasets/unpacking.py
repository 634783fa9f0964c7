"""Archives unpacked with care: nothing lands outside the folder, and nothing grows without end."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bandprobe import progress
from bandprobe.errors import DiskError, InputError

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_RATIO = 20  # bytes out of each byte in, at most: pictures are compressed already
_ALWAYS = 1 << 26  # bytes out of any archive
_MOST_FILES = 5_000_000
_BLOCK = 1 << 20
_NOT_NAMES = re.compile(r"[\0-\x1f\\]|^[A-Za-z]:")


@dataclass(frozen=True)
class _Member:
    parts: tuple[str, ...]
    size: int
    stream: IO[bytes]


def is_archive(name: str) -> bool:
    """Whether a file is called like an archive that `unpack` takes."""
    return name.lower().endswith(_ENDINGS)


def unpack(archive: Path, folder: Path, strip: Sequence[str] = ()) -> int:
    """Unpack a zip or tar file into a folder.

    Args:
        archive: ends in .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz.
        folder: made if it is missing; a file of the same name there is replaced.
        strip: folders at the top of the archive, in order, that are left out where they are there.

    Returns:
        How many files were written.

    Raises:
        InputError: the archive is damaged or encrypted, or holds what a set of pictures has no need of: a link, a
            device, a name that leads out of the folder, two files of a name, far more than its own size.
        DiskError: it does not fit the disk, or a file cannot be written.
    """
    limit = _RATIO * archive.stat().st_size + _ALWAYS
    members = _of_zip if archive.name.lower().endswith(".zip") else _of_tar
    count = written = 0
    made: set[Path] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with progress.bar(f"unpack {archive.name[-32:]}", None, "files") as step:
            for member in members(archive):
                count, written = count + 1, written + member.size
                if written > limit or count > _MOST_FILES:
                    raise _bad(archive, f"it unpacks to more than {limit:,} bytes or {_MOST_FILES:,} files")
                place = folder.joinpath(*_below(member.parts, strip))
                if place in made:
                    raise _bad(archive, f"it holds two files called {'/'.join(member.parts)!r}")
                made.add(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(member, place, archive)
                step()
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise _bad(archive, " ".join(str(error).split())[:160]) from error
    except OSError as error:
        if isinstance(error, (DiskError, InputError)):
            raise
        raise DiskError(
            f"{archive} cannot be unpacked to {folder}: {error.strerror or error}. Free the disk."
        ) from error
    return count


def merge(source: Path, target: Path) -> None:
    """Move what lies in one folder into another on the same disk, which may hold other files already."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            merge(entry, place)
        else:
            entry.replace(place)
    shutil.rmtree(source, ignore_errors=True)


def _of_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        listed = file.infolist()
        limit = _RATIO * archive.stat().st_size + _ALWAYS
        if sum(info.file_size for info in listed) > limit:  # said before anything is written
            raise _bad(archive, f"it unpacks to more than {limit:,} bytes")
        for info in listed:
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise _bad(archive, f"{info.filename[:100]!r} in it is a link")
            if info.flag_bits & 1:
                raise _bad(archive, f"{info.filename[:100]!r} in it is encrypted")
            parts = _parts(archive, info.filename)
            if not info.is_dir() and parts is not None:
                with file.open(info) as stream:
                    yield _Member(parts, info.file_size, stream)


def _of_tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, "r:*") as file:
        for info in file:
            file.members = []  # type: ignore[attr-defined]  # else it keeps them all
            if info.isdir():
                continue
            if not info.isreg() or info.size < 0:
                raise _bad(archive, f"{info.name[:100]!r} in it is a link or a device")
            parts = _parts(archive, info.name)
            stream = file.extractfile(info)
            if parts is not None and stream is not None:
                yield _Member(parts, info.size, stream)


def _parts(archive: Path, name: str) -> tuple[str, ...] | None:
    """A member's folders and its own name; None for what an operating system left in the archive."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or any(_NOT_NAMES.search(part) for part in parts):
        raise _bad(archive, f"{name[:100]!r} in it leads out of the folder")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise _bad(archive, f"{name[:100]!r} ... in it is too long for a name")
    if not parts or parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Thumbs.db"):
        return None
    return parts


def _below(parts: tuple[str, ...], strip: Sequence[str]) -> tuple[str, ...]:
    for name in strip:
        if len(parts) > 1 and parts[0] == name:
            parts = parts[1:]
    return parts


def _write(member: _Member, place: Path, archive: Path) -> None:
    left = member.size
    with place.open("wb") as out:
        while block := member.stream.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise _bad(archive, f"{'/'.join(member.parts)!r} in it is larger than it says")
            out.write(block)
    if left:
        raise _bad(archive, f"{'/'.join(member.parts)!r} in it is cut off")


def _bad(archive: Path, why: str) -> InputError:
    return InputError(f"{archive.name!r} is no archive that can be trusted: {why}. Nothing of it was kept.")
