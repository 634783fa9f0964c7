"""The figures' typeface: matplotlib's own DejaVu Sans, cut down to the signs that figures use.

A PDF embeds a subset of its fonts, and taking it from the whole of DejaVu Sans (6,000 glyphs and the
rules of many scripts) takes longer than drawing the figure. From a face that holds only Latin, Greek,
Cyrillic and the signs of mathematics it takes a third of that. What it lacks is taken from the whole face.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import FontProperties, findfont, fontManager

WHOLE = "DejaVu Sans"
FAMILY = "Bandprobe Sans"
_SIGNS = (
    (0x20, 0x17F), (0x300, 0x460), (0x2010, 0x205F), (0x2070, 0x209F), (0x2190, 0x2300), (0x25A0, 0x2600),
    (0x2700, 0x2720),
)  # fmt: skip
_FOREIGN = ("FFTM", "GSUB", "GPOS", "GDEF", "MATH")  # layout of scripts and formulas
_NAMES = (1, 4, 6, 16)  # of the family, in a font's name table


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """The families to draw with, the first that has a sign giving it; made and registered on first use."""
    version = mpl.__version__
    folder = Path(mpl.get_cachedir())
    for weight in ("normal", "bold"):
        path = folder / f"bandprobe-{version}-{weight}.ttf"
        try:
            if not path.is_file():
                _cut_down(Path(findfont(FontProperties(family=WHOLE, weight=weight))), path)
            fontManager.addfont(str(path))
        except OSError:  # nowhere to keep it: the whole face does as well, more slowly
            return (WHOLE,)
    return FAMILY, WHOLE


def _cut_down(whole: Path, path: Path) -> None:
    """Write the part of a face that figures use, whole or not at all."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(drop_tables=[*subset.Options().drop_tables, *_FOREIGN], name_IDs=["*"])
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[sign for first, after in _SIGNS for sign in range(first, after)])
    with TTFont(whole) as font:
        cutter.subset(font)
        for record in font["name"].names:
            if record.nameID in _NAMES:
                record.string = (
                    record.toUnicode().replace(WHOLE, FAMILY).replace("DejaVuSans", "BandprobeSans")
                )
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".ttf")
        os.close(handle)
        try:
            font.save(temporary)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
