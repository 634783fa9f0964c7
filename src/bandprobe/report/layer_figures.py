"""Figures of `layers.csv`: detection behind each block by cut-off, and what the blocks keep of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandprobe.analysis.layers import OUTPUT
from bandprobe.report.entropy_curves import encoder_marks
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.page_tables import Table
from bandprobe.report.page_tables import table as as_table
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.style import (
    INK,
    MUTED,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Mark,
    add_title,
    new_figure,
    shorten,
    title_height,
)
from bandprobe.report.summary import interval_text

_MOST = 8  # lines of a kind in a panel, and encoders in a figure
_KINDS = {"lowpass": ("Blues", "-", "low-pass"), "highpass": ("Oranges", (0, (4, 1.4)), "high-pass")}
_CURVES = {"reliance": "trained on unfiltered images", "information": "re-trained under the filter"}
# What the second figure shows: (measure, curve), label, and the value it is read against.
_MEASURES: tuple[tuple[tuple[str, str], str, float | None], ...] = (
    (("high_alone", "information"), "AUROC, above 0.5 Nyquist alone", 0.5),
    (("high_frequency_dependence", "reliance"), "high-frequency dependence", 0.0),
    (("kept_cutoff", "reliance"), "cut-off that keeps 95 % (× Nyquist)", None),
    (("effective_rank_share", "embedding"), "effective rank, low / identity", 1.0),
    (("cka", "embedding"), "CKA of low with high", 0.0),
)
_LEFT, _RIGHT, _GAP, _LINE = 0.5, 0.1, 0.42, 0.135  # inches


def layer_groups(table: pd.DataFrame) -> list[FigureGroup]:
    """The figures of `layers.csv`, two for each kind of mask.

    Args:
        table: its rows.
    """
    groups = []
    masks = [mask for mask in dict.fromkeys(table["mask"]) if mask in ("butterworth", "ideal")]
    for mask in masks:
        rows = table[table["mask"].isin([mask, "none"])]
        group = FigureGroup(f"Block by block, {mask.capitalize() if mask == 'butterworth' else mask} masks")
        encoders = list(dict.fromkeys(rows["encoder"]))
        slugs = unique_slugs(encoders)
        for encoder in encoders:
            mine = rows[(rows["encoder"] == encoder) & (rows["measure"] == "auroc") & rows["value"].notna()]
            if len(mine):
                title = f"Detection behind each block of {encoder}, by cut-off"
                group.figures.append(
                    PlannedFigure(
                        stem=f"layers-{slugs[encoder]}-{mask}",
                        title=title,
                        reading="A line that falls from one block to the next has lost there what it lived on; "
                        "where dark lines part from light ones, the block's vector depends on high frequencies.",
                        alt=f"Lines: mean own-generator AUROC behind each block of {encoder} under "
                        f"{', '.join(dict.fromkeys(mine['filter']))}.",
                        draw=partial(radius_figure, mine, title),
                    )
                )
        shown = [pair for pair, _, _ in _MEASURES if _has(rows, pair)]
        if shown:
            title = "What each block keeps, encoder beside encoder"
            group.figures.append(
                PlannedFigure(
                    stem=f"layers-measures-{mask}",
                    title=title,
                    reading="Depth runs from the first block to the last; beyond it stands the encoder's own output.",
                    alt=f"Lines: {', '.join(measure for measure, _ in shown)} against depth for "
                    f"{', '.join(encoders)}.",
                    draw=partial(measures_figure, rows, title),
                )
            )
        groups.append(group)
    return groups


def layer_table(table: pd.DataFrame) -> Table:
    """What each block keeps, under Butterworth masks where there are such."""
    masks = [mask for mask in ("butterworth", "ideal") if (table["mask"] == mask).any()]
    rows = table[table["mask"].isin(masks[:1])]
    shown = [(pair, label) for pair, label, _ in _MEASURES if _has(rows, pair)]
    indexed = rows.set_index(["encoder", "layer", "measure", "curve"])
    lines = []
    for encoder, mine in rows.groupby("encoder", sort=False):
        for layer in dict.fromkeys(mine["layer"]):
            keys = [(encoder, layer, *pair) for pair, _ in shown]
            found = [indexed.loc[[key]].iloc[0] if key in indexed.index else None for key in keys]
            lines.append(
                [str(encoder), str(layer), *("–" if row is None else interval_text(row) for row in found)]
            )
    return as_table(
        f"Behind each block, {masks[0] if masks else 'no'} masks, with 95 % intervals",
        ["encoder", "block", *(label for _, label in shown)],
        lines,
        heads=2,
    )


def radius_figure(rows: pd.DataFrame, title: str) -> Figure:
    """AUROC against the block, a line a cut-off.

    Args:
        rows: `auroc` rows of one encoder and one kind of mask.
        title: of the figure.

    Returns:
        A figure 7 inches wide: a panel for probes of unfiltered images, and one for re-trained ones where there
        are some.
    """
    panels = [curve for curve in _CURVES if len(set(rows.loc[rows["curve"] == curve, "filter"])) > 1]
    panels = panels or ["reliance"]
    filters = _filters(rows)
    marks = _filter_marks(filters)
    left_out = rows["filter"].nunique() - len(filters)
    note = "Mean over generators of each probe's AUROC on its own. Bands: 95 % intervals." + (
        f" {left_out} cut-offs between those shown are in layers.csv." if left_out else ""
    )
    names = _layers(rows)
    tall, legend = 2.5, _LINE * -(-len(filters) // 4)
    top = title_height(title, note, WIDTH) + 0.25
    bottom = 0.5 + legend
    room = (WIDTH - _LEFT - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    figure = new_figure(WIDTH, top + tall + bottom)
    height = top + tall + bottom
    low = min(0.5, float(np.nanmin(rows["low"].to_numpy())))
    for column, curve in enumerate(panels):
        x = _LEFT + column * (room + _GAP)
        axes = figure.add_axes((x / WIDTH, bottom / height, room / WIDTH, tall / height))
        axes.set_gid(f"panel:{curve}")
        axes.set_title(f"{curve}: {_CURVES[curve]}", size=TEXT, weight="bold", pad=3)
        _prepare(axes, names, (np.floor(20 * low) / 20, 1.01), 0.5, room)
        axes.set_xlabel("block", size=SMALL, labelpad=1.5)
        if column == 0:
            axes.set_ylabel("AUROC on own generators", size=SMALL)
        mine = rows[rows["curve"] == curve]
        for spec in filters:
            line = mine[mine["filter"] == spec]
            places = [names.index(layer) for layer in line["layer"]]
            _draw(axes, np.asarray(places, dtype=float), line, marks[spec], spec, len(names) - 1)
    _legend(figure, {_filter_label(rows, spec): marks[spec] for spec in filters}, 4, legend)
    add_title(figure, title, note)
    return figure


def measures_figure(rows: pd.DataFrame, title: str) -> Figure:
    """Measures against depth, a panel a measure, a line an encoder.

    Args:
        rows: of `layers.csv`, of one kind of mask.
        title: of the figure.

    Returns:
        A figure 7 inches wide.
    """
    shown = [entry for entry in _MEASURES if _has(rows, entry[0])]
    encoders = list(dict.fromkeys(rows["encoder"]))[:_MOST]
    marks = encoder_marks(encoders)
    note = (
        "Behind each block, as a share of the encoder's depth; right of the line, its own output. Bands: 95 % "
        "intervals. The two measures of embeddings compare below with above 0.15 Nyquist."
    )
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    room = (WIDTH - _LEFT - _RIGHT - _GAP * (columns - 1)) / columns
    tall, between, legend = 1.45, 0.5, _LINE * -(-len(encoders) // 3)
    top, bottom = title_height(title, note, WIDTH) + 0.25, 0.45 + legend
    height = top + lines * tall + (lines - 1) * between + bottom
    figure = new_figure(WIDTH, height)
    for number, ((measure, curve), label, level) in enumerate(shown):
        row, column = divmod(number, columns)
        x, y = _LEFT + column * (room + _GAP), height - top - (row + 1) * tall - row * between
        axes = figure.add_axes((x / WIDTH, y / height, room / WIDTH, tall / height))
        axes.set_gid(f"panel:{measure}")
        axes.set_title(shorten(label, room + 0.3, TEXT, bold=True), size=TEXT, weight="bold", pad=3)
        mine = rows[(rows["measure"] == measure) & (rows["curve"] == curve) & rows["encoder"].isin(encoders)]
        _depth_axis(axes, mine, level)
        for encoder in encoders:
            line = mine[(mine["encoder"] == encoder) & mine["value"].notna()]
            _draw(axes, _depth(line), line, marks[encoder], encoder, 1.0)
    _legend(figure, marks, 3, legend)
    add_title(figure, title, note)
    return figure


def _has(rows: pd.DataFrame, pair: tuple[str, str]) -> bool:
    mine = rows[(rows["measure"] == pair[0]) & (rows["curve"] == pair[1])]
    return bool(mine["value"].notna().any())


def _layers(rows: pd.DataFrame) -> list[str]:
    """Layers in order, the output last."""
    found = set(rows["layer"].astype(str))
    return [*sorted(found - {OUTPUT}, key=int), *([OUTPUT] if OUTPUT in found else [])]


def _depth(rows: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Where each row's layer stands: its share of the blocks, and the output beyond them."""
    return np.array(
        [
            1.12 if layer == OUTPUT else int(layer) / float(of)
            for layer, of in zip(rows["layer"].astype(str), rows["layers"], strict=True)
        ]
    )


