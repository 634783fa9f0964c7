"""Figures of a sensitivity analysis: two maps, the profile over radius, and that over direction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import Normalize, SymLogNorm
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
    "auroc amplitude": "the smooth AUROC of the probe on {}",
}
_SIGNED = ("auroc amplitude",)
_NOTE = (
    "Energy: squared change for a unit of squared amplitude added at that frequency, mean over images and phases. "
    "Bands: 95 % over images. Direction 0: stripes upright."
)
_SIGNED_NOTE = (
    "Change of AUROC for each share by which what images of that source hold there grows; a ring's in the curves, a "
    "coefficient's in the maps, colours logarithmic from a hundredth on. Bands: 95 % over images."
)
_DECADES = 4  # that a map shows
_LINEAR = 0.01  # of the largest change: below it colours are linear, above logarithmic

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
        if quantity in _SIGNED:
            planned = PlannedFigure(
                stem,
                f"{encoder}: what {what} gains from more of what is there",
                "Above zero, more of that frequency in images of that source helps to tell fakes from reals.",
                f"Change of {what} with the growth of each frequency, by source; most at {peak:.2f} of Nyquist.",
                partial(
                    sensitivity_figure, rows, mine, f"{encoder}: {what} as frequencies grow", signed=True
                ),
            )
        else:
            planned = PlannedFigure(
                stem,
                f"{encoder}: which frequencies {what} depends on",
                "High where a little of a frequency moves it much; what images hold of it is another question.",
                f"Sensitivity of {what} over frequency, by source; highest at {peak:.2f} of Nyquist; method: {method}.",
                partial(sensitivity_figure, rows, mine, f"{encoder}: sensitivity of {what} ({method})"),
            )
        group.figures.append(planned)
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


def sensitivity_figure(
    rows: pd.DataFrame, maps: Mapping[str, Floats], title: str, *, signed: bool = False
) -> Figure:
    """Maps of reals and of fakes above, profiles below.

    Args:
        rows: profiles of one encoder, probe, quantity and data set.
        maps: means by source, shifted; NaN where nothing was measured.
        title: of the figure.
        signed: the values are changes around zero, not energies; they have no profile over direction.
    """
    note = _SIGNED_NOTE if signed else _NOTE
    width = page().width
    names = sorted(set(rows["source"]), key=lambda name: (name != _SOURCE, name))
    family_of = dict(zip(rows["source"], rows["family"].fillna(""), strict=True))
    marks: dict[str, Mark] = family_marks({n: str(family_of[n] or "other") for n in names if n != _SOURCE})
    legend = lay_out(
        names, {n: REALS if n == _SOURCE else str(family_of[n] or "other") for n in names}, width
    )
    top = title_height(title, note, width) + 0.28
    map_side, tall, bottom = min(1.9, width / 2 - 0.9), 1.5, 0.42 + legend.height
    height = top + map_side + 0.42 + tall + bottom
    figure = new_figure(width, height)
    add_title(figure, title, note)
    fakes = [maps[name] for name in names if name != _SOURCE and name in maps]
    shown = [("reals", maps.get(_SOURCE)), ("fakes", np.mean(fakes, axis=0) if fakes else None)]
    if signed:
        shown = [(name, None if one is None else _without_mean(one)) for name, one in shown]
    both = [one for _, one in shown if one is not None]
    if both:
        highest = float(np.nanmax([np.nanmax(np.abs(one)) for one in both]))
        for number, (name, one) in enumerate(shown):
            if one is not None:
                left = 0.62 + number * (map_side + 0.7)
                box = (left / width, (height - top - map_side) / height, map_side / width, map_side / height)
                _map(figure, figure.add_axes(box), one, name, highest, signed)
    lower = (bottom / height, tall / height)
    share = 1 - (0.62 + 0.1) / width if signed else 0.56
    curves = figure.add_axes((0.62 / width, lower[0], share, lower[1]))
    _profile(curves, rows[(rows["axis"] == "radial") & (rows["place"] > 0)], names, marks, signed)
    curves.set_xlabel("frequency, fraction of Nyquist", size=page().text)
    curves.set_ylabel("change of AUROC" if signed else "energy", size=page().text)
    curves.set_xlim(0, 1)
    draw_legend(figure, legend, {name: marks.get(name, REAL) for name in names})
    if signed:
        return figure
    angles = figure.add_axes((0.62 / width + 0.64, lower[0], 1 - 0.64 - 0.74 / width, lower[1]))
    _profile(angles, rows[rows["axis"] == "orientation"], names, marks, signed)
    angles.set_xlabel("direction, degrees", size=page().text)
    angles.set_xlim(0, 165)
    angles.set_xticks([0, 45, 90, 135])
    return figure


def _without_mean(values: Floats) -> Floats:
    """A map without the coefficient of the mean, beside which nothing else would be seen."""
    found = values.astype(float)
    found[found.shape[0] // 2, found.shape[1] // 2] = np.nan
    return found


def _map(figure: Figure, axes: Any, values: Floats, name: str, highest: float, signed: bool) -> None:
    rows, columns = values.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = values / highest if signed else np.log10(values / highest)
    extent = (-columns / min(rows, columns), columns / min(rows, columns), -rows / min(rows, columns),
              rows / min(rows, columns))  # fmt: skip
    axes.set_facecolor("#e4e4e4")  # where nothing was measured
    picture = axes.imshow(
        np.ma.masked_invalid(shown),
        cmap="RdBu" if signed else "viridis",
        norm=SymLogNorm(_LINEAR, vmin=-1, vmax=1) if signed else Normalize(-_DECADES, 0),
        extent=extent,
        interpolation="nearest",
    )
    axes.set_title(name, size=page().text, color=INK, loc="left", pad=3)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelsize=page().small)
    box = axes.get_position()
    bar = figure.colorbar(picture, cax=figure.add_axes((box.x1 + 0.008, box.y0, 0.01, box.height)))
    if signed:
        bar.set_ticks([-1, 0, 1], labels=[f"−{highest:.1g}", "0", f"{highest:.1g}"])
        bar.minorticks_off()
    else:
        bar.set_ticks([-_DECADES, -_DECADES / 2, 0])
        bar.set_ticklabels([power_of_ten(highest * 10.0**-k) for k in (_DECADES, _DECADES / 2, 0.0)])
    bar.ax.tick_params(labelsize=page().small, length=1.5)
    bar.outline.set_visible(False)


def _profile(
    axes: Any, rows: pd.DataFrame, names: list[str], marks: Mapping[str, Mark], signed: bool
) -> None:
    for name in names:
        mine = rows[rows["source"] == name].sort_values("place")
        mark = marks.get(name, REAL)
        axes.plot(mine["place"], mine["value"], color=mark.colour, linestyle=mark.dashes, linewidth=1.0,
                  marker=mark.marker, markersize=2, markevery=max(1, len(mine) // 8))  # fmt: skip
        axes.fill_between(
            mine["place"], mine["low"], mine["high"], color=mark.colour, alpha=0.15, linewidth=0
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=RULE, linewidth=0.35)
    axes.tick_params(labelsize=page().small)
    if signed:
        axes.axhline(0, color=INK, linewidth=0.6)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.yaxis.set_minor_formatter(NullFormatter())
