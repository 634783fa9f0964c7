"""Spectra beside what a mask leaves of them, as the page shows them: a drawing, a slider's positions, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bandprobe.analysis import small_pictures
from bandprobe.analysis.radius_pictures import PICTURE_COLUMNS, SIDE, RadiusSpectra
from bandprobe.analysis.sources import REAL
from bandprobe.report.arrangement import family_label, sort_families
from bandprobe.report.gallery_view import webp_address
from bandprobe.report.interactive_marks import plotly_mark
from bandprobe.report.radius_spectra import from_spectra
from bandprobe.report.run_directory import Run
from bandprobe.report.style import REAL as REAL_MARK
from bandprobe.report.style import family_marks
from bandprobe.report.summary import px_text
from bandprobe.report.sweeps import describe_sweep, kind_of, sweep_of

WIDTH, HEIGHT = 640, 340  # of the drawing, in its own units
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 52, 10, 40
_FLOOR = 1e-12  # powers below it are drawn there
_REALS = ("solid", "7,2", "2,2")  # dashes of the reals of several data sets
_START = 0.15  # of Nyquist: where low frequencies end

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One source: its name and images, its line's look on white and dark paper, and the line itself."""

    label: str
    n: int
    colour: str
    dark: str
    dash: str
    path: str
    real: bool


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it stands, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Shown:
    """A picture: what it is of, its `data:` addresses unfiltered and as shown first, its side in pixels."""

    label: str
    address: str
    first: str
    side: int


@dataclass(frozen=True)
class RadiusView:
    """The section's drawing, controls and data.

    Attributes:
        lines: the sources.
        x_ticks, y_ticks, gain_ticks: of the axes.
        size: width and height of the drawing.
        frame: left, right, top and bottom of its inner part.
        groups: the switch: what it says, with the first and the number of its slider's positions.
        start: group and position shown first.
        words: what is shown first: the filter and its cut-off.
        gain: its gain, an SVG path that begins at `first_x`.
        first_x: as above.
        at: where its cut-off stands; None beyond Nyquist.
        left: share of each source's energy left at first, per cent.
        pictures: what the masks are shown on; may be none.
        note: where the spectra come from.
        data: for the page's script: of every mask its words, spec, place of the cut-off, gain curve (SVG path), shares
            left, and the pictures' addresses.
    """

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    gain_ticks: list[Tick]
    size: tuple[int, int]
    frame: tuple[float, float, float, float]
    groups: list[tuple[str, int, int]]
    start: tuple[int, int]
    words: str
    gain: str
    first_x: float
    at: float | None
    left: list[str]
    pictures: list[Shown]
    note: str
    data: dict[str, Any]

    @property
    def characters(self) -> int:
        """What the data takes in the page."""
        return len(json.dumps(self.data))


def radius_view(run: Run, family_of: Mapping[str, str]) -> RadiusView | None:
    """The section of a run; None where it has no mask with a cut-off, or no spectrum to show it on.

    Args:
        run: with `radius.npz`, or else the radial densities of its spectra.
        family_of: each generator's family, which gives its line's look.

    Raises:
        InputError: `radius.npz` is damaged.
    """
    path = run.folder / "radius.npz"
    spectra, note = (RadiusSpectra.load(path), "") if path.is_file() else from_spectra(run)
    if spectra is None or not spectra.filters:
        return None
    order = _order(spectra)
    groups = _groups(spectra, order)
    flat = [number for _, members in groups for number in members]
    place = {number: at for at, number in enumerate(flat)}
    sources = _sources(spectra, family_of)
    starts = np.cumsum([0, *(len(members) for _, members in groups)])
    low = groups[0][1]
    nearest = np.abs(np.log(np.maximum(spectra.cutoff_nyq[low], 1e-9) / _START))
    first = low[int(nearest.argmin())]
    axis = _Axis.around(spectra.density[:, 1:])
    kept = small_pictures.load(path.with_suffix(".parquet"), PICTURE_COLUMNS)
    first_x = round(_x(spectra.frequency_nyq[1]), 1)
    shown, addresses = _pictures(kept, spectra.filters, family_of)
    words = [_words(spectra, number) for number in range(len(spectra.filters))]
    masks: list[dict[str, Any]] = [
        {
            "spec": spectra.filters[number],
            "words": words[number],
            "x": round(_x(spectra.cutoff_nyq[number]), 1) if spectra.cutoff_nyq[number] <= 1 else None,
            "gain": _path(spectra.frequency_nyq, _height(spectra.gain[number])),
            "left": [_percent(spectra.left[source, number]) for source in sources],
            "pictures": [address.get(spectra.filters[number]) for address in addresses],
        }
        for number in flat
    ]
    return RadiusView(
        lines=_lines(spectra, sources, family_of, axis),
        x_ticks=[Tick(_x(at), f"{at:g}") for at in (0, 0.25, 0.5, 0.75, 1)],
        y_ticks=[Tick(axis.y(10.0**power), _power_of_ten(power)) for power in axis.ticks],
        gain_ticks=[Tick(float(_height(np.array(at))), f"{at:g}") for at in (0, 0.5, 1)],
        size=(WIDTH, HEIGHT),
        frame=(_LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM),
        groups=[(label, int(start), len(of)) for (label, of), start in zip(groups, starts, strict=False)],
        start=(0, low.index(first)),
        words=words[first],
        gain=masks[place[first]]["gain"],
        first_x=first_x,
        at=masks[place[first]]["x"],
        left=masks[place[first]]["left"],
        pictures=[
            replace(one, first=address.get(spectra.filters[first], one.address))
            for one, address in zip(shown, addresses, strict=True)
        ],
        note=note
        or f"Grey centre of the study’s grid, {spectra.side} px; every source as the masks meet it.",
        data={
            "masks": masks,
            "groups": [[int(start), len(of)] for (_, of), start in zip(groups, starts, strict=False)],
            "base": HEIGHT - _BOTTOM,
            "first": first_x,
        },
    )


