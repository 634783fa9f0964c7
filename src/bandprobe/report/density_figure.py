"""Radial spectra: the power of every source per ring, and its ratio to the reals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bandprobe.report.legend import REALS as LEGEND_REALS
from bandprobe.report.legend import draw_legend, lay_out
from bandprobe.report.run_directory import SourceSpectra
from bandprobe.report.spectrum_figures import (
    DEFAULT_VIEW,
    REALS,
    SpectrumView,
    filtered_note,
    limits,
    ratio_to,
)
from bandprobe.report.style import (
    MUTED,
    REAL,
    RULE,
    Mark,
    add_title,
    family_marks,
    new_figure,
    page,
    power_of_ten,
    title_height,
    widest,
)

DENSITY_RANGE = (1e-5, 1e3)
_BEYOND = "beyond: corners of the spectrum"


def density_figure(
    dataset: str,
    frequency_nyq: npt.NDArray[np.float64],
    sources: Mapping[str, SourceSpectra],
    family_of: Mapping[str, str],
    view: SpectrumView = DEFAULT_VIEW,
    *,
    deviation: bool = False,
    filter: str = "none",  # noqa: A002 - the option's name
) -> Figure:
    """Draw the radial power of one dataset's sources, and generator / real - 1 below it.

    Args:
        dataset: for the title.
        frequency_nyq: shape (r,), ring frequencies as fractions of Nyquist.
        sources: in reading order, each with a `density` of shape (r,).
        family_of: family of each generator.
        view: scale, width and labels.
        deviation: draw the standard deviation over images as well.
        filter: what the images went through before.

    Returns:
        A figure whose lower panel is left out when there are no reals to divide by.
    """
    names = [name for name in sources if sources[name].density is not None]
    marks: dict[str, Mark] = family_marks({n: family_of.get(n, "other") for n in names if n != REALS})
    real = sources[REALS].density if REALS in names else None
    others = [name for name in names if name != REALS]
    panels = 2 if real is not None and others else 1
    width = view.width

    title = f"Radial power spectrum of each source: {dataset}"
    note = (
        f"Above: mean |F|² of the grey image in rings of one cycle{', log scale' if view.log else ''}; "
        "reals in black."
        + (" Dotted: standard deviation over images." if deviation else "")
        + (" Below: the same, divided by the reals', minus 1; zero is no difference." if panels == 2 else "")
        + filtered_note(filter)
    )
    left, right, bottom, tall, between = 0.62, 0.12, 0.42, 1.9, 0.16
    legend = lay_out(
        [view.label(name) for name in names],
        {view.label(n): LEGEND_REALS if n == REALS else family_of.get(n, "other") for n in names},
        width,
    )
    top = title_height(title, note, width) + 0.12
    bottom += legend.height - 0.04
    height = top + panels * tall + (panels - 1) * between + bottom
    figure = new_figure(width, height)
    box = [left / width, 0.0, (width - left - right) / width, tall / height]

    shown = frequency_nyq > 0
    upper = figure.add_axes((box[0], (height - top - tall) / height, box[2], box[3]))
    for name in names:
        density = sources[name].density
        if density is not None:
            _line(upper, frequency_nyq[shown], density[shown], marks.get(name, REAL), name)
            spread = sources[name].density_std
            if deviation and spread is not None:
                colour = marks.get(name, REAL).colour
                upper.plot(frequency_nyq[shown], spread[shown], color=colour, linewidth=0.7, linestyle=":")
    _scale(upper, [d[shown] for n in names if (d := sources[n].density) is not None], view)
    upper.set_ylabel("power", size=page().text)
    axes = [upper]
    if real is not None and others:
        lower = figure.add_axes((box[0], bottom / height, box[2], box[3]))
        ratios = {n: ratio_to(d, real)[shown] for n in others if (d := sources[n].density) is not None}
        for name, ratio in ratios.items():
            _line(lower, frequency_nyq[shown], ratio, marks[name], name)
        lower.axhline(0, color=REAL.colour, linewidth=0.9, zorder=2)
        lower.set_ylim(_ratio_range(list(ratios.values())))
        lower.set_ylabel("power / reals' − 1", size=page().text)
        axes.append(lower)
    end = float(frequency_nyq.max())
    for i, panel in enumerate(axes):
        panel.set_xlim(0, end)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color=RULE, linewidth=0.35)
        panel.tick_params(labelsize=page().small, labelbottom=i == len(axes) - 1)
        if end > 1:
            panel.axvline(1, color=MUTED, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=1)
            room = (width - left - right) * (1 - 1 / end)
            if i == 0 and widest([_BEYOND], page().small) < room - 0.1:
                panel.annotate(
                    _BEYOND, (1, 0.97), xycoords=panel.get_xaxis_transform(),
                    xytext=(3, 0), textcoords="offset points", size=page().small, color=MUTED, va="top",
                )  # fmt: skip
    axes[-1].set_xlabel("frequency (fraction of Nyquist)", size=page().text, labelpad=2)
    draw_legend(figure, legend, {view.label(name): marks.get(name, REAL) for name in names})
    add_title(figure, title, note)
    return figure


def _line(axes: Axes, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], mark: Mark, name: str) -> None:
    (line,) = axes.plot(
        x, y, color=mark.colour, linestyle=mark.dashes, linewidth=1.3 if mark is REAL else 0.9,
        marker=mark.marker, markersize=2.8, markeredgewidth=0, markevery=0.12,
        zorder=4 if mark is REAL else 3,
    )  # fmt: skip
    line.set_gid(f"source:{name}")


def _scale(axes: Axes, densities: list[npt.NDArray[np.float64]], view: SpectrumView) -> None:
    """1e-5 .. 1e3, either end moved by whole decades until a twentieth of the values or less is outside."""
    values = np.concatenate(densities)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = DENSITY_RANGE if view.log else (0.0, float(values.max(initial=0)) * 1.05 or 1.0)
    if view.log and values.size and np.mean((values < low) | (values > high)) > 0.05:
        first, last = np.log10([values.min(), values.max()])
        low, high = min(low, float(10.0 ** np.floor(first))), max(high, float(10.0 ** np.ceil(last)))
    if view.log:
        axes.set_yscale("log", nonpositive="clip")
        axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(*limits(low, high, view))


def _ratio_range(ratios: list[npt.NDArray[np.float64]]) -> tuple[float, float]:
    """From -1 (no power) or above to where 99.5 % of the rings lie: one wild ring hides nothing else."""
    values = np.concatenate(ratios)
    values = values[np.isfinite(values)]
    if not values.size:
        return -1.0, 1.0
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    margin = 0.08 * max(high - low, 0.1)
    return max(low - margin, -1.05), max(high + margin, 0.1)