def _filters(rows: pd.DataFrame) -> list[str]:
    """The filters shown: the identity, then of each kind at most so many, spread over its cut-offs."""
    found = ["identity"] if "identity" in set(rows["filter"]) else []
    for kind in _KINDS:
        of = rows[rows["filter"].str.removeprefix("ideal-").str.startswith(f"{kind}:")]
        specs = list(of.sort_values("cutoff_nyq", kind="stable")["filter"].unique())
        places = np.unique(np.linspace(0, len(specs) - 1, min(_MOST, len(specs))).round().astype(int))
        found += [specs[place] for place in places] if specs else []
    return found


def _filter_marks(filters: Sequence[str]) -> dict[str, Mark]:
    marks = {}
    for kind, (hue, dashes, _) in _KINDS.items():
        mine = [spec for spec in filters if spec.removeprefix("ideal-").startswith(f"{kind}:")]
        for number, spec in enumerate(mine):
            shade = 0.35 + 0.6 * (number + 1) / max(len(mine), 2)
            marks[spec] = Mark(
                str(mpl.colors.to_hex(mpl.colormaps[hue](shade))), dashes, "osD^vPX*"[number % 8]
            )
    return {spec: marks.get(spec, Mark(INK, "-", "")) for spec in filters}


def _filter_label(rows: pd.DataFrame, spec: str) -> str:
    kind = spec.removeprefix("ideal-").partition(":")[0]
    if kind not in _KINDS:
        return spec
    return f"{_KINDS[kind][2]} {float(rows.loc[rows['filter'] == spec, 'cutoff_nyq'].iloc[0]):.3g} Nyquist"


