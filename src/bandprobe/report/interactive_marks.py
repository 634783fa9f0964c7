"""What the page's figures share with those on paper: colours, dashes, markers, filters and sweeps."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from bandprobe.report.arrangement import family_label, sort_families
from bandprobe.report.style import Mark, family_colour, family_marks
from bandprobe.report.sweeps import CONTROLS, describe_sweep, sweep_rows, sweeps_in, with_sweep

_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x",
    "<": "triangle-left", ">": "triangle-right", "p": "pentagon", "h": "hexagon", "*": "star", "": "circle",
}  # fmt: skip


def plotly_mark(mark: Mark) -> dict[str, str]:
    """A line's look on white and on dark paper."""
    dash = "solid" if isinstance(mark.dashes, str) else ",".join(f"{1.7 * d:.1f}px" for d in mark.dashes[1])
    return {
        "colour": mark.colour,
        "dark": on_dark(mark.colour),
        "dash": dash,
        "symbol": _SYMBOLS.get(mark.marker, "circle"),
    }


def source_marks(family_of: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The look of each source by its family, as in the figures on paper."""
    return {name: plotly_mark(mark) for name, mark in family_marks(dict(family_of)).items()}


def families(names: list[str]) -> list[dict[str, str]]:
    """Families in their order, with label and colours."""
    return [
        {
            "name": name,
            "label": family_label(name),
            "colour": (colour := family_colour(name, names)),
            "dark": on_dark(colour),
        }
        for name in sort_families(names)
    ]


def on_dark(colour: str) -> str:
    """The same hue, light enough to be seen on dark paper."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*mpl.colors.to_rgb(colour))
    return str(
        mpl.colors.to_hex(colorsys.hls_to_rgb(hue, min(1.04 - 0.75 * lightness, 0.92), min(saturation, 0.85)))
    )


def filters(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The filters of a table in reading order (controls, sweeps by cut-off, others): spec and cut-offs."""
    facts = with_sweep(rows[["filter", "cutoff_px", "cutoff_nyq"]].drop_duplicates("filter"))
    sweeps = {name: i for i, name in enumerate(["", *sweeps_in(facts)])}
    control = facts["filter"].map({name: i for i, name in enumerate(CONTROLS)}).fillna(len(CONTROLS))
    swept = facts["sweep"].map(sweeps).fillna(len(sweeps)).where(facts["sweep"] != "", len(sweeps))
    order = facts.assign(_control=control, _sweep=swept)
    order = order.sort_values(["_control", "_sweep", "cutoff_px"], kind="stable")
    return [
        {"spec": str(spec), "px": _or_none(px), "nyq": _or_none(nyq)}
        for spec, px, nyq in zip(order["filter"], order["cutoff_px"], order["cutoff_nyq"], strict=True)
    ]


def sweeps(rows: pd.DataFrame, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sweeps with two cut-offs or more: their filters from the lowest cut-off up, and their controls.

    Args:
        rows: a table with filter, cutoff_px and cutoff_nyq.
        known: of `filters`; sweeps name filters by their place in it.
    """
    place = {one["spec"]: i for i, one in enumerate(known)}
    facts = rows[["filter", "cutoff_px", "cutoff_nyq"]].drop_duplicates("filter").assign(train_filter="none")
    found = []
    for sweep in sweeps_in(facts):
        mine = sweep_rows(facts, sweep, "reliance")
        swept = mine[mine["sweep"] != ""].sort_values("cutoff_px", kind="stable")
        controls = mine[mine["sweep"] == ""]
        found.append(
            {
                "label": describe_sweep(sweep),
                "filters": [place[spec] for spec in facts.loc[swept.index, "filter"]],
                "controls": [
                    {"label": str(label), "filter": place[spec]}
                    for label, spec in zip(
                        controls["filter"], facts.loc[controls.index, "filter"], strict=True
                    )
                ],
            }
        )
    return found


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
