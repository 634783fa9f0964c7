"""Which bands probes use, as figures and in words."""

from __future__ import annotations

import itertools
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure

from bandprobe.report.arrangement import training_label
from bandprobe.report.cells import colour_map
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.page_tables import Table, table
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.style import (
    INK,
    MUTED,
    add_title,
    new_figure,
    page,
    shorten,
    title_height,
    widest,
)

_ROW = 0.24  # inches
_LABEL = 2.2  # inches that a row's name may take
_SHOWN = 40  # rows of a figure
_BOUNDS = (0.15, 0.5, 1.0)  # where low, middle and high frequencies meet, and Nyquist
_END = 1.45
_CROWDED = 2.6  # inches of an axis on which 0 and 0.15 would meet


def bands_groups(claimed: pd.DataFrame, tested: pd.DataFrame) -> list[FigureGroup]:
    """A figure for each encoder: what each probe keeps under every band-pass, and the bands claimed.

    Args:
        claimed: rows of `bands.csv`.
        tested: rows of `bands_tested.csv`.
    """
    slugs = unique_slugs(list(tested["encoder"].unique()))
    groups = []
    for encoder, rows in tested.groupby("encoder", sort=False):
        group = FigureGroup(f"Bands that probes on {encoder} use")
        passes = rows[rows["kind"] == "pass"] if "kind" in rows else rows.iloc[:0]
        if passes.empty:
            group.sentences.append(f"No probe on {encoder} could be asked: {_why(rows)}.")
        else:
            mine = claimed[claimed["encoder"] == encoder]
            group.figures.append(
                PlannedFigure(
                    stem=f"bands-{slugs[str(encoder)]}",
                    title=f"{encoder}: which frequencies each probe uses",
                    reading="Colour: AUROC with one band of frequencies kept alone. Line and dot: the band claimed at "
                    "5 %, with its interval. A row without a line claims none.",
                    alt=f"A strip of band-pass AUROCs for each of {len(_cases(passes))} probes on {encoder}; "
                    f"{len(mine)} bands are claimed.",
                    draw=partial(bands_figure, passes, mine, str(encoder)),
                )
            )
        groups.append(group)
    return groups


def bands_figure(passes: pd.DataFrame, claimed: pd.DataFrame, encoder: str) -> Figure:
    """Draw the strips of one encoder.

    Args:
        passes: its rows of `bands_tested.csv` of kind `pass`.
        claimed: its rows of `bands.csv`.
        encoder: for the title.
    """
    here = page()
    most = int(min(_SHOWN, (here.height - 1) / _ROW))
    cases = _cases(passes)[:most]
    longest = here.label(_LABEL)
    names = [shorten(_name(*case), longest, here.text) for case in cases]
    label = widest(names, here.text) + 0.15
    title = f"Bands that probes on {encoder} use"
    note = (
        "Fractions of Nyquist; dotted: where low, middle and high frequencies meet, and Nyquist itself. Colour: AUROC "
        "with one band kept alone. Line: interval of the band claimed, dot: its centre."
        + (f" The first {most} of {len(_cases(passes))}." if len(_cases(passes)) > most else "")
    )
    top, bottom, right = title_height(title, note, here.width) + 0.08, 0.42, 0.75
    height = top + _ROW * len(cases) + bottom
    figure = new_figure(here.width, max(height, top + bottom + 0.9))
    width, height = figure.get_size_inches()
    box = (label / width, bottom / height, (width - label - right) / width, _ROW * len(cases) / height)
    axes = figure.add_axes(box)
    scale = mpl.colors.Normalize(0.5, 1.0)
    for row, case in enumerate(cases):
        mine = passes[_of(passes, case)]
        edges = np.unique(np.round([*mine["low_nyq"], *mine["high_nyq"]], 6))
        inside = [
            mine.loc[(mine["low_nyq"] <= low + 1e-6) & (mine["high_nyq"] >= high - 1e-6), "auroc"].mean()
            for low, high in itertools.pairwise(edges)
        ]
        axes.pcolormesh(
            edges, [row + 0.12, row + 0.88], [inside], cmap=colour_map(), norm=scale, rasterized=True
        )
        for _, band in claimed[_of(claimed, case)].iterrows():
            for colour, points in (("white", 3.2), (INK, 1.4)):
                axes.plot([band["low_nyq"], band["high_nyq"]], [row + 0.5] * 2, color=colour, lw=points,
                          solid_capstyle="butt")  # fmt: skip
            axes.plot(band["centre_nyq"], row + 0.5, "o", color=INK, mec="white", mew=0.8, ms=4.5)
    for bound in _BOUNDS:
        axes.axvline(bound, color=MUTED, lw=0.7, ls=(0, (1, 1.5)))
    axes.set(xlim=(0, _END), ylim=(len(cases), 0))
    axes.set_yticks(np.arange(len(cases)) + 0.5, names, size=here.text)
    ticks = {0.0: "0", 0.15: "0.15", 0.5: "0.5", 1.0: "1", 1.414: "corner"}
    if width - label - right < _CROWDED:
        del ticks[0.0]
    axes.set_xticks(list(ticks), list(ticks.values()), size=here.small)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.text((label + (width - label - right) / 2) / width, 0.1 / height, "frequency, fraction of Nyquist",
                size=here.text, ha="center")  # fmt: skip
    reach = min(_ROW * len(cases), 1.5)
    place = ((width - right + 0.15) / width, (height - top - reach) / height, 0.1 / width, reach / height)
    bar = ColorbarBase(figure.add_axes(place), cmap=colour_map(), norm=scale)
    bar.set_ticks([0.5, 0.75, 1.0])
    bar.ax.tick_params(labelsize=here.small)
    bar.outline.set_visible(False)
    figure.text((width - right + 0.15) / width, (height - top + 0.05) / height, "AUROC", size=here.small)
    add_title(figure, title, note)
    return figure


