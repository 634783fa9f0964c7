"""Which figures a run gets, what each is called, and what it says in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bandprobe.metrics.spectrum_kinds import Kinds, Plane, array_name
from bandprobe.report.arrangement import Arrangement, own_generators, sort_families
from bandprobe.report.curves import can_draw, curve_rows, curves
from bandprobe.report.density_figure import density_figure
from bandprobe.report.heatmap import AVG, heatmap, transfer_grid
from bandprobe.report.measures import Measure
from bandprobe.report.run_directory import SourceSpectra, Spectra
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.spectrum_figures import (
    DEFAULT_VIEW,
    REALS,
    SpectrumView,
    describe,
    difference_figure,
    plane_figure,
)
from bandprobe.report.style import drawing, save
from bandprobe.report.sweeps import CONTROLS, VIEWS, View, describe_sweep, sweeps_in


@dataclass(frozen=True)
class PlannedFigure:
    """A figure to be drawn.

    Attributes:
        stem: file name without ending.
        title: its heading on the page.
        reading: one sentence on how to read it.
        alt: what it shows, for those who cannot see it.
        draw: makes it.
    """

    stem: str
    title: str
    reading: str
    alt: str
    draw: Callable[[], Figure]

    def write(self, folder: Path) -> Path:
        """Draw and save as PNG and PDF; returns the PNG."""
        with drawing():
            return save(self.draw(), folder / self.stem)


@dataclass(frozen=True)
class FigureGroup:
    """Figures shown together under one heading, and sentences in place of those that cannot be drawn."""

    title: str
    figures: list[PlannedFigure] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def heatmap_group(
    results: pd.DataFrame, encoder: str, measures: list[Measure], arrangement: Arrangement
) -> FigureGroup:
    """A heat map per measure of one encoder."""
    group = FigureGroup("Transfer on unfiltered images")
    slugs = unique_slugs(list(results["encoder"].unique()))
    for measure in measures:
        grid = transfer_grid(results, encoder, measure.name, arrangement)
        if grid.empty or not grid.notna().to_numpy().any():
            group.sentences.append(
                f"No {measure.label} heat map: the results hold no unfiltered value for it."
            )
            continue
        group.figures.append(
            PlannedFigure(
                stem=f"heatmap-{slugs[encoder]}-{metric_slug(measure)}",
                title=f"{measure.heading}: tested on (rows) by trained on (columns)",
                reading="Read a column downwards to see how one probe does on every generator; framed cells "
                "are generators it was trained on, and lines part the families.",
                alt=_heatmap_alt(grid, encoder, measure, arrangement),
                draw=partial(heatmap, grid, encoder, measure, arrangement),
            )
        )
    return group


def curve_groups(
    results: pd.DataFrame, encoder: str, measures: list[Measure], arrangement: Arrangement
) -> list[FigureGroup]:
    """For each sweep and measure of one encoder a group with its reliance and its information figure."""
    groups = []
    slugs = unique_slugs(list(results["encoder"].unique()))
    sweeps = sweeps_in(results[results["encoder"] == encoder])
    sweep_slugs = unique_slugs(sweeps)
    mine = results[results["encoder"] == encoder]
    for sweep in sweeps:
        for measure in measures:
            group = FigureGroup(f"{measure.heading} against the {describe_sweep(sweep)} cut-off")
            for view in VIEWS:
                rows = curve_rows(mine, encoder, measure.name, sweep, view)
                if not can_draw(rows):
                    group.sentences.append(_no_curve(view))
                    continue
                group.figures.append(
                    PlannedFigure(
                        stem=f"curves-{slugs[encoder]}-{metric_slug(measure)}-{sweep_slugs[sweep]}-{view}",
                        title=f"{view.capitalize()}: {_VIEW_TITLES[view]}",
                        reading=_VIEW_READINGS[view],
                        alt=_curve_alt(rows, encoder, measure, sweep, view, arrangement),
                        draw=partial(curves, rows, encoder, measure, sweep, view, arrangement),
                    )
                )
            groups.append(group)
    return groups


def spectra_groups(
    spectra: Spectra,
    family_of: Mapping[str, str],
    kinds: Kinds | None = None,
    view: SpectrumView = DEFAULT_VIEW,
) -> list[FigureGroup]:
    """For each dataset a group with its spectra.

    Args:
        spectra: what there is.
        family_of: family of each generator.
        kinds: what to show of it; by default radial density, and magnitude and coherent part of the
            high-pass residual.
        view: how it is drawn.
    """
    kinds = kinds or Kinds.parse()
    groups = []
    slugs = unique_slugs(list(spectra.sources))
    for dataset, found in spectra.sources.items():
        names = list(found) if view.as_given else _by_family(list(found), family_of)
        sources: dict[str, SourceSpectra] = {name: found[name] for name in names}
        group = FigureGroup(f"Spectra: {dataset}")
        listed = ", ".join(map(view.label, names))
        if kinds.density and any(of.density is not None for of in sources.values()):
            group.figures.append(
                PlannedFigure(
                    stem=f"spectrum-{slugs[dataset]}-density",
                    title="Radial power",
                    reading="Above, power falls from coarse to fine detail; below, a line above zero means "
                    "more power than the reals at that frequency.",
                    alt=f"Lines: radial power spectrum of {listed} in {dataset}, and each generator's ratio "
                    "to the reals minus one.",
                    draw=partial(
                        density_figure, dataset, spectra.frequency_nyq, sources, family_of, view,
                        deviation=kinds.density_std, filter=spectra.filter,
                    ),
                )
            )  # fmt: skip
        for plane in kinds.planes:
            holding = [name for name in names if array_name(*plane) in sources[name].planes]
            if not holding:
                continue
            stem = f"spectrum-{slugs[dataset]}-{_plane_slug(plane)}"
            group.figures.append(
                PlannedFigure(
                    stem=stem,
                    title=f"{_TRANSFORM_TITLES[plane[0]]}, {_STATISTIC_TITLES[plane[1]]}",
                    reading=_STATISTIC_READINGS[plane[1]],
                    alt=f"Two-dimensional spectra of {listed} in {dataset}: {describe(plane)}.",
                    draw=partial(plane_figure, dataset, sources, plane, view, spectra.filter),
                )
            )
            if view.difference and REALS in holding and len(holding) > 1:
                group.figures.append(
                    PlannedFigure(
                        stem=f"{stem}-difference",
                        title=f"{group.figures[-1].title}, against the reals",
                        reading="Red has more than the reals at that frequency, blue less.",
                        alt=f"Ratio to the reals, minus one, of two-dimensional spectra of {listed} in "
                        f"{dataset}: {describe(plane)}.",
                        draw=partial(difference_figure, dataset, sources, plane, view, spectra.filter),
                    )
                )
        groups.append(group)
    return groups


def _by_family(names: list[str], family_of: Mapping[str, str]) -> list[str]:
    """Reals first, then the generators family by family, then what has none."""
    families = sort_families(family_of.values())
    known = [name for family in families for name, of in family_of.items() if of == family and name in names]
    return list(dict.fromkeys([name for name in (REALS, *known) if name in names] + names))


def _plane_slug(plane: Plane) -> str:
    """The statistic alone for the high-pass residual, which every report shows."""
    transform, statistic = plane
    return statistic if transform == "fft_hp" else f"{transform}-{statistic}"


_VIEW_TITLES = {
    "reliance": "the probe trained on unfiltered images, tested under the filter",
    "information": "a probe trained and tested under the same filter",
}
_VIEW_READINGS = {
    "reliance": "Where a line falls away from its identity point, the probe has lost frequencies it uses.",
    "information": "Where a line stays near its identity point, what is left of the image still gives the "
    "generator away.",
}
_TRANSFORM_TITLES = {"fft": "Fourier spectrum", "fft_hp": "Residual", "dct": "DCT spectrum"}
_STATISTIC_TITLES = {
    "coherent": "coherent part",
    "magnitude": "mean magnitude",
    "power": "mean power",
    "std": "standard deviation",
}
_STATISTIC_READINGS = {
    "coherent": "Bright points that the reals lack are patterns at a fixed place in every picture of that "
    "generator; values at the floor are chance.",
    "magnitude": "Bright means much of that frequency and direction in a picture.",
    "power": "Bright means much of that frequency and direction in a picture; the few with most weigh most.",
    "std": "Bright means that pictures of one source differ much at that frequency and direction.",
}


def metric_slug(measure: Measure) -> str:
    """A metric as a part of a file name: `pd@1%` gives `pd1`."""
    return measure.name.replace("@", "").replace("%", "")


def _no_curve(view: View) -> str:
    if view == "information":
        return "No information curve: no probe was re-trained at two or more of these cut-offs."
    return "No reliance curve: no unfiltered-trained probe has values at two or more of these cut-offs."


def _heatmap_alt(grid: pd.DataFrame, encoder: str, measure: Measure, arrangement: Arrangement) -> str:
    cells = grid.drop(index=AVG, columns=AVG)
    own = np.array(
        [[test in arrangement.own.get(name, ()) for name in cells.columns] for test in cells.index]
    )
    values = cells.to_numpy(dtype=float)
    text = (
        f"Heat map of {measure.label} for {encoder}: {len(cells)} test by {len(cells.columns)} training sets."
    )
    for label, mask in (("own generators", own), ("others", ~own)):
        chosen = values[mask & np.isfinite(values)]
        if chosen.size:
            text += f" {label.capitalize()}: {measure.text(chosen.min())} to {measure.text(chosen.max())}."
    return text


def _curve_alt(
    rows: pd.DataFrame, encoder: str, measure: Measure, sweep: str, view: View, arrangement: Arrangement
) -> str:
    mine = rows[own_generators(rows, arrangement)]
    text = (
        f"Curves of {measure.label} against the {describe_sweep(sweep)} cut-off for {encoder}, {view}: "
        f"{rows['trained_on'].nunique()} panels, {rows['test'].nunique()} lines each."
    )
    swept = mine[mine["sweep"] != ""].groupby("cutoff_px")["value"].mean().dropna()
    if len(swept):
        text += (
            f" Mean over own generators: {measure.text(float(swept.iloc[0]))} at {swept.index[0]:g} px, "
            f"{measure.text(float(swept.iloc[-1]))} at {swept.index[-1]:g} px"
        )
        for name in CONTROLS:
            value = float(mine.loc[mine["filter"] == name, "value"].mean())
            text += f", {measure.text(value)} at {name}" if np.isfinite(value) else ""
        text += "."
    return text
