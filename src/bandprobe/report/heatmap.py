"""The transfer heat map: tested on (rows) by trained on (columns), unfiltered."""

from __future__ import annotations

from collections.abc import Callable

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
    add_title,
    family_colour,
    new_figure,
    page,
    shorten,
    text_size,
    title_height,
    widest,
)

AVG = "AVG"
_LABEL = 1.7  # longest row or column label, inches
_LEGIBLE, _WIDEST = 0.31, 0.62  # inches of a cell's width
_SLANTED = 0.16  # inches below which slanted labels of columns would meet


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
    here = page()
    row_labels = [shorten(name, here.label(_LABEL), here.text) for name in tests]
    column_labels = [shorten(training_label(name), here.label(_LABEL), here.text) for name in training]
    tops, height_cells = places(row_family)
    lefts, width_cells = places(column_family)

    slope, angle = float(np.sqrt(0.5)), 45
    cell_height = 0.25
    left = max(widest(row_labels, here.text), 0.8 * widest(column_labels[:1], here.text) * slope) + 0.32
    right = 0.76 if here.fixed else 0.82
    cell_width = min((here.width - left - right) / width_cells, _WIDEST)
    if not here.fixed:
        cell_width = max(cell_width, _LEGIBLE)
    crowded = cell_width < _SLANTED
    if crowded:
        slope, angle, right = 1.0, 90, 0.6
        row_labels = [shorten(name, 0.25 * here.width, here.text) for name in tests]
        left = widest(row_labels, here.text) + 0.12
        cell_width = min((here.width - left - right) / width_cells, _WIDEST)
    bottom = widest(column_labels, here.text) * slope + 0.36
    width = here.width if here.fixed else max(left + cell_width * width_cells + right, 4.4)
    if here.fixed:
        left += (here.width - left - cell_width * width_cells - right) / 2  # few columns stand in the middle
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
    numbers = _numbers(measure, grid, cell_width) if here.fixed else measure.text
    paint = Paint(colour_map(), mpl.colors.Normalize(measure.floor, 1.0), numbers)
    draw_cells(axes, grid, lefts, tops, paint, own)
    axes.set_xticks(
        lefts + 0.5, column_labels, rotation=angle, ha="right", va="top" if angle == 45 else "center",
        rotation_mode="anchor", size=here.text,
    )  # fmt: skip
    axes.set_yticks(tops + 0.5, row_labels, size=here.text)
    _name_axes(figure, left + cell_width * width_cells / 2, bottom, top, upright=not crowded)
    families = [*arrangement.test_family.values(), *arrangement.training_family.values()]
    draw_families(axes, column_family, lefts, tops, cell_width, families, along="x")
    draw_families(axes, row_family, tops, lefts, cell_height, families, along="y", named=not crowded)
    place = left + cell_width * width_cells + (0.2 if crowded else 0.36)
    _draw_scale(figure, measure, place / width, bottom, top, sign="" if here.fixed else " %")
    add_title(figure, title, note)
    return figure


def _name_axes(figure: Figure, middle: float, bottom: float, top: float, *, upright: bool) -> None:
    """`trained on` below the grid, whose middle is at `middle` inches; `tested on` beside it, or above its names."""
    width, height = figure.get_size_inches()
    size = page().text
    figure.text(middle / width, 0.08 / height, "trained on", ha="center", size=size)
    if upright:
        half = (bottom + height - top) / 2
        figure.text(0.1 / width, half / height, "tested on", rotation=90, va="center", size=size)
    else:
        figure.text(0.1 / width, (height - top + 0.06) / height, "tested on", size=size)


def _numbers(measure: Measure, grid: pd.DataFrame, room: float) -> Callable[[float], str] | None:
    """How the cells' numbers are printed in `room` inches; None where they cannot be."""

    def without_zero(value: float) -> str:
        return measure.text(value).removeprefix("0")

    def short(value: float) -> str:
        if not np.isfinite(value):
            return measure.text(value)
        return (
            f"{100 * value:.0f}"
            if measure.percent
            else f"{value:.2f}".removeprefix("0").replace("1.00", "1.0")
        )

    values = grid.to_numpy(dtype=float).ravel()
    for form in (measure.text, without_zero, short):
        if widest([form(value) for value in values], page().small) + 0.03 <= room:
            return form
    return None


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
    named: bool = True,
) -> None:
    """A line across the grid at each change of family, and outside it a labelled bar per family."""
    extent, known = float(across_places[-1] + 1), [family for family in known if family != AVG]
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
        label = _fit_label(family, (last - first + 1) * cell) if named else ""
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
            ha=anchor[0], va=anchor[1], size=page().small, color=colour, annotation_clip=False,
        )  # fmt: skip


def _fit_label(family: str, room: float) -> str:
    for label in (family_label(family), family_label(family, short=True)):
        if text_size(label, page().small)[0] <= room:
            return label
    return "" if page().fixed else shorten(family_label(family), room, page().small)


def _draw_scale(figure: Figure, measure: Measure, x: float, bottom: float, top: float, *, sign: str) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x, bottom / height, 0.1 / width, 1 - (top + bottom) / height))
    bar = ColorbarBase(
        axes, cmap=colour_map(), norm=mpl.colors.Normalize(measure.floor, 1.0),
        extend="min" if measure.floor > 0 else "neither", extendfrac=0.06,
    )  # fmt: skip
    ticks = np.linspace(measure.floor, 1.0, 6)
    bar.set_ticks(
        list(ticks), labels=[f"{100 * t:.0f}{sign}" if measure.percent else f"{t:.1f}" for t in ticks]
    )
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=page().small)
