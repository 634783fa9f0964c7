"""Two-dimensional spectra of the high-pass residual: what every image has, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colorbar import ColorbarBase
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bandprobe.report.run_directory import SourceSpectra
from bandprobe.report.style import (
    MUTED,
    SMALL,
    TEXT,
    WIDTH,
    add_title,
    new_figure,
    power_of_ten,
    shorten,
    title_height,
)

Residual = Literal["magnitude", "coherent"]
RESIDUALS: tuple[Residual, Residual] = ("magnitude", "coherent")
_WORDS = {
    "magnitude": (
        "Mean magnitude E|F| of the high-pass residual",
        "What a picture of each source holds on average.",
    ),
    "coherent": (
        "Magnitude of the mean |E[F]| of the high-pass residual",
        "What all pictures of a source share: peaks are fixed patterns. Independent pictures alone would "
        "give the floor, E|F| / √n.",
    ),
}
_RANGE = (1e-5, 1e-1)


def residual_figure(dataset: str, sources: Mapping[str, SourceSpectra], residual: Residual) -> Figure:
    """Draw one residual spectrum of every source of a dataset as small multiples on one log scale.

    Args:
        dataset: for the title.
        sources: in reading order; those without the array are left out (at least one must have it).
        residual: which array.

    Returns:
        A figure 7 inches wide. DC lies in the centre, Nyquist at the edges. The scale spans the
        decades of the values, within 1e-5 .. 1e-1 unless more than a twentieth of them lie outside.
    """
    planes = {name: plane for name, of in sources.items() if (plane := getattr(of, residual)) is not None}
    names = list(planes)
    columns = min(max(len(names), 3), 6)
    lines = -(-len(names) // columns)
    words, note = _WORDS[residual]
    title = f"{words}: {dataset}"
    note += " Centre: DC. Edges: Nyquist."
    left, right, gap = 0.1, 0.62, 0.1
    side = min((WIDTH - left - right - gap * (columns - 1)) / columns, 1.7)
    under = 0.32 if residual == "coherent" else 0.2
    top = title_height(title, note, WIDTH) + 0.12
    height = top + lines * (side + under) + 0.06
    figure = new_figure(WIDTH, height)
    scale = mpl.colors.LogNorm(*_scale_range(list(planes.values())))
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        x, y = left + column * (side + gap), height - top - row * (side + under) - side
        axes = figure.add_axes((x / WIDTH, y / height, side / WIDTH, side / height))
        floored = np.maximum(np.nan_to_num(planes[name]), scale.vmin or _RANGE[0])
        axes.imshow(floored, norm=scale, cmap="viridis", interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.set_gid(f"source:{name}")
        axes.text(
            0, -0.03, shorten(name, side, TEXT), transform=axes.transAxes, size=TEXT, va="top", ha="left",
            weight="bold" if name == "Real" else "normal",
        )  # fmt: skip
        floor = noise_floor(sources[name])
        if residual == "coherent" and floor is not None:
            axes.annotate(
                f"floor {floor:.1e}", (0, -0.03), xycoords="axes fraction", xytext=(0, -9.5),
                textcoords="offset points", size=SMALL, color=MUTED, va="top",
            )  # fmt: skip
    end = left + min(columns, len(names)) * (side + gap)
    tall = min(side, 1.7)
    bar_axes = figure.add_axes(
        ((end + 0.02) / WIDTH, (height - top - tall) / height, 0.09 / WIDTH, tall / height)
    )
    bar = ColorbarBase(
        bar_axes, cmap=mpl.colormaps["viridis"], norm=scale, format=FuncFormatter(power_of_ten)
    )
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=SMALL, length=2, which="major")
    bar_axes.minorticks_off()
    if residual == "coherent":
        floors = [f for name in names if (f := noise_floor(sources[name])) is not None]
        for floor in floors:
            bar_axes.axhline(floor, color="white", linewidth=0.6)
    add_title(figure, title, note)
    return figure


def noise_floor(source: SourceSpectra) -> float | None:
    """`|E[F]|` expected of `n` unrelated pictures: the mean of `E|F|` over frequencies, over sqrt(n).

    Both are Rayleigh means of one spread, which the mean of n independent draws divides by sqrt(n).
    None when the magnitude or n is unknown.
    """
    if source.magnitude is None or source.n < 1:
        return None
    return float(np.nanmean(source.magnitude) / np.sqrt(source.n))


def _scale_range(planes: list[npt.NDArray[np.float64]]) -> tuple[float, float]:
    values = np.concatenate([plane.ravel() for plane in planes])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return _RANGE
    low, high = np.log10(np.quantile(values, (0.005, 0.999)))
    first, last = np.floor(low), max(np.ceil(high), np.floor(low) + 1)
    outside = np.mean((values < _RANGE[0]) | (values > _RANGE[1]))
    if outside <= 0.05:
        first, last = max(first, np.log10(_RANGE[0])), min(last, np.log10(_RANGE[1]))
    return float(10.0**first), float(10.0**last)
