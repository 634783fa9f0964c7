"""How every figure looks: sizes, type, family colours and marks, saving."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from bandprobe.files import write_whole
from bandprobe.report import typeface
from bandprobe.report.arrangement import POOLED, runs_of, sort_families

WIDTH = 7.0  # inches: a two-column page
DPI = 200
SMALL, TEXT, TITLE = 6.5, 7.0, 9.0  # points
INK, MUTED, RULE = "#1a1a1a", "#595959", "#c4c4c4"

_RC: Any = {
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,  # a `$` in a folder's name is a `$`
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "pdf.fonttype": 42,
    "path.simplify": True,
}

# Hue and dash tell the family, shade and marker the member: either survives colour blindness and grey
# printing. Blue against orange is the pair that deuteranopes and protanopes tell apart best.
_FAMILY_HUES = {"gan": "Blues", "diffusion": "Oranges", "autoregressive": "Greens", "other": "Purples"}
_SPARE_HUES = ("RdPu", "YlGnBu", "YlOrBr", "Greys")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.4)), (0, (6, 1.4, 1.2, 1.4)), (0, (1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")


@dataclass(frozen=True)
class Mark:
    """How one source is drawn: line colour, dashes, and marker."""

    colour: str
    dashes: Any
    marker: str


REAL = Mark("#000000", "-", "")


@dataclass(frozen=True)
class Page:
    """What a figure is drawn for.

    Attributes:
        width: of the figure, inches.
        small, text, title: type sizes, points.
        height: most that a figure may take, inches.
        fixed: the figure is exactly as wide as the page, and its title and note are left to the caption of a
            paper: they become the figure's label.
    """

    width: float = WIDTH
    small: float = SMALL
    text: float = TEXT
    title: float = TITLE
    height: float = math.inf
    fixed: bool = False

    def label(self, inches: float) -> float:
        """The most that a label of `inches` may take of this page's width."""
        return min(inches, 0.3 * self.width)


_page: ContextVar[Page] = ContextVar("bandprobe_page", default=Page())  # noqa: B039 - frozen


def page() -> Page:
    """The page that figures are drawn for here."""
    return _page.get()


@contextlib.contextmanager
def on_page(chosen: Page) -> Iterator[None]:
    """Figures made inside this context are drawn for another page."""
    token = _page.set(chosen)
    try:
        yield
    finally:
        _page.reset(token)


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings of this report, for making and saving a figure; restored afterwards."""
    # Glyph by glyph, from the first family that has it: the same figure on every machine.
    with mpl.rc_context({**_RC, "font.size": page().text, "font.family": list(typeface.families())}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches on an Agg canvas (no pyplot, no global state)."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def family_colour(family: str, families: Iterable[str]) -> str:
    """A family's own colour, dark enough for text on white."""
    return str(mpl.colors.to_hex(_hue(family, families)(0.8)))


def family_marks(family_of: dict[str, str]) -> dict[str, Mark]:
    """A mark for each name; `family_of` maps names, in drawing order, to families."""
    families = sort_families(family_of.values())
    marks: dict[str, Mark] = {}
    for i, family in enumerate(families):
        members = [name for name, of in family_of.items() if of == family]
        hue = _hue(family, families)
        for j, name in enumerate(members):
            shade = 0.92 - 0.42 * j / max(len(members) - 1, 2)
            known = list(_FAMILY_HUES)
            dashes = _DASHES[known.index(family) if family in known else i % len(_DASHES)]
            marks[name] = Mark(str(mpl.colors.to_hex(hue(shade))), dashes, _MARKERS[j % len(_MARKERS)])
    return marks


@lru_cache(maxsize=4096)
def text_size(text: str, points: float, bold: bool = False) -> tuple[float, float]:
    """Width and height of one line of text in inches."""
    font = FontProperties(family=typeface.WHOLE, size=points, weight="bold" if bold else "normal")
    width, height, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return width / 72, height / 72


def widest(texts: Iterable[str], points: float) -> float:
    """Width in inches of the widest of `texts`; 0 when there is none."""
    return max((text_size(text, points)[0] for text in texts), default=0.0)


def shorten(text: str, limit: float, points: float, bold: bool = False) -> str:
    """`text`, with its middle replaced by `…` where it is wider than `limit` inches."""
    if text_size(text, points, bold)[0] <= limit:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = (kept + 1) // 2
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if text_size(short, points, bold)[0] <= limit:
            return short
    return "…"


def wrap(text: str, limit: float, points: float) -> list[str]:
    """`text` in lines no wider than `limit` inches, broken at spaces; longer words are shortened."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_size(joined, points)[0] <= limit:
            lines[-1] = joined
        else:
            lines.append(shorten(word, limit, points))
    return lines


def title_height(title: str, note: str, width: float) -> float:
    """Inches that `add_title` needs at the top."""
    if page().fixed:
        return 0.1
    lines = len(wrap(title, width - 0.2, TITLE)) * TITLE + len(wrap(note, width - 0.2, TEXT)) * TEXT
    return 0.1 + lines * 1.35 / 72


def add_title(figure: Figure, title: str, note: str) -> None:
    """What the figure shows, and below it, muted, how to read it, from the top left."""
    if page().fixed:
        figure.set_label(f"{title}. {note}".strip())
        return
    width, height = figure.get_size_inches()
    y = height - 0.06
    for text, points, colour in ((title, TITLE, INK), (note, TEXT, MUTED)):
        lines = wrap(text, width - 0.2, points)
        if lines:
            figure.text(
                0.1 / width,
                y / height,
                "\n".join(lines),
                size=points,
                color=colour,
                va="top",
                linespacing=1.25,
            )
        y -= len(lines) * points * 1.35 / 72


def power_of_ten(value: float, _: object = None) -> str:
    """`10⁻³` for 0.001: a label for log ticks, which needs no mathematical typesetting."""
    if value <= 0:
        return ""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(round(math.log10(value))).translate(raised)}"


def save(figure: Figure, stem: Path) -> Path:
    """Write `stem.png` (200 dpi) and `stem.pdf` (vector), each whole or not at all; returns the PNG."""
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Producer": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{kind}")
        write_whole(path, buffer.getvalue())
    return stem.with_name(f"{stem.name}.png")


def family_runs(names: Iterable[str], family_of: dict[str, str]) -> list[tuple[str, int, int]]:
    """Families of `names` as (family, first index, last index)."""
    return runs_of(family_of[name] for name in names)


def _hue(family: str, families: Iterable[str]) -> Any:
    name = _FAMILY_HUES.get(family)
    if name is None:
        # By name, whatever the order and number in which a figure meets them.
        unknown = sorted({family, *families} - {*_FAMILY_HUES, POOLED})
        name = _SPARE_HUES[unknown.index(family) % len(_SPARE_HUES)] if family in unknown else "Greys"
    return mpl.colormaps[name]