@dataclass(frozen=True)
class _Axis:
    """The vertical axis: powers of ten from `low` to `high`."""

    low: int
    high: int

    @classmethod
    def around(cls, densities: Floats) -> _Axis:
        values = densities[np.isfinite(densities) & (densities > _FLOOR)]
        if not values.size:
            return cls(-3, 0)
        low, high = int(np.floor(np.log10(values.min()))), int(np.ceil(np.log10(values.max())))
        return cls(low, max(high, low + 1))

    @property
    def ticks(self) -> list[int]:
        """Five at most."""
        return list(range(self.low, self.high + 1, -(-(self.high - self.low) // 5)))

    def y(self, power: Any) -> Any:
        """Where a power stands in the drawing."""
        share = (np.log10(np.maximum(power, _FLOOR)) - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - np.clip(share, 0, 1) * (HEIGHT - _TOP - _BOTTOM)


def _x(nyquist: float) -> float:
    return _LEFT + float(nyquist) * (WIDTH - _LEFT - _RIGHT)


def _height(share: Floats) -> Floats:
    """Where a gain from 0 to 1 stands in the drawing."""
    return np.asarray(HEIGHT - _BOTTOM - np.clip(share, 0, 1) * (HEIGHT - _TOP - _BOTTOM))


def _path(frequency: Floats, heights: Floats) -> str:
    """An SVG path through points, DC left out."""
    points = [f"{_x(f):.1f} {y:.1f}" for f, y in zip(frequency[1:], heights[1:], strict=True) if f <= 1]
    return "M" + "L".join(points)


def _order(spectra: RadiusSpectra) -> list[int]:
    return sorted(range(len(spectra.filters)), key=lambda at: (spectra.cutoff_px[at], spectra.filters[at]))


def _groups(spectra: RadiusSpectra, order: Sequence[int]) -> list[tuple[str, list[int]]]:
    """The switch's entries, low-passes first: a sweep each, and what belongs to none by kind."""
    names = [sweep_of(spec) or spec for spec in spectra.filters]
    found: dict[str, list[int]] = {}
    for number in order:
        name = names[number]
        found.setdefault(describe_sweep(name if names.count(name) > 1 else kind_of(name)), []).append(number)
    return sorted(
        found.items(), key=lambda group: (not group[0].endswith("low-pass"), group[0] != "low-pass")
    )


def _sources(spectra: RadiusSpectra, family_of: Mapping[str, str]) -> list[int]:
    """Sources in reading order: by data set, reals first, then by family."""
    families = sort_families(family_of.values())
    rank = {family: at for at, family in enumerate(families)}

    def key(at: int) -> tuple[int, int, int]:
        name = spectra.generators[at]
        family = -1 if name == REAL else rank.get(family_of.get(name, "other"), len(rank))
        return spectra.datasets.index(spectra.datasets[at]), family, at

    return sorted(range(len(spectra.generators)), key=key)


def _lines(
    spectra: RadiusSpectra, sources: Sequence[int], family_of: Mapping[str, str], axis: _Axis
) -> list[Line]:
    names = {spectra.generators[at]: family_of.get(spectra.generators[at], "other") for at in sources}
    marks = family_marks({name: family for name, family in names.items() if name != REAL})
    several = len(set(spectra.datasets)) > 1
    lines: list[Line] = []
    for at in sources:
        name = spectra.generators[at]
        look = plotly_mark(marks.get(name, REAL_MARK))
        if name == REAL:  # those of a second data set shall not look like the first's
            look["dash"] = _REALS[sum(line.real for line in lines) % len(_REALS)]
        lines.append(
            Line(
                label=f"{name} · {spectra.datasets[at]}" if several else name,
                n=int(spectra.n[at]),
                colour=look["colour"],
                dark=look["dark"],
                dash="none" if look["dash"] == "solid" else look["dash"].replace("px", ""),
                path=_path(spectra.frequency_nyq, axis.y(spectra.density[at])),
                real=name == REAL,
            )
        )
    return lines


def _pictures(
    kept: Any, filters: Sequence[str], family_of: Mapping[str, str]
) -> tuple[list[Shown], list[dict[str, str]]]:
    """The pictures that are there unfiltered, and each one's addresses by filter."""
    shown, addresses = [], []
    for (_, generator, _), rows in kept.groupby(["dataset", "generator", "image_id"], sort=False):
        found = {spec: webp_address(data) for spec, data in zip(rows["filter"], rows["webp"], strict=True)}
        if "none" in found and any(spec in found for spec in filters):
            family = family_label(family_of.get(generator, "other"))
            label = generator if generator in (REAL, family) else f"{generator} ({family})"
            shown.append(Shown(label, found["none"], found["none"], SIDE))
            addresses.append(found)
    return shown, addresses


def _words(spectra: RadiusSpectra, number: int) -> str:
    """`low-pass at 4.8 px (0.15 Nyquist)`; with its width, where it has one."""
    spec = spectra.filters[number]
    what = describe_sweep(sweep_of(spec) or spec)
    return f"{what} at {px_text(round(spectra.cutoff_px[number], 2), spectra.cutoff_nyq[number])}"


def _percent(share: float) -> str:
    value = 100 * share
    return f"{value:.1f}" if value >= 0.05 or value == 0 else "< 0.05"


def _power_of_ten(power: int) -> str:
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
