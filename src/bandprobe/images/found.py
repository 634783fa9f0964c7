"""What was found on disk before any picture is opened: groups of files of one kind."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bandprobe.columns import shown
from bandprobe.images.families import normalised


@dataclass(frozen=True)
class Group:
    """Images of one label, generator, data set and given split.

    Attributes:
        layout: the layout they were found by.
        folder: the folder, or the table, that they were found in.
        label: 0 real, 1 fake.
        generator: `Real` for reals.
        dataset: whose reals a fake is tested against.
        split: `train`, `val`, `test`, or empty where the data give none.
        paths: absolute POSIX paths, or `FILE::ROW` in a table.
        family: as a table gives it; empty otherwise.
        place: the parts of the data set's path, its split left out; tells apart two data sets of one name.
            Empty where a table's column names the data set.
    """

    layout: str
    folder: str
    label: int
    generator: str
    dataset: str
    split: str
    paths: tuple[str, ...]
    family: str = ""
    place: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """All groups of a study's data, and what is worth saying about how they were found.

    Attributes:
        groups: at least one of reals and one of fakes in each data set.
        notes: sentences for whoever reads the mapping.
        manifests: manifests among the data, whose splits may lack a class.
        lists: text files among the data that are lists of paths, and what they name.
    """

    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    manifests: tuple[str, ...] = field(default=())
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)


def clean_name(name: str) -> str:
    """A folder's name as a generator's or a data set's: composed Unicode on one line, no blanks around it."""
    return shown(unicodedata.normalize("NFC", name).strip())


def with_distinct_datasets(groups: Sequence[Group]) -> list[Group]:
    """Data sets of one name in different places get the folders above them in front: `a/faces`, `b/faces`."""
    places: dict[str, set[tuple[str, ...]]] = {}
    for group in groups:
        places.setdefault(group.dataset, set()).add(group.place)
    names: dict[tuple[str, tuple[str, ...]], str] = {}
    for dataset, where in places.items():
        above = 0
        longest = max(map(len, where))
        while above < longest and len({_named(dataset, place, above) for place in where}) < len(where):
            above += 1
        names.update({(dataset, place): _named(dataset, place, above) for place in where})
    return [replace(group, dataset=names[group.dataset, group.place]) for group in groups]


def _named(dataset: str, place: tuple[str, ...], above: int) -> str:
    parents = place[:-1][-above:] if above else ()
    return "/".join([*map(clean_name, parents), dataset])


def with_one_spelling(groups: Sequence[Group]) -> tuple[list[Group], list[str]]:
    """`train/ProGAN` and `test/progan` are one generator, in the spelling met first; with a note for each."""
    first: dict[str, str] = {}
    notes = {}
    result = []
    for group in groups:
        # The full stops count: `sd1.1` and `sd11` are two generators.
        key = f"{normalised(group.generator) or group.generator}{'.' * group.generator.count('.')}"
        name = first.setdefault(key, group.generator)
        if name != group.generator:
            notes[group.generator] = f"{group.generator!r} and {name!r} are taken for one generator, {name!r}"
        result.append(group if name == group.generator else replace(group, generator=name))
    return result, list(notes.values())
