"""Near-duplicates across splits: kept on one side by hash, left out of training where splits are given."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from bandprobe.images import carved_for_validation, splits_of
from bandprobe.images.near_duplicates import leaders
from bandprobe.images.near_leakage import LISTING, listing, split_ids, without_near_leakage
from bandprobe.images.splits import assign

IDS = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(400))


def links_of(groups: list[list[str]]) -> pd.DataFrame:
    rows = [(image, group[0], 0.9, "") for group in groups for image in group[1:]]
    return pd.DataFrame(rows, columns=["image_id", "within", "correlation", "flip"])


def table_of(rows: list[tuple[str, int, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["image_id", "label", "split"])
    return table.assign(path=[f"/{n}.png" for n in range(len(table))], generator="g", dataset="d")


def test_a_group_shares_the_split_of_its_smallest_id() -> None:
    rng = np.random.default_rng(0)
    groups = [list(rng.choice(IDS, 5, replace=False)) for _ in range(20)]
    stand_for = leaders(links_of(groups))
    asked = split_ids(IDS, stand_for)
    for group in groups:
        smallest = {stand_for[image] for image in group}
        assert len(smallest) == 1
        assert smallest.pop() <= min(group)
    splits = dict(zip(IDS, splits_of(asked), strict=True))
    carved = dict(zip(IDS, carved_for_validation(asked), strict=True))
    for image in IDS:
        leader = hashlib.sha256(stand_for[image].encode()).hexdigest() if image in stand_for else image
        assert splits[image] == splits_of([leader])[0]
        assert carved[image] == carved_for_validation([leader])[0]
    # With the splits of the package's own rule nothing is left to leave out, given or made.
    for given in ([""] * len(IDS), ["train", "test"] * (len(IDS) // 2)):
        made = assign(given, asked)
        table = table_of([(image, 0, split) for image, split in zip(IDS, made.splits, strict=True)])
        kept, _ = without_near_leakage(table, stand_for)
        spans = kept.groupby(kept["image_id"].map(lambda i: stand_for.get(i, i)))["split"].nunique()
        assert spans.max() == 1
        assert (len(kept) == len(table)) == (given[0] == "")


def test_given_splits_keep_the_test_side() -> None:
    a, b, c, d, e, f, g, h = IDS[:8]
    table = table_of(
        [
            (a, 0, "train"), (b, 0, "test"), (c, 0, "train"),  # a and b alike; c alone
            (d, 1, "train"), (e, 1, "val"),  # alike
            (f, 0, "train"), (g, 1, "test"), (h, 1, "train"),  # alike, under both labels
        ]
    )  # fmt: skip
    links = links_of([[a, b], [d, e], [f, g, h]])
    stand_for = leaders(links)
    kept, notes = without_near_leakage(table, stand_for)
    assert list(kept["image_id"]) == [b, c, e, f, g]
    assert notes == [
        "near-duplicates: 7 images in 3 groups (the largest of 3), each on one side of every split that is made by "
        "image hash",
        "near-duplicates across given splits: 3 rows of train left out, the others kept",
        "1 group of near-duplicates with reals and fakes in different given splits: kept; the probe meets the same "
        "content under the other label",
    ]
    shown = listing(table, kept, links, stand_for)
    assert tuple(shown.columns) == LISTING
    assert list(shown["image_id"]) == [a, b, d, e, f, g, h]
    assert list(shown["kept"]) == [False, True, False, True, True, True, False]
    assert list(shown["group"]) == [a, a, d, d, f, f, f]
    assert list(shown["within"]) == ["", a, "", d, "", f, f]
    assert shown["correlation"].isna().tolist() == [True, False, True, False, True, False, False]


def test_nothing_alike_changes_nothing() -> None:
    table = table_of([(image, 0, "train") for image in IDS[:5]])
    kept, notes = without_near_leakage(table, {})
    assert kept is table
    assert notes == []
