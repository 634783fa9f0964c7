"""From groups of files to a table of images: read, cleared of repeats, split and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bandprobe.columns import shown
from bandprobe.errors import InputError
from bandprobe.images.decode import Colour
from bandprobe.images.duplicates import without_conflicts, without_leakage, without_repeats
from bandprobe.images.families import check_overrides, family_of, normalised
from bandprobe.images.found import Found, Group
from bandprobe.images.near_duplicates import leaders
from bandprobe.images.near_leakage import listing, split_ids, without_near_leakage
from bandprobe.images.reading import Facts, facts_of_all
from bandprobe.images.splits import SPLITS, Assignment, assign
from bandprobe.images.thumbnails import Grey

COLUMNS = (
    "image_id", "path", "label", "generator", "family", "dataset", "split",
    "width", "height", "format", "file_bytes", "mtime_ns",
)  # fmt: skip
MAPPING_COLUMNS = ("layout", "folder", "label", "generator", "family", "dataset", "split", "n")

_FACTS = ("image_id", "width", "height", "format", "file_bytes", "mtime_ns")
_TYPES = {"label": "int8", "width": "int32", "height": "int32", "file_bytes": "int64", "mtime_ns": "int64"}
_KIND = {0: "real", 1: "generated"}


@dataclass(frozen=True)
class Indexed:
    """The parts of a manifest: see its attributes."""

    table: pd.DataFrame
    left_out: pd.DataFrame
    mapping: pd.DataFrame
    notes: list[str]
    near: pd.DataFrame
    links: pd.DataFrame


def index(
    found: Found,
    *,
    fractions: Sequence[float],
    families: Mapping[str, Sequence[str]],
    background: Colour,
    max_pixels: int,
    limit: int | None,
    workers: int | None,
    seed: int,
    strict: bool,
    known: Mapping[str, Facts],
    greys: MutableMapping[str, Grey] | None,
    near_duplicates: Callable[[Mapping[str, str]], pd.DataFrame],
) -> Indexed:
    """The table of images that the groups found make.

    Args:
        found: the groups of files.
        fractions: shares of train, val and test where a hash makes the splits.
        families: family to generators, over the families that are known.
        background: under transparent pixels.
        max_pixels: an image's largest width times height.
        limit: at most so many images of each data set, generator and given split, taken by a hash of
            their paths and the seed; all when None.
        workers: threads; one per core when None.
        seed: for `limit`.
        strict: refuse data with an image under both labels instead of leaving it out.
        known: facts of files that need not be read again when they have not changed.
        greys: gets the thumbnails of the files that are read.
        near_duplicates: finds the links among pictures, given their paths by image id.

    Raises:
        InputError: a class without an image, or one whose images are all broken; a split without a
            class; one image under both labels (`strict`); families that name absent generators.
    """
    check_overrides(families, [group.generator for group in found.groups if group.label == 1])
    of_group = [_family(group, families) for group in found.groups]
    notes = list(found.notes)
    rows = _rows(found.groups, of_group)
    if limit is not None:
        rows, note = _limited(rows, limit, seed)
        notes += note
    facts = facts_of_all(
        rows["path"].tolist(),
        background=background,
        max_pixels=max_pixels,
        workers=workers,
        known=known,
        greys=greys,
    )
    table, broken = _with_facts(rows, facts)
    _check_broken(rows, table, broken)
    table, conflicts = without_conflicts(table, strict)
    _check_conflicts(rows, table)
    links = near_duplicates(dict(zip(table["image_id"], table["path"], strict=True)))
    stand_for = leaders(links)
    table, assigned, split_notes = _with_splits(table, fractions, found.manifests, stand_for)
    table, leak_notes = without_leakage(table)
    kept, near_notes = without_near_leakage(table, stand_for)
    near, table = listing(table, kept, links, stand_for), kept
    table, repeat_notes = without_repeats(table)
    _check_splits(table, assigned, fractions)
    table = table.sort_values(["dataset", "label", "generator", "path"], kind="stable", ignore_index=True)
    left_out = pd.concat([broken, conflicts], ignore_index=True).sort_values("path", ignore_index=True)
    return Indexed(
        table=table[list(COLUMNS)].astype(_TYPES),
        left_out=left_out,
        mapping=_mapping(found.groups, of_group, assigned),
        notes=[*notes, *split_notes, *leak_notes, *near_notes, *repeat_notes],
        near=near,
        links=links,
    )


def _family(group: Group, families: Mapping[str, Sequence[str]]) -> str:
    if group.label == 0:
        return "real"
    overridden = any(normalised(group.generator) in map(normalised, names) for names in families.values())
    return group.family if group.family and not overridden else family_of(group.generator, families)


def _rows(groups: Sequence[Group], of_group: Sequence[str]) -> pd.DataFrame:
    """One row a file, in the order found; a file found twice for the same class once."""
    frames = [
        pd.DataFrame(
            {
                "path": list(group.paths),
                "label": group.label,
                "generator": group.generator,
                "family": family,
                "dataset": group.dataset,
                "given": group.split,
                "folder": group.folder,
            }
        )
        for group, family in zip(groups, of_group, strict=True)
    ]
    rows = pd.concat(frames, ignore_index=True)
    return rows.drop_duplicates(["path", "label", "generator", "dataset"], ignore_index=True)


def _limited(rows: pd.DataFrame, limit: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """The `limit` files of each kind whose paths hash lowest: the same ones wherever the folder lies."""

    def order(path: str, folder: str) -> str:
        above = folder if path.startswith((f"{folder}/", f"{folder}::")) else folder.rpartition("/")[0]
        inside = path[len(above) :] if path.startswith(f"{above}/") or above == folder else path
        return hashlib.sha256(f"{seed}\x1f{inside}".encode("utf-8", "surrogateescape")).hexdigest()

    hashed = rows.assign(order=list(map(order, rows["path"], rows["folder"])))
    ranked = hashed.sort_values(["order", "path"], kind="stable")
    kept = ranked.groupby(["dataset", "generator", "given"], sort=False).head(limit).index
    taken = rows.loc[sorted(kept)].reset_index(drop=True)
    if len(taken) == len(rows):
        return rows, []
    return taken, [f"limit: {len(taken)} of {len(rows)} images, at most {limit} of each generator and split"]


def _with_facts(rows: pd.DataFrame, facts: Sequence[Facts | str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    good = [isinstance(each, Facts) for each in facts]
    whole = [each for each in facts if isinstance(each, Facts)]
    columns = {name: [getattr(each, name) for each in whole] for name in _FACTS}
    table = rows[good].reset_index(drop=True).assign(**columns)
    broken = pd.DataFrame(
        {
            "path": rows.loc[[not each for each in good], "path"].tolist(),
            "reason": [each for each in facts if isinstance(each, str)],
        },
        dtype="object",
    )
    return table, broken


def _check_broken(rows: pd.DataFrame, table: pd.DataFrame, broken: pd.DataFrame) -> None:
    for dataset, label in _lost_classes(rows, table):
        paths = set(rows.loc[(rows["dataset"] == dataset) & (rows["label"] == label), "path"])
        mine = broken[broken["path"].isin(paths)]
        raise InputError(
            f"every {_KIND[label]} image of dataset {dataset!r} is unusable ({len(mine)} files); "
            f"the first: {shown(mine['path'].iloc[0])}: {shown(mine['reason'].iloc[0])}."
        )


def _check_conflicts(rows: pd.DataFrame, table: pd.DataFrame) -> None:
    for dataset, label in _lost_classes(rows, table):
        raise InputError(
            f"every {_KIND[label]} image of dataset {dataset!r} also stands under the other label; "
            "were two folders mixed up?"
        )


def _lost_classes(rows: pd.DataFrame, table: pd.DataFrame) -> list[tuple[str, int]]:
    kept = set(zip(table["dataset"], table["label"], strict=True))
    return [(d, int(n)) for d in rows["dataset"].unique() for n in (0, 1) if (d, n) not in kept]


def _with_splits(
    table: pd.DataFrame, fractions: Sequence[float], manifests: Sequence[str], stand_for: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, Assignment], list[str]]:
    table = table.assign(split="")
    assigned: dict[str, Assignment] = {}
    notes: dict[str, list[str]] = {}
    elsewhere = set(table["given"]) - {""}
    for dataset, part in table.groupby("dataset", sort=True):
        name = str(dataset)
        # A manifest's splits may have been made by hash, where a small val without a class is no fault.
        checked = ("train", "test") if set(part["folder"]) <= set(manifests) else SPLITS
        try:
            ids = split_ids(part["image_id"].tolist(), stand_for)
            assigned[name] = assign(part["given"].tolist(), ids, fractions, elsewhere)
        except InputError as error:
            raise InputError(f"dataset {name!r}: {error}") from error
        if len(elsewhere) > 1:
            _check_given(part, name, checked)
        table.loc[part.index, "split"] = assigned[name].splits
        notes.setdefault(assigned[name].note, []).append(name)
    return table, assigned, [f"{', '.join(names)}: {note}" for note, names in notes.items()]


def _check_given(part: pd.DataFrame, dataset: str, checked: Sequence[str]) -> None:
    for split in [each for each in checked if (part["given"] == each).any()]:
        for label, kind in _KIND.items():
            if not ((part["given"] == split) & (part["label"] == label)).any():
                raise InputError(
                    f"split {split!r} of dataset {dataset!r} has no {kind} image; every split needs reals "
                    "and fakes: add them, or index one split's folder alone, to be split by image hash."
                )


def _check_splits(
    table: pd.DataFrame, assigned: Mapping[str, Assignment], fractions: Sequence[float]
) -> None:
    for dataset, assignment in assigned.items():
        part = table[table["dataset"] == dataset]
        expected = {*assignment.made, *part["split"]}
        for split in [each for each in ("train", "test") if each in expected]:
            for label, kind in _KIND.items():
                of_kind = part[part["label"] == label]
                if (of_kind["split"] == split).any():
                    continue
                count = f"{len(of_kind)} {kind} image{'' if len(of_kind) == 1 else 's'}"
                if split in assignment.made:
                    share = "/".join(f"{100 * each:g}" for each in fractions)
                    cause = (
                        f"{count} fell otherwise by hash at {share}: too few; add images, or give the splits"
                    )
                else:
                    cause = f"the {count} left stand in other splits too; make the splits disjoint"
                raise InputError(f"split {split!r} of dataset {dataset!r} has no {kind} image: {cause}.")


def _mapping(
    groups: Sequence[Group], of_group: Sequence[str], assigned: Mapping[str, Assignment]
) -> pd.DataFrame:
    rows = [
        {
            "layout": group.layout,
            "folder": group.folder,
            "label": group.label,
            "generator": group.generator,
            "family": family,
            "dataset": group.dataset,
            "split": assigned[group.dataset].rule.get(group.split, group.split),
            "n": len(group.paths),
        }
        for group, family in zip(groups, of_group, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(MAPPING_COLUMNS))
