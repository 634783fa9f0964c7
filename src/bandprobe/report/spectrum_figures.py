"""Two-dimensional spectra of every source as small multiples on one scale, and their ratio to the reals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colorbar import ColorbarBase
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bandprobe.errors import InputError
from bandprobe.metrics.spectrum_kinds import Plane, array_name
from bandprobe.report.run_directory import SourceSpectra
from bandprobe.report.style import (
    MUTED,
    RULE,
    WIDTH,
    add_title,
    new_figure,
    page,
    power_of_ten,
    shorten,
    title_height,
)

REALS = "Real"
LOG_RANGE = (1e-5, 1e-1)
COLUMN = 3.4  # inches: one column of a two-column page

_TRANSFORMS = {
    "fft": "Fourier spectrum",
    "fft_hp": "high-pass residual's Fourier spectrum",
    "dct": "DCT spectrum",
}
_STATISTICS = {
    "coherent": (
        "Magnitude of the mean |E[F]|",
        "What all pictures of a source share: peaks are fixed patterns. Independent pictures alone would give "
        "the floor.",
    ),
    "magnitude": ("Mean magnitude E|F|", "What a picture of each source holds on average."),
    "power": ("Mean power E|F|²", "What a picture of each source holds on average, squared."),
    "std": ("Standard deviation over images", "How far the pictures of a source differ."),
}
_PLACES = {"dct": "DC: upper left. Highest frequencies: lower right."}
_CENTRED = "Centre: DC. Edges: Nyquist."


@dataclass(frozen=True)
class SpectrumView:
    """How spectra are drawn.

    Raises:
        InputError: a width of less than 2 or more than 20 inches, or ends of the scale that make none.

    Attributes:
        log: a logarithmic scale, else a linear one.
        vmin: lower end of the scale; by default 1e-5, or 0 where it is linear.
        vmax: upper end; by default 1e-1, of a density 1e3, of a linear plane what 99.9 % of its values are
            below.
        width: of the figure, inches.
        labels: names shown in place of the sources'.
        difference: draw generator / real - 1 of the planes as well.
        as_given: sources in the order of the file, else by family.
    """

    log: bool = True
    vmin: float | None = None
    vmax: float | None = None
    width: float = WIDTH
    labels: Mapping[str, str] = field(default_factory=dict)
    difference: bool = False
    as_given: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.width <= 20:
            raise InputError(f"width must lie between 2 and 20 inches; got {self.width:g}.")
        for name, end in (("vmin", self.vmin), ("vmax", self.vmax)):
            if end is not None and (not np.isfinite(end) or (self.log and end <= 0)):
                raise InputError(
                    f"{name} must be {'above 0 on a logarithmic scale' if self.log else 'a finite number'}; "
                    f"got {end:g}."
                )
        if self.vmin is not None and self.vmax is not None and self.vmin >= self.vmax:
            raise InputError(f"vmin must lie below vmax; got {self.vmin:g} and {self.vmax:g}.")

    def label(self, name: str) -> str:
        """The name shown for a source."""
        return self.labels.get(name, name)


DEFAULT_VIEW = SpectrumView()


def describe(plane: Plane) -> str:
    """A plane in words: `Mean magnitude E|F| of the DCT spectrum`."""
    transform, statistic = plane
    return f"{_STATISTICS[statistic][0]} of the {_TRANSFORMS[transform]}"


def filtered_note(filter: str) -> str:  # noqa: A002 - the option's name
    """A sentence on the filter that the images went through, empty for none."""
    return "" if filter == "none" else f" Images under {filter}."


def plane_figure(
    dataset: str,
    sources: Mapping[str, SourceSpectra],
    plane: Plane,
    view: SpectrumView = DEFAULT_VIEW,
    filter: str = "none",  # noqa: A002 - the option's name
) -> Figure:
    """Draw one two-dimensional spectrum of every source of a dataset.

    Args:
        dataset: for the title.
        sources: in reading order; those without the plane are left out (at least one must have it).
        plane: transform and statistic.
        view: scale, width and labels. The default logarithmic scale of `coherent` is 1e-5 .. 1e-1, of the
            other statistics the decades of it that hold values; it is widened where more than a twentieth
            of the values lie outside.
        filter: what the images went through before.
    """
    planes = _planes(sources, plane)
    floors = _floors(sources, plane) if plane[1] == "coherent" else {}
    note = f"{_STATISTICS[plane[1]][1]} {_PLACES.get(plane[0], _CENTRED)}{filtered_note(filter)}"
    values = list(planes.values())
    low, high = _log_range(values, whole=plane[1] == "coherent") if view.log else _linear_range(values)
    return _panels(
        f"{describe(plane)}: {dataset}", note, planes, limits(low, high, view), "viridis", view, floors=floors
    )


def difference_figure(
    dataset: str,
    sources: Mapping[str, SourceSpectra],
    plane: Plane,
    view: SpectrumView = DEFAULT_VIEW,
    filter: str = "none",  # noqa: A002 - the option's name
) -> Figure:
    """Draw generator / real - 1 of one two-dimensional spectrum; the reals must have the plane.

    Args:
        dataset: for the title.
        sources: in reading order, `Real` among them.
        plane: transform and statistic.
        view: width and labels; the scale is linear, -1 .. 1.
        filter: what the images went through before.
    """
    planes = _planes(sources, plane)
    ratios = {name: ratio_to(values, planes[REALS]) for name, values in planes.items() if name != REALS}
    note = (
        "Divided by the reals', minus 1: blue has less than the reals, red more; white is no difference. "
        f"{_PLACES.get(plane[0], _CENTRED)}{filtered_note(filter)}"
    )
    title = f"{describe(plane)}, against the reals: {dataset}"
    return _panels(title, note, ratios, (-1.0, 1.0), "RdBu_r", replace(view, log=False), floors={})


def ratio_to(values: npt.NDArray[np.float64], real: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`values / real - 1`, NaN where the reals have nothing."""
    return np.divide(values, real, out=np.full_like(values, np.nan), where=real > 0) - 1


