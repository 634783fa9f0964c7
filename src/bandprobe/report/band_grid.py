"""Tables of probes against bands as a figure: what each band adds, or what it costs to attack."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from bandprobe.report.arrangement import training_label
from bandprobe.report.cells import Paint, colour_map, draw_cells
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.slugs import slug
from bandprobe.report.style import add_title, new_figure, page, shorten, title_height, widest

_ROW = 0.26  # inches
_LABEL = 2.4


def shapley_groups(table: pd.DataFrame) -> list[FigureGroup]:
    """A figure for each encoder: what each band adds to AUROC, in the mean over test sets.

    Args:
        table: rows of `analysis.band_shapley.COLUMNS`.
    """
    rows = table[table["quantity"] == "auroc"]
    note = (
        "Shapley values: a row's sum is the AUROC of whole images less that of images without any of these bands. Mean "
        "over test sets. Edges: fractions of Nyquist."
    )
    return [
        FigureGroup(
            f"What bands add to probes on {encoder}",
            [
                PlannedFigure(
                    f"shapley-{slug(str(encoder))}",
                    f"{encoder}: what each band adds to AUROC",
                    "Blue adds, red takes away.",
                    _alt(grid, "adds most"),
                    partial(band_grid, grid, f"{encoder}: what each band adds to AUROC", note, _signed(grid)),
                )
            ],
        )
        for encoder, its in rows.groupby("encoder", sort=False)
        for grid in [_grid(its)]
    ]


def attack_groups(table: pd.DataFrame) -> list[FigureGroup]:
    """A figure of all probes, on one scale: how little of each band flips decisions, in the median over sources.

    Args:
        table: rows of `analysis.adversary.COLUMNS`.
    """
    rows = table[table["measure"] == "rms"]
    labels = rows["trained_on"].map(lambda name: training_label(str(name)))
    several = rows["encoder"].nunique() > 1
    rows = rows.assign(trained_on=rows["encoder"] + ": " + labels if several else labels)
    note = (
        "Median root mean square, in 8-bit levels, of what must be added within the band; median over sources. Grey: "
        "of most sources the budget does not flip half. Edges: fractions of Nyquist."
    )
    grid = _grid(rows, np.median).replace(np.inf, np.nan)
    highest = float(np.nanmax(grid.to_numpy())) if grid.notna().to_numpy().any() else 1.0
    paint = Paint(colour_map().reversed(), Normalize(0, highest), _levels)
    title = "How little of each band flips decisions" + ("" if several else f", {rows['encoder'].iloc[0]}")
    figure = PlannedFigure(
        "attack",
        title,
        "The lower, the cheaper to attack.",
        _alt(-grid, "is cheapest to attack"),
        partial(band_grid, grid, title, note, paint),
    )
    return [FigureGroup("Attacks on probes, band by band", [figure])]


def write_figures(groups: list[FigureGroup], folder: Path) -> list[Path]:
    """Draw all figures into a folder; returns the PNGs."""
    return [figure.write(folder) for group in groups for figure in group.figures]


def band_grid(grid: pd.DataFrame, title: str, note: str, paint: Paint) -> Figure:
    """Draw a table as coloured cells with numbers.

    Args:
        grid: a row for each probe, a column for each band.
        title: of the figure.
        note: below the title.
        paint: colours and numbers.
    """
    here = page()
    longest = here.label(_LABEL)
    names = [shorten(training_label(str(name)), longest, here.text) for name in grid.index]
    label = widest(names, here.text) + 0.15
    top, bottom = title_height(title, note, here.width) + 0.12, 0.5
    figure = new_figure(here.width, top + _ROW * len(grid) + bottom)
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (label / width, bottom / height, (width - label - 0.1) / width, _ROW * len(grid) / height)
    )
    draw_cells(axes, grid, np.arange(grid.shape[1], dtype=float), np.arange(len(grid), dtype=float), paint)
    axes.set(xlim=(0, grid.shape[1]), ylim=(len(grid), 0))
    axes.set_yticks(np.arange(len(grid)) + 0.5, names, size=here.text)
    axes.set_xticks(np.arange(grid.shape[1]) + 0.5, list(grid.columns), size=here.small)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.text((label + (width - label) / 2) / width, 0.08 / height, "band, fractions of Nyquist", size=here.text,
                ha="center")  # fmt: skip
    add_title(figure, title, note)
    return figure


def _grid(rows: pd.DataFrame, over: Callable[..., Any] = np.mean) -> pd.DataFrame:
    """Probes against bands, in the order of the table; blank where a test set has no value."""

    def whole(values: pd.Series) -> float:
        return float(over(values.to_numpy()))

    grid = rows.pivot_table("value", "trained_on", "band", aggfunc=whole, sort=False, dropna=False)
    return grid.reindex(index=rows["trained_on"].unique(), columns=rows["band"].unique())


def _signed(grid: pd.DataFrame) -> Paint:
    reach = max(float(np.nanmax(np.abs(grid.to_numpy()))), 1e-3)
    colours: Colormap = mpl.colormaps["RdBu"]
    return Paint(colours, Normalize(-reach, reach), _change)


def _alt(grid: pd.DataFrame, word: str) -> str:
    band = grid.mean().idxmax() if grid.notna().to_numpy().any() else "none"
    return f"{len(grid)} probes against {grid.shape[1]} bands; in the mean {band} of Nyquist {word}."


def _levels(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def _change(value: float) -> str:
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
