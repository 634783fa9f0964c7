"""The hash of a folder by which authors of data sets let others check that every file came through."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bandprobe import progress
from bandprobe.errors import DiskError

_BLOCK = 1 << 20
_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Contents:
    """How many files a folder holds, below it too, and their bytes together."""

    files: int
    bytes: int


def tree_hash(folder: str | Path, among: Sequence[str] | None = None) -> str:
    """SHA-1 over the newline-ended SHA-1 hex digests of all files below a folder, in byte order of their paths.

    Args:
        folder: links in it are not followed.
        among: only what lies in it by these names; everything when None.

    Raises:
        DiskError: a file cannot be read.

    Source:
        Ricker et al. 2022, README of their code: `find FOLDER -type f -print0 | sort -z | xargs -0 sha1sum |
        cut -d " " -f 1 | sha1sum`, in the C locale.
    """
    paths = sorted(_files(Path(folder), among), key=os.fsencode)
    whole = hashlib.sha1(usedforsecurity=False)
    with progress.bar("hash", len(paths), "files") as step, ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for digest in pool.map(_sha1, paths):
            whole.update(f"{digest}\n".encode())
            step()
    return whole.hexdigest()


def contents(folder: str | Path, among: Sequence[str] | None = None) -> Contents:
    """How much lies below a folder, from its listing alone; nothing of a folder that is not there."""
    sizes = [os.lstat(path).st_size for path in _files(Path(folder), among)]
    return Contents(len(sizes), sum(sizes))


def _files(folder: Path, among: Sequence[str] | None) -> Iterator[str]:
    for above, folders, names in os.walk(folder):
        if among is not None and Path(above) == folder:
            folders[:], names[:] = ([each for each in of if each in among] for of in (folders, names))
        for name in names:
            path = os.path.join(above, name)  # noqa: PTH118 - text, for a million paths
            if os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                yield path


def _sha1(path: str) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    try:
        with Path(path).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise DiskError(f"{path!r} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()
