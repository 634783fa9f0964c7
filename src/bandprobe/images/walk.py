"""A folder's images and sub-folders, read once."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from bandprobe.columns import shown
from bandprobe.errors import DiskError, InputError
from bandprobe.images.archive import is_archive
from bandprobe.images.archived_folders import with_archives
from bandprobe.images.decode import image_extensions
from bandprobe.images.places import absolute, is_folder, writable
from bandprobe.images.tree import DEEPEST, Folder, extension, is_passed_over
from bandprobe.remote import is_remote, listing

_Identity = tuple[int, int]


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def scan(path: str | Path) -> Folder:
    """The tree below a folder, on this disk or behind a URL, with the pictures in its tar files (`with_archives`).

    Files whose ending Pillow reads are images; hidden files and folders and `__MACOSX` are passed over.
    Links to folders are followed, except back to a folder that the walk is inside of, and, behind one link, to
    one that it has been to: folders that all link to each other would else be walked in every order. A link
    that leads nowhere, or to itself, counts as a file.

    Raises:
        InputError: folders lie more than 100 deep in each other.
        DiskError: a folder cannot be read.
    """
    place = absolute(path)
    if is_archive(place) and not is_folder(place):
        return with_archives(Folder(place[: -len(".tar")], archives=[place]))
    root = _listed(place) if is_remote(place) else _scan(place, (), set(), (False, False))
    root.settle()
    return with_archives(root)


def _listed(url: str) -> Folder:
    """The tree behind a URL, from one listing."""
    root = Folder(url)
    extensions = image_extensions()
    place = cache(root.below)
    try:
        names = listing(url)
    except FileNotFoundError as error:
        raise InputError(f"no such folder: {url!r}.") from error
    for name in names:
        *folders, own = name.split("/")
        if any(map(is_passed_over, (*folders, own))):
            continue
        if len(folders) > DEEPEST:
            raise InputError(
                f"{name[:200]!r} ... lies more than {DEEPEST} folders deep; give a folder nearer to the images."
            )
        place(tuple(folders)).put(own, extensions)
    return root


def _scan(path: str, above: tuple[_Identity, ...], been: set[_Identity], linked: tuple[bool, bool]) -> Folder:
    """`linked`: whether it is reached through a link, and through one in a folder that is itself reached so."""
    folder = Folder(writable(path))
    extensions = image_extensions()
    below: list[tuple[str, bool]] = []
    if len(above) >= DEEPEST:
        raise InputError(
            f"{shown(path)[:200]!r} ... lies more than {DEEPEST} folders deep; give a folder nearer to the images."
        )
    try:
        here = _identity(Path(path).stat())
        if here in above or (linked[1] and here in been):
            return folder
        been.add(here)
        with os.scandir(path) as entries:
            for entry in entries:
                if is_passed_over(entry.name):
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
                if is_file or (link and extension(entry.name) in extensions):
                    folder.put(writable(entry.name), extensions)
                else:
                    folder.others += 1
    except OSError as error:
        raise DiskError(f"folder {path!r} cannot be read: {error.strerror or error}.") from error
    folder.folders = [
        _scan(f"{path.rstrip('/')}/{name}", (*above, here), been, (linked[0] or link, linked[0] and link))
        for name, link in sorted(below)
    ]
    return folder
