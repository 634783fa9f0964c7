"""The zoo's figures: pictures side by side, spectra, training curves, probes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from PIL import Image

from bandprobe.files import write_whole
from bandprobe.report.style import (
    DPI,
    INK,
    MUTED,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    add_title,
    new_figure,
    power_of_ten,
    title_height,
    wrap,
)

Pictures = NDArray[np.uint8]

_GAP = 2  # pixels between pictures of a sheet
_LEFT, _BETWEEN = 0.1, 0.02  # inches
_LINE = TEXT * 1.25 / 72
_SHADES = ("#1f5fa8", "#d9730d", "#3b8f4c", "#8a4fa3", "#7a7a7a")
_MARKERS = ("o", "s", "^", "D")


def sheet(images: Pictures, path: Path, columns: int = 8) -> None:
    """Write a PNG of pictures side by side, pixel by pixel.

    Args:
        images: uint8, shape (n, side, side, 3).
        path: of the PNG.
        columns: pictures in a row.
    """
    n, side = images.shape[:2]
    pitch = side + _GAP
    canvas = np.full((-(-n // columns) * pitch - _GAP, columns * pitch - _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = (place * pitch for place in divmod(number, columns))
        canvas[top : top + side, left : left + side] = image
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, format="PNG")
    write_whole(path, buffer.getvalue())


def rows_figure(rows: Mapping[str, Pictures], title: str, note: str) -> Figure:
    """A row of pictures for each source, twice as large as they are.

    Args:
        rows: the pictures of each source, uint8, shape (n, side, side, 3), the same n everywhere.
        title: what they are.
        note: how to read them.
    """
    n, side = next(iter(rows.values())).shape[:2]
    pitch = 2 * side / DPI + _BETWEEN
    names = 1.0
    width = max(_LEFT + names + n * pitch, 4.5)
    top = title_height(title, note, width) + 0.1
    height = top + len(rows) * pitch + 0.05
    figure = new_figure(width, height)
    for row, (name, pictures) in enumerate(rows.items()):
        below = height - top - (row + 1) * pitch
        figure.text(_LEFT / width, (below + pitch / 2) / height, name, size=TEXT, va="center")
        for column, picture in enumerate(pictures):
            left = _LEFT + names + column * pitch
            _place(figure, picture, left, below)
    add_title(figure, title, note)
    return figure


def photographs_figure(
    pictures: Pictures, captions: Sequence[str], frequency: NDArray[np.float64],
    power: NDArray[np.float64], slope: str
) -> Figure:  # fmt: skip
    """Photographs with their captions, and below them their mean radial power.

    Args:
        pictures: uint8, shape (n, side, side, 3).
        captions: of each.
        frequency: of the rings, fractions of Nyquist, shape (r,).
        power: their mean power, shape (r,).
        slope: its exponent from 0.1 to 0.5 of Nyquist, in words.
    """
    title = "Procedural photographs, and their mean power spectrum"
    note = f"Mean power of the grey image in rings of one cycle; exponent from 0.1 to 0.5 of Nyquist {slope}."
    columns = 6
    room = (WIDTH - 2 * _LEFT) / columns
    side = 2 * pictures.shape[1] / DPI
    lines = max(len(wrap(caption, room - 0.1, SMALL)) for caption in captions)
    pitch = side + 0.06 + lines * _LINE + 0.06
    top, plot = title_height(title, note, WIDTH) + 0.08, 2.0
    count = -(-len(pictures) // columns)
    height = top + count * pitch + plot + 0.5
    figure = new_figure(WIDTH, height)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        left, below = _LEFT + column * room, height - top - row * pitch - side
        _place(figure, picture, left, below)
        text = "\n".join(wrap(caption, room - 0.1, SMALL))
        figure.text(left / WIDTH, (below - 0.04) / height, text, size=SMALL, va="top", linespacing=1.2)
    axes = figure.add_axes((0.55 / WIDTH, 0.38 / height, (WIDTH - 0.7) / WIDTH, plot / height))
    shown = frequency > 0
    axes.loglog(frequency[shown], power[shown], color=INK, linewidth=1.2, label="photographs")
    inside = (frequency >= 0.1) & (frequency <= 0.5)
    middle = (
        np.exp(np.log(power[inside]).mean())
        * (frequency[inside] / np.exp(np.log(frequency[inside]).mean())) ** -2.0
    )
    axes.loglog(frequency[inside], middle, color=_SHADES[1], linestyle="--", label="exponent −2")
    axes.set_xlabel("frequency (fraction of Nyquist)", size=TEXT, labelpad=2)
    axes.set_ylabel("power", size=TEXT)
    axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1.0], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=SMALL, loc="lower left")
    _plain(axes)
    add_title(figure, title, note)
    return figure


def curves_figure(curves: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """The training curves of every model as small multiples.

    Args:
        curves: by model, of each of its seeds: `step`, `seconds` and a column for each loss.
    """
    title = "Training curves"
    note = (
        "What each model's training logs, against steps; means of 25 steps. A logarithmic axis where losses "
        "are of different sizes. Seeds of one model are lines of one colour."
    )
    columns = 3
    figure, boxes = _grid(len(curves), columns, title, note, tall=1.25, below=0.62)
    for (name, runs), box in zip(curves.items(), boxes, strict=True):
        axes = figure.add_axes(box)
        losses = [column for column in runs[0] if column not in ("step", "seconds")]
        sizes = [run[loss].abs().median() for run in runs for loss in losses]
        positive = all((run[loss].dropna() > 0).all() for run in runs for loss in losses)
        if positive and max(sizes) > 20 * min(sizes):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
            axes.yaxis.set_minor_formatter(NullFormatter())
        for loss, colour in zip(losses, _SHADES * 3, strict=False):
            for number, run in enumerate(runs):
                kept = run[["step", loss]].dropna()
                label = str(loss).replace("_", " ") if number == 0 else None
                axes.plot(kept["step"], kept[loss], color=colour, linewidth=0.8, alpha=0.8, label=label)
        seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
        axes.set_title(f"{name}{seeds}", size=TEXT, loc="left", pad=3)
        axes.legend(
            frameon=False, fontsize=SMALL - 1, loc="upper left", bbox_to_anchor=(-0.05, -0.1), ncols=2,
            handlelength=1.2, labelspacing=0.2, columnspacing=1.0,
        )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        _plain(axes)
    add_title(figure, title, note)
    return figure


def probes_figure(scores: pd.DataFrame, chance: Mapping[str, float]) -> Figure:
    """How well each encoder's vectors tell each attribute.

    Args:
        scores: as `zoo.attributes.table` gives it.
        chance: the score of each attribute without looking.
    """
    title = "Linear probes of scene attributes"
    note = (
        "Accuracy (texture slope: R²) on scenes of their own; the mean over seeds with its 95 % interval over "
        "test images, small dots the seeds. Dashed: random weights. Dotted: chance."
    )
    encoders = list(dict.fromkeys(scores["encoder"]))
    names = list(dict.fromkeys(scores["attribute"]))
    figure, boxes = _grid(
        len(names), 3, title, note, tall=0.16 * len(encoders) + 0.1, below=0.42, left=1.35, shared=True
    )
    for place, (attribute, box) in enumerate(zip(names, boxes, strict=True)):
        axes = figure.add_axes(box)
        of = scores[scores["attribute"] == attribute]
        for row, encoder in enumerate(encoders):
            own = of[of["encoder"] == encoder]
            mean, seeds = own[own["seed"] == "mean"].iloc[0], own[own["seed"] != "mean"]
            colour = MUTED if encoder in ("random", "pixels", "spectral") else _SHADES[row % 4]
            axes.plot(seeds["value"], [row] * len(seeds), "o", color=colour, markersize=2, alpha=0.6)
            axes.plot([mean["low"], mean["high"]], [row, row], color=colour, linewidth=1)
            axes.plot(mean["value"], row, _MARKERS[row % 4], color=colour, markersize=4)
            if encoder == "random":
                axes.axvline(mean["value"], color=MUTED, linewidth=0.7, linestyle="--", zorder=1)
        axes.axvline(chance[attribute], color=MUTED, linewidth=0.7, linestyle=":", zorder=1)
        axes.set_ylim(len(encoders) - 0.5, -0.5)
        axes.set_yticks(range(len(encoders)), encoders if place % 3 == 0 else [""] * len(encoders))
        axes.set_title(attribute.replace("_", " "), size=TEXT, loc="left", pad=3)
        _plain(axes)
    add_title(figure, title, note)
    return figure


def _grid(
    count: int, columns: int, title: str, note: str, *, tall: float, below: float, left: float = 0.42,
    shared: bool = False
) -> tuple[Figure, list[tuple[float, float, float, float]]]:  # fmt: skip
    """A figure and the boxes of its panels; `shared` if labels stand at the left of each row only."""
    gap = 0.22 if shared else left
    wide = (WIDTH - left - 0.12 - (columns - 1) * gap) / columns
    rows = -(-count // columns)
    top = title_height(title, note, WIDTH) + 0.24
    height = top + rows * (tall + below)
    boxes = []
    for number in range(count):
        row, column = divmod(number, columns)
        x, y = left + column * (wide + gap), height - top - row * (tall + below) - tall
        boxes.append((x / WIDTH, y / height, wide / WIDTH, tall / height))
    return new_figure(WIDTH, height), boxes


def _place(figure: Figure, picture: Pictures, left: float, below: float) -> None:
    """A picture at twice its size, its pixels on the figure's own; inches from the lower left corner."""
    figure.figimage(picture.repeat(2, 0).repeat(2, 1), round(left * DPI), round(below * DPI))


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=RULE, linewidth=0.35)
    axes.tick_params(labelsize=SMALL)
