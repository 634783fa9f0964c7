"""What recipes gain on generators that they have not seen, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandprobe.analysis.openset_summary import BASELINE, BETTER, WORSE, sentences
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.legend import draw_legend, lay_out
from bandprobe.report.style import (
    INK,
    MUTED,
    RULE,
    Mark,
    add_title,
    family_marks,
    new_figure,
    page,
    shorten,
    title_height,
    widest,
)

_ROW = 0.27  # inches
_HEAD = 0.24  # above an encoder's rows
_LABEL = 1.5  # inches that a row's name may take
_COLOURS = {BETTER: "#1b7837", WORSE: "#b2182b"}  # with a filled mark; undecided is hollow
_TITLES = {"generator": "each generator left out", "family": "each family left out"}
_NAMES = {"auroc": "AUROC"}


def openset_group(rows: pd.DataFrame, summary: pd.DataFrame) -> FigureGroup:
    """A figure for each protocol, and what it says.

    Args:
        rows: of `openset.csv`.
        summary: of `openset_summary.csv`.
    """
    group = FigureGroup("Recipes on generators that they have not seen", sentences=sentences(summary))
    for protocol in summary["protocol"].unique():
        mine = summary[(summary["protocol"] == protocol) & (summary["verdict"] != BASELINE)]
        if mine["difference"].notna().any():
            of = rows[rows["protocol"] == protocol]
            group.figures.append(
                PlannedFigure(
                    stem=f"openset-{protocol}",
                    title=f"Gain over the plain probe, {_TITLES[str(protocol)]}",
                    reading="Right of zero a recipe is better than the plain probe. Small marks are generators, "
                    "the large one their mean with its interval: filled where it is better or worse for sure.",
                    alt=f"Mean differences of {len(mine)} recipes, metrics and encoders, with intervals.",
                    draw=partial(openset_figure, of, mine, str(protocol)),
                )
            )
    return group


def openset_figure(rows: pd.DataFrame, summary: pd.DataFrame, protocol: str) -> Figure:
    """Draw one protocol: a panel a metric, a row a recipe, encoder by encoder.

    Args:
        rows: its rows of `openset.csv`.
        summary: its rows of `openset_summary.csv` but the baseline's.
        protocol: for the title.
    """
    here = page()
    metrics = [name for name in summary["metric"].unique() if _known(summary, str(name))]
    lines = list(summary[["encoder", "recipe"]].drop_duplicates().itertuples(index=False, name=None))
    encoders = list(dict.fromkeys(encoder for encoder, _ in lines))
    marks = family_marks(
        dict(rows[["tested_on", "family"]].drop_duplicates().itertuples(index=False, name=None))
    )
    legend = lay_out(list(marks), dict(zip(rows["tested_on"], rows["family"], strict=True)))
    title = f"Gain over the plain probe, {_TITLES[protocol]}"
    note = (
        "Small marks: generators that training has not seen. Circle and line: their mean, with a 95 % interval over "
        "generators, images and trainings; filled green: better, filled red: worse, hollow: undecided."
    )
    label = widest([shorten(recipe, here.label(_LABEL), here.text) for _, recipe in lines], here.text) + 0.2
    top, bottom = title_height(title, note, here.width) + 0.1, 0.45 + legend.height
    tall = _ROW * len(lines) + _HEAD * len(encoders)
    figure = new_figure(here.width, top + tall + bottom)
    width, height = figure.get_size_inches()
    gap, right = 0.22, 0.12
    panel = (width - label - right - gap * (len(metrics) - 1)) / len(metrics)
    places, at = {}, 0.0
    for encoder in encoders:
        at += _HEAD
        for line in (line for line in lines if line[0] == encoder):
            places[line] = at + _ROW / 2
            at += _ROW
    for number, metric in enumerate(metrics):
        left = label + number * (panel + gap)
        axes = figure.add_axes((left / width, bottom / height, panel / width, tall / height))
        axes.set_ylim(tall, 0)
        _panel(axes, rows[rows["metric"] == metric], summary[summary["metric"] == metric], places, marks)
        name = _NAMES.get(str(metric), str(metric).upper())
        axes.set_xlabel(f"{name}, recipe − plain", size=here.text, labelpad=2)
        shown = [shorten(recipe, here.label(_LABEL), here.text) for _, recipe in lines]
        axes.set_yticks([places[line] for line in lines], shown if number == 0 else [], size=here.text)
        if number == 0:
            for encoder in encoders:
                first = min(place for line, place in places.items() if line[0] == encoder)
                axes.annotate(
                    shorten(encoder, panel, here.text, bold=True), (0, first - _ROW / 2 - _HEAD * 0.4),
                    xycoords=axes.get_yaxis_transform(), xytext=(2, 0), textcoords="offset points",
                    size=here.text, weight="bold", va="center", color=INK,
                )  # fmt: skip
    draw_legend(figure, legend, marks)
    add_title(figure, title, note)
    return figure


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    places: dict[tuple[str, str], float],
    marks: dict[str, Mark],
) -> None:
    """One metric's rows."""
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    for _, row in rows[rows["recipe"] != "plain"].iterrows():
        mark = marks[row["tested_on"]]
        place = places[row["encoder"], row["recipe"]] + _ROW * 0.2
        axes.plot(
            row["difference"],
            place,
            mark.marker,
            color=mark.colour,
            markersize=3,
            markeredgewidth=0,
            alpha=0.8,
        )
    for _, row in summary.iterrows():
        place = places[row["encoder"], row["recipe"]] - _ROW * 0.14
        colour = _COLOURS.get(row["verdict"], INK)
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.3, zorder=3)
        filled = row["verdict"] in _COLOURS
        axes.plot(
            row["difference"], place, "o", color=colour, markersize=5, zorder=4,
            markerfacecolor=colour if filled else "white", markeredgewidth=1.1,
        )  # fmt: skip
    values = np.abs([*rows["difference"], *summary["low"], *summary["high"]])
    reach = float(np.nanmax(values, initial=0.01)) * 1.06
    axes.set_xlim(-reach, reach)
    axes.grid(axis="x", color=RULE, linewidth=0.35)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=page().small)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _known(summary: pd.DataFrame, metric: str) -> bool:
    return bool(summary.loc[summary["metric"] == metric, "difference"].notna().any())


def openset_lines(summary: pd.DataFrame) -> Sequence[tuple[str, ...]]:
    """The summary as it is printed: a line for each protocol, metric, encoder and recipe."""
    return [
        (
            str(row["protocol"]),
            _NAMES.get(str(row["metric"]), str(row["metric"]).upper()),
            str(row["encoder"]),
            str(row["recipe"]),
            _number(row["value"], ".3f"),
            "" if row["verdict"] == BASELINE else _number(row["difference"], "+.3f"),
            "" if row["verdict"] == BASELINE or np.isnan(row["low"])
            else f"[{row['low']:+.3f}, {row['high']:+.3f}]",
            "" if row["verdict"] == BASELINE else f"{row['wins']}/{row['n_generators']}",
            _number(row["q_value"], ".3f"),
            str(row["verdict"]),
        )
        for row in summary.to_dict("records")
    ]  # fmt: skip


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)