def _prepare(
    axes: Axes, names: Sequence[str], limits: tuple[float, float], level: float | None, room: float
) -> None:
    """Blocks on the x axis, as many of their numbers as there is room for."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlim=(-0.3, len(names) - 0.6), ylim=limits)
    step = -(-len(names) // max(2, int(room / 0.22)))
    last = len(names) - 1
    ticks = [at for at in range(len(names)) if at == last or (at % step == 0 and last - at >= step)]
    axes.set_xticks(ticks, [names[at] for at in ticks], size=SMALL)
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.grid(axis="y", color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=0.6, zorder=1)
    if OUTPUT in names and len(names) > 1:
        axes.axvline(last - 0.5, color=MUTED, linewidth=0.6, linestyle=(0, (1.5, 1.5)), zorder=1)


def _depth_axis(axes: Axes, rows: pd.DataFrame, level: float | None) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, 1.18)
    axes.set_xticks([0.25, 0.5, 0.75, 1.0, 1.12], ["¼", "½", "¾", "1", "out"], size=SMALL)
    ends = rows[["value", "low", "high"]].to_numpy(dtype=float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    if level is not None:
        low, high = min(low, level), max(high, level)
        axes.axhline(level, color=MUTED, linewidth=0.6, zorder=1)
    margin = 0.06 * (high - low or 1)
    axes.set_ylim(low - margin, high + margin)
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.grid(axis="y", color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.axvline(1.06, color=MUTED, linewidth=0.6, linestyle=(0, (1.5, 1.5)), zorder=1)


def _draw(
    axes: Axes,
    places: np.ndarray[tuple[int], np.dtype[np.float64]],
    line: pd.DataFrame,
    mark: Mark,
    name: str,
    last: float,
) -> None:
    """One line with its band; the encoder's output stands apart from the blocks."""
    value, low, high = (line[column].to_numpy(dtype=float) for column in ("value", "low", "high"))
    output = (line["layer"] == OUTPUT).to_numpy()
    for part in (~output, output):
        axes.fill_between(
            places[part], low[part], high[part], color=mark.colour, alpha=0.13, linewidth=0, zorder=2
        )
    axes.vlines(places[output], low[output], high[output], color=mark.colour, linewidth=0.8, zorder=2)
    (drawn,) = axes.plot(
        places[~output], value[~output], color=mark.colour, linestyle=mark.dashes, linewidth=1.1,
        marker=mark.marker or "o", markersize=2.8, markeredgewidth=0, zorder=3,
    )  # fmt: skip
    drawn.set_gid(f"line:{name}")
    axes.plot(
        places[output], value[output], color=mark.colour, linestyle="", marker=mark.marker or "o",
        markersize=3.2, markeredgewidth=0, zorder=3,
    )  # fmt: skip


def _legend(figure: Figure, marks: dict[str, Mark], columns: int, tall: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0.08 / height, 1, tall / height))
    axes.set(xlim=(0, width), ylim=(max(1, round(tall / _LINE)), 0))
    axes.set_axis_off()
    axes.set_gid("legend")
    entry = (width - 0.3) / columns
    for number, (name, mark) in enumerate(marks.items()):
        row, column = divmod(number, columns)
        x = 0.62 + column * entry
        axes.plot(
            [x - 0.5, x - 0.365, x - 0.23], [row + 0.5] * 3, color=mark.colour, linestyle=mark.dashes,
            linewidth=1.1, marker=mark.marker or "o", markersize=3, markevery=(1, 5), markeredgewidth=0,
        )  # fmt: skip
        axes.text(x - 0.18, row + 0.5, shorten(name, entry - 0.4, SMALL), size=SMALL, va="center")
