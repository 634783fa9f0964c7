"""The figures' typeface: a part of matplotlib's own, with the whole behind it."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.font_manager import FontProperties, findfont

from bandprobe.report import typeface
from bandprobe.report.style import drawing, new_figure, save


def test_figures_embed_the_part_and_fall_back_on_the_whole(tmp_path: Path) -> None:
    with drawing():
        figure = new_figure(3, 1)
        figure.text(0.1, 0.5, "AUROC 0.93 ± 0.02 at 10⁻³ nyq, Müller, Δ ≥ 0.05")
        save(figure, tmp_path / "plain")
        figure.text(0.1, 0.1, "\u0531")  # Armenian: not in the part
        save(figure, tmp_path / "foreign")
    assert b"BandprobeSans" in (tmp_path / "plain.pdf").read_bytes()
    assert b"DejaVuSans" not in (tmp_path / "plain.pdf").read_bytes()
    assert b"DejaVuSans" in (tmp_path / "foreign.pdf").read_bytes()


def test_the_part_has_the_shapes_of_the_whole() -> None:
    from fontTools.ttLib import TTFont

    assert typeface.families() == (typeface.FAMILY, typeface.WHOLE)
    for weight in ("normal", "bold"):
        part, whole = (
            TTFont(findfont(FontProperties(family=family, weight=weight))) for family in typeface.families()
        )
        for sign in "AUROC 0123456789 ⁻⁰³ ≥ Δ é":
            name = part.getBestCmap()[ord(sign)]
            assert part["hmtx"][name] == whole["hmtx"][whole.getBestCmap()[ord(sign)]]
        assert len(part.getGlyphOrder()) < len(whole.getGlyphOrder()) / 3


def test_nowhere_to_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    typeface.families.cache_clear()
    monkeypatch.setattr(mpl, "get_cachedir", lambda: "/proc/none")
    assert typeface.families() == (typeface.WHOLE,)
    typeface.families.cache_clear()
