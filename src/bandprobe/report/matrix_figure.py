"""The matrix of a train-time sweep: trained under (rows) by tested under (columns), a panel a pair of families."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure

from bandprobe.report.arrangement import family_label
from bandprobe.report.cells import Paint, colour_map, draw_cells, places
from bandprobe.report.figures import FigureGroup, PlannedFigure, metric_slug
from bandprobe.report.measures import Measure
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.style import (
    SMALL,
    TEXT,
    WIDTH,
    add_title,
    new_figure,
    shorten,
    text_size,
    title_height,
    widest,
)
from bandprobe.report.sweeps import CONTROLS, describe_sweep, sweeps_in, with_sweep

_LEGIBLE = 0.24  # inches a cell needs to carry its number
_HEAD = 0.22
_LABEL = 1.1


def matrix_groups(
    matrices: Mapping[str, pd.DataFrame], measures: list[Measure], encoders: list[str]
) -> list[FigureGroup]:
    """For each measure a group with the train-time by test-time matrices of every encoder and test sweep.

    Args:
        matrices: `tables.matrix_table` by measure.
        measures: in the order to show.
        encoders: the run's.
    """
    groups = []
    slugs = unique_slugs(encoders)
    for measure in measures:
        table = matrices[measure.name]
        if table.empty:
            continue
        group = FigureGroup(f"{measure.heading}: trained under one filter, tested under another")
        sweeps = sweeps_in(table)
        sweep_slugs = unique_slugs(sweeps)
        marked = with_sweep(table)
        for encoder in encoders:
            for sweep in sweeps:
                rows = marked[
                    (marked["encoder"] == encoder)
                    & ((marked["sweep"] == sweep) | marked["filter"].isin(CONTROLS))
                ]
                if rows["filter"].nunique() < 2 or rows.empty:
                    continue
                group.figures.append(
                    PlannedFigure(
                        stem=f"matrix-{slugs[encoder]}-{metric_slug(measure)}-{sweep_slugs[sweep]}",
                        title=f"{encoder}, {describe_sweep(sweep)}",
                        reading="Along a row one training meets every filter; the diagonal is where both are alike, "
                        "and a row that stays bright holds where others fail.",
                        alt=f"Heat maps of mean {measure.label} for {encoder}: {rows['train_filter'].nunique()} train "
                        f"filters by {rows['filter'].nunique()} test filters, own generators and pairs of families.",
                        draw=partial(matrix_figure, rows, encoder, measure, sweep),
                    )
                )
        groups.append(group)
    return groups


def matrix_figure(rows: pd.DataFrame, encoder: str, measure: Measure, sweep: str) -> Figure:
    """Draw the matrices of one encoder, measure and test sweep.

    Args:
        rows: of `tables.matrix_table`, those of this encoder and sweep.
        encoder: for the title.
        measure: what the cells are.
        sweep: of the test filters.
    """
    tests = _ordered(rows, "filter", "cutoff_px")
    trains = _ordered(rows, "train_filter", "train_cutoff_px")
    panels = list(
        rows[["relation", "family_from", "family_to"]].drop_duplicates().itertuples(index=False, name=None)
    )
    row_labels = _labels(rows, trains, "train_filter", "train_cutoff_px", "train_cutoff_nyq")
    column_labels = _labels(rows, tests, "filter", "cutoff_px", "cutoff_nyq")
    tops, row_cells = places(["" if name in CONTROLS else "sweep" for name in trains])
    lefts, column_cells = places(["" if name in CONTROLS else "sweep" for name in tests])
    label = widest(row_labels, SMALL) + 0.1
    scale_width, between = 0.55, 0.14
    # As many beside each other as leave their cells legible, or else two.
    fits = [
        n for n in (3, 2, 1)
        if (WIDTH - scale_width - 0.3 - label - n * between) / n / column_cells >= _LEGIBLE
    ]  # fmt: skip
    across = min(fits[0] if fits else 2, len(panels))
    cell = min((WIDTH - scale_width - 0.3 - label - across * between) / across / column_cells, 0.55)
    text = partial(_short, measure) if cell >= _LEGIBLE else None
    down = -(-len(panels) // across)
    slope = float(np.sqrt(0.5))
    bottom = widest(column_labels, SMALL) * slope + 0.3
    tall = min(cell, 0.26) if text else cell
    width = 0.3 + label + across * (cell * column_cells + between) + scale_width
    title = f"{measure.heading} by train-time and test-time filter ({describe_sweep(sweep)}): {encoder}"
    note = (
        "Rows: the filter that probes of one generator were trained under; columns: the one they were tested "
        "under. px, and the fraction of Nyquist in brackets. none, identity: no cut-off."
        + (" Per cent." if measure.percent and text else "")
    )
    top = title_height(title, note, width)
    height = top + down * (_HEAD + tall * row_cells) + (down - 1) * 0.08 + bottom
    figure = new_figure(width, height)
    paint = Paint(colour_map(), mpl.colors.Normalize(measure.floor, 1.0), text)
    for number, (relation, start, end) in enumerate(panels):
        column, line = number % across, number // across
        y = height - top - (line + 1) * (_HEAD + tall * row_cells) - line * 0.08
        x = 0.3 + label + column * (cell * column_cells + between)
        axes = figure.add_axes(
            (x / width, y / height, cell * column_cells / width, tall * row_cells / height)
        )
        cells = rows[
            (rows["relation"] == relation) & (rows["family_from"] == start) & (rows["family_to"] == end)
        ]
        grid = cells.pivot(index="train_filter", columns="filter", values="value")
        draw_cells(axes, grid.reindex(index=trains, columns=tests).astype(float), lefts, tops, paint)
        axes.set(xlim=(0, column_cells), ylim=(row_cells, 0))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=2)
        last = number + across >= len(panels)
        _ticks(axes, lefts, column_labels if last else [], cell, slope, "x")
        _ticks(axes, tops, row_labels if column == 0 else [], tall, 1.0, "y")
        head = _panel_title(relation, start, end)
        figure.text(x / width, (y + tall * row_cells + 0.05) / height, head, size=TEXT, weight="bold")
    middle = (bottom + (height - top - bottom) / 2) / height
    figure.text(0.08 / width, middle, "trained under", rotation=90, va="center", size=TEXT)
    figure.text(
        (0.3 + label + across * (cell * column_cells + between) / 2) / width, 0.08 / height, "tested under",
        ha="center", size=TEXT,
    )  # fmt: skip
    reach = min(height - top - bottom - _HEAD, 1.6)
    x, y = width - scale_width + 0.08, height - top - _HEAD - reach
    _scale(figure, paint, measure, (x / width, y / height, 0.1 / width, reach / height))
    add_title(figure, title, note)
    return figure


def _short(measure: Measure, value: float) -> str:
    """Two figures: cells are small, and the table has the rest."""
    if not np.isfinite(value):
        return "–"
    return f"{100 * value:.0f}" if measure.percent else f"{value:.2f}"


def _ordered(rows: pd.DataFrame, name: str, cutoff: str) -> list[str]:
    """Controls first, then by cut-off, then what has none."""
    distinct = rows[[name, cutoff]].drop_duplicates(name)
    rank = {control: i for i, control in enumerate(CONTROLS)}
    order = distinct.assign(
        _control=distinct[name].map(lambda spec: rank.get(spec, len(rank))),
        _px=distinct[cutoff].fillna(np.inf),
    )
    return list(order.sort_values(["_control", "_px"], kind="stable")[name])


def _labels(rows: pd.DataFrame, names: list[str], name: str, px: str, nyq: str) -> list[str]:
    facts = rows.drop_duplicates(name)
    at = {
        str(spec): (float(x), float(y)) for spec, x, y in zip(facts[name], facts[px], facts[nyq], strict=True)
    }
    return [
        f"{at[spec][0]:g} ({at[spec][1]:.2f})" if np.isfinite(at[spec][0]) else shorten(spec, _LABEL, SMALL)
        for spec in names
    ]


def _ticks(
    axes: Axes, starts: npt.NDArray[np.float64], labels: list[str], cell: float, slope: float, along: str
) -> None:
    """Labels as many as there is room for, the controls' always."""
    if not labels:
        axes.set_xticks([]) if along == "x" else axes.set_yticks([])
        return
    need = text_size("0", SMALL)[1] * (1.6 / slope)
    step = max(int(np.ceil(need / cell)), 1)
    fixed = [i for i, label in enumerate(labels) if label in CONTROLS]
    rest = [i for i in range(len(labels)) if i not in fixed]
    kept = [*(fixed if step == 1 else fixed[-1:]), *rest[(0 if step == 1 else step - 1) :: step]]
    shown = [labels[i] for i in kept]
    if along == "x":
        axes.set_xticks(
            starts[kept] + 0.5, shown, rotation=45, ha="right", rotation_mode="anchor", size=SMALL
        )
    else:
        axes.set_yticks(starts[kept] + 0.5, shown, size=SMALL)


def _panel_title(relation: str, start: str, end: str) -> str:
    if relation == "own":
        return "own generator"
    return f"{family_label(start)} → {family_label(end)}{', others' if relation == 'within' else ''}"


def _scale(figure: Figure, paint: Paint, measure: Measure, place: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(place)
    bar = ColorbarBase(
        axes, cmap=paint.colours, norm=paint.scale, extend="min" if measure.floor > 0 else "neither",
        extendfrac=0.06,
    )  # fmt: skip
    ticks = np.linspace(measure.floor, 1.0, 6)
    bar.set_ticks(list(ticks), labels=[f"{100 * t:.0f} %" if measure.percent else f"{t:.1f}" for t in ticks])
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL)
