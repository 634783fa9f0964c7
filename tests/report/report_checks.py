"""What a reader would see at once: text cut off, text over text, an empty picture."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image


def pixels(figure: Figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=72)
    buffer.seek(0)
    return np.asarray(Image.open(buffer).convert("RGB"), dtype=float)


def texts(figure: Figure) -> list[Text]:
    figure.canvas.draw()
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t.get_figure()]


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox, float]]:
    """Text, extent and rotation of what is really drawn (ticks outside their axis are not)."""
    renderer = figure.canvas.get_renderer()
    found = []
    shown_ticks = set()
    hidden = set()
    for axes in figure.findobj(lambda artist: hasattr(artist, "xaxis")):
        for axis in (axes.xaxis, axes.yaxis):
            labels = {id(t) for t in (*axis.get_majorticklabels(), *axis.get_minorticklabels())}
            ticks = [t for t in axis._update_ticks() if t.label1.get_visible() or t.label2.get_visible()]
            shown_ticks |= {id(t.label1) for t in ticks} | {id(t.label2) for t in ticks}
            hidden |= labels
            if not axes.axison:
                shown_ticks -= labels
    for text in texts(figure):
        if id(text) in hidden and id(text) not in shown_ticks:
            continue
        found.append((text.get_text(), text.get_window_extent(renderer), text.get_rotation()))
    return found


def outside(figure: Figure) -> list[str]:
    """Texts that leave the canvas."""
    width, height = figure.canvas.get_width_height()
    return [
        words for words, box, _ in drawn_texts(figure)
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ]  # fmt: skip


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes share more than a sliver (slanted labels left out: boxes say nothing)."""
    level = [(words, box) for words, box, angle in drawn_texts(figure) if angle % 90 == 0]
    clashes = []
    for (a, box_a), (b, box_b) in combinations(level, 2):
        across = min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0)
        down = min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0)
        if across > 1 and down > 3:  # ascender and descender room may touch
            clashes.append((a, b))
    return clashes


def assert_readable(figure: Figure) -> None:
    assert outside(figure) == []
    assert overlapping(figure) == []
    picture = pixels(figure)
    assert picture.std() > 8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
