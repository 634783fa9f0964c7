"""Curves: a measure against the cut-off of one sweep, a panel per training set, a line per test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bandprobe.report.arrangement import Arrangement, is_pooled, training_label
from bandprobe.report.legend import draw_legend, lay_out
from bandprobe.report.measures import Measure
from bandprobe.report.style import (
    INK,
    MUTED,
    RULE,
    Mark,
    add_title,
    family_colour,
    family_marks,
    new_figure,
    page,
    shorten,
    title_height,
    widest,
)
from bandprobe.report.sweeps import CONTROLS, View, describe_sweep, sweep_rows

ZONES = (("low", 0.0, 0.15), ("mid", 0.15, 0.5), ("high", 0.5, np.inf))  # fractions of Nyquist
_ZONE_FILL = {"low": "#ececec", "mid": "#f8f8f8", "high": "#ececec"}
_PANEL = 0.75  # inches: the least width of a panel
_CROWDED = 0.6  # inches: an axis that has room for Nyquist, and a tenth of it, alone
_NOTES = {
    "reliance": "Probes trained on unfiltered images and kept: what they use.",
    "information": "Probes re-trained under each filter: what is still there.",
}


@dataclass(frozen=True)
class Axis:
    """The x axis shared by all panels, in log10 of the cut-off in px.

    Attributes:
        low, high: ends of the part that holds the curve.
        slots: where the controls stand, right of the break; empty when the run has none.
        break_at: where the break is drawn.
        end: right end of the axis.
        nyquist_px: px per Nyquist, or None where the run mixes grids.
    """

    low: float
    high: float
    slots: dict[str, float]
    break_at: float
    end: float
    nyquist_px: float | None


def curve_rows(results: pd.DataFrame, encoder: str, metric: str, sweep: str, view: View) -> pd.DataFrame:
    """The rows one figure shows: the sweep's filters and the controls, of one encoder and metric."""
    return sweep_rows(results[(results["encoder"] == encoder) & (results["metric"] == metric)], sweep, view)


def can_draw(rows: pd.DataFrame) -> bool:
    """Whether `rows` hold values at two cut-offs or more."""
    return rows.loc[(rows["sweep"] != "") & rows["value"].notna(), "cutoff_px"].nunique() >= 2


