"""Curves of MMD^2 against the cut-off, a line a source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandprobe.report.cutoff_axis import CutoffAxis, value_limits
from bandprobe.report.legend import REALS, draw_legend, lay_out
from bandprobe.report.mmd_heatmap import SIGNIFICANT
from bandprobe.report.style import (
    MUTED,
    REAL,
    Mark,
    add_title,
    family_marks,
    new_figure,
    page,
    title_height,
)


def mmd_curves(rows: pd.DataFrame, title: str, note: str, families: dict[str, str]) -> Figure:
    """Draw one sweep.

    Args:
        rows: of `rows_of_sweep`, with columns label, mmd2 and q_value.
        title: of the figure.
        note: what a line is.
        families: family of each label, in the order to be drawn; empty for reals.

    Returns:
        A figure 7 inches wide. Points with q < 0.05 are filled, the others hollow; the controls stand right
        of the curve, joined to nothing.
    """
    here = page()
    marks = family_marks({label: family for label, family in families.items() if family})
    marks |= {label: replace(REAL, marker="h") for label, family in families.items() if not family}
    axis = CutoffAxis.of(rows)
    note = (
        f"{note} Filled: q < {SIGNIFICANT:g} (Benjamini-Hochberg); hollow: not."
        + (" Grey: controls." if axis.slots else "")
    )  # fmt: skip
    legend = lay_out(list(families), {label: family or REALS for label, family in families.items()})
    left, right, tall = 0.62, 0.12, 2.3
    top, bottom = (
        title_height(title, note, here.width) + 0.08,
        (0.6 if axis.slots else 0.42) + legend.height,
    )
    height = top + tall + bottom
    figure = new_figure(here.width, height)
    room = here.width - left - right
    axes = figure.add_axes((left / here.width, bottom / height, room / here.width, tall / height))
    drawn = rows.assign(value=rows["mmd2"], low=np.nan, high=np.nan)
    axis.prepare(axes, value_limits(drawn, 0.0), room, lowest=True, first=True)
    axes.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
    for number, label in enumerate(families):
        mine = drawn[drawn["label"] == label]
        place = (number + 0.5) / len(families) - 0.5
        axis.draw(axes, mine, marks[label], label, place)
        _hollow(axes, axis, mine, marks[label], place)
    figure.text(
        0.1 / here.width, (bottom + tall / 2) / height, "MMD²", rotation=90, va="center", size=here.text
    )
    draw_legend(figure, legend, marks)
    add_title(figure, title, note)
    return figure


def _hollow(axes: Axes, axis: CutoffAxis, rows: pd.DataFrame, mark: Mark, place: float) -> None:
    """White centres for the points that are not significant."""
    mine = rows[(rows["q_value"] >= SIGNIFICANT) & rows["value"].notna()]
    span = axis.high - axis.low
    at = [
        np.log10(px) if sweep else axis.slots[spec] + place * 0.1 * span
        for px, sweep, spec in zip(mine["cutoff_px"], mine["sweep"], mine["filter"], strict=True)
    ]
    axes.plot(
        at, mine["value"], linestyle="", marker=mark.marker, markersize=3.0, markerfacecolor="white",
        markeredgecolor=mark.colour, markeredgewidth=0.7, zorder=5,
    )[0].set_gid("hollow")  # fmt: skip
