"""The legend under a figure: a line of entries per family, outside every panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from bandprobe.report.arrangement import family_label, sort_families
from bandprobe.report.style import (
    INK,
    Mark,
    family_colour,
    page,
    shorten,
    widest,
)

REALS = "reals"  # stands where a family would
_LINE = 0.125  # height of a line, inches
_HANDLE = 0.38  # an entry's width beside its name
_MARGIN = 0.1


@dataclass(frozen=True)
class Legend:
    """A legend laid out for a page width.

    Attributes:
        lines: per line the family (empty where the line goes on) and the names.
        heading: width of the family column, inches.
        entry: width of one entry, inches.
    """

    lines: list[tuple[str, list[str]]]
    heading: float
    entry: float

    @property
    def height(self) -> float:
        """Inches that the legend takes at the foot of a figure, margin included."""
        return _LINE * len(self.lines) + _MARGIN


def lay_out(names: Sequence[str], family_of: Mapping[str, str], width: float | None = None) -> Legend:
    """Group `names` by family into lines that fit `width` inches; reals (family `"reals"`) come first."""
    width = width or page().width
    families = sort_families(family_of[name] for name in names)
    families.sort(key=lambda family: family != REALS)
    heading = min(widest([family_label(f) for f in families], page().text) * 1.1 + 0.16, 1.6)
    entry = min(widest(names, page().small) + 0.01, 2.0) + _HANDLE
    per_line = max(int((width - 2 * _MARGIN - heading) / entry), 1)
    lines: list[tuple[str, list[str]]] = []
    for family in families:
        members = [name for name in names if family_of[name] == family]
        for i in range(0, len(members), per_line):
            lines.append((family if i == 0 else "", members[i : i + per_line]))
    return Legend(lines, heading, entry)


def draw_legend(figure: Figure, legend: Legend, marks: Mapping[str, Mark]) -> None:
    """Draw `legend` at the foot of `figure`, the line, marker and name of each entry."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, _MARGIN / height, 1, _LINE * len(legend.lines) / height))
    axes.set(xlim=(0, width), ylim=(len(legend.lines), 0))
    axes.set_axis_off()
    axes.set_gid("legend")
    families = [family for family, _ in legend.lines if family not in {"", REALS}]
    for i, (family, names) in enumerate(legend.lines):
        if family:
            label = shorten(family_label(family), legend.heading - 0.12, page().text)
            colour = INK if family == REALS else family_colour(family, families)
            axes.text(_MARGIN, i + 0.5, label, size=page().text, weight="bold", color=colour, va="center")
        for j, name in enumerate(names):
            mark, x = marks[name], _MARGIN + legend.heading + j * legend.entry
            axes.plot(
                [x, x + 0.12, x + 0.24], [i + 0.5] * 3, color=mark.colour, linestyle=mark.dashes, linewidth=1,
                marker=mark.marker, markersize=3.2, markeredgewidth=0, markevery=(1, 5),
            )  # fmt: skip
            label = shorten(name, legend.entry - _HANDLE, page().small)
            axes.text(x + 0.28, i + 0.5, label, size=page().small, va="center")
