"""A folder's images and sub-folders, read once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bandprobe.errors import DiskError
from bandprobe.images.decode import image_extensions
from bandprobe.images.found import clean_name

TABLE_EXTENSIONS = frozenset({".csv", ".tsv", ".txt", ".parquet", ".arrow"})
_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir"})


@dataclass
class Folder:
    """One folder of a tree.

    Attributes:
        path: absolute, POSIX.
        images: names of the image files directly in it, sorted.
        tables: names of the CSV, Parquet and Arrow files directly in it, sorted.
        others: how many other files there are directly in it.
        folders: its sub-folders, sorted by name.
        count: images in it and in everything below.
    """

    path: str
    images: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    others: int = 0
    folders: list[Folder] = field(default_factory=list)
    count: int = 0

    @property
    def name(self) -> str:
        """The folder's own name."""
        return clean_name(self.path.rsplit("/", 1)[-1]) or self.path

    @property
    def filled(self) -> list[Folder]:
        """The sub-folders with at least one image in or below them."""
        return [folder for folder in self.folders if folder.count]

    def paths(self) -> tuple[str, ...]:
        """Every image in it and below, folder after folder."""
        return tuple(f"{folder.path}/{name}" for folder in self.walk() for name in folder.images)

    def walk(self) -> Iterator[Folder]:
        """The folder itself and everything below, parents first."""
        yield self
        for folder in self.folders:
            yield from folder.walk()


def extension(name: str) -> str:
    """`.png` of `A.PNG`; empty when a name has no full stop."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def absolute(path: str | Path) -> str:
    """A path from the root on, POSIX, `~` and `..` resolved and links left as they are."""
    # Path.resolve would follow links, and Path.expanduser fails on a file called ~name.
    return Path(os.path.abspath(os.path.expanduser(path))).as_posix()  # noqa: PTH100, PTH111


def scan(path: str | Path) -> Folder:
    """The tree below a folder.

    Files whose ending Pillow reads are images; hidden files and folders and `__MACOSX` are passed over.
    Links to folders are followed, except back to a folder that the walk is inside of.

    Raises:
        DiskError: a folder cannot be read.
    """
    return _scan(absolute(path), ())


def _scan(path: str, above: tuple[tuple[int, int], ...]) -> Folder:
    folder = Folder(path)
    extensions = image_extensions()
    below = []
    try:
        status = Path(path).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return folder
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
                    continue
                if entry.is_dir():
                    below.append(entry.name)
                    continue
                ending = extension(entry.name)
                if ending in extensions and (entry.is_file() or entry.is_symlink()):
                    folder.images.append(entry.name)
                elif ending in TABLE_EXTENSIONS:
                    folder.tables.append(entry.name)
                else:
                    folder.others += 1
    except OSError as error:
        raise DiskError(f"folder {path!r} cannot be read: {error.strerror or error}.") from error
    folder.images.sort()
    folder.tables.sort()
    folder.folders = [_scan(f"{path.rstrip('/')}/{name}", (*above, here)) for name in sorted(below)]
    folder.count = len(folder.images) + sum(each.count for each in folder.folders)
    return folder