def bands_table(claimed: pd.DataFrame, tested: pd.DataFrame) -> Table:
    """Every probe that was considered, with what it uses or why nothing is said."""
    rows = []
    for case, facts in tested.groupby(["encoder", *_CASE], sort=False):
        encoder, *rest = case
        mine = claimed[(claimed["encoder"] == encoder) & _of(claimed, tuple(map(str, rest)))]
        own = facts["own_auroc"].iloc[0]
        trained = training_label(str(rest[0])) + ("" if rest[1] == "none" else f" under {rest[1]}")
        head = [str(encoder), trained, str(rest[2]), f"{own:.3f}" if np.isfinite(own) else "–"]
        rows += [[*head, *_band(band)] for _, band in mine.iterrows()]
        if mine.empty:
            rows.append([*head, str(facts["outcome"].iloc[0]), "–", "–", "–"])
    columns = ["encoder", "trained on", "tested on", "AUROC", "uses, of Nyquist", "centre", "share", "p"]
    return table("Bands that probes use on their own generators", columns, rows, heads=3)


def _band(band: pd.Series[float]) -> list[str]:
    p = f"{band['p_value']:.4f}" if band["p_value"] >= 0.0001 else "< 0.0001"
    ends = f"{band['low_nyq']:.2f}–{min(band['high_nyq'], 1.414):.2f}"
    return [ends, f"{band['centre_nyq']:.2f}", f"{100 * band['strength']:.0f} %", p]


_CASE = ["trained_on", "train_filter", "tested_on"]


def _cases(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Probes and test sets, one-generator probes first."""
    found = list(rows[_CASE].drop_duplicates().itertuples(index=False, name=None))
    return sorted(found, key=lambda case: case[0] != case[2])


def _of(rows: pd.DataFrame, case: tuple[str, ...]) -> pd.Series[bool]:
    return (rows[_CASE] == list(case)).all(axis=1)


def _name(trained_on: str, train_filter: str, tested_on: str) -> str:
    whose = tested_on if trained_on == tested_on else f"{training_label(trained_on)}, on {tested_on}"
    return whose if train_filter == "none" else f"{whose} ({train_filter})"


def _why(rows: pd.DataFrame) -> str:
    reasons = rows["outcome"].value_counts()
    first = str(reasons.index[0]).removeprefix("not asked: ")
    return first if len(rows) == 1 else f"{first}, and likewise for {len(rows) - 1} more"