def curves(
    rows: pd.DataFrame, encoder: str, measure: Measure, sweep: str, view: View, arrangement: Arrangement
) -> Figure:
    """Draw one sweep.

    Args:
        rows: of `curve_rows`, for which `can_draw` holds.
        encoder, sweep, view: for title and note.
        measure: the measure on the y axis, in [0, 1].
        arrangement: order of panels and lines.

    Returns:
        A figure 7 inches wide. `none` and `identity` stand right of a break in the axis, with error
        bars, and are never joined to the curve.
    """
    shown = set(rows["trained_on"])
    panels = [name for name in arrangement.training if name in shown]
    tested = set(rows["test"])
    tests = [name for name in arrangement.tests if name in tested]
    marks = family_marks({name: arrangement.test_family[name] for name in tests})
    floor, ceiling = _value_range(rows, measure)

    here = page()
    left, right, gap, between = 0.6, 0.12, 0.14, 0.3
    columns = len(panels) if len(panels) <= 3 else 2 if len(panels) == 4 else 3 if len(panels) <= 9 else 4
    columns = min(columns, max(int((here.width - left - right + gap) / (_PANEL + gap)), 1))
    lines = -(-len(panels) // columns)
    room = (here.width - left - right - gap * (columns - 1)) / columns
    axis = _shared_axis(rows, room)
    title = f"{measure.heading} against the {describe_sweep(sweep)} cut-off, {view}: {encoder}"
    note = (
        f"{_NOTES[view]} One panel per training set; thick: its own generator. "
        "Bands and bars: 95 % intervals."
        + (" Right of the break: the controls without a cut-off." if axis.slots else "")
    )
    legend = lay_out(tests, arrangement.test_family)
    top = title_height(title, note, here.width) + (0.42 if axis.nyquist_px else 0.24)
    bottom = 0.58 + legend.height
    around = top + (lines - 1) * between + bottom
    tall = min({1: 2.9, 2: 1.9, 3: 1.45}.get(columns, 1.2), (here.height - around) / lines)
    height = around + lines * tall
    figure = new_figure(here.width, height)

    by_panel = dict(list(rows.groupby("trained_on")))
    for i, name in enumerate(panels):
        row, column = divmod(i, columns)
        x = left + column * (room + gap)
        y = height - top - (row + 1) * tall - row * between
        axes = figure.add_axes((x / here.width, y / height, room / here.width, tall / height))
        axes.set_gid(f"panel:{name}")
        lowest = i + columns >= len(panels)
        _prepare(axes, axis, floor, ceiling, room, lowest, first=column == 0, percent=measure.percent)
        if row == 0 and axis.nyquist_px:
            _nyquist_axis(axes, axis, room, labelled=column == 0)
        axes.set_title(
            shorten(training_label(name), room, here.text, bold=True), size=here.text, weight="bold", pad=3,
            color=family_colour(arrangement.training_family[name], arrangement.training_family.values())
            if arrangement.own.get(name) and arrangement.training_family[name] != "pooled" else INK,
        )  # fmt: skip
        for j, (test, line) in enumerate(_lines_of(by_panel[name], tests)):
            own = test in arrangement.own[name] and not is_pooled(name)
            place = (j + 0.5) / max(len(tests), 1) - 0.5
            _draw_line(axes, axis, test, line, marks[test], place, min(0.14, 0.7 / len(tests)), own)
    axes_middle = (top + lines * tall / 2 + (lines - 1) * between / 2) / height
    figure.text(
        0.1 / here.width, 1 - axes_middle, measure.label + (" (%)" if measure.percent else ""),
        rotation=90, va="center", ha="left", size=here.text,
    )  # fmt: skip
    draw_legend(figure, legend, marks)
    add_title(figure, title, note)
    return figure


def _lines_of(rows: pd.DataFrame, tests: list[str]) -> list[tuple[str, pd.DataFrame]]:
    found = dict(list(rows.groupby("test")))
    return [(test, found[test].sort_values("cutoff_px", kind="stable")) for test in tests if test in found]


def _shared_axis(rows: pd.DataFrame, room: float) -> Axis:
    swept = rows[rows["sweep"] != ""]
    px = swept["cutoff_px"].to_numpy()
    low, high = float(np.log10(px.min())), float(np.log10(px.max()))
    span = high - low
    present = [name for name in CONTROLS if (rows["filter"] == name).any()]
    apart = max(0.12, 0.17 / room)  # upright names beside each other
    slots = {name: high + span * (0.17 + apart * i) for i, name in enumerate(present)}
    end = high + span * (0.25 + apart * (len(present) - 1) if present else 0.04)
    ratio = (swept["cutoff_px"] / swept["cutoff_nyq"]).to_numpy()
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    constant = len(ratio) > 0 and float(np.ptp(ratio)) <= 0.01 * float(ratio.mean())
    return Axis(low, high, slots, high + span * 0.075, end, float(np.median(ratio)) if constant else None)


def _value_range(rows: pd.DataFrame, measure: Measure) -> tuple[float, float]:
    """The range of the y axis: from the measure's floor, lower where the values are."""
    lowest = float(np.nanmin(rows[["value", "low"]].to_numpy(dtype=float)))
    return max(min(measure.floor, np.floor(10 * lowest) / 10), 0.0) - 0.02, 1.09


def _prepare(
    axes: Axes,
    axis: Axis,
    floor: float,
    ceiling: float,
    room: float,
    lowest: bool,
    first: bool,
    percent: bool,
) -> None:
    """Limits, ticks, zones and the break of one panel."""
    span = axis.high - axis.low
    begin = axis.low - 0.04 * span
    axes.set(xlim=(begin, axis.end), ylim=(floor, ceiling))
    axes.spines[["top", "right"]].set_visible(False)
    if axis.nyquist_px:
        _draw_zones(axes, axis, begin, ceiling, room)
    ticks = _decimal_ticks(
        axis.low, axis.high, room * span / (axis.end - begin), 0.2 if page().fixed else 0.24
    )
    labels = [f"{tick:g}" for tick in ticks]
    places = [float(np.log10(tick)) for tick in ticks]
    axes.set_xticks(
        [*places, *axis.slots.values()], [*labels, *axis.slots] if lowest else [], size=page().small
    )
    axes.xaxis.set_minor_locator(NullLocator())
    for label in axes.get_xticklabels()[len(ticks) :]:
        label.set(rotation=90, va="top", ha="center")
    if lowest:
        axes.annotate(
            "cut-off (px)", ((axis.low + axis.high) / 2, 0), xycoords=axes.get_xaxis_transform(),
            xytext=(0, -15), textcoords="offset points", size=page().small, ha="center", va="top",
            annotation_clip=False,
        )  # fmt: skip
    steps = 0.1 if ceiling - floor < 0.75 else 0.2
    marks = np.arange(round((floor + 0.02) / steps + 0.499), round(1 / steps) + 1) * steps
    axes.set_yticks(
        marks,
        [f"{100 * v:.0f}" if percent else f"{v:.1f}" for v in marks] if first else [],
        size=page().small,
    )
    axes.grid(axis="y", color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)
    if axis.slots:
        axes.plot(
            [axis.break_at - 0.012 * span, axis.break_at + 0.012 * span], [0, 0], color="white",
            linewidth=2.5, transform=axes.get_xaxis_transform(), clip_on=False, zorder=5,
        )  # fmt: skip
        for shift in (-0.016, 0.016):
            at = axis.break_at + shift * span
            axes.plot(
                [at - 0.012 * span, at + 0.012 * span], [-0.025, 0.025], color=MUTED, linewidth=0.6,
                transform=axes.get_xaxis_transform(), clip_on=False, zorder=6,
            )  # fmt: skip


def _draw_zones(axes: Axes, axis: Axis, begin: float, ceiling: float, room: float) -> None:
    nyquist = axis.nyquist_px or 1.0
    last = axis.break_at if axis.slots else axis.end
    ends = {}
    for name, start, stop in ZONES:
        x0 = max(begin, float(np.log10(start * nyquist)) if start > 0 else begin)
        x1 = min(last, float(np.log10(stop * nyquist)) if np.isfinite(stop) else last)
        if x1 > x0:
            ends[name] = x0, x1
    named = {
        name: (x1 - x0) / (axis.end - begin) * room >= widest([name], page().small) + 0.03
        for name, (x0, x1) in ends.items()
    }
    for name, (x0, x1) in ends.items():
        axes.axvspan(x0, x1, facecolor=_ZONE_FILL[name], edgecolor="none", zorder=0)
        if all(named.values()) if page().fixed else named[name]:
            axes.text(
                (x0 + x1) / 2, ceiling - 0.006, name, ha="center", va="top", size=page().small, color=MUTED
            )


def _nyquist_axis(axes: Axes, axis: Axis, room: float, labelled: bool) -> None:
    """Fractions of Nyquist above the first row of panels."""
    shift = float(np.log10(axis.nyquist_px or 1.0))
    span = axis.high - axis.low
    begin = axis.low - 0.04 * span
    inches = room * span / (axis.end - begin)
    ticks = _decimal_ticks(axis.low - shift, axis.high - shift, inches, 0.26 if page().fixed else 0.32)
    if page().fixed and inches < _CROWDED:
        ticks = [tick for tick in ticks if tick in (0.1, 1.0)] or [1.0]
    above = axes.secondary_xaxis("top")
    above.set_xticks(
        [float(np.log10(t)) + shift for t in ticks], [f"{t:g}" for t in ticks], size=page().small
    )
    above.xaxis.set_minor_locator(NullLocator())
    above.tick_params(pad=1.5)
    above.spines["top"].set_visible(False)
    if labelled:
        axes.annotate(
            "× Nyquist", (0, 1), xycoords="axes fraction", xytext=(-7, 4), textcoords="offset points",
            size=page().small, color=INK, ha="right", va="bottom", annotation_clip=False,
        )  # fmt: skip


def _draw_line(
    axes: Axes, axis: Axis, test: str, line: pd.DataFrame, mark: Mark, dodge: float, opacity: float, own: bool
) -> None:
    """One test set in one panel: band, curve (thick for the probe's own generator), and the controls.

    `dodge` in (-0.5, 0.5) spreads the test sets over a control's slot; `opacity` is the band's.
    """
    swept = line[line["sweep"] != ""]
    x = np.log10(swept["cutoff_px"].to_numpy(dtype=float))
    y, low, high = (swept[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    axes.fill_between(x, low, high, color=mark.colour, alpha=opacity, linewidth=0, zorder=2).set_gid(
        f"band:{test}"
    )
    (drawn,) = axes.plot(
        x, y, color=mark.colour, linestyle=mark.dashes, linewidth=1.5 if own else 0.8,
        marker=mark.marker, markersize=2.6,
        markeredgewidth=0, markevery=(0.02 + 0.06 * (dodge + 0.5), 0.14), zorder=3,
    )  # fmt: skip
    drawn.set_gid(f"curve:{test}")
    controls = line[line["filter"].isin(axis.slots)]
    if controls.empty:
        return
    width = 0.085 * (axis.high - axis.low)
    at = np.array([axis.slots[name] for name in controls["filter"]]) + dodge * width
    value, low, high = (controls[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
    bars = LineCollection(_stems(at, low, high), colors=mark.colour, linewidths=0.7, alpha=0.8, zorder=3)
    axes.add_collection(bars, autolim=False)
    (points,) = axes.plot(
        at,
        value,
        linestyle="",
        color=mark.colour,
        marker=mark.marker,
        markersize=2.8,
        markeredgewidth=0,
        zorder=4,
    )
    points.set_gid(f"controls:{test}")


def _stems(
    at: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> list[list[tuple[float, float]]]:
    return [
        [(x, a), (x, b)] for x, a, b in zip(at, low, high, strict=True) if np.isfinite(a) and np.isfinite(b)
    ]


def _decimal_ticks(low: float, high: float, inches: float, apart: float) -> list[float]:
    """1-2-5 numbers between 10^low and 10^high at least `apart` inches from each other, else 1-3 ones."""
    for digits in ((1, 2, 5), (1, 3), (1,)):
        decades = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 1)
        ticks = [
            d * 10.0**e for e in decades for d in digits if low - 1e-9 <= np.log10(d * 10.0**e) <= high + 1e-9
        ]
        gaps = np.diff(np.log10(ticks)) * inches / max(high - low, 1e-9)
        if len(ticks) >= 2 and (gaps >= apart).all():
            return ticks
    ends = [10.0**low, 10.0**high]
    return [float(f"{end:.2g}") for end in ends]
