"""Which figures `mmd.csv` gets: for each space and experiment a heat map, and curves over the cut-off."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from bandprobe.report.arrangement import sort_families
from bandprobe.report.cutoff_axis import rows_of_sweep
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.mmd_curves import mmd_curves
from bandprobe.report.mmd_heatmap import SIGNIFICANT, mmd_heatmap
from bandprobe.report.slugs import slug, unique_slugs
from bandprobe.report.sweeps import CONTROLS, describe_sweep, sweeps_in, with_sweep

OWN = "own"
_TEXTS = ("family", "dataset", "trained_on", "reason")
_NUMBERS = ("cutoff_px", "cutoff_nyq", "mmd2", "p_value", "q_value")
_TITLES = {
    "fake_vs_real": "Fakes against reals",
    "no_filter_vs_filter": "Filtered against unfiltered images",
}
_NOTES = {
    "fake_vs_real": "Each generator's images against the reals of its data set, both under the filter.",
    "no_filter_vs_filter": "Each source's images under the filter against the same images unfiltered.",
}
_HEATMAP_READING = {
    "fake_vs_real": "Dark cells are filters under which a generator's images are hardly told from reals.",
    "no_filter_vs_filter": "Bright cells are filters that move a source's images far; identity must stay dark.",
}
_CURVE_READING = {
    "fake_vs_real": "Where a line falls to zero, the filter has taken what told the generator from reals.",
    "no_filter_vs_filter": "A line that is above zero at a cut-off has moved there; lines apart from the "
    "reals' are moved more, or less, than reals are.",
}


def mmd_groups(table: pd.DataFrame) -> list[FigureGroup]:
    """The figures of `mmd.csv`.

    Args:
        table: its rows; family, dataset, trained_on, cutoff_nyq and reason may be missing.

    Returns:
        A group for each encoder, space (and probe: a generator's own, or a pooled one) and experiment. Each
        sweep has a heat map and curves; filters that are in none share a heat map.
    """
    rows = prepared(table)
    slugs = unique_slugs(list(dict.fromkeys(rows["encoder"])))
    groups = []
    parts = set(rows[["encoder", "space", "probe", "experiment"]].itertuples(index=False, name=None))
    order = (*slugs, "", OWN, *sorted(set(rows["probe"])), "embedding", "logit", *_TITLES)
    for encoder, space, probe, experiment in sorted(parts, key=lambda part: [*map(order.index, part)]):
        mine = rows[
            (rows["encoder"] == encoder)
            & (rows["space"] == space)
            & (rows["probe"] == probe)
            & (rows["experiment"] == experiment)
        ]
        title = f"{_TITLES[experiment]}: {encoder}"
        if space != "embedding":
            title += (
                ", output of each generator's own probe"
                if probe == OWN
                else f", output of the probe on {probe}"
            )
        names = ("mmd", slugs[encoder], slug(probe) if probe else "", slug(experiment))
        stem = "-".join(name for name in names if name)
        group = FigureGroup(title)
        for reason, blank in mine[mine["mmd2"].isna()].groupby("reason", sort=False):
            whose = ", ".join(dict.fromkeys(blank["label"]))
            group.sentences.append(f"Blank for {whose}: {reason or 'the table gives no reason'}.")
        if mine["mmd2"].notna().any():
            group.figures.extend(_figures(mine, experiment, title, stem))
        groups.append(group)
    return groups


def prepared(table: pd.DataFrame) -> pd.DataFrame:
    """`mmd.csv` with its optional columns filled; `label`, the source as shown; `probe`, whose output it is."""
    rows = table.copy()
    for name in _TEXTS:
        rows[name] = rows[name].fillna("").astype(str) if name in rows else ""
    for name in _NUMBERS:
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype("float64") if name in rows else np.nan
    several = rows["dataset"].nunique() > 1
    rows["label"] = rows["source"] + (" · " + rows["dataset"] if several else "")
    rows["family"] = rows["family"].where(rows["family"] != "", "other").where(rows["source"] != "Real", "")
    own = (rows["trained_on"] == rows["source"]) & (rows["trained_on"] != "")
    rows["probe"] = rows["trained_on"].mask(own, OWN)
    return rows


def _figures(rows: pd.DataFrame, experiment: str, title: str, stem: str) -> Iterator[PlannedFigure]:
    ranked = ["", *(family for family in sort_families(rows["family"]) if family)]  # reals first
    order = {family: place for place, family in enumerate(ranked)}
    sources = rows.drop_duplicates("label").sort_values("family", key=lambda f: f.map(order), kind="stable")
    families = dict(zip(sources["label"], sources["family"], strict=True))
    sweeps = sweeps_in(rows[rows["mmd2"].notna()])
    note = _NOTES[experiment]
    for sweep, name in unique_slugs(sweeps).items():
        mine = rows_of_sweep(rows, sweep).sort_values("cutoff_px", kind="stable", na_position="first")
        mine = mine.assign(swept=mine["sweep"] != "")
        against = f"{describe_sweep(sweep)} cut-off"
        yield PlannedFigure(
            stem=f"{stem}-{name}-heatmap",
            title=f"{title}, by {against}",
            reading=_HEATMAP_READING[experiment],
            alt=f"Heat map of {_alt(mine, families)}",
            draw=partial(mmd_heatmap, mine, f"{title}, by {against}", note, families),
        )
        yield PlannedFigure(
            stem=f"{stem}-{name}-curve",
            title=f"{title}, against the {against}",
            reading=_CURVE_READING[experiment],
            alt=f"Lines against the {against}: {_alt(mine, families)}",
            draw=partial(mmd_curves, mine, f"{title}, against the {against}", note, families),
        )
    marked = with_sweep(rows)
    single = marked[~marked["sweep"].isin(sweeps)].assign(swept=False)
    if not sweeps or not set(single["filter"]) <= set(CONTROLS):
        yield PlannedFigure(
            stem=f"{stem}-filters-heatmap",
            title=f"{title}, by filter",
            reading=_HEATMAP_READING[experiment],
            alt=f"Heat map of {_alt(single, families)}",
            draw=partial(mmd_heatmap, single, f"{title}, by filter", note, families),
        )


def _alt(rows: pd.DataFrame, families: dict[str, str]) -> str:
    values = rows["mmd2"].dropna()
    found = f"squared MMD of {', '.join(families)} under {rows['filter'].nunique()} filters"
    if len(values):
        significant = int((rows["q_value"] < SIGNIFICANT).sum())
        found += (
            f", from {values.min():.3g} to {values.max():.3g}; {significant} of {len(values)} significant"
        )
    return f"{found}."
