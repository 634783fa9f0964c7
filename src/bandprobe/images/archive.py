"""Pictures that are members of a tar file, read in place: `FILE.tar::MEMBER`."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bandprobe import progress, remote
from bandprobe.errors import ImageError
from bandprobe.images.column_roles import TELLING, cell
from bandprobe.images.families import normalised
from bandprobe.images.places import regular, writable
from bandprobe.images.tree import DEEPEST, extension, is_passed_over

_LOCATION = re.compile(r"(?P<file>.+?\.tar)(?:::(?P<member>.+))?", re.IGNORECASE | re.DOTALL)
_BESIDE = frozenset({"json", "cls", "txt"})
_LARGEST = 1 << 31  # bytes of an encoded picture
_LONGEST = 1 << 20  # bytes of a text beside a picture
_WORD = 200  # letters of a field that may name a class
_KEPT = 2048  # archives whose index is in memory
_AHEAD = 1 << 20  # bytes read at a time of a remote archive's headers
_STALE = 10.0  # seconds after which a remote archive is asked again whether it changed
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie, or why they cannot be had."""

    start: int
    size: int
    why: str = ""


@dataclass
class Archive:
    """A tar file's table of contents.

    Attributes:
        members: by name, in the order of the file.
        fields: what the `.json`, `.cls` and `.txt` beside a picture tell, by its key: name to text. `cls` and
            `txt` are the whole text of these two.
        damage: what is wrong with the file after the last member; empty for a sound one.
        stream: a remote archive, open.
    """

    members: dict[str, Member] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    damage: str = ""
    stream: Any = None

    def pictures(self, endings: frozenset[str]) -> list[str]:
        """The members that are pictures, in the order of the file.

        Args:
            endings: those of image files, with the dot.

        Returns:
            Those called KEY.png or the like. Of a key without such a member, those whose name ends so after
            other full stops.
        """
        exact: dict[str, bool] = {}
        for name in self.members:
            key, ending = key_of(name)
            exact[key] = exact.get(key, False) or f".{ending}" in endings
        return [
            name
            for name in self.members
            if extension(name) in endings
            and (f".{key_of(name)[1]}" in endings or not exact[key_of(name)[0]])
            and not any(is_passed_over(part) for part in _parts(name) if part != "..")
        ]


def key_of(name: str) -> tuple[str, str]:
    """What members of one sample share, and what tells them apart: the name up to the first dot, and the rest."""
    above, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return above + slash + stem, ending.lower()


def locate(source: str) -> tuple[str, str] | None:
    """File and member of `FILE.tar::MEMBER`, an empty member of `FILE.tar`; None for any other text."""
    found = _LOCATION.fullmatch(source)
    return (found["file"], found["member"] or "") if found else None


def read(file: str, member: str) -> bytes:
    """The encoded picture of a member. Thread-safe; nothing is written to the disk.

    Args:
        file: a tar file that is not compressed: a path or a URL.
        member: its name there. Empty for the archive itself, which is no picture.

    Raises:
        ImageError: the file cannot be read, has no such member, or what is there is no file of its own (a link,
            a hole, one of two of a name) or not whole.
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    archive = contents(file)
    name = file.rpartition("/")[2]
    if not member:
        raise ImageError(archive.damage or f"{name} is an archive; a picture in it is {name}::MEMBER")
    found = archive.members.get(member)
    if found is None:
        raise ImageError(
            f"{name} has no member {member!r}" + (f": {archive.damage}" if archive.damage else "")
        )
    if found.why:
        raise ImageError(found.why)
    if archive.stream is not None:
        with remote.failures(file):
            data = bytes(archive.stream.read_at(found.size, found.start))
    else:
        with Path(file).open("rb") as stream:
            stream.seek(found.start)
            data = stream.read(found.size)
    if len(data) < found.size:
        raise ImageError(f"truncated: {name} ends within this member")
    return data


def contents(file: str) -> Archive:
    """A tar file's table of contents, read once for as long as the file stays as it is.

    What is no tar file is an archive without a member, with its `damage`.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    return _cache.get(file)


def contents_of_all(files: Sequence[str]) -> list[Archive]:
    """`contents` of many files, read side by side."""
    with progress.bar("shards", len(files), "files") as step, ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        found = []
        for archive in pool.map(contents, files):
            found.append(archive)
            step()
        return found


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.archive: Archive | None = None


