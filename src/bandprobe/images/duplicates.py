"""One picture several times: under both labels, in several splits, or twice in one class."""

from __future__ import annotations

import pandas as pd

from bandprobe.errors import InputError

_RANK = {"train": 0, "val": 1, "test": 2}
_LABEL = {0: "real", 1: "fake"}


def without_conflicts(table: pd.DataFrame, strict: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out every row of a picture that stands under both labels.

    Args:
        table: columns image_id, path, label.
        strict: refuse such data instead.

    Returns:
        The other rows, and (path, reason) of those left out.

    Raises:
        InputError: `strict`, and there is such a picture.
    """
    both = table.groupby("image_id")["label"].transform("nunique") > 1
    clash = table[both]
    if strict and len(clash):
        first = clash[clash["image_id"] == clash["image_id"].iloc[0]]
        real, fake = (first.loc[first["label"] == label, "path"].iloc[0] for label in (0, 1))
        raise InputError(
            f"the same image stands under both labels, real in {real!r} and fake in {fake!r} "
            f"({clash['image_id'].nunique()} such images); remove one of each, or index without strict."
        )
    other = {key: rows["path"].iloc[0] for key, rows in clash.groupby(["image_id", "label"])}
    reasons = [
        f"the same image is {_LABEL[label]} here and {_LABEL[1 - label]} in {other[image, 1 - label]}"
        for image, label in zip(clash["image_id"], clash["label"], strict=True)
    ]
    left_out = pd.DataFrame({"path": list(clash["path"]), "reason": reasons}, columns=["path", "reason"])
    return table[~both], left_out


def without_leakage(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep a picture that stands in several splits in test rather than val, and in val rather than train.

    Args:
        table: columns image_id, split. Generators and data sets do not count: a picture that one data
            set tests on is not trained on in another.

    Returns:
        The rows kept, and a note when some were dropped.
    """
    rank = table["split"].map(_RANK).astype(int)
    leaks = rank < rank.groupby(table["image_id"]).transform("max")
    count = table.loc[leaks, "image_id"].nunique()
    if not count:
        return table, []
    note = (
        f"{_images(count)} in several splits: kept in test rather than val, in val rather than train "
        f"({int(leaks.sum())} rows dropped)"
    )
    return table[~leaks], [note]


def without_repeats(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep one row, the first by path, of a picture that a generator has several times in one data set.

    Args:
        table: columns image_id, path, label, generator, dataset. A picture in two generators or two
            data sets keeps a row in each.

    Returns:
        The rows kept in their order, and a note when some were dropped.
    """
    ordered = table.sort_values("path", kind="stable")
    repeats = ordered.duplicated(["image_id", "label", "generator", "dataset"]).reindex(table.index)
    count = int(repeats.sum())
    if not count:
        return table, []
    note = (
        f"{count} files repeat a picture of the same generator and dataset: the first of each was kept"
        if count > 1
        else "1 file repeats a picture of the same generator and dataset: the first was kept"
    )
    return table[~repeats], [note]


def _images(count: int) -> str:
    return f"{count} image{'s' if count > 1 else ''} stood"
