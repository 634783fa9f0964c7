"""Which images a study has, before it is run: from an earlier run's manifest, a listing, or a stated number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bandprobe.analysis.sources import REAL
from bandprobe.errors import InputError
from bandprobe.images import SPLITS, Manifest, family_of, find
from bandprobe.images.places import is_there
from bandprobe.images.splits import assign

if TYPE_CHECKING:
    from bandprobe.images import Found
    from bandprobe.study.plan import Plan

SOURCE = ["dataset", "label", "generator", "family"]


@dataclass(frozen=True)
class Population:
    """The images of a study.

    Attributes:
        counts: a row each source and split: dataset, label, generator, family, split, n.
        how: how the numbers were got, in words.
        table: the manifest's table, where they are known one by one.
        paths: where the files lie, as far as they are known; for timing how long reading takes.
    """

    counts: pd.DataFrame
    how: str
    table: pd.DataFrame | None = None
    paths: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many there are."""
        return int(self.counts["n"].sum())

    def of(self, *splits: str) -> int:
        """How many there are in some splits."""
        return int(self.counts.loc[self.counts["split"].isin(splits), "n"].sum())

    def scaled(self, images: int, how: str) -> Population:
        """Another number of images, with the same shares of sources and splits."""
        exact = self.counts["n"].to_numpy(np.float64) * (images / self.images)
        n = np.floor(exact).astype(np.int64)
        # What rounding down has lost goes where most was lost, so that the sum is what was asked for.
        n[np.argsort(n - exact, kind="stable")[: images - int(n.sum())]] += 1
        return Population(self.counts.assign(n=n), how, None, self.paths)


def population(plan: Plan, images: int | None = None) -> Population:
    """The images of a study, no picture opened.

    Args:
        plan: the study's.
        images: plan for so many; the shares of sources and splits stay what they are, and the data need not be
            there.

    Raises:
        InputError: the data are not there, or are none, and no number is given.
    """
    try:
        found = _indexed(plan) or _listed(plan)
    except InputError as error:
        if _is_somewhere(plan):
            raise
        if images is None:
            raise InputError(f"{error} To plan without the data, give their number: --images N.") from None
        found = _assumed(plan)
        return found.scaled(images, f"--images; {found.how}")
    if images is None:
        return found
    return found.scaled(images, f"--images; shares of sources and splits {found.how}")


def _is_somewhere(plan: Plan) -> bool:
    """Whether any of the study's data is on this disk."""
    data = plan.settings.data
    named = [*data.sources, *data.reals, *(data.fakes or {}).values()]
    return any(is_there(path) or is_there(path.partition("=")[2] or path) for path in named)


def _indexed(plan: Plan) -> Population | None:
    """From the manifest of an earlier run in the folder, or the one that the study names."""
    data = plan.settings.data
    earlier = plan.folder / "manifest.parquet"
    if earlier.is_file() and data.limit is None:
        return _of_manifest(Manifest.load(earlier), f"counted in {earlier.name} of an earlier run")
    if data.limit is None and len(data.sources) == 1 and Path(data.sources[0]).suffix == ".parquet":
        try:
            manifest = Manifest.load(data.sources[0])
        except InputError:  # a table of another kind
            return None
        return _of_manifest(manifest, f"counted in {Path(data.sources[0]).name}")
    return None


def _of_manifest(manifest: Manifest, how: str) -> Population:
    table = manifest.table
    counts = table.groupby([*SOURCE, "split"], sort=True)["image_id"].nunique().rename("n").reset_index()
    return Population(counts, how, table, tuple(table["path"]))


def _listed(plan: Plan) -> Population:
    """From the files' names alone."""
    data = plan.settings.data
    found = find(data.sources, data.layout, data.reals or None, data.fakes)
    rows = pd.concat(
        [
            pd.DataFrame(
                {
                    "path": list(group.paths),
                    "dataset": group.dataset,
                    "label": group.label,
                    "generator": group.generator,
                    "family": group.family or _family(group.label, group.generator, plan),
                    "given": group.split,
                }
            )
            for group in found.groups
        ],
        ignore_index=True,
    )
    if data.limit is not None:
        rows = (
            rows.groupby(["dataset", "generator", "given"], sort=False)
            .head(data.limit)
            .reset_index(drop=True)
        )
    rows["split"] = _splits(rows, found, data.splits)
    counts = rows.groupby([*SOURCE, "split"], sort=True).size().rename("n").reset_index()
    made = "" if (rows["given"] == rows["split"]).all() else ", splits in the shares that indexing will make"
    return Population(counts, f"counted in a listing of the files{made}", None, tuple(rows["path"]))


def _family(label: int, generator: str, plan: Plan) -> str:
    return family_of(generator, plan.settings.families) if label else "real"


def _splits(rows: pd.DataFrame, found: Found, fractions: Sequence[float]) -> pd.Series:
    """As indexing would make them, each kind of image split in the shares that hashes of pictures have on average."""
    splits = pd.Series("", index=rows.index, dtype=object)
    elsewhere = {group.split for group in found.groups} - {""}
    kinds = rows.groupby(["dataset", "generator", "given"], sort=False)["path"]
    shares = (kinds.cumcount() + 0.5) / kinds.transform("size")
    stand_ins = shares.map(lambda share: 2 * f"{int(share * 2**64):016x}")
    for _, part in rows.groupby("dataset", sort=True):
        ids = stand_ins[part.index].tolist()
        splits.loc[part.index] = assign(part["given"].tolist(), ids, fractions, elsewhere).splits
    return splits


def _assumed(plan: Plan) -> Population:
    """Equal numbers of reals and of each generator that the study file names."""
    data, families = plan.settings.data, plan.settings.families
    named = {name: family for family, names in families.items() for name in names}
    named |= {name: family_of(name, families) for name in (data.fakes or {}) if name not in named}
    sources = [
        (0, REAL, "real"),
        *((1, name, family) for name, family in (named or {"fake": "other"}).items()),
    ]
    shares = [round(1e6 * share) for share in data.splits]
    counts = pd.DataFrame(
        [
            ("assumed", *source, split, n)
            for source in sources
            for split, n in zip(SPLITS, shares, strict=True)
            if n
        ],
        columns=[*SOURCE, "split", "n"],
    )
    listed = f"the {len(named)} generators of [families] and" if named else "one generator and"
    return Population(counts, f"the data are not here: {listed} reals in equal shares assumed")
