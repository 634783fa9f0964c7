"""A run's unfiltered accuracy beside published numbers, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.errors import InputError, did_you_mean
from bandprobe.images.families import normalised
from bandprobe.report.run_directory import Run

PUBLISHED = {"thesis": Path(__file__).with_name("thesis_accuracy.csv")}
"""By name: per cent, unfiltered images, a linear probe for each training set (columns) tested on each
generator (rows), transcribed from the heat maps of J. Wustl, *The Role of Middle Frequencies in General
Deepfake Detection* (2024)."""

COLUMNS = (
    "encoder", "published_as", "tested_on", "dataset", "trained_on", "ours", "low", "high", "theirs",
    "difference",
)  # fmt: skip
_ENCODERS = {"dinov2": "dinov2-giant", "openclip": "openclip-vit-g-14"}  # as the thesis calls them
_SETS = {"gan": "family:gan", "diff": "family:diffusion"}
_WEIGHTS = {
    "dinov2-giant": "facebook/dinov2-giant",
    "openclip-vit-g-14": "laion/CLIP-ViT-g-14-laion2B-s34B-b88K",
}
_TESTED = 10_000  # images of each generator, and reals, in the thesis
_POOLED = 10  # generators of its training set `all`
_AVG = "AVG"


@dataclass(frozen=True)
class Comparison:
    """Cells that a run and published numbers share.

    Attributes:
        name: `thesis`, or the file's name.
        cells: `COLUMNS`, accuracies and their difference (ours less theirs) as fractions; `test` names the
            test set as the report does.
        remarks: what differs besides the numbers, and what has no counterpart.
    """

    name: str
    cells: pd.DataFrame
    remarks: list[str]


def compare(run: Run, published: str) -> Comparison:
    """Set a run's unfiltered accuracies beside published ones.

    Encoders and generators are matched by name; case, hyphens and underscores do not count, and the thesis's
    DINOv2 and OpenCLIP are `dinov2-giant` and `openclip-vit-g-14`. Averages in the published table are left
    out: those of its row AVG are not the means of the cells above them.

    Args:
        run: the run.
        published: `thesis`, or a CSV file with columns encoder, tested_on and one for each training set, in
            per cent.

    Raises:
        InputError: no such name or file, a file of another form, or nothing in common.
    """
    theirs = _read(published)
    ours = run.results[
        (run.results["metric"] == "accuracy")
        & (run.results["filter"] == "none")
        & (run.results["train_filter"] == "none")
    ]
    keys = ["_encoder", "_test", "_train"]
    ours = ours.assign(
        _encoder=ours["encoder"].map(normalised),
        _test=ours["tested_on"].map(_generator),
        _train=ours["trained_on"].map(_generator),
    )
    both = ours.merge(theirs, on=keys, how="inner")
    if both.empty:
        raise InputError(
            f"nothing to compare with {published!r}: the run has encoders {_listed(ours['encoder'])} and test "
            f"sets {_listed(ours['tested_on'])}; published are {_listed(theirs['published_as'])} on "
            f"{_listed(theirs['published_test'])}."
        )
    cells = both.rename(columns={"value": "ours"}).assign(difference=both["value"] - both["theirs"])
    absent = [name for name in ours["encoder"].unique() if name not in set(both["encoder"])]
    untested = [name for name in ours["tested_on"].unique() if name not in set(both["tested_on"])]
    remarks = [f"No published numbers for {name}." for name in [*absent, *untested]]
    if published in PUBLISHED:
        remarks = [*_differences(run, cells), *remarks]
    else:
        remarks.append("Which data and weights the file's numbers come from is not known here.")
    return Comparison(
        published if published in PUBLISHED else Path(published).stem,
        cells[[*COLUMNS, "test"]].reset_index(drop=True),
        remarks,
    )


def averages(comparison: Comparison) -> pd.DataFrame:
    """Means over the shared cells of each encoder: columns encoder, cells, ours, theirs, difference, apart.

    `apart` is the mean absolute difference.
    """
    cells = comparison.cells.assign(apart=comparison.cells["difference"].abs())
    means = cells.groupby("encoder", sort=False).agg(
        cells=("ours", "size"),
        ours=("ours", "mean"),
        theirs=("theirs", "mean"),
        difference=("difference", "mean"),
        apart=("apart", "mean"),
    )
    return means.reset_index()


def _read(published: str) -> pd.DataFrame:
    """Columns published_as, published_test, theirs and the keys."""
    path = PUBLISHED.get(published, Path(published))
    if not path.is_file():
        raise InputError(
            f"--compare takes {', '.join(PUBLISHED)} or a CSV file; got {published!r}."
            f"{did_you_mean(published, PUBLISHED)}"
        )
    try:
        wide = pd.read_csv(path)
        long = (
            wide.drop(columns=_AVG, errors="ignore")
            .melt(["encoder", "tested_on"], var_name="trained_on", value_name="theirs")
            .astype({"encoder": str, "tested_on": str, "theirs": "float64"})
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{published!r} is no table of published numbers ({str(error).splitlines()[0][:100]}); expected CSV "
            "columns encoder, tested_on and one for each training set, in per cent."
        ) from None
    long = long[(long["tested_on"] != _AVG) & long["theirs"].notna()]
    if not long["theirs"].between(0, 100).all() or long["theirs"].max() <= 1:
        raise InputError(f"{published!r} must hold accuracies in per cent, 0 to 100.")
    called = long["encoder"].map(normalised)
    return pd.DataFrame(
        {
            "_encoder": [normalised(_ENCODERS.get(name, name)) for name in called],
            "_test": long["tested_on"].map(_generator),
            "_train": [_generator(_SETS.get(name, name)) for name in long["trained_on"].astype(str)],
            "published_as": long["encoder"],
            "published_test": long["tested_on"],
            "theirs": long["theirs"] / 100,
        }
    )


def _generator(name: str) -> str:
    """A generator or training set for comparison: `Diffusion-StyleGAN2` is `Diff-StyleGAN2`."""
    if name.startswith("family:"):
        return f"family:{normalised(name.removeprefix('family:'))}"
    plain = normalised(name)
    return plain.replace("diffusion", "diff", 1) if plain != "diffusion" else plain


def _differences(run: Run, cells: pd.DataFrame) -> list[str]:
    """In what the run is not the thesis, as far as `run.json` and the results tell."""
    record = run.record
    found = []
    sources = {
        str(encoder.get("name")): str(encoder.get("source", ""))
        for encoder in record.get("encoders") or []
        if isinstance(encoder, Mapping)
    }
    for name in cells["encoder"].unique():
        wanted = _WEIGHTS.get(name, "")
        source = sources.get(name, "")
        if source not in {name, wanted}:
            came = f"come from {source!r}" if source else "are of unknown source"
            found.append(f"Weights: those of {name} {came}; published are the numbers of {wanted}.")
    other = sorted({name for name in cells["dataset"] if "bedroom" not in normalised(name)})
    if other:
        found.append(f"Data: {', '.join(other)}; the thesis used LSUN Bedroom at 256 px.")
    counts = [int(n) for column in ("n_real", "n_fake") for n in cells[column]]
    if set(counts) != {_TESTED}:
        shown = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
        found.append(f"Test images of a class: {shown}; {_TESTED:,} in the thesis.")
    generators = {
        name for name in run.results["trained_on"].unique() if name in set(run.results["tested_on"])
    }
    if "all" in set(cells["trained_on"]) and len(generators) != _POOLED:
        found.append(f"`all` pools {len(generators)} generators here and {_POOLED} in the thesis.")
    geometry = str(record.get("geometry", ""))
    if geometry != "squash:224":
        found.append(f"Geometry: {geometry or 'unknown'}; the thesis squashed to 224 px.")
    protocol = str(record.get("protocol", "") or "unknown")
    if protocol != "thesis":
        found.append(
            f"Protocol: {protocol}; the published code did otherwise in the ways that protocol thesis switches on."
        )
    return found


def _listed(names: Any) -> str:
    distinct = list(dict.fromkeys(str(name) for name in names))
    return ", ".join(distinct[:6]) + (f" and {len(distinct) - 6} more" if len(distinct) > 6 else "")


def comparison_grids(
    comparison: Comparison, encoder: str, tests: tuple[str, ...], training: tuple[str, ...]
) -> dict[str, pd.DataFrame]:
    """`theirs`, `ours` and `difference` of one encoder, tested on by trained on, only shared cells."""
    rows = comparison.cells[comparison.cells["encoder"] == encoder]
    grids = {}
    for name in ("theirs", "ours", "difference"):
        grid = rows.pivot_table(index="test", columns="trained_on", values=name, aggfunc="mean")
        grids[name] = grid.reindex(
            index=[test for test in tests if test in grid.index],
            columns=[name for name in training if name in grid.columns],
        ).astype(np.float64)
    return grids
