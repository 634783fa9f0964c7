"""Separate roots: folders of reals and each generator's folders, named one by one on the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from bandprobe.errors import InputError
from bandprobe.images.archive import is_archive
from bandprobe.images.families import REAL, is_fake, is_real
from bandprobe.images.folder_layouts import by_split, group_of, image_folders, parts, split_folders
from bandprobe.images.found import Group, clean_name
from bandprobe.images.places import absolute, is_folder, is_there
from bandprobe.images.tree import Folder
from bandprobe.images.walk import scan

Fakes = Mapping[str, Sequence[Folder]]


def named_root(source: str) -> tuple[str, str] | None:
    """(NAME, FOLDER) of `NAME=FOLDER`; None for a path, even one that holds an equals sign.

    Raises:
        InputError: the name or the folder is empty.
    """
    name, equals, folder = source.partition("=")
    if not equals or is_there(absolute(source)):
        return None
    if not name.strip() or not folder:
        raise InputError(f"a root must be NAME=FOLDER; got {source!r}.")
    if "/" in name:
        return None  # a path that does not exist rather than a generator
    return clean_name(name), folder


def are_classes(folders: Sequence[Folder]) -> bool:
    """Whether plain folders are classes themselves: `some/Real some/ProGAN`."""
    return any(is_real(folder.name) and not image_folders(folder) for folder in folders)


def root(source: str | Path) -> Folder:
    """The tree of one root.

    Raises:
        InputError: it does not exist, is no folder, or holds no image.
    """
    path = absolute(source)
    there = is_there(path)
    if not there or not (is_folder(path) or is_archive(path)):
        what = "a file" if there else "nothing"
        raise InputError(
            f"a root of reals or fakes must be a folder or a tar file; there is {what} at {path!r}."
        )
    return _filled(scan(path))


def _filled(folder: Folder) -> Folder:
    if not folder.count:
        raise InputError(f"no image found in {folder.path!r}; every root of reals or fakes must hold some.")
    return folder


def separate_roots(plain: Sequence[Folder], real: Sequence[Folder], fakes: Fakes) -> list[Group]:
    """The groups of separate roots.

    Args:
        plain: folders given without a name: reals where the folder is called so, else fakes of the
            generator that it is called like.
        real: folders of reals.
        fakes: generator to its folders.

    Returns:
        One data set, called like the folder that all roots have in common; one for each folder above
        when only plain folders are given and every folder above has its reals.

    Raises:
        InputError: there are no reals or no fakes, or a root holds no image.
    """
    above = {_parent(folder) for folder in plain if is_real(folder.name)}
    if not real and not fakes and len(above) > 1 and all(_parent(folder) in above for folder in plain):
        return [
            group
            for parent in sorted(above)
            for group in separate_roots([each for each in plain if _parent(each) == parent], [], {})
        ]
    reals = [*real, *(_filled(folder) for folder in plain if is_real(folder.name))]
    by_name = {name: list(folders) for name, folders in fakes.items()}
    for folder in plain:
        if not is_real(folder.name):
            above_it = clean_name(PurePosixPath(_parent(folder)).name)
            name = above_it if is_fake(folder.name) and above_it else folder.name
            by_name.setdefault(name, []).append(_filled(folder))
    if not reals:
        raise InputError(
            "no real images: separate roots need a folder of them, --real FOLDER or Real=FOLDER."
        )
    if not by_name:
        raise InputError(
            f"no generated images beside the reals in {reals[0].path!r}: add NAME=FOLDER for each generator."
        )
    return _groups(reals, by_name)


def _parent(folder: Folder) -> str:
    return folder.path.rpartition("/")[0]


def _groups(real: Sequence[Folder], fakes: Fakes) -> list[Group]:
    named = [(REAL, each) for each in real]
    named += [(name, each) for name, folders in fakes.items() for each in folders]
    place = parts(absolute(os.path.commonpath([_parent(each) or "/" for _, each in named])))
    dataset = clean_name(place[-1]) if place else "data"
    all_split = all(split_folders(each) and not each.images for _, each in named)
    return [
        group_of("roots", part, generator, dataset, split, place)
        for generator, each in named
        for split, part in (by_split(each) if all_split else [("", each)])
    ]
