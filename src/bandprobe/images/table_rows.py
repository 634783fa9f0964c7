"""From a table's rows to groups: labels in words or numbers, and generators that only the paths name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.families import REAL, is_fake, is_known, is_real, normalised
from bandprobe.images.found import Group, clean_name
from bandprobe.images.splits import split_word

_NUMBERS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
_NOTHING = frozenset({"", "none", "nan", "null", "na"})
_UNKNOWN = "fake"


@dataclass(frozen=True)
class Row:
    """One line of a table, its cells as text and empty where the table has no such column."""

    path: str
    label: str
    table: str
    generator: str = ""
    split: str = ""
    dataset: str = ""
    family: str = ""


def is_label(text: str) -> bool:
    """Whether a cell of a table without a header can only be a label: 0, 1, real, fake."""
    return text in _NUMBERS or is_real(text) or is_fake(text)


def groups_of(
    rows: Sequence[Row], table: str, dataset: str, place: Sequence[str], split: str = ""
) -> list[Group]:
    """The groups that a table's rows form, in order of first appearance.

    Args:
        rows: all rows of one table.
        table: its path, which becomes each group's `folder`.
        dataset: the data set's name where no column gives it.
        place: the parts of the data set's path.
        split: the split where no column gives it.

    Returns:
        One group for each combination of label, generator, data set, split and family. A row with
        label 1 and no generator is called after its path (`generator_from`).

    Raises:
        InputError: the table has no row, or a cell that cannot be understood.
    """
    if not rows:
        raise InputError(f"table {table!r} has no row; a row is an image and its label.")
    labels = [_label(row) for row in rows]
    folders = {_folder(row.path) for row, label in zip(rows, labels, strict=True) if label == 0}
    above_reals = {above for folder in folders for above in _ancestors(folder)}
    names: dict[str, str] = {}
    members: dict[tuple[int, str, str, str, str], list[str]] = {}
    for row, label in zip(rows, labels, strict=True):
        generator = REAL if label == 0 else _named_generator(row)
        if not generator:
            folder = _folder(row.path)
            if folder not in names:
                inside = embedded.is_inside(row.path)
                names[folder] = _UNKNOWN if inside else generator_from(folder, above_reals)
            generator = names[folder]
        family = "" if label == 0 or normalised(row.family) in _NOTHING else row.family
        key = (label, generator, clean_name(row.dataset), _split(row, split), family)
        members.setdefault(key, []).append(row.path)
    return [
        Group(
            layout="table",
            folder=table,
            label=label,
            generator=generator,
            dataset=named or clean_name(dataset),
            split=part,
            paths=tuple(paths),
            family=family,
            place=() if named else tuple(place),
        )
        for (label, generator, named, part, family), paths in members.items()
    ]


def _label(row: Row) -> int:
    text = row.label
    if text in _NUMBERS:
        return _NUMBERS[text]
    if text:
        if text.lstrip("-").replace(".", "", 1).isdigit():
            raise InputError(f"label must be 0 (real), 1 (fake) or a name; got {text!r} in {row.table!r}.")
        return 0 if is_real(text) else 1
    if normalised(row.generator) in _NOTHING:
        raise InputError(f"{row.path!r} has neither a label nor a generator in {row.table!r}; give it one.")
    return 0 if is_real(row.generator) else 1


def _named_generator(row: Row) -> str:
    """The generator that a fake row names in its own column or as its label; empty when neither does."""
    for text in (row.generator, row.label):
        if normalised(text) not in _NOTHING and not is_label(text):
            return clean_name(text)
    return ""


def _split(row: Row, otherwise: str) -> str:
    if not row.split:
        return otherwise
    split = split_word(row.split)
    if split is None:
        raise InputError(
            f"split must be train, val or test; got {row.split!r} for {row.path!r} in {row.table!r}."
        )
    return split


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _ancestors(folder: str) -> list[str]:
    """The folder and everything above it, nearest first."""
    found = []
    while folder:
        found.append(folder)
        folder = _folder(folder)
    return found


def generator_from(folder: str, above_reals: Mapping[str, object] | set[str]) -> str:
    """The generator's name that a fake image's folders tell.

    Args:
        folder: absolute POSIX folder of the image.
        above_reals: every folder with a real image in or below it.

    Returns:
        The nearest folder that is called like a known generator; else the nearest that is no word for a
        label or a split and holds no real image, or that stands above a folder with a label word
        (`mygan/1_fake`); else `fake`.
    """
    ancestors = _ancestors(folder)
    for each in ancestors:
        if is_known(_name(each)) and each not in above_reals:
            return _name(each)
    labelled = False
    for each in ancestors:
        name = _name(each)
        if is_real(name) or is_fake(name):
            labelled = True
        elif split_word(name) is None and (labelled or each not in above_reals):
            return name
    return _UNKNOWN


def _name(folder: str) -> str:
    return clean_name(folder.rpartition("/")[2])