def noise_floor(source: SourceSpectra, transform: str = "fft_hp") -> float | None:
    """`|E[F]|` expected of `n` unrelated pictures, the mean over frequencies.

    Where the file holds no floor, the mean of `E|F|` over sqrt(n): both are Rayleigh means of one spread,
    which the mean of n independent draws divides by sqrt(n). None when neither is known.
    """
    floor = source.planes.get(f"{transform}_floor")
    if floor is not None:
        return float(np.nanmean(floor))
    magnitude = source.planes.get(array_name(transform, "magnitude"))
    if magnitude is None or source.n < 1:
        return None
    return float(np.nanmean(magnitude) / np.sqrt(source.n))


def _planes(sources: Mapping[str, SourceSpectra], plane: Plane) -> dict[str, npt.NDArray[np.float64]]:
    key = array_name(*plane)
    return {name: of.planes[key] for name, of in sources.items() if key in of.planes}


def _floors(sources: Mapping[str, SourceSpectra], plane: Plane) -> dict[str, float]:
    floors = {name: noise_floor(of, plane[0]) for name, of in sources.items()}
    return {name: floor for name, floor in floors.items() if floor is not None}


def _panels(
    title: str,
    note: str,
    planes: Mapping[str, npt.NDArray[np.float64]],
    ends: tuple[float, float],
    colours: str,
    view: SpectrumView,
    *,
    floors: Mapping[str, float],
) -> Figure:
    """A panel for each plane and one colour bar; under each its name and floor."""
    names, width = list(planes), view.width
    scale = LogNorm(*ends) if view.log else Normalize(*ends)
    colour_map = mpl.colormaps[colours].with_extremes(bad=RULE)
    left, right, gap = 0.1, 0.62, 0.1
    room = width - left - right + gap
    columns = max(1, min(max(len(names), int(room / 1.8)), 6, int(room / (0.76 + gap))))
    lines = -(-len(names) // columns)
    side = min(room / columns - gap, 1.7)
    under = 0.32 if floors else 0.2
    top = title_height(title, note, width) + 0.12
    height = top + lines * (side + under) + 0.06
    figure = new_figure(width, height)
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        x, y = left + column * (side + gap), height - top - row * (side + under) - side
        axes = figure.add_axes((x / width, y / height, side / width, side / height))
        shown = np.maximum(np.nan_to_num(planes[name]), ends[0]) if view.log else planes[name]
        axes.imshow(shown, norm=scale, cmap=colour_map, interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.set_gid(f"source:{name}")
        axes.text(
            0, -0.03, shorten(view.label(name), side, page().text), transform=axes.transAxes,
            size=page().text, va="top", ha="left", weight="bold" if name == REALS else "normal",
        )  # fmt: skip
        if name in floors:
            axes.annotate(
                f"floor {floors[name]:.1e}", (0, -0.03), xycoords="axes fraction", xytext=(0, -9.5),
                textcoords="offset points", size=page().small, color=MUTED, va="top",
            )  # fmt: skip
    end = left + min(columns, len(names)) * (side + gap)
    values = np.concatenate([plane[np.isfinite(plane)] for plane in planes.values()])
    bar_axes = figure.add_axes(
        ((end + 0.02) / width, (height - top - side) / height, 0.09 / width, side / height)
    )
    bar = ColorbarBase(
        bar_axes, cmap=colour_map, norm=scale, extendfrac=0.05, extend=_extend(values, ends),
        format=FuncFormatter(power_of_ten if view.log else _signed),
        ticks=None if view.log else MaxNLocator(5),
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=page().small, length=2, which="major")
    bar_axes.minorticks_off()
    for name in names:
        if name in floors:
            bar_axes.axhline(floors[name], color="white", linewidth=0.6)
    add_title(figure, title, note)
    return figure


def _extend(
    values: npt.NDArray[np.float64], ends: tuple[float, float]
) -> Literal["neither", "both", "min", "max"]:
    """Which ends of the scale values lie beyond."""
    below, above = bool((values < ends[0]).any()), bool((values > ends[1]).any())
    if below:
        return "both" if above else "min"
    return "max" if above else "neither"


def _signed(value: float, _: object = None) -> str:
    return f"{value:g}".replace("-", "−")


def limits(low: float, high: float, view: SpectrumView) -> tuple[float, float]:
    """The ends of a scale: those asked for, else these.

    Raises:
        InputError: the lower end is not below the upper one.
    """
    low = low if view.vmin is None else view.vmin
    high = high if view.vmax is None else view.vmax
    if not low < high:
        raise InputError(f"a scale from {low:g} to {high:g} is none; give both vmin and vmax.")
    return low, high


def _log_range(planes: list[npt.NDArray[np.float64]], *, whole: bool) -> tuple[float, float]:
    """1e-5 .. 1e-1, of which only the decades that hold values are kept unless the `whole` is wanted.

    Where more than a twentieth of the values lie outside, an end moves out as far as they do.
    """
    values = np.concatenate([plane.ravel() for plane in planes])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = LOG_RANGE
    if not values.size:
        return low, high
    first, last = (float(end) for end in np.log10(np.quantile(values, (0.005, 0.999))))
    lowest = float(10.0 ** np.floor(first))
    highest = float(10.0 ** max(np.ceil(last), np.floor(first) + 1))
    if np.mean((values < low) | (values > high)) > 0.05:
        return (min(low, lowest), max(high, highest)) if whole else (lowest, highest)
    return (low, high) if whole else (max(low, lowest), min(high, highest))


def _linear_range(planes: list[npt.NDArray[np.float64]]) -> tuple[float, float]:
    values = np.concatenate([plane.ravel() for plane in planes])
    values = values[np.isfinite(values)]
    high = float(np.quantile(values, 0.999)) if values.size else 1.0
    return 0.0, high if high > 0 else 1.0
