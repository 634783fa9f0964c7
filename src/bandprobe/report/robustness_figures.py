"""Heat maps of what degradations cost: families (rows) by severities (columns), a panel for each set of probes."""

from __future__ import annotations

from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bandprobe.analysis.robustness_arm import OTHERS, OWN
from bandprobe.filters.degradations import FAMILIES, REFERENCE, SEVERITIES
from bandprobe.report.arrangement import training_label
from bandprobe.report.cells import Paint, colour_map, luminance
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.slugs import unique_slugs
from bandprobe.report.style import INK, add_title, new_figure, page, shorten, title_height, widest

_SPAN = 0.4  # of AUROC: the colours end here, either way
_BAR = (0.72, 1.5)  # the least and the most of the colour bar, which a single row would squeeze
_HEAD = 0.36  # inches above a panel
_TALL, _WIDE = 0.19, 0.34  # a cell
_NARROWEST = 0.25
_SCALE = 0.5
_BETWEEN = 0.14


def robustness_groups(means: pd.DataFrame) -> list[FigureGroup]:
    """A figure for each encoder, train filter and filter before the degradations.

    Args:
        means: rows of `robustness_means.csv`.
    """
    rows = means[means["metric"] == "auroc"]
    group = FigureGroup("What degradations cost")
    keys = list(
        rows[["encoder", "train_filter", "before"]].drop_duplicates().itertuples(index=False, name=None)
    )
    slugs = unique_slugs([" ".join(key) for key in keys])
    for encoder, train_filter, before in keys:
        mine = rows[
            (rows["encoder"] == encoder) & (rows["train_filter"] == train_filter) & (rows["before"] == before)
        ]
        fallen = mine.dropna(subset=["fall"])
        worst = fallen.loc[fallen["fall"].idxmax()]
        group.figures.append(
            PlannedFigure(
                stem=f"robustness-{slugs[f'{encoder} {train_filter} {before}']}",
                title=f"{encoder}{arm_text(train_filter, before)}",
                reading="Red rows are what the probes cannot stand; a fall in brackets is not beyond chance. A panel "
                "whose AUROC is near one half has nothing to lose.",
                alt=f"Heat maps of the fall of AUROC of {encoder}{arm_text(train_filter, before)}: "
                f"{fallen['degradation'].nunique()} degradations by severity, for "
                f"{'; '.join(map(probes_label, dict.fromkeys(mine['probes'])))}. The largest fall is "
                f"{worst['fall']:.2f}: {worst['degradation']} of severity {int(worst['severity'])} ("
                f"{probes_label(worst['probes'])}).",
                draw=partial(robustness_figure, mine, encoder, arm_text(train_filter, before)),
            )
        )
    return [group] if group.figures else []


def arm_text(train_filter: str, before: str) -> str:
    """Under what probes were trained and what comes before degradations, where it is anything."""
    trained = "" if train_filter == "none" else f", trained under {train_filter}"
    return trained + ("" if before == "none" else f", degraded after {before}")


def probes_label(probes: str) -> str:
    """A set of probes as a reader writes it."""
    known = {OWN: "one generator, on it", OTHERS: "one generator, on others", "external": "trained elsewhere"}
    return known.get(probes) or f"trained on {training_label(probes)}"


