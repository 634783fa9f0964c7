"""An axis of cut-offs on a log scale, with the controls that have none to the right of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from bandprobe.report.style import (
    RULE,
    Mark,
    page,
)
from bandprobe.report.sweeps import CONTROLS, with_sweep

_EIGHT = "identity:bits=8"


def rows_of_sweep(table: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """The rows of one sweep and of its controls, with the column `sweep`, empty for controls.

    The identity of a sweep in 8 bits is that in 8 bits, where it is there.
    """
    marked = with_sweep(table)
    eight = ":bits=8" in sweep and (marked["filter"] == _EIGHT).any()
    controls = ("none", _EIGHT) if eight else CONTROLS
    return marked[(marked["sweep"] == sweep) | marked["filter"].isin(controls)]


@dataclass(frozen=True)
class CutoffAxis:
    """The x axis that all panels of a figure share, in log10 of the cut-off in px.

    Attributes:
        low, high: ends of the part that holds the curve.
        slots: where each control stands.
        nyquist_px: px per Nyquist, or None where the rows mix grids; then ticks are in px.
    """

    low: float
    high: float
    slots: dict[str, float]
    nyquist_px: float | None

    @classmethod
    def of(cls, rows: pd.DataFrame) -> CutoffAxis:
        """The axis for rows of `rows_of_sweep`."""
        swept = rows[rows["sweep"] != ""]
        px = swept["cutoff_px"].to_numpy(dtype=float)
        low, high = float(np.log10(px.min())), float(np.log10(px.max()))
        present = sorted(set(rows.loc[rows["sweep"] == "", "filter"]), key=lambda name: name != "none")
        slots = {name: high + (high - low) * (0.14 + 0.14 * i) for i, name in enumerate(present)}
        ratio = (swept["cutoff_px"] / swept["cutoff_nyq"]).dropna()
        same = len(ratio) > 0 and float(ratio.max() - ratio.min()) < 0.01 * float(ratio.mean())
        return cls(low, high, slots, float(ratio.median()) if same else None)

    @property
    def begin(self) -> float:
        """Left end of the panel."""
        return self.low - 0.05 * (self.high - self.low)

    @property
    def end(self) -> float:
        """Right end of the panel."""
        return max([self.high, *self.slots.values()]) + 0.09 * (self.high - self.low)

    def prepare(
        self, axes: Axes, limits: tuple[float, float], room: float, *, lowest: bool, first: bool
    ) -> None:
        """Limits, ticks and grid of one panel.

        Args:
            axes: the panel.
            limits: of its y axis.
            room: its width in inches.
            lowest: it carries the labels of the x axis.
            first: it carries those of the y axis.
        """
        axes.set(xlim=(self.begin, self.end), ylim=limits)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=RULE, linewidth=0.35)
        axes.set_axisbelow(True)
        unit = float(np.log10(self.nyquist_px)) if self.nyquist_px else 0.0
        inches = room * (self.high - self.low) / (self.end - self.begin)
        ticks = _ticks(self.low - unit, self.high - unit, inches)
        places = [float(np.log10(tick)) + unit for tick in ticks]
        axes.set_xticks([*places, *self.slots.values()])
        words = [*(f"{tick:g}" for tick in ticks), *(name.partition(":")[0] for name in self.slots)]
        axes.set_xticklabels(words if lowest else [], size=page().small)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(axis="y", labelsize=page().small, labelleft=first)
        for label in axes.get_xticklabels()[len(ticks) :]:
            label.set(rotation=90, va="top", ha="center")
        if self.slots:
            axes.axvspan(self.high + 0.06 * (self.high - self.low), self.end, facecolor="#f2f2f2", zorder=0)
        if lowest:
            axes.annotate(
                "cut-off (× Nyquist)" if self.nyquist_px else "cut-off (px)", ((self.low + self.high) / 2, 0),
                xycoords=axes.get_xaxis_transform(), xytext=(0, -15), textcoords="offset points", size=page().small,
                ha="center", va="top", annotation_clip=False,
            )  # fmt: skip

    def draw(
        self, axes: Axes, rows: pd.DataFrame, mark: Mark, name: str, dodge: float, *, hollow: bool = False
    ) -> None:
        """One line with its band, and its controls with error bars, joined to nothing.

        Args:
            axes: the panel.
            rows: of one line.
            mark: colour, dashes and marker.
            name: of the line, for its gid.
            dodge: in (-0.5, 0.5), its place within a control's slot.
            hollow: whether its markers are.
        """
        swept = rows[(rows["sweep"] != "") & rows["value"].notna()].sort_values("cutoff_px")
        controls = rows[(rows["sweep"] == "") & rows["value"].notna()]
        at = np.array([self.slots[spec] for spec in controls["filter"]])
        at += dodge * 0.1 * (self.high - self.low)
        x = np.log10(swept["cutoff_px"].to_numpy(dtype=float))
        axes.fill_between(
            x, swept["low"], swept["high"], color=mark.colour, alpha=0.15, linewidth=0, zorder=2
        )
        axes.vlines(at, controls["low"], controls["high"], color=mark.colour, linewidth=0.7, zorder=3)
        for kind, places, values, dashes, marker in (
            ("curve", x, swept["value"], mark.dashes, mark.marker),
            ("controls", at, controls["value"], "", mark.marker or "h"),
        ):
            (line,) = axes.plot(
                places, values, color=mark.colour, linestyle=dashes, linewidth=1.1, marker=marker, markersize=2.8,
                markerfacecolor="white" if hollow else mark.colour, markeredgecolor=mark.colour,
                markeredgewidth=0.7 if hollow else 0, zorder=4,
            )  # fmt: skip
            line.set_gid(f"{kind}:{name}")


def value_limits(rows: pd.DataFrame, level: float | None) -> tuple[float, float]:
    """The range of values and of the level drawn with them, less what the longest 2 % of bands would add."""
    ends = rows[["low", "high"]].to_numpy(dtype=float)
    ends = ends[np.isfinite(ends).all(axis=1)]
    values = rows["value"].dropna().to_numpy(dtype=float)
    known = [values.min(), values.max()]
    if len(ends):
        known += [float(np.quantile(ends[:, 0], 0.02)), float(np.quantile(ends[:, 1], 0.98))]
    if level is not None:
        known.append(level)
    low, high = min(known), max(known)
    margin = 0.06 * (high - low) or 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float, inches: float) -> list[float]:
    """1-2-5 numbers, or fewer, between 10^low and 10^high, 0.22 inches apart or more."""
    span = max(high - low, 1e-9)
    decades = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [d * 10.0**e for e in decades for d in digits]
        found = [tick for tick in found if low - 1e-9 <= np.log10(tick) <= high + 1e-9]
        if len(found) > 1 and np.diff(np.log10(found)).min() * inches / span >= 0.22:
            return found
    return [float(f"{10.0**end:.2g}") for end in (low, high)]
