"""A folder's images and sub-folders, read once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bandprobe.columns import shown
from bandprobe.errors import DiskError, InputError
from bandprobe.images.decode import image_extensions
from bandprobe.images.found import clean_name
from bandprobe.images.places import writable

TABLE_EXTENSIONS = frozenset({".csv", ".tsv", ".txt", ".parquet", ".arrow"})
_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir"})
_DEEPEST = 100  # folders in folders

_Identity = tuple[int, int]


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


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def absolute(path: str | Path) -> str:
    """A path from the root on, POSIX, `~` and `..` resolved and links left as they are."""
    # Path.resolve would follow links.
    return Path(os.path.abspath(expanded(path))).as_posix()  # noqa: PTH100


def expanded(path: str | Path) -> str:
    """A path with `~` resolved, where there is such a home: Path.expanduser fails on a file called ~name."""
    try:
        return os.path.expanduser(path)  # noqa: PTH111
    except ValueError:  # a NUL in the name
        return str(path)


def scan(path: str | Path) -> Folder:
    """The tree below a folder.

    Files whose ending Pillow reads are images; hidden files and folders and `__MACOSX` are passed over.
    Links to folders are followed, except back to a folder that the walk is inside of, and, behind one link, to
    one that it has been to: folders that all link to each other would else be walked in every order. A link
    that leads nowhere, or to itself, counts as a file.

    Raises:
        InputError: folders lie more than 100 deep in each other.
        DiskError: a folder cannot be read.
    """
    return _scan(absolute(path), (), set(), (False, False))


def _scan(path: str, above: tuple[_Identity, ...], been: set[_Identity], linked: tuple[bool, bool]) -> Folder:
    """`linked`: whether it is reached through a link, and through one in a folder that is itself reached so."""
    folder = Folder(writable(path))
    extensions = image_extensions()
    below: list[tuple[str, bool]] = []
    if len(above) >= _DEEPEST:
        raise InputError(
            f"{shown(path)[:200]!r} ... lies more than {_DEEPEST} folders deep; give a folder nearer to the images."
        )
    try:
        here = _identity(Path(path).stat())
        if here in above or (linked[1] and here in been):
            return folder
        been.add(here)
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
                    continue
                try:
                    is_folder, is_file = entry.is_dir(), entry.is_file()
                except OSError:
                    if not entry.is_symlink():
                        raise
                    is_folder = is_file = False  # a link that leads round in a circle
                link = entry.is_symlink()
                if is_folder:
                    below.append((entry.name, link))
                    continue
                ending = extension(entry.name)
                if ending in extensions and (is_file or link):
                    folder.images.append(writable(entry.name))
                elif ending in TABLE_EXTENSIONS and is_file:
                    folder.tables.append(writable(entry.name))
                else:
                    folder.others += 1
    except OSError as error:
        raise DiskError(f"folder {path!r} cannot be read: {error.strerror or error}.") from error
    folder.images.sort()
    folder.tables.sort()
    folder.folders = [
        _scan(f"{path.rstrip('/')}/{name}", (*above, here), been, (linked[0] or link, linked[0] and link))
        for name, link in sorted(below)
    ]
    folder.count = len(folder.images) + sum(each.count for each in folder.folders)
    return folder
