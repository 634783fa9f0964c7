"""Near-duplicates on one side of every split: by a group's hash where splits are made, by leaving out where given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd

LISTING = (
    "group", "image_id", "path", "label", "generator", "dataset", "split", "kept", "within", "correlation", "flip",
)  # fmt: skip

_RANK = {"train": 0, "val": 1, "test": 2}


def split_ids(image_ids: Sequence[str], leaders: Mapping[str, str]) -> list[str]:
    """The hashes that decide about splits: each picture's own id, or one for its group.

    A group's is the hash of the id that stands for it: that id is the smallest, and the smallest would mostly
    fall into train.

    Args:
        image_ids: of n pictures.
        leaders: picture to the smallest image id of its group, see `near_duplicates.leaders`.

    Returns:
        n hashes, for `splits_of`, `carved_for_validation` or `assign`.
    """
    return [_hash_of(leaders[image]) if image in leaders else image for image in image_ids]


def without_near_leakage(table: pd.DataFrame, leaders: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Keep near-duplicates of one label in test rather than val, and in val rather than train.

    Where a hash made the splits, groups stand on one side already. Given splits are kept as published for testing;
    what leads from them into training is left out there. A real and a fake that are near-duplicates of each other
    (a picture and what an upsampler or an autoencoder made of it) both stay: a probe that remembers the one is
    misled about the other, so this cannot flatter it, and data sets of such pairs would lose a class.

    Args:
        table: columns image_id, label, split.
        leaders: as for `split_ids`. Generators and data sets do not count.

    Returns:
        The rows kept, and notes.
    """
    if not leaders:
        return table, []
    group = table["image_id"].map(lambda image: leaders.get(image, image))
    rank = table["split"].map(_RANK).astype(int)
    leaks = rank < rank.groupby([group, table["label"]]).transform("max")
    kept = table[~leaks]
    sizes = pd.Series(leaders).value_counts()
    notes = [
        f"near-duplicates: {_count(len(leaders), 'image')} in {_count(len(sizes), 'group')} (the largest of "
        f"{sizes.iloc[0]}), each on one side of every split that is made by image hash"
    ]
    if count := int(leaks.sum()):
        splits = " and ".join(
            split for split in ("train", "val") if (table.loc[leaks, "split"] == split).any()
        )
        notes.append(
            f"near-duplicates across given splits: {_count(count, 'row')} of {splits} left out, the others kept"
        )
    left = group[~leaks]
    mixed = int((kept["split"].groupby(left).nunique() > 1).sum())
    if mixed:
        notes.append(
            f"{_count(mixed, 'group')} of near-duplicates with reals and fakes in different given splits: kept; the "
            "probe meets the same content under the other label"
        )
    return kept, notes


def listing(
    table: pd.DataFrame, kept: pd.DataFrame, links: pd.DataFrame, leaders: Mapping[str, str]
) -> pd.DataFrame:
    """Every picture that has a near-duplicate, group by group, for whoever wants to look.

    Args:
        table: the rows before `without_near_leakage`.
        kept: the rows after it.
        links: of `near_duplicates`.
        leaders: of `leaders`.

    Returns:
        Columns group (the smallest image id), image_id, path, label, generator, dataset, split, kept, and of the
        picture's closest link: within (an image id), correlation, flip; empty for a picture that only holds others.
    """
    rows = table[table["image_id"].isin(leaders.keys())]
    rows = rows.assign(group=rows["image_id"].map(dict(leaders)), kept=rows.index.isin(kept.index))
    closest = links.sort_values("correlation", ascending=False, kind="stable").drop_duplicates("image_id")
    rows = rows.merge(closest[["image_id", "within", "correlation", "flip"]], on="image_id", how="left")
    rows = rows.fillna({"within": "", "flip": ""})
    return rows.sort_values(["group", "image_id", "path"], kind="stable", ignore_index=True)[list(LISTING)]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _hash_of(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()
