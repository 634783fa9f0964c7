"""The images' own spectral entropy: a line a source, against the cut-off and ring by ring."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bandprobe.report.cutoff_axis import CutoffAxis, value_limits
from bandprobe.report.entropy_curves import REAL
from bandprobe.report.legend import REALS, draw_legend, lay_out
from bandprobe.report.style import (
    REAL as REAL_MARK,
)
from bandprobe.report.style import (
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Mark,
    add_title,
    family_marks,
    new_figure,
    title_height,
)

_PANELS = (("spectral_entropy", "over frequencies"), ("radial_entropy", "over rings"))


def images_figure(rows: pd.DataFrame, title: str, family_of: Mapping[str, str]) -> Figure:
    """Entropy of the images' power against the cut-off, over all frequencies and over rings.

    Args:
        rows: of `rows_of_sweep`, of one data set, encoder `images`.
        title: of the figure.
        family_of: family of each generator.

    Returns:
        A figure 7 inches wide.
    """
    names, marks, families = _sources(rows, family_of)
    note = f"Shannon entropy of the normalised power spectrum in nats, mean of {_count(rows)} images a source, with "
    note += "95 % intervals. Grey: controls."
    legend = lay_out(names, families)
    left, right, gap, tall = 0.5, 0.1, 0.5, 2.0
    top, bottom = title_height(title, note, WIDTH) + 0.28, 0.62 + legend.height
    room = (WIDTH - left - right - gap) / 2
    height = top + tall + bottom
    figure = new_figure(WIDTH, height)
    axis = CutoffAxis.of(rows)
    for column, (measure, label) in enumerate(_PANELS):
        mine = rows[rows["measure"] == measure]
        x = left + column * (room + gap)
        axes = figure.add_axes((x / WIDTH, bottom / height, room / WIDTH, tall / height))
        axes.set_gid(f"panel:{measure}")
        axis.prepare(axes, value_limits(mine, None), room, lowest=True, first=True)
        axes.set_title(label, size=TEXT, weight="bold", pad=3)
        for number, name in enumerate(names):
            place = (number + 0.5) / len(names) - 0.5
            axis.draw(axes, mine[mine["source"] == name], marks[name], name, place)
    figure.text(
        0.1 / WIDTH, (bottom + tall / 2) / height, "entropy (nats)", rotation=90, va="center", size=SMALL
    )
    draw_legend(figure, legend, marks)
    add_title(figure, title, note)
    return figure


def rings_figure(rows: pd.DataFrame, title: str, family_of: Mapping[str, str]) -> Figure:
    """Entropy of the power within each ring of unfiltered images, less the reals' where there are some.

    Args:
        rows: `spectral_entropy` of one data set under the filters that pass one ring.
        title: of the figure.
        family_of: family of each generator.

    Returns:
        A figure 7 inches wide.
    """
    names, marks, families = _sources(rows, family_of)
    by_source = {name: rows[rows["source"] == name].set_index("cutoff_nyq").sort_index() for name in names}
    against = by_source.get(REAL) if len(names) > 1 else None
    note = (
        f"Mean of {_count(rows)} images a source, with 95 % intervals; highest where power is the same in all "
        "directions." + (" The reals' entropy is subtracted." if against is not None else "")
    )
    legend = lay_out(names, families)
    left, right, tall = 0.62, 0.12, 2.0
    top, bottom = title_height(title, note, WIDTH) + 0.14, 0.42 + legend.height
    height = top + tall + bottom
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes((left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, tall / height))
    axes.set_gid("panel:rings")
    shown = []
    for name in names:
        mine, mark = by_source[name], marks[name]
        base = against["value"] if against is not None else 0.0
        value, low, high = (mine[end] - base for end in ("value", "low", "high"))
        axes.fill_between(mine.index, low, high, color=mark.colour, alpha=0.13, linewidth=0, zorder=2)
        (line,) = axes.plot(
            mine.index, value, color=mark.colour, linestyle=mark.dashes, linewidth=0.9, marker=mark.marker,
            markersize=2.8, markeredgewidth=0, markevery=0.12, zorder=3,
        )  # fmt: skip
        line.set_gid(f"curve:{name}")
        shown.append(value.to_numpy(dtype=float))
    values = np.concatenate(shown)
    low, high = np.nanquantile(values, [0.002, 0.998])  # one ring hides nothing else
    margin = 0.1 * (high - low) or 0.1
    axes.set(xlim=(0, 1), ylim=(low - margin, high + margin))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=RULE, linewidth=0.35)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("radius of the ring (× Nyquist)", size=TEXT, labelpad=2)
    axes.set_ylabel("entropy − reals' (nats)" if against is not None else "entropy (nats)", size=TEXT)
    draw_legend(figure, legend, marks)
    add_title(figure, title, note)
    return figure


def _sources(
    rows: pd.DataFrame, family_of: Mapping[str, str]
) -> tuple[list[str], dict[str, Mark], dict[str, str]]:
    """Sources in reading order, their marks, and under which heading of the legend each stands."""
    found = list(dict.fromkeys(rows["source"]))
    fakes = {name: family_of.get(name, "other") for name in found if name != REAL}
    names = [name for name in (REAL, *fakes) if name in found]
    marks = {**family_marks(fakes), REAL: REAL_MARK}
    return names, {name: marks[name] for name in names}, {**fakes, REAL: REALS}


def _count(rows: pd.DataFrame) -> str:
    low, high = int(rows["n"].min()), int(rows["n"].max())
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"
