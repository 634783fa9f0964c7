"""Embeddings in the plane, coloured by source, with a marker for each filter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bandprobe import seeding
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.legend import REALS, draw_legend, lay_out
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.style import (
    MUTED,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Mark,
    add_title,
    family_marks,
    new_figure,
    shorten,
    title_height,
    widest,
)

REAL = "Real"
_NAMES = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_REAL_COLOUR = "#555555"  # black would hide what lies below


def projection_groups(
    table: pd.DataFrame, notes: Mapping[tuple[str, str], str] | None = None
) -> list[FigureGroup]:
    """A figure for each encoder and method of `projection.csv`.

    Args:
        table: its rows.
        notes: settings in words for (encoder, method).
    """
    group = FigureGroup("Embeddings in the plane")
    slugs = unique_slugs(list(dict.fromkeys(table["encoder"])))
    for (encoder, method), rows in table.groupby(["encoder", "method"], sort=False):
        name = _NAMES.get(str(method), str(method))
        note = (notes or {}).get((str(encoder), str(method)), f"{len(rows):,} points")
        group.figures.append(
            PlannedFigure(
                stem=f"projection-{slugs[str(encoder)]}-{method}",
                title=f"{name} of {encoder}",
                reading=_reading(str(method)),
                alt=f"Scatter of {len(rows):,} embeddings of {encoder} by {name}: "
                f"{', '.join(dict.fromkeys(rows['source']))}; filters {', '.join(dict.fromkeys(rows['filter']))}.",
                draw=partial(projection_figure, rows, str(encoder), str(method), note),
            )
        )
    return [group]


def projection_figure(rows: pd.DataFrame, encoder: str, method: str, note: str) -> Figure:
    """Draw one layout.

    Args:
        rows: of one encoder and method.
        encoder: for the title.
        method: `tsne`, `pca` or `umap`.
        note: its settings in words.

    Returns:
        A figure 7 inches wide; one unit is as long on either axis.
    """
    of = dict(zip(rows["source"], rows["family"], strict=True))
    fakes = {name: family for name, family in of.items() if name != REAL}
    names = [name for name in (REAL, *fakes) if name in of]
    marks = {
        name: Mark(mark.colour, "", _MARKERS[0])
        for name, mark in {**family_marks(fakes), REAL: Mark(_REAL_COLOUR, "", "")}.items()
    }
    filters = list(dict.fromkeys(rows["filter"]))
    marker_of = {spec: _MARKERS[number % len(_MARKERS)] for number, spec in enumerate(filters)}
    title = f"{_NAMES.get(method, method)} of {encoder}"
    words = f"{note[0].upper()}{note[1:]}. Colour: source."
    words += " Marker: filter." if len(filters) > 1 else f" Filter: {filters[0]}."
    legend = lay_out(names, {**fakes, REAL: REALS})
    lines = _marker_lines(filters)
    top, side = title_height(title, words, WIDTH) + 0.08, 0.3 if method == "pca" else 0.12
    spans = [float(np.ptp(rows[axis])) for axis in ("x", "y")]
    tall = float(np.clip((WIDTH - 2 * side) * spans[1] / max(spans[0], 1e-9), 2.6, 4.9))
    bottom = legend.height + 0.135 * len(lines) + (0.26 if method == "pca" else 0.1)
    height = top + tall + bottom
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((side / WIDTH, bottom / height, 1 - 2 * side / WIDTH, tall / height))
    axes.set_gid("plane")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(RULE)
    size = float(np.clip(9000 / len(rows), 5, 26))
    # Points in one mixed order: what is drawn last would else lie on top of all other sources.
    order = seeding.generator(0, "projection", "order").permutation(len(rows))
    colours = np.array([marks[name].colour for name in rows["source"]])[order]
    x, y, spec = (rows[column].to_numpy()[order] for column in ("x", "y", "filter"))
    for part in np.array_split(np.arange(len(rows)), min(40, len(rows))):
        for name in filters:
            mine = part[spec[part] == name]
            if not len(mine):
                continue
            axes.scatter(
                x[mine], y[mine], s=size, c=list(colours[mine]), marker=marker_of[name], linewidths=0.25,
                edgecolors="white", alpha=0.85, zorder=2,
            )  # fmt: skip
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.03)
    if method == "pca":
        axes.set_xlabel("first component", size=TEXT, labelpad=2)
        axes.set_ylabel("second component", size=TEXT, labelpad=2)
    draw_legend(figure, legend, marks)
    _draw_markers(figure, lines, marker_of, legend.height)
    add_title(figure, title, words)
    return figure


def _reading(method: str) -> str:
    if method == "pca":
        return "Distances are those of the embeddings in their two widest directions, and hide all others."
    return "Points that are near were near in the embedding; distances between clusters, and their sizes, say little."


def _marker_lines(filters: list[str]) -> list[list[str]]:
    """Filters in lines that fit the page; none where there is but one."""
    if len(filters) < 2:
        return []
    count = max(int((WIDTH - 0.3) / _entry(filters)), 1)
    return [filters[start : start + count] for start in range(0, len(filters), count)]


def _entry(filters: list[str]) -> float:
    return min(widest(filters, SMALL) + 0.3, WIDTH - 0.3)


def _draw_markers(figure: Figure, lines: list[list[str]], marker_of: Mapping[str, str], above: float) -> None:
    if not lines:
        return
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, (above + 0.02) / height, 1, 0.135 * len(lines) / height))
    axes.set(xlim=(0, width), ylim=(len(lines), 0))
    axes.set_axis_off()
    axes.set_gid("filters")
    entry = _entry([name for line in lines for name in line])
    for row, names in enumerate(lines):
        for column, name in enumerate(names):
            x = 0.16 + column * entry
            axes.plot([x], [row + 0.5], marker=marker_of[name], markersize=3.6, color=MUTED, linestyle="")
            axes.text(x + 0.08, row + 0.5, shorten(name, entry - 0.16, SMALL), size=SMALL, va="center")
