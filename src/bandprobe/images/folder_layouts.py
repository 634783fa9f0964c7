"""The layouts that are told by folder names: Ricker, ForenSynths, GenImage, image folders, separate roots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bandprobe.errors import InputError
from bandprobe.images.families import REAL, is_fake, is_known, is_real, normalised
from bandprobe.images.found import Group, clean_name
from bandprobe.images.splits import split_word
from bandprobe.images.tree import Folder

_GENIMAGE = re.compile(r"imagenet_(?:ai_\d{4}_)?(?P<generator>.+)", re.IGNORECASE)

# ForenSynths' training set names these LSUN classes where the other sets name a generator.
_PROGAN_CLASSES = frozenset(
    {
        "airplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
    }
    | {"horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"}
)


def parts(path: str) -> tuple[str, ...]:
    """A POSIX path's folder names."""
    return tuple(part for part in path.split("/") if part)


def split_folders(folder: Folder) -> dict[str, list[Folder]]:
    """`train`, `val` and `test` sub-folders; empty when any other sub-folder holds images too."""
    found: dict[str, list[Folder]] = {}
    for each in folder.filled:
        split = split_word(each.name)
        if split is None:
            return {}
        found.setdefault(split, []).append(each)
    return found


def by_split(folder: Folder) -> list[tuple[str, Folder]]:
    """(split, folder) pairs; the folder itself with no split when nothing below names one."""
    return [(split, each) for split, folders in split_folders(folder).items() for each in folders] or [
        ("", folder)
    ]


def _labelled(folder: Folder, exact: bool) -> tuple[list[Folder], list[Folder]] | None:
    """Sub-folders (real, fake) of a generator's folder: `0_real`, `1_fake`, directly or under classes.

    `exact` asks for these two names; otherwise any two words for real and fake do.
    """

    def means(name: str, label: int) -> bool:
        if exact:
            return normalised(name) == ("0real", "1fake")[label]
        return (is_real, is_fake)[label](name)

    real = [each for each in folder.folders if means(each.name, 0)]
    fake = [each for each in folder.folders if means(each.name, 1)]
    if real or fake:
        whole = len(real) + len(fake) == len([e for e in folder.folders if e.count or e in real or e in fake])
        literal = {normalised(each.name) for each in real + fake} & {"0real", "1fake"}
        return (real, fake) if whole and ((real and fake) or literal) else None
    below = [_labelled(each, exact) for each in folder.filled]
    if not below or folder.images:
        return None
    pairs = [pair for pair in below if pair is not None]
    if len(pairs) < len(below):
        return None
    return [each for pair in pairs for each in pair[0]], [each for pair in pairs for each in pair[1]]


def group_of(
    layout: str, folder: Folder, generator: str, dataset: str, split: str, place: Sequence[str]
) -> Group:
    """The group of all images in a folder and below; its label is real where `generator` is `Real`."""
    label = 0 if generator == REAL else 1
    return Group(layout, folder.path, label, generator, dataset, split, folder.paths(), place=tuple(place))


def _pair_groups(
    layout: str,
    pair: tuple[list[Folder], list[Folder]],
    generator: str,
    dataset: str,
    split: str,
    place: Sequence[str],
) -> list[Group]:
    real, fake = pair
    return [
        group_of(layout, each, name, dataset, split, place)
        for name, folders in ((REAL, real), (generator, fake))
        for each in folders
        if each.count
    ]


def ricker(root: Folder, exact: bool = False) -> list[Group] | None:
    """`<root>/test/{Real,ProGAN,...}`, and `<root>/{train,val}/<generator>[/{0_real,1_fake}]`.

    One `Real` is shared by all generators of the test set, so that all are one data set. `exact`
    leaves a root with a `Real` in every split to the layout of image folders.
    """
    splits = split_folders(root)
    if not any(_reals(each) for each in splits.get("test", [])):
        return None
    if not exact and any(_reals(each) for split in ("train", "val") for each in splits.get(split, [])):
        return None
    return _classes_by_split(root, splits, "ricker")


def _reals(folder: Folder) -> list[Folder]:
    return [each for each in folder.folders if is_real(each.name)]


def _classes_by_split(root: Folder, splits: dict[str, list[Folder]], layout: str) -> list[Group]:
    return [
        group
        for split, folders in splits.items()
        for each in folders
        for group in _classes(each, split, layout, root.name, parts(root.path))
    ]


def forensynths(root: Folder, exact: bool = True) -> list[Group] | None:
    """`<root>/[{train,val,test}/]<generator>/[<class>/]{0_real,1_fake}`, each generator its own data set."""
    groups: list[Group] = []
    for split, folder in by_split(root):
        pairs = {each.name: (each, _labelled(each, exact)) for each in folder.filled}
        if not pairs or any(pair is None for _, pair in pairs.values()) or folder.images:
            return None
        over_classes = _generator_of_classes(folder.name, list(pairs), split)
        for name, (_, pair) in pairs.items():
            generator = over_classes or name
            place = parts(root.path) if generator == root.name else (*parts(root.path), generator)
            if pair is not None:
                groups += _pair_groups("forensynths", pair, generator, generator, split, place)
    return groups or None


