"""The cells of a heat map: where they stand, their colours and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle

from bandprobe.report.arrangement import runs_of
from bandprobe.report.style import (
    INK,
    page,
)

GAP = 0.16  # between families, in cells


@dataclass(frozen=True)
class Paint:
    """How a cell's value becomes a colour and a text; without `text` the cells carry no numbers."""

    colours: Colormap
    scale: Normalize
    text: Callable[[float], str] | None = None


def places(families: list[str]) -> tuple[npt.NDArray[np.float64], float]:
    """Where each cell begins, with a gap at every change of family, and the total extent."""
    changes = [
        first > 0 and i == first for _, first, last in runs_of(families) for i in range(first, last + 1)
    ]
    starts = np.arange(len(families)) + GAP * np.cumsum(changes)
    return starts, float(starts[-1] + 1)


def draw_cells(
    axes: Axes,
    grid: pd.DataFrame,
    lefts: npt.NDArray[np.float64],
    tops: npt.NDArray[np.float64],
    paint: Paint,
    framed: Collection[tuple[str, str]] = (),
) -> None:
    """Draw a table as coloured cells of side 1; blank ones are grey.

    Args:
        axes: in units of cells, y downwards.
        grid: the values.
        lefts: left edge of each column.
        tops: upper edge of each row.
        paint: colours and numbers.
        framed: (row, column) names of the cells to frame.
    """
    values = grid.to_numpy(dtype=float)
    boxes = [Rectangle((x, y), 1, 1) for y in tops for x in lefts]
    edge = 0.6 if paint.text else 0.0  # crowded cells touch
    cells = PatchCollection(
        boxes,
        cmap=paint.colours,
        norm=paint.scale,
        edgecolor="white" if edge else "face",
        linewidth=edge or 0.1,
    )
    cells.set_array(np.ma.masked_invalid(values.ravel()))
    cells.set_gid("cells")
    axes.add_collection(cells)
    frames = [
        Rectangle((lefts[j] + 0.04, tops[i] + 0.04), 0.92, 0.92)
        for i, row in enumerate(grid.index)
        for j, column in enumerate(grid.columns)
        if (row, column) in framed
    ]
    if frames:
        axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=INK, linewidth=0.9, zorder=3))
    for i, y in enumerate(tops if paint.text else ()):
        for j, x in enumerate(lefts):
            value = values[i, j]
            # 0.2: where white and INK contrast equally
            dark = np.isfinite(value) and luminance(paint.colours(paint.scale(value))) < 0.2
            axes.text(
                x + 0.5, y + 0.53, paint.text(value) if paint.text else "", ha="center", va="center",
                size=page().small, color="white" if dark else INK,
            )  # fmt: skip


def colour_map(name: str = "viridis") -> Colormap:
    """Perceptually uniform and safe for colour blindness; blank cells grey."""
    return mpl.colormaps[name].with_extremes(bad="#e6e6e6")


def luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance (WCAG 2) of an sRGB colour in [0, 1]."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
