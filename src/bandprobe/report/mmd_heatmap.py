"""Heat map of MMD^2: sources (rows) by filters (columns)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure

from bandprobe.report.cells import Paint, colour_map, draw_cells, luminance, places
from bandprobe.report.heatmap import AVG, draw_families
from bandprobe.report.style import (
    INK,
    add_title,
    new_figure,
    page,
    shorten,
    text_size,
    title_height,
    widest,
)

SIGNIFICANT = 0.05
_LABEL, _UPRIGHT = 1.5, 2.2  # longest label, and longest upright one of a paper, inches
_LEGIBLE = 0.36  # inches a cell needs to carry its number
_WIDEST = 0.62
_TICKS_APART = 0.14  # inches


def mmd_heatmap(rows: pd.DataFrame, title: str, note: str, families: dict[str, str]) -> Figure:
    """Draw MMD^2 of sources under filters.

    Args:
        rows: columns label, filter, swept (whether the filter is one of a sweep), cutoff_px, mmd2, q_value;
            one row a cell, filters in the order to be drawn.
        title: of the figure.
        note: what a cell is.
        families: family of each label, in the order to be drawn; empty for reals.

    Returns:
        A figure at most 7 inches wide. Colours follow the square root of MMD^2, values below zero are those
        of zero; a dot marks q < 0.05, grey a blank.
    """
    facts = rows.drop_duplicates("filter").set_index("filter")
    filters, labels = list(facts.index), list(families)
    values, q = (
        rows.pivot(index="label", columns="filter", values=name).reindex(index=labels, columns=filters)
        for name in ("mmd2", "q_value")
    )
    here = page()
    columns = [
        f"{px:g}" if swept else shorten(spec, _UPRIGHT if here.fixed else _LABEL, here.small)
        for spec, px, swept in zip(filters, facts["cutoff_px"], facts["swept"], strict=True)
    ]
    row_labels = [shorten(label, here.label(_LABEL), here.text) for label in labels]
    row_families = [family or AVG for family in families.values()]  # reals get no bar
    tops, height_cells = places(row_families)
    lefts, width_cells = places(["swept" if swept else "" for swept in facts["swept"]])

    left, right = widest(row_labels, here.text) + 0.2, 0.95
    cell_width = min((here.width - left - right) / width_cells, _WIDEST)
    width = here.width if here.fixed else max(left + cell_width * width_cells + right, 4.4)
    if here.fixed:
        left += (here.width - left - cell_width * width_cells - right) / 2  # few columns stand in the middle
    note = f"{note} Colour: MMD², on a square-root scale. Dot: q < {SIGNIFICANT:g} (Benjamini-Hochberg)."
    top = title_height(title, note, width) + 0.06
    upright = widest(columns, here.small) + 0.04 <= cell_width
    cutoffs = [column for column, swept in zip(columns, facts["swept"], strict=True) if swept]
    below_cutoffs = 0.16 if upright else widest(cutoffs, here.small) + 0.08
    bottom = max(
        0.2 if upright else widest(columns, here.small) + 0.12, below_cutoffs + 0.16 if cutoffs else 0
    )
    cell_height = 0.22
    height = top + max(cell_height * height_cells, 0.7) + bottom
    cell_height = (height - top - bottom) / height_cells

    figure = new_figure(width, height)
    box = (left / width, bottom / height, cell_width * width_cells / width, 1 - (top + bottom) / height)
    axes = figure.add_axes(box)
    axes.set(xlim=(0, width_cells), ylim=(height_cells, 0))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=2)
    scale = _scale_of(values.to_numpy(dtype=float))
    paint = Paint(colour_map(), scale, _number if cell_width >= _LEGIBLE else None)
    draw_cells(axes, values.astype(float), lefts, tops, paint)
    _draw_dots(axes, values, q, lefts, tops, paint)
    shown = _labelled(columns, list(facts["swept"]), cell_width, upright)
    axes.set_xticks(
        lefts[shown] + 0.5, [columns[at] for at in shown], size=here.small, rotation=0 if upright else 90
    )
    axes.set_yticks(tops + 0.5, row_labels, size=here.text)
    if cutoffs:
        middle = lefts[facts["swept"].to_numpy(dtype=bool)].mean() + 0.5
        place = ((left + middle * cell_width) / width, (bottom - below_cutoffs) / height)
        figure.text(*place, "cut-off (px)", size=here.small, ha="center", va="top")
    draw_families(axes, row_families, tops, lefts, cell_height, row_families, along="y")
    _draw_scale(figure, paint, (box[0] + box[2] + 0.42 / width, box[1], 0.1 / width, box[3]))
    add_title(figure, title, note)
    return figure


def _scale_of(values: npt.NDArray[np.float64]) -> mpl.colors.Normalize:
    known = values[np.isfinite(values)]
    most = float(known.max()) if known.size else 0.0
    return mpl.colors.PowerNorm(0.5, 0.0, most if most > 0 else 1.0, clip=True)


def _number(value: float) -> str:
    """MMD^2 in three decimals; an en dash for a blank."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}".replace("-0.000", "0.000").replace("-", "−")


def _draw_dots(
    axes: Axes,
    values: pd.DataFrame,
    q: pd.DataFrame,
    lefts: npt.NDArray[np.float64],
    tops: npt.NDArray[np.float64],
    paint: Paint,
) -> None:
    """A dot in each significant cell: in its middle, or in a corner where a number stands there."""
    across, down = (0.88, 0.2) if paint.text else (0.5, 0.5)
    rows, columns = np.nonzero(q.to_numpy(dtype=float) < SIGNIFICANT)
    found = values.to_numpy(dtype=float)[rows, columns]
    dark = [luminance(colour) < 0.2 for colour in paint.colours(paint.scale(found))]
    dots = axes.scatter(
        lefts[columns] + across, tops[rows] + down, s=3.0, c=["white" if one else INK for one in dark],
        linewidths=0, zorder=4,
    )  # fmt: skip
    dots.set_gid("significant")


def _labelled(columns: list[str], swept: list[bool], cell: float, upright: bool) -> list[int]:
    """Which columns get a label: those of no sweep, and of cut-offs as many as there is room for."""
    need = widest(columns, page().small) + 0.04 if upright else text_size("0", page().small)[1] * 1.6
    step = max(int(np.ceil(need / cell)), 1)
    numbered = [at for at, one in enumerate(swept) if one]
    return [*(at for at, one in enumerate(swept) if not one), *numbered[step - 1 if step > 1 else 0 :: step]]


def _draw_scale(figure: Figure, paint: Paint, box: tuple[float, float, float, float]) -> None:
    """The colours, with as many 1-2-5 numbers beside them as have room on a square-root scale."""
    axes = figure.add_axes(box)
    bar = ColorbarBase(axes, cmap=paint.colours, norm=paint.scale)
    most, inches = float(paint.scale.vmax or 1), box[3] * float(figure.get_size_inches()[1])
    decade = np.floor(np.log10(most))
    numbers = [digit * 10.0 ** (decade - down) for down in range(3) for digit in (5, 2, 1)]
    ticks = [0.0]
    for number in (one for one in numbers if one <= most):
        gaps = [abs(np.sqrt(number) - np.sqrt(tick)) * inches / np.sqrt(most) for tick in ticks]
        if min(gaps) >= _TICKS_APART:
            ticks.append(float(number))
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=page().small)
