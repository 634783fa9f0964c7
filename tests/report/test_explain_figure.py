"""The figure of one explanation: it shows the numbers it was given, and every word has room."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from report_checks import assert_readable

from bandprobe.detect.contributions import Contributions
from bandprobe.detect.decision import Decision
from bandprobe.detect.explanation import Explanation
from bandprobe.report.explain_figure import FAKE, REAL, explain_figure
from bandprobe.report.style import drawing, save

RULE = Decision(threshold=0.0, low=-1.0, high=1.5, shift=0.0, slope=1.0, intercept=0.0)
VALUES = np.array([[0.0, 1.0, 2.0], [-0.5, 0.25, 1.5]])  # of two probes; the second is shown


@pytest.fixture
def explanation() -> Explanation:
    rng = np.random.default_rng(0)
    cutoffs = np.array([np.nan, np.nan, 0.25, 0.5, 1.0])
    chances = np.array([0.9, 0.85, 0.2, 0.5, 0.8])
    curve = pd.DataFrame(
        {
            "filter": ["none", "identity", *(f"lowpass:{cutoff:g}nyq" for cutoff in cutoffs[2:])],
            "cutoff_px": cutoffs * 16,
            "cutoff_nyq": cutoffs,
            "logit": np.log(chances / (1 - chances)),
            "probability": chances,
        }
    )
    bands = Contributions(
        ("0-0.15", "0.15-0.5", "0.5-1.41"), VALUES, VALUES, -VALUES, np.zeros(2), VALUES.sum(1)
    )
    picture = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    return Explanation("holiday/beach.png", "p", picture, 2.2, RULE, curve, bands, rng.normal(size=(8, 8)), 1)


def drawn(explanation: Explanation) -> Figure:
    with drawing():
        figure = explain_figure(explanation)
        figure.canvas.draw()
    return figure


def titled(figure: Figure, words: str):  # type: ignore[no-untyped-def]
    [axes] = [each for each in figure.axes if words in each.get_title(loc="left")]
    return axes


def test_it_shows_the_numbers(explanation: Explanation) -> None:
    figure = drawn(explanation)
    assert figure.texts[0].get_text() == "beach.png: called fake, probability 0.900 of being generated"
    curve = titled(figure, "Probability of being generated")
    sweep, identity, none = (line for line in curve.lines if line.get_marker() not in ("", "None"))
    np.testing.assert_array_equal(sweep.get_xydata(), [[0.25, 0.2], [0.5, 0.5], [1.0, 0.8]])
    assert list(identity.get_ydata()) == [0.85]
    assert list(none.get_ydata()) == [0.9]
    assert [label.get_text() for label in curve.get_xticklabels()][-2:] == ["identity", "none"]
    threshold = [line for line in curve.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in threshold] == [0.5]
    assert [(text.get_text(), to_hex(text.get_color())) for text in curve.texts] == [
        ("fake", FAKE),
        ("no verdict", "#595959"),
        ("real", REAL),
    ]
    edges = 1 / (1 + np.exp([1.0, -1.5]))
    assert [text.get_position()[1] for text in curve.texts] == pytest.approx(
        [(1 + edges[1]) / 2, edges.mean(), edges[0] / 2]
    )
    bands = titled(figure, "What each band adds")
    assert [bar.get_width() for bar in bands.patches] == [-0.5, 0.25, 1.5]
    assert [to_hex(bar.get_facecolor()) for bar in bands.patches] == [REAL, FAKE, FAKE]
    assert [label.get_text() for label in bands.get_yticklabels()] == ["0–0.15", "0.15–0.5", "0.5–1.41"]
    picture, heat = titled(figure, "Where it comes from").images
    np.testing.assert_allclose(picture.get_array(), explanation.picture.mean(2))
    np.testing.assert_array_equal(heat.get_array(), explanation.heat)
    most = np.abs(explanation.heat).max()
    assert heat.get_clim() == (-most, most)
    assert to_hex(heat.cmap(1.0)) == FAKE
    assert to_hex(heat.cmap(0.0)) == REAL
    [image] = titled(figure, "The image, 32 × 32 px").images
    np.testing.assert_array_equal(image.get_array(), explanation.picture)


def test_the_spectrum_is_log_power_with_rings(explanation: Explanation) -> None:
    wave = 127 + 60 * np.cos(2 * np.pi * np.arange(32) * 8 / 32)  # along each row, at half of Nyquist
    picture = np.broadcast_to(wave[None, :, None], (32, 32, 3)).astype(np.uint8)
    figure = drawn(replace(explanation, picture=picture))
    axes = titled(figure, "log power")
    log = np.array(axes.images[0].get_array())
    strongest = sorted(np.argwhere(log > np.sort(log.ravel())[-4]).tolist())
    assert strongest == [[16, 8], [16, 16], [16, 24]]
    rings = [np.hypot(*(line.get_xydata() - 16).T) for line in axes.lines]
    np.testing.assert_allclose([ring[0] for ring in rings], [0.15 * 16, 0.5 * 16])
    assert all(np.ptp(ring) < 1e-9 for ring in rings)
    assert not [each for each in axes.collections if isinstance(each, PathCollection)]


LONG = "a very long name of a picture that was taken somewhere else " * 4


@pytest.mark.parametrize(
    ("name", "rule", "scale", "side"),
    [
        ("a.png", RULE, 1.0, 32),
        (f"{LONG}.png", replace(RULE, low=0.0, high=0.0), 1e3, 518),
        ("$x^2$\n\x1b[31m<b>.png", replace(RULE, threshold=4.0, low=3.9, high=4.1), 1e-6, 64),
        ("fotografía.png", replace(RULE, low=-9.0, threshold=-8.0, high=9.0), 123.456, 16),
    ],
)
def test_every_word_has_room(
    explanation: Explanation, name: str, rule: Decision, scale: float, side: int
) -> None:
    bands = replace(explanation.contributions, values=VALUES * scale)
    picture = np.random.default_rng(1).integers(0, 256, (side, side, 3)).astype(np.uint8)
    figure = drawn(
        replace(
            explanation, name=name, decision=rule, contributions=bands, heat=explanation.heat * scale,
            picture=picture,
        )
    )  # fmt: skip
    assert_readable(figure)
    assert "\x1b" not in figure.texts[0].get_text()


def test_verdicts_in_words(explanation: Explanation) -> None:
    for logit, words in ((-3.0, "called real"), (0.5, "no verdict"), (1.5, "called fake")):
        assert words in drawn(replace(explanation, logit=logit)).texts[0].get_text()


def test_an_image_of_one_colour_and_a_map_of_zeros(explanation: Explanation) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(replace(explanation, picture=np.zeros((16, 16, 3), np.uint8), heat=np.zeros((8, 8))))


def test_equal_explanations_are_equal_files(explanation: Explanation, tmp_path: Path) -> None:
    for name in ("a", "b"):
        with drawing():
            save(explain_figure(explanation), tmp_path / name)
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
