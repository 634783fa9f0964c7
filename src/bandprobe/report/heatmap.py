"""The transfer heat map: tested on (rows) by trained on (columns), unfiltered."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure

from bandprobe.report.arrangement import POOLED, Arrangement, family_label, runs_of, training_label
from bandprobe.report.cells import GAP, Paint, colour_map, draw_cells, places
from bandprobe.report.measures import Measure
from bandprobe.report.style import (
    INK,
    MUTED,
    SMALL,
    TEXT,
    WIDTH,
    add_title,
    family_colour,
    new_figure,
    shorten,
    text_size,
    title_height,
    widest,
)

AVG = "AVG"
_LABEL = 1.7  # longest row or column label, inches


def transfer_grid(results: pd.DataFrame, encoder: str, metric: str, arrangement: Arrangement) -> pd.DataFrame:
    """Unfiltered transfer of one encoder, with averages.

    Args:
        results: the prepared tidy table of a run.
        encoder: value of column `encoder`.
        metric: value of column `metric`.
        arrangement: the run's reading order.

    Returns:
        Rows `tested on`, columns `trained on`, in the arrangement's order, only those that hold a
        row of the table; blank cells NaN. A last row and column `AVG` average the cells shown
        (blanks left out), their corner all cells.
    """
    rows = results[
        (results["encoder"] == encoder)
        & (results["metric"] == metric)
        & (results["filter"] == "none")
        & (results["train_filter"] == "none")
    ]
    grid = rows.pivot_table(index="test", columns="trained_on", values="value", aggfunc="mean", dropna=False)
    grid = grid.reindex(
        index=[test for test in arrangement.tests if test in set(rows["test"])],
        columns=[name for name in arrangement.training if name in set(rows["trained_on"])],
    )
    return _with_averages(grid)


def heatmap(grid: pd.DataFrame, encoder: str, measure: Measure, arrangement: Arrangement) -> Figure:
    """Draw a transfer grid.

    Args:
        grid: of `transfer_grid`, with its `AVG` row and column.
        encoder: for the title.
        measure: what the cells are; sets format and the fixed colour scale.
        arrangement: families and own generators.

    Returns:
        A figure at most about 7 inches wide for up to 16 training sets. Lines part the families,
        frames mark a training set's own generators, a dash marks a blank cell.
    """
    tests, training = list(grid.index), list(grid.columns)
    row_family = [arrangement.test_family.get(name, AVG) for name in tests]
    column_family = [arrangement.training_family.get(name, AVG) for name in training]
    row_labels = [shorten(name, _LABEL, TEXT) for name in tests]
    column_labels = [shorten(training_label(name), _LABEL, TEXT) for name in training]
    tops, height_cells = places(row_family)
    lefts, width_cells = places(column_family)

    slope = float(np.sqrt(0.5))
    cell_height = 0.25
    left = max(widest(row_labels, TEXT), 0.8 * widest(column_labels[:1], TEXT) * slope) + 0.32
    right, bottom = 0.82, widest(column_labels, TEXT) * slope + 0.36
    cell_width = float(np.clip((WIDTH - left - right) / width_cells, 0.31, 0.62))
    width = max(left + cell_width * width_cells + right, 4.4)
    title = f"{measure.heading} on unfiltered images: {encoder}"
    note = (
        "One probe per column. Framed: the generators it was trained on. "
        f"{AVG}: average of the cells shown.{' Per cent.' if measure.percent else ''}"
    )
    top = title_height(title, note, width) + 0.3
    height = top + max(cell_height * height_cells, 0.8) + bottom
    cell_height = (height - top - bottom) / height_cells

    figure = new_figure(width, height)
    axes = figure.add_axes(
        (left / width, bottom / height, cell_width * width_cells / width, 1 - (top + bottom) / height)
    )
    axes.set(xlim=(0, width_cells), ylim=(height_cells, 0))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    own = {(test, name) for name in training for test in arrangement.own.get(name, ())}
    paint = Paint(colour_map(), mpl.colors.Normalize(measure.floor, 1.0), measure.text)
    draw_cells(axes, grid, lefts, tops, paint, own)
    axes.set_xticks(lefts + 0.5, column_labels, rotation=45, ha="right", rotation_mode="anchor", size=TEXT)
    axes.set_yticks(tops + 0.5, row_labels, size=TEXT)
    figure.text(
        0.1 / width,
        (bottom / height + 1 - top / height) / 2,
        "tested on",
        rotation=90,
        va="center",
        size=TEXT,
    )
    figure.text(
        (left + cell_width * width_cells / 2) / width, 0.08 / height, "trained on", ha="center", size=TEXT
    )
    families = [*arrangement.test_family.values(), *arrangement.training_family.values()]
    draw_families(axes, column_family, lefts, tops, cell_width, families, along="x")
    draw_families(axes, row_family, tops, lefts, cell_height, families, along="y")
    _draw_scale(figure, measure, (left + cell_width * width_cells + 0.36) / width, bottom, top)
    add_title(figure, title, note)
    return figure


def _with_averages(grid: pd.DataFrame) -> pd.DataFrame:
    """`grid` with a row and a column of averages over its cells."""
    averaged = grid.copy()
    averaged[AVG] = grid.mean(axis=1)
    bottom = grid.mean(axis=0)
    bottom[AVG] = np.nanmean(grid.to_numpy(dtype=float)) if grid.notna().to_numpy().any() else np.nan
    averaged.loc[AVG] = bottom
    return averaged


def draw_families(
    axes: Axes,
    families: list[str],
    along_places: npt.NDArray[np.float64],
    across_places: npt.NDArray[np.float64],
    cell: float,
    known: list[str],
    along: str,
) -> None:
    """A line across the grid at each change of family, and outside it a labelled bar per family."""
    extent = float(across_places[-1] + 1)
    changes = [float(along_places[last] + 1 + GAP / 2) for _, _, last in runs_of(families)[:-1]]
    ends = [[(at, 0.0), (at, extent)] if along == "x" else [(0.0, at), (extent, at)] for at in changes]
    lines = LineCollection(ends, colors=INK, linewidths=0.8, zorder=4, clip_on=False)
    lines.set_gid(f"separators-{along}")
    axes.add_collection(lines)
    for family, first, last in runs_of(families):
        if family == AVG:
            continue
        begin, end = float(along_places[first]) + 0.05, float(along_places[last]) + 0.95
        pooled = family == POOLED
        colour = MUTED if pooled else family_colour(family, known)
        label = _fit_label(family, (last - first + 1) * cell)
        middle = (begin + end) / 2
        if along == "x":
            axis = axes.get_xaxis_transform()
            offset, place, rotation = (0, 5), (middle, 1.0), 0
            bar, where, anchor = [begin, end], [1.0, 1.0], ("center", "bottom")
        else:
            axis = axes.get_yaxis_transform()
            offset, place, rotation = (6, 0), (1.0, middle), 270
            bar, where, anchor = [1.0, 1.0], [begin, end], ("left", "center")
        shift = mpl.transforms.ScaledTranslation(
            offset[0] / 2 / 72, offset[1] / 2 / 72, axes.figure.dpi_scale_trans
        )
        axes.plot(
            bar,
            where,
            color=colour,
            linewidth=2,
            solid_capstyle="butt",
            transform=axis + shift,
            clip_on=False,
        )
        axes.annotate(
            label, place, xycoords=axis, xytext=offset, textcoords="offset points", rotation=rotation,
            ha=anchor[0], va=anchor[1], size=SMALL, color=colour, annotation_clip=False,
        )  # fmt: skip


def _fit_label(family: str, room: float) -> str:
    for label in (family_label(family), family_label(family, short=True)):
        if text_size(label, SMALL)[0] <= room:
            return label
    return shorten(family_label(family), room, SMALL)


def _draw_scale(figure: Figure, measure: Measure, x: float, bottom: float, top: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x, bottom / height, 0.1 / width, 1 - (top + bottom) / height))
    bar = ColorbarBase(
        axes, cmap=colour_map(), norm=mpl.colors.Normalize(measure.floor, 1.0),
        extend="min" if measure.floor > 0 else "neither", extendfrac=0.06,
    )  # fmt: skip
    ticks = np.linspace(measure.floor, 1.0, 6)
    bar.set_ticks(list(ticks), labels=[f"{100 * t:.0f} %" if measure.percent else f"{t:.1f}" for t in ticks])
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL)