class _Cache:
    """The tables of contents of the last archives, for all threads together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[tuple[str, int, int], _Slot] = OrderedDict()

    def get(self, file: str) -> Archive:
        if remote.is_remote(file):
            state = remote.status(file, within=_STALE)
            size, changed = state.size, state.mtime_ns
        else:
            status = regular(Path(file)).stat()
            size, changed = status.st_size, status.st_mtime_ns
        key = (file, size, changed)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > _KEPT:
                self._slots.popitem(last=False)
        with slot.lock:  # one thread reads an archive, and others another
            if slot.archive is None:
                slot.archive = _open(file, size)
            return slot.archive


_cache = _Cache()


def _open(file: str, size: int) -> Archive:
    if not remote.is_remote(file):
        with Path(file).open("rb") as local:
            return _scanned(local, size, file)
    stream = remote.open_file(file)
    with remote.failures(file):
        # Large blocks: headers lie among the pictures, and each request takes longer than a block.
        buffered = io.BufferedReader(stream, _AHEAD)
        try:
            archive = _scanned(buffered, size, file)
        finally:
            buffered.detach()  # else it would close the file
    archive.stream = stream
    return archive


def _scanned(stream: BinaryIO, size: int, file: str) -> Archive:
    archive = Archive()
    end = -1
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while (info := tar.next()) is not None:
                # A negative size leads back to a member that has been.
                if info.offset <= end or info.size < 0:
                    raise tarfile.ReadError("a header names a place before its own")
                end = info.offset
                tar.members = []  # type: ignore[attr-defined]  # else it keeps them all
                if not info.isdir():
                    _take(archive, info, stream, size)
            stream.seek(tar.offset)
            block = stream.read(tarfile.BLOCKSIZE)
            if any(block) or not block:  # the end is marked by blocks of zeros
                what = "no header" if block else "no mark of the end"
                raise tarfile.ReadError(f"{what} at byte {tar.offset}")
    # tarfile meets hostile headers with whatever they lead to: its own errors, ValueError, OverflowError,
    # RecursionError, UnicodeError, OSError from seeking, ...
    except Exception as error:
        if isinstance(error, OSError) and remote.is_remote(file):
            raise  # the network, which is none of the archive's faults
        said = " ".join(str(error).split())[:120] or type(error).__name__
        count = len(archive.members)
        place = f"after {count} members" if count else "from the start, or compressed"
        archive.damage = f"the tar file is damaged {place}: {said}"
    return archive


def _take(archive: Archive, info: tarfile.TarInfo, stream: BinaryIO, size: int) -> None:
    name = writable(info.name)
    why = "its path is not UTF-8 text; rename it" if name != info.name else _why_not(info, size)
    if name in archive.members:
        why = "two members of the archive have this name"
    archive.members[name] = Member(info.offset_data, info.size, why)
    key, ending = key_of(name)
    if ending not in _BESIDE or why or info.size > _LONGEST:
        return
    stream.seek(info.offset_data)  # tarfile itself goes to where the next header is
    told = _told(stream.read(info.size), ending)
    if told:
        archive.fields.setdefault(key, {}).update(told)


def _why_not(info: tarfile.TarInfo, size: int) -> str:
    parts = info.name.split("/")
    if info.issym() or info.islnk():
        return "it is a link in the archive, and links there are not followed"
    if not info.isreg() or info.issparse():
        return "it is no plain file in the archive (sparse, or a device); pack it again without"
    if info.name.startswith("/") or ".." in parts or len(parts) > DEEPEST:
        return "its name in the archive leads out of it, or too deep; pack it again with plain names"
    if info.offset_data + info.size > size:
        return "truncated: the archive ends within this member"
    if info.size > _LARGEST:
        return f"{info.size} bytes are no picture; at most {_LARGEST} are read"
    return ""


def _told(data: bytes, ending: str) -> dict[str, str]:
    try:
        text = data.decode("utf-8-sig").strip()
        found = json.loads(text) if ending == "json" else {ending: text}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    told = {
        name: cell(value)
        for name, value in found.items()
        if isinstance(value, (str, int, float)) and (ending != "json" or normalised(name) in TELLING)
    }
    return {name: word for name, word in told.items() if word and len(word) <= _WORD}


def _parts(name: str) -> list[str]:
    """The names that lead to a member; `./` in front says nothing."""
    return [part for part in name.split("/") if part not in {"", "."}]


def folders_of(name: str) -> list[str]:
    """The folders that a member's name tells; none of a name that leads elsewhere."""
    parts = _parts(name)[:-1]
    return [] if ".." in parts or len(parts) > DEEPEST or name.startswith("/") else parts


def is_archive(path: str) -> bool:
    """Whether a path is called like a tar file."""
    return os.path.splitext(path)[1].lower() == ".tar"  # noqa: PTH122 - URLs are no paths
