"""Measures of embeddings against the cut-off: a row a measure, a column a source, a line an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from bandprobe.analysis.twins import twin_of, twins_beside
from bandprobe.report.arrangement import family_label
from bandprobe.report.cutoff_axis import CutoffAxis, value_limits
from bandprobe.report.style import (
    MUTED,
    SMALL,
    TEXT,
    WIDTH,
    Mark,
    add_title,
    new_figure,
    shorten,
    title_height,
    widest,
)

REAL, ALL, FAMILY = "Real", "all", "family:"

# Okabe & Ito's, which the colour-blind tell apart: of encoders, not of families.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D00", "#444444")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_TWIN = (0, (3.5, 1.6))
_LINE = 0.135  # height of a line of the legend, inches


@dataclass(frozen=True)
class Shown:
    """How a measure of the table is labelled, and the value that it is read against."""

    name: str
    label: str
    level: float | None = None


def entropy_figure(
    rows: pd.DataFrame, title: str, measures: Sequence[Shown], sources: Sequence[tuple[str, str]]
) -> Figure:
    """Draw one sweep.

    Args:
        rows: of `rows_of_sweep`, without those of images.
        title: of the figure.
        measures: from top to bottom; one without a value is left out.
        sources: (data set, source) from left to right.

    Returns:
        A figure 7 inches wide. A random-weight twin has its encoder's colour, dashed.
    """
    shown = [m for m in measures if rows.loc[rows["measure"] == m.name, "value"].notna().any()]
    encoders = twins_beside(list(dict.fromkeys(rows["encoder"])))
    marks = encoder_marks(encoders)
    twins = any(twin_of(name, encoders) for name in encoders)
    low, high = int(rows["n"].min()), int(rows["n"].max())
    axis = CutoffAxis.of(rows)
    note = (
        f"A column a source, {low:,}{f' to {high:,}' if high > low else ''} images each. Bands and bars: 95 % "
        "intervals."
        + (" Grey: controls." if axis.slots else "")
        + (" Dashed, in its encoder's colour: the same encoder with random weights." if twins else "")
    )
    lines = _legend_lines(encoders)
    left, right, gap, tall, between = 0.62, 0.1, 0.12, 1.35, 0.14
    top = title_height(title, note, WIDTH) + 0.28
    bottom = (0.68 if axis.slots else 0.48) + _LINE * len(lines)
    room = (WIDTH - left - right - gap * (len(sources) - 1)) / len(sources)
    height = top + len(shown) * tall + (len(shown) - 1) * between + bottom
    figure = new_figure(WIDTH, height)
    for row, measure in enumerate(shown):
        mine = rows[rows["measure"] == measure.name]
        drawn = mine[[pair in sources for pair in zip(mine["dataset"], mine["source"], strict=True)]]
        limits = value_limits(drawn, measure.level)
        y = height - top - (row + 1) * tall - row * between
        for column, (dataset, source) in enumerate(sources):
            x = left + column * (room + gap)
            axes = figure.add_axes((x / WIDTH, y / height, room / WIDTH, tall / height))
            axes.set_gid(f"panel:{measure.name}:{source}")
            axis.prepare(axes, limits, room, lowest=row == len(shown) - 1, first=column == 0)
            if measure.level is not None:
                axes.axhline(measure.level, color=MUTED, linewidth=0.6, zorder=1)
            if row == 0:
                label = shorten(source_label(source), room, TEXT, bold=True)
                axes.set_title(label, size=TEXT, weight="bold", pad=3)
            here = drawn[(drawn["source"] == source) & (drawn["dataset"] == dataset)]
            for number, encoder in enumerate(encoders):
                place = (number + 0.5) / len(encoders) - 0.5
                twin = twin_of(encoder, encoders) is not None
                axis.draw(axes, here[here["encoder"] == encoder], marks[encoder], encoder, place, hollow=twin)
        figure.text(0.1 / WIDTH, (y + tall / 2) / height, measure.label, rotation=90, va="center", size=SMALL)
    _draw_legend(figure, lines, marks, encoders)
    add_title(figure, title, note)
    return figure


def encoder_marks(encoders: Sequence[str]) -> dict[str, Mark]:
    """A mark for each encoder; a twin shares its encoder's, dashed."""
    bases = {name: twin_of(name, encoders) or name for name in encoders}
    own = list(dict.fromkeys(bases.values()))
    return {
        name: Mark(
            _COLOURS[own.index(base) % len(_COLOURS)],
            "-" if base == name else _TWIN,
            _MARKERS[own.index(base) % len(_MARKERS)],
        )
        for name, base in bases.items()
    }


def source_label(source: str) -> str:
    """A source as a reader writes it: `family:gan` gives `all GAN`."""
    if source.startswith(FAMILY):
        return f"all {family_label(source.removeprefix(FAMILY))}"
    return {REAL: "reals", ALL: "all images"}.get(source, source)


def _legend_lines(encoders: Sequence[str]) -> list[list[str]]:
    """Encoders in lines that fit the page."""
    entry = min(widest(encoders, SMALL) + 0.46, WIDTH - 0.3)
    count = max(int((WIDTH - 0.3) / entry), 1)
    return [list(encoders[start : start + count]) for start in range(0, len(encoders), count)]


def _draw_legend(
    figure: Figure, lines: Sequence[Sequence[str]], marks: dict[str, Mark], encoders: Sequence[str]
) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0.08 / height, 1, _LINE * len(lines) / height))
    axes.set(xlim=(0, width), ylim=(len(lines), 0))
    axes.set_axis_off()
    axes.set_gid("legend")
    entry = min(widest(encoders, SMALL) + 0.46, WIDTH - 0.3)
    for row, names in enumerate(lines):
        for column, name in enumerate(names):
            mark, x = marks[name], 0.62 + column * entry
            hollow = twin_of(name, encoders) is not None
            axes.plot(
                [x - 0.5, x - 0.365, x - 0.23], [row + 0.5] * 3, color=mark.colour, linestyle=mark.dashes,
                linewidth=1.1, marker=mark.marker, markersize=3, markevery=(1, 5),
                markerfacecolor="white" if hollow else mark.colour, markeredgewidth=0.7 if hollow else 0,
            )  # fmt: skip
            axes.text(x - 0.18, row + 0.5, shorten(name, entry - 0.4, SMALL), size=SMALL, va="center")
