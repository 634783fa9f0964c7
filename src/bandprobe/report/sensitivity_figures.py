"""Figures of a sensitivity analysis: two maps, the profile over radius, and that over direction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bandprobe import progress
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.legend import REALS, draw_legend, lay_out
from bandprobe.report.slugs import slug
from bandprobe.report.style import (
    INK,
    REAL,
    RULE,
    Mark,
    add_title,
    family_marks,
    new_figure,
    page,
    power_of_ten,
    title_height,
)

_SOURCE = "Real"
_WORDS = {
    "logit": "the logit of the probe on {}",
    "auroc": "the smooth AUROC of the probe on {}",
    "embedding": "the embedding",
}
_NOTE = (
    "Energy: squared change for a unit of squared amplitude added at that frequency, mean over images and phases. "
    "Bands: 95 % over images. Direction 0: stripes upright."
)
_DECADES = 4  # that a map shows

Floats = npt.NDArray[np.float64]


def sensitivity_groups(profiles: pd.DataFrame, maps: Mapping[str, Floats]) -> list[FigureGroup]:
    """A figure for each encoder, probe and quantity.

    Args:
        profiles: rows of `analysis.sensitivity.COLUMNS`.
        maps: by `encoder|trained_on|train_filter|quantity|dataset|source`.
    """
    groups: dict[str, FigureGroup] = {}
    keys = ["encoder", "trained_on", "train_filter", "quantity", "dataset", "method"]
    for key, rows in profiles[profiles["quantity"].isin(list(_WORDS))].groupby(keys, sort=False):
        encoder, trained_on, train_filter, quantity, dataset, method = map(str, key)
        group = groups.setdefault(encoder, FigureGroup(f"Sensitivity of {encoder}"))
        what = _WORDS[quantity].format(trained_on)
        prefix = "|".join((encoder, trained_on, train_filter, quantity, dataset, ""))
        mine = {name.removeprefix(prefix): one for name, one in maps.items() if name.startswith(prefix)}
        stem = "-".join(
            ["sensitivity", *(slug(part) for part in (encoder, trained_on, quantity, dataset) if part)]
        )
        radial = rows[(rows["axis"] == "radial") & (rows["place"] > 0)]
        peak = float(radial.sort_values("value")["place"].iloc[-1]) if len(radial) else float("nan")
        group.figures.append(
            PlannedFigure(
                stem,
                f"{encoder}: which frequencies {what} depends on",
                "High where a little of a frequency moves it much; what images hold of it is another question.",
                f"Sensitivity of {what} over frequency, by source; highest at {peak:.2f} of Nyquist; method: {method}.",
                partial(sensitivity_figure, rows, mine, f"{encoder}: sensitivity of {what} ({method})"),
            )
        )
    return list(groups.values())


def write_figures(profiles: pd.DataFrame, maps: Mapping[str, Floats], folder: Path) -> list[Path]:
    """Draw all figures into a folder; returns the PNGs."""
    planned = [figure for group in sensitivity_groups(profiles, maps) for figure in group.figures]
    paths = []
    with progress.bar("figures", len(planned), "figures") as step:
        for figure in planned:
            paths.append(figure.write(folder))
            step()
    return paths


def sensitivity_figure(rows: pd.DataFrame, maps: Mapping[str, Floats], title: str) -> Figure:
    """Maps of reals and of fakes above, profiles below.

    Args:
        rows: profiles of one encoder, probe, quantity and data set.
        maps: mean energies by source, shifted; NaN where nothing was measured.
        title: of the figure.
    """
    width = page().width
    names = sorted(set(rows["source"]), key=lambda name: (name != _SOURCE, name))
    family_of = dict(zip(rows["source"], rows["family"].fillna(""), strict=True))
    marks: dict[str, Mark] = family_marks({n: str(family_of[n] or "other") for n in names if n != _SOURCE})
    legend = lay_out(
        names, {n: REALS if n == _SOURCE else str(family_of[n] or "other") for n in names}, width
    )
    top = title_height(title, _NOTE, width) + 0.28
    map_side, tall, bottom = min(1.9, width / 2 - 0.9), 1.5, 0.42 + legend.height
    height = top + map_side + 0.42 + tall + bottom
    figure = new_figure(width, height)
    add_title(figure, title, _NOTE)
    fakes = [maps[name] for name in names if name != _SOURCE and name in maps]
    shown = [("reals", maps.get(_SOURCE)), ("fakes", np.mean(fakes, axis=0) if fakes else None)]
    both = [one for _, one in shown if one is not None]
    if both:
        highest = float(np.nanmax([np.nanmax(one) for one in both]))
        for number, (name, one) in enumerate(shown):
            if one is not None:
                left = 0.62 + number * (map_side + 0.7)
                box = (left / width, (height - top - map_side) / height, map_side / width, map_side / height)
                _map(figure, figure.add_axes(box), one, name, highest)
    lower = (bottom / height, tall / height)
    curves = figure.add_axes((0.62 / width, lower[0], 0.56 * width / width, lower[1]))
    _profile(curves, rows[(rows["axis"] == "radial") & (rows["place"] > 0)], names, marks)
    curves.set_xlabel("frequency, fraction of Nyquist", size=page().text)
    curves.set_ylabel("energy", size=page().text)
    curves.set_xlim(0, 1)
    angles = figure.add_axes((0.62 / width + 0.64, lower[0], 1 - 0.64 - 0.74 / width, lower[1]))
    _profile(angles, rows[rows["axis"] == "orientation"], names, marks)
    angles.set_xlabel("direction, degrees", size=page().text)
    angles.set_xlim(0, 165)
    angles.set_xticks([0, 45, 90, 135])
    draw_legend(figure, legend, {name: marks.get(name, REAL) for name in names})
    return figure


def _map(figure: Figure, axes: Any, energy: Floats, name: str, highest: float) -> None:
    rows, columns = energy.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        logged = np.log10(energy / highest)
    extent = (-columns / min(rows, columns), columns / min(rows, columns), -rows / min(rows, columns),
              rows / min(rows, columns))  # fmt: skip
    axes.set_facecolor("#e4e4e4")  # where nothing was measured
    picture = axes.imshow(
        np.ma.masked_invalid(logged),
        cmap="viridis",
        vmin=-_DECADES,
        vmax=0,
        extent=extent,
        interpolation="nearest",
    )
    axes.set_title(name, size=page().text, color=INK, loc="left", pad=3)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelsize=page().small)
    box = axes.get_position()
    bar = figure.colorbar(picture, cax=figure.add_axes((box.x1 + 0.008, box.y0, 0.01, box.height)))
    bar.set_ticks([-_DECADES, -_DECADES / 2, 0])
    bar.set_ticklabels([power_of_ten(highest * 10.0**-k) for k in (_DECADES, _DECADES / 2, 0.0)])
    bar.ax.tick_params(labelsize=page().small, length=1.5)
    bar.outline.set_visible(False)


def _profile(axes: Any, rows: pd.DataFrame, names: list[str], marks: Mapping[str, Mark]) -> None:
    for name in names:
        mine = rows[rows["source"] == name].sort_values("place")
        mark = marks.get(name, REAL)
        axes.plot(mine["place"], mine["value"], color=mark.colour, linestyle=mark.dashes, linewidth=1.0,
                  marker=mark.marker, markersize=2, markevery=max(1, len(mine) // 8))  # fmt: skip
        axes.fill_between(
            mine["place"], mine["low"], mine["high"], color=mark.colour, alpha=0.15, linewidth=0
        )
    axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=RULE, linewidth=0.35)
    axes.tick_params(labelsize=page().small)
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.yaxis.set_minor_formatter(NullFormatter())
