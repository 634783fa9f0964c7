"""Published accuracies, the run's, and their difference, one heat map above the other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure

from bandprobe.report.arrangement import Arrangement, training_label
from bandprobe.report.cells import Paint, colour_map, draw_cells, places
from bandprobe.report.compare import Comparison, comparison_grids
from bandprobe.report.figures import FigureGroup, PlannedFigure
from bandprobe.report.measures import ACCURACY
from bandprobe.report.slugs import slug, unique_slugs
from bandprobe.report.style import (
    SMALL,
    TEXT,
    WIDTH,
    add_title,
    new_figure,
    shorten,
    title_height,
    widest,
)

_CELL = 0.185  # inches
_LABEL = 1.5
_SPAN = 0.3  # the difference's colours end here, either way


def compare_group(comparison: Comparison, arrangement: Arrangement) -> FigureGroup:
    """A figure for each encoder that has published numbers."""
    group = FigureGroup("Heat maps")
    encoders = list(comparison.cells["encoder"].unique())
    slugs = unique_slugs(encoders)
    for encoder in encoders:
        grids = comparison_grids(comparison, encoder, arrangement.tests, arrangement.training)
        apart = grids["difference"].abs().to_numpy()
        group.figures.append(
            PlannedFigure(
                stem=f"compare-{slug(comparison.name)}-{slugs[encoder]}",
                title=f"{encoder}: theirs, ours and the difference",
                reading="In the lowest map red is where this run is better, blue where the published numbers are.",
                alt=f"Heat maps of accuracy for {encoder}: published, this run's, and their difference, "
                f"{len(grids['ours'])} test by {len(grids['ours'].columns)} training sets; differences up to "
                f"{100 * np.nanmax(apart):.1f} points.",
                draw=partial(compare_figure, grids, encoder, comparison.name, arrangement),
            )
        )
    return group


def compare_figure(
    grids: Mapping[str, pd.DataFrame], encoder: str, published: str, arrangement: Arrangement
) -> Figure:
    """Draw `theirs`, `ours` and `difference` of one encoder.

    Args:
        grids: from `compare.comparison_grids`, of one shape.
        encoder: for the title.
        published: what theirs is called.
        arrangement: families and own generators.
    """
    first = grids["theirs"]
    tests, training = list(first.index), list(first.columns)
    tops, rows = places([arrangement.test_family.get(name, "") for name in tests])
    lefts, columns = places([arrangement.training_family.get(name, "") for name in training])
    test_labels = [shorten(name, _LABEL, TEXT) for name in tests]
    training_labels = [shorten(training_label(name), _LABEL, TEXT) for name in training]
    slope = float(np.sqrt(0.5))
    left = max(widest(test_labels, TEXT), 0.8 * widest(training_labels[:1], TEXT) * slope) + 0.16
    right, bottom, heading = 0.62, widest(training_labels, TEXT) * slope + 0.12, 0.24
    cell = float(np.clip((WIDTH - left - right) / columns, 0.31, 0.62))
    width = max(left + cell * columns + right, 4.4)
    title = f"Accuracy beside the published numbers ({published}): {encoder}"
    note = (
        "Per cent, unfiltered images, rows tested on, columns trained on. Framed: the generators a probe was "
        "trained on. Difference: ours less theirs, in points."
    )
    top = title_height(title, note, width)
    panel = max(_CELL * rows, 0.55)
    height = top + 3 * (heading + panel) + bottom
    figure = new_figure(width, height)
    own = {(test, name) for name in training for test in arrangement.own.get(name, ())}
    level = Paint(colour_map(), mpl.colors.Normalize(ACCURACY.floor, 1.0), ACCURACY.text)
    apart = Paint(colour_map("RdBu_r"), mpl.colors.Normalize(-_SPAN, _SPAN), _points)
    for number, (name, paint) in enumerate(
        zip(("theirs", "ours", "difference"), (level, level, apart), strict=True)
    ):
        y = height - top - (number + 1) * (heading + panel)
        axes = figure.add_axes((left / width, y / height, cell * columns / width, panel / height))
        axes.set(xlim=(0, columns), ylim=(rows, 0))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, pad=2)
        draw_cells(axes, grids[name], lefts, tops, paint, own)
        axes.set_yticks(tops + 0.5, test_labels, size=TEXT)
        if number == 2:
            axes.set_xticks(
                lefts + 0.5, training_labels, rotation=45, ha="right", rotation_mode="anchor", size=TEXT
            )
        else:
            axes.set_xticks([])
        heads = {"theirs": f"theirs ({published})", "ours": "ours", "difference": "difference"}
        figure.text(left / width, (y + panel + 0.05) / height, heads[name], size=TEXT, weight="bold")
        _draw_scale(
            figure, paint, ((left + cell * columns + 0.14) / width, y / height, 0.09 / width, panel / height)
        )
    add_title(figure, title, note)
    return figure


def _points(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−") if np.isfinite(value) else "–"


def _draw_scale(figure: Figure, paint: Paint, place: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(place)
    difference = paint.text is _points
    bar = ColorbarBase(
        axes, cmap=paint.colours, norm=paint.scale, extend="both" if difference else "min", extendfrac=0.06
    )
    ticks = np.linspace(float(paint.scale.vmin or 0), float(paint.scale.vmax or 1), 3)
    bar.set_ticks(
        list(ticks),
        labels=[
            f"{100 * tick:+.0f}".replace("-", "−").replace("+0", "0") if difference else f"{100 * tick:.0f} %"
            for tick in ticks
        ],
    )
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL)