def robustness_figure(rows: pd.DataFrame, encoder: str, arm: str) -> Figure:
    """Draw the falls of one encoder's sets of probes.

    Args:
        rows: of `robustness_means.csv`, of one encoder, train filter, filter before and metric.
        encoder: for the title.
        arm: of `arm_text`.

    Returns:
        A figure at most as wide as the page. Red is a fall of AUROC, blue a gain, grey a condition that was not
        tested; a fall whose interval holds zero stands in brackets.
    """
    here = page()
    there = set(rows["degradation"])
    families = [family.name for family in FAMILIES if family.name in there]
    panels = list(dict.fromkeys(rows["probes"]))
    label = widest(families, here.text) + 0.14
    room = here.width - label - _SCALE - 0.1
    across = next(
        (n for n in range(min(3, len(panels)), 1, -1)
         if (room - (n - 1) * _BETWEEN) / n / len(SEVERITIES) >= _NARROWEST), 1)  # fmt: skip
    down = -(-len(panels) // across)
    across = -(-len(panels) // down)  # four are two by two, not three and one
    cell = min((room - (across - 1) * _BETWEEN) / across / len(SEVERITIES), _WIDE)
    panel_width, panel_height = cell * len(SEVERITIES), _TALL * len(families)
    width = label + across * panel_width + (across - 1) * _BETWEEN + _SCALE + 0.1
    if here.fixed:
        width = here.width
    title = f"Fall of mean AUROC under degradations: {encoder}{arm}"
    note = (
        "Degradation by severity, 1 (barely seen) to 5; above each panel the mean AUROC without them. Red: lost, blue: "
        "gained; in brackets: the 95 % interval holds zero."
    )
    width = max(width, 4.4) if not here.fixed else width
    reach = min(max(panel_height, _BAR[0]), _BAR[1])
    top, bottom = title_height(title, note, width), 0.32
    if down == 1:
        bottom = max(bottom, reach - panel_height + 0.1)
    height = top + down * (_HEAD + panel_height) + (down - 1) * 0.1 + bottom
    figure = new_figure(width, height)
    paint = Paint(colour_map("RdBu_r"), mpl.colors.Normalize(-_SPAN, _SPAN))
    for number, name in enumerate(panels):
        column, line = number % across, number // across
        x = label + column * (panel_width + _BETWEEN)
        y = height - top - (line + 1) * (_HEAD + panel_height) - line * 0.1
        axes = figure.add_axes((x / width, y / height, panel_width / width, panel_height / height))
        axes.set(xlim=(0, len(SEVERITIES)), ylim=(len(families), 0))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=2)
        mine = rows[rows["probes"] == name]
        _draw_falls(axes, mine, families, paint)
        last = number + across >= len(panels)
        axes.set_xticks(np.arange(len(SEVERITIES)) + 0.5, [str(s) for s in SEVERITIES] if last else [""] * 5)
        axes.set_yticks(np.arange(len(families)) + 0.5, families if column == 0 else [""] * len(families))
        axes.tick_params(labelsize=here.text)
        reference = mine[mine["degradation"] == REFERENCE].iloc[0]
        heads = [shorten(probes_label(name), panel_width, here.text, bold=True), _reference(reference)]
        for place, (text, weight) in enumerate(zip(heads, ("bold", "normal"), strict=True)):
            figure.text(
                x / width, (y + panel_height + 0.19 - 0.14 * place) / height, text, size=here.text, weight=weight,
                color=INK,
            )  # fmt: skip
    middle = label + (across * panel_width + (across - 1) * _BETWEEN) / 2
    figure.text(middle / width, (bottom - 0.2) / height, "severity", ha="center", va="top", size=here.text)
    left = label + across * panel_width + (across - 1) * _BETWEEN + 0.1
    _draw_scale(
        figure, paint, (left / width, (height - top - _HEAD - reach) / height, 0.09 / width, reach / height)
    )
    figure.text(left / width, (height - top - _HEAD + 0.05) / height, "fall", size=here.small, color=INK)
    add_title(figure, title, note)
    return figure


def _reference(row: pd.Series) -> str:
    return f"AUROC {row['value']:.3f}" if np.isfinite(row["value"]) else "–"


def _draw_falls(axes: mpl.axes.Axes, rows: pd.DataFrame, families: list[str], paint: Paint) -> None:
    """Coloured cells with their numbers; what was not tested is grey."""
    known = {(row["degradation"], int(row["severity"])): row for _, row in rows.iterrows()}
    for i, family in enumerate(families):
        for j, severity in enumerate(SEVERITIES):
            row = known.get((family, severity))
            fall = float(row["fall"]) if row is not None else np.nan
            tested = np.isfinite(fall)
            colour = (
                mpl.colors.to_rgba(paint.colours(paint.scale(fall))) if tested else paint.colours.get_bad()
            )
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.6))
            if row is None or not tested:
                continue
            sure = row["fall_low"] > 0 or row["fall_high"] < 0
            axes.text(
                j + 0.5, i + 0.53, fall_text(fall, sure), ha="center", va="center", size=page().small,
                color="white" if luminance(tuple(colour)) < 0.2 else INK,
            )  # fmt: skip


def fall_text(fall: float, sure: bool) -> str:
    """`.12`, `−.03`; in brackets where it is not sure."""
    text = f"{abs(fall):.2f}"
    text = text.removeprefix("0") if abs(fall) < 0.995 else text
    text = ("−" if fall < 0 and text != ".00" else "") + text
    return text if sure else f"({text})"


def _draw_scale(figure: Figure, paint: Paint, place: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(place)
    bar = ColorbarBase(axes, cmap=paint.colours, norm=paint.scale, extend="both", extendfrac=0.06)
    ticks = np.linspace(-_SPAN, _SPAN, 5 if place[3] * figure.get_figheight() > 1 else 3)
    bar.set_ticks(
        list(ticks), labels=[f"{tick:+.1f}".replace("-", "−").replace("+0.0", "0") for tick in ticks]
    )
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=page().small)
