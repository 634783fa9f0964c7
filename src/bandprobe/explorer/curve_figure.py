"""Every probe's probability against the cut-off, of one picture or two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

# Of three to one at least on white and on dark grey.
_COLOURS = ("#3b82c4", "#d9711c", "#2f9460", "#a06bc0", "#a3801a", "#cf5377", "#4f8f99", "#8a8a8a")
_DASHES = {"A": "solid", "B": "dash"}
_IDENTITY, _NONE = 1.08, 1.16  # places right of the sweep


def curve_figure(
    curves: Mapping[str, pd.DataFrame], cutoff_nyq: float, thresholds: Mapping[str, float]
) -> Any:
    """A Plotly figure.

    Args:
        curves: by picture, `A` and `B`: rows of `detect.curves.radius_curve`.
        cutoff_nyq: where the slider stands.
        thresholds: probability from which each probe calls an image fake.
    """
    from plotly import graph_objects

    figure = graph_objects.Figure()
    several = len(curves) > 1
    names = list(dict.fromkeys(name for table in curves.values() for name in table["probe"]))
    for picture, table in curves.items():
        for number, name in enumerate(names):
            rows = table[table["probe"] == name]
            colour = _COLOURS[number % len(_COLOURS)]
            label = f"{picture}: {name}" if several else name
            swept = rows[rows["cutoff_nyq"].notna()].sort_values("cutoff_nyq")
            figure.add_scatter(
                x=swept["cutoff_nyq"], y=swept["probability"], name=label, legendgroup=label, mode="lines+markers",
                line={"color": colour, "dash": _DASHES.get(picture, "solid")}, marker={"size": 5},
                hovertemplate="%{y:.3f} at %{x:.2f} of Nyquist",
            )  # fmt: skip
            for spec, place, symbol in (("identity", _IDENTITY, "square"), ("none", _NONE, "diamond")):
                value = rows.loc[rows["filter"] == spec, "probability"]
                figure.add_scatter(
                    x=[place] * len(value), y=value, mode="markers", name=f"{label}, {spec}", legendgroup=label,
                    showlegend=False, marker={"size": 9, "symbol": symbol, "color": colour},
                    hovertemplate=f"%{{y:.3f}}, {spec}",
                )  # fmt: skip
    if len(names) == 1 and names[0] in thresholds:
        figure.add_hline(
            thresholds[names[0]], line={"dash": "dot", "width": 1, "color": "#777777"},
            annotation_text="threshold", annotation_position="bottom right",
        )  # fmt: skip
    figure.add_vline(cutoff_nyq, line={"width": 1.5, "color": "#777777"})
    figure.update_layout(
        height=380,
        margin={"l": 50, "r": 20, "t": 44, "b": 50},
        legend={"orientation": "h", "y": -0.25},
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(
        title_text="cut-off, fraction of Nyquist",
        range=[0, 1.22],
        tickangle=0,
        tickvals=[0, 0.25, 0.5, 0.75, 1, _IDENTITY, _NONE],
        ticktext=["0", "0.25", "0.5", "0.75", "1", "id.", "none"],
        gridcolor="rgba(128,128,128,0.25)",
        zeroline=False,
    )
    figure.update_yaxes(
        title_text="probability of being generated",
        range=[-0.03, 1.03],
        gridcolor="rgba(128,128,128,0.25)",
        zeroline=False,
    )
    return figure