def _generator_of_classes(folder: str, names: Sequence[str], split: str) -> str | None:
    """The generator when `names`, folders with `0_real` and `1_fake`, are its classes; else None."""
    if is_known(folder) and not any(map(is_known, names)):
        return folder
    if {normalised(name) for name in names} <= _PROGAN_CLASSES:
        return "progan"
    return None


def genimage(root: Folder) -> list[Group] | None:
    """`<root>[/<Gen>]/imagenet_ai_<mmdd>_<gen>/{train,val}/{ai,nature}`, each generator its own data set."""
    units = _genimage_units(root, depth=2)
    groups: list[Group] = []
    for unit in units or []:
        name = _GENIMAGE.fullmatch(unit.name)
        generator = name["generator"] if name else unit.name
        for split, folder in by_split(unit):
            pair = _labelled(folder, exact=False)
            if pair is None:
                return None
            groups += _pair_groups("genimage", pair, generator, generator, split, parts(unit.path))
    return groups or None


def _genimage_units(folder: Folder, depth: int) -> list[Folder] | None:
    if _GENIMAGE.fullmatch(folder.name):
        return [folder]
    if depth == 0 or not folder.filled:
        return None
    below = [_genimage_units(each, depth - 1) for each in folder.filled]
    return None if None in below else [unit for units in below for unit in units or []]


def image_folders(root: Folder) -> list[Group] | None:
    """`<root>/[{train,val,test}/]{real,<generator>...}/**`; several such roots side by side, or deeper.

    Raises:
        InputError: some folders fit and others with images do not.
    """
    return _image_folders(root, "", parts(root.path))


def _image_folders(folder: Folder, split: str, place: tuple[str, ...]) -> list[Group] | None:
    """`place` is the folder's path without split names: what the data set is known by."""
    if _reals(folder):
        return _classes(folder, split, "folders", clean_name(place[-1]) if place else folder.name, place)
    splits = {} if split else split_folders(folder)
    if splits:
        each_split = [each for folders in splits.values() for each in folders]
        if any(_reals(each) for each in each_split):
            return _classes_by_split(folder, splits, "folders")
        below = [(each, _image_folders(each, name, place)) for name, all_ in splits.items() for each in all_]
    else:
        below = [(each, _image_folders(each, split, (*place, each.name))) for each in folder.filled]
    fitting = [groups for _, groups in below if groups]
    if not fitting:
        return None
    unfit = [each.path for each, groups in below if not groups]
    if unfit:
        raise InputError(
            f"folder {unfit[0]!r} holds images but no sub-folder called Real, while {below[0][0].path!r} and "
            "others beside it are data sets; add its reals, or name only the folders that you mean."
        )
    return [group for groups in fitting for group in groups]


def _classes(folder: Folder, split: str, layout: str, dataset: str, place: tuple[str, ...]) -> list[Group]:
    """The groups of one folder whose sub-folders are `Real` and generators."""
    real = _reals(folder)
    rest = [each for each in folder.filled if each not in real]
    below = [split_folders(each) for each in [*real, *rest] if each.count]
    if not split and below and all(below) and not any(each.images for each in [*real, *rest]):
        # The split stands below the class: {real,ProGAN}/{train,test}.
        return [
            group_of(layout, part, _generator_name(each, rest, dataset), dataset, name, place)
            for each in [*real, *rest]
            for name, part in by_split(each)
            if part.count
        ]
    groups = [group_of(layout, each, REAL, dataset, split, place) for each in real if each.count]
    for each in rest:
        pair = _labelled(each, exact=False)
        if pair is not None:
            groups += _pair_groups(layout, pair, each.name, dataset, split, place)
        elif is_fake(each.name) and _holds_generators(each, real):
            groups += [group_of(layout, one, one.name, dataset, split, place) for one in each.filled]
        else:
            groups.append(group_of(layout, each, _generator_name(each, rest, dataset), dataset, split, place))
    return groups


def _generator_name(folder: Folder, fakes: Sequence[Folder], dataset: str) -> str:
    if is_real(folder.name):
        return REAL
    # A lone `fake` says nothing about the generator; the data set's name may.
    return dataset if is_fake(folder.name) and len(fakes) == 1 else folder.name


def _holds_generators(fake: Folder, real: Iterable[Folder]) -> bool:
    """Whether `fake/{ProGAN,StyleGAN}` names generators rather than the classes that `real/` has too."""
    classes = {each.name for folder in real for each in folder.filled}
    return (
        not fake.images
        and any(is_known(each.name) for each in fake.filled)
        and not any(each.name in classes for each in fake.filled)
    )
