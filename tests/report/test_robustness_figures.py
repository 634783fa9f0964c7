"""Degradations in the report: what is drawn where, and what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bandprobe.analysis.rank_stability import Ranking, stability
from bandprobe.analysis.robustness import MEANS, RANKS
from bandprobe.filters.degradations import FAMILIES, REFERENCE, graded, presets
from bandprobe.report.cells import luminance
from bandprobe.report.robustness_figures import fall_text, robustness_figure, robustness_groups
from bandprobe.report.robustness_view import fall_tables, note, rank_summary, rank_table
from bandprobe.report.style import Page, drawing, on_page

PROBES = ("own", "others", "all", "family:diffusion")
LOW = "lowpass:0.5nyq"


def means_of(probes: tuple[str, ...], specs: list[str], before: str = "none") -> pd.DataFrame:
    """Falls of 0.05 a severity, of one generator on others none; of noise the AUROC gains."""
    rows = []
    for name in probes:
        for one in graded(specs)[before]:
            fall = 0.05 * one.severity * (name != "others") * (-1 if one.degradation == "noise" else 1)
            ends = (fall, fall - 0.02, fall + 0.02) if one.degradation != REFERENCE else (np.nan,) * 3
            rows.append(
                ("e", name, "none", before, one.degradation, one.severity, one.spec, "auroc", 0.9 - fall,
                 0.8, 0.95, *ends, 6, "images" if name == "own" else "images and generators of gan")
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(MEANS))


@pytest.fixture(scope="module")
def means() -> pd.DataFrame:
    specs = list(presets()["robustness"])
    after = [LOW, *(f"{LOW}+jpeg:{quality}" for quality in (95, 30))]
    return pd.concat([means_of(PROBES, specs), means_of(("own",), [*specs, *after], LOW)], ignore_index=True)


def panels_of(figure):
    """Text of each panel's cells by place, its colours, and what stands below and beside it."""
    found = []
    for axes in figure.axes:
        if axes.patches and axes.get_ylim()[0] > axes.get_ylim()[1]:
            texts = {
                (round(t.get_position()[1] - 0.53), round(t.get_position()[0] - 0.5)): t for t in axes.texts
            }
            colours = {(p.get_y(), p.get_x()): p.get_facecolor() for p in axes.patches}
            found.append((axes, texts, colours))
    return found


def test_a_panel_a_set_of_probes_a_row_a_family(means):
    with drawing():
        figure = robustness_figure(means[means["before"] == "none"], "e", "")
    panels = panels_of(figure)
    assert len(panels) == 4
    names = [family.name for family in FAMILIES]
    for (axes, texts, colours), probes in zip(panels, PROBES, strict=True):
        assert len(texts) == len(colours) == 40
        for i, family in enumerate(names):
            for j in range(5):
                fall = 0.05 * (j + 1) * (probes != "others") * (-1 if family == "noise" else 1)
                expected = "(.00)" if fall == 0 else ("−" if fall < 0 else "") + f"{abs(fall):.2f}"[1:]
                assert texts[i, j].get_text() == expected
                red, _, blue, _ = colours[i, j]
                assert np.sign(round(red - blue, 2)) == np.sign(fall)  # red is lost
                ink = texts[i, j].get_color()
                assert (ink == "white") == (luminance(colours[i, j]) < 0.2)
        assert [t.get_text() for t in axes.get_yticklabels()] in (names, [""] * 8)
    lefts = [axes.get_position().x0 for axes, _, _ in panels]
    assert lefts[0] == pytest.approx(lefts[2]) != pytest.approx(lefts[1])  # two by two
    said = [text.get_text() for text in figure.texts]
    assert {"one generator, on it", "one generator, on others", "severity"} <= set(said)
    assert said.count("AUROC 0.900") == 4


def test_what_was_not_tested_is_grey_and_empty(means):
    with drawing():
        figure = robustness_figure(means[means["before"] == LOW], "e", f", degraded after {LOW}")
    ((axes, texts, colours),) = panels_of(figure)
    assert {place: text.get_text() for place, text in texts.items()} == {(0, 0): ".05", (0, 4): ".25"}
    assert [colours[0, j][:3] for j in (1, 2, 3)] == [(pytest.approx(0xE6 / 255),) * 3] * 3
    assert [t.get_text() for t in axes.get_yticklabels()] == ["jpeg"]


@pytest.mark.parametrize("page", [Page(), Page(3.25, 5, 5, 6, fixed=True)], ids=["report", "column"])
@pytest.mark.parametrize("before", ["none", LOW])
def test_nothing_stands_outside_or_on_top_of_another(means, page, before):
    with drawing(), on_page(page):
        figure = robustness_figure(means[means["before"] == before], "e", "")
        renderer = figure.canvas.get_renderer()
        width, height = figure.bbox.size
        shown = [t for t in figure.texts if t.get_text()]
        boxes = [t.get_window_extent(renderer) for t in shown]
        for axes in figure.axes:
            labels = [t for t in (*axes.get_xticklabels(), *axes.get_yticklabels()) if t.get_text()]
            boxes += [t.get_window_extent(renderer) for t in labels]
    for at, box in enumerate(boxes):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
        for other in boxes[:at]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, along) <= 2.5  # pixels of line spacing


def test_figures_of_a_run(means, tmp_path):
    (group,) = robustness_groups(means)
    assert [figure.stem for figure in group.figures] == [
        "robustness-e-none-none",
        "robustness-e-none-lowpass-0-5nyq",
    ]
    first, second = group.figures
    assert "The largest fall is 0.25: jpeg of severity 5 (one generator, on it)." in first.alt
    assert second.title == "e, degraded after lowpass:0.5nyq"
    png = first.write(tmp_path)
    assert png.stat().st_size > 5_000
    assert png.with_suffix(".pdf").is_file()
    assert robustness_groups(means[means["metric"] == "pd@10%"]) == []


def test_a_fall_is_short():
    given = [(0.123, True), (-0.03, True), (0.004, False), (-0.004, True), (1.0, True), (0.996, False)]
    assert [fall_text(*one) for one in given] == [".12", "−.03", "(.00)", ".00", "1.00", "(1.00)"]


def test_tables_of_falls(means):
    tables = dict(fall_tables(means))
    assert list(tables) == [("e", "none", "none"), ("e", "none", LOW)]
    first, second = tables.values()
    assert first.columns == ["probes", "degradation", "AUROC without", "1", "2", "3", "4", "5"]
    assert len(first.rows) == 4 * 8
    assert [cell.text for cell in first.rows[4]] == [
        "one generator, on it", "noise", "0.900", "−0.050 [−0.070, −0.030]", "−0.100 [−0.120, −0.080]",
        "−0.150 [−0.170, −0.130]", "−0.200 [−0.220, −0.180]", "−0.250 [−0.270, −0.230]",
    ]  # fmt: skip
    assert [cell.text for cell in second.rows[0]][3:] == [
        "0.050 [0.030, 0.070]", "–", "–", "–", "0.250 [0.230, 0.270]",
    ]  # fmt: skip
    assert second.caption.endswith("e, degraded after lowpass:0.5nyq")
    assert list(fall_tables(means, "pd@10%")) == []
    assert "resamples of the images and generators of gan." in note(means)


def test_tables_of_ranks():
    conditions = graded(["none", "jpeg:95", "jpeg:85", "blur:1:bits=8", "blur:2:bits=8"])["none"]
    truth = np.array([0.9, 0.8, 0.7])
    means = np.stack([truth, truth, truth[::-1], truth, np.full(3, 0.5)], axis=1)
    noise = 0.01 * np.random.default_rng(0).standard_normal((3, 5, 100))
    noise[:, 4] = 0  # tied for certain
    scores = np.concatenate([means[..., None], means[..., None] + noise], axis=2)
    rows = []
    for ranked, encoder, items in (
        ("encoders", "", ["x", "y", "z"]), ("probes", "x", ["gan0", "family:gan", "all"]),
        ("detectors", "", ["x: family:gan", "x: all", "y: all"]),
    ):  # fmt: skip
        about = {
            "ranked": ranked,
            "encoder": encoder,
            "train_filter": "none",
            "before": "none",
            "resampled": "images",
        }
        rows += [about | row for row in stability(Ranking(items, scores, conditions))]
    ranks = pd.DataFrame(rows, columns=list(RANKS))
    summary = [[cell.text for cell in row] for row in rank_summary(ranks).rows]
    assert [row[0] for row in summary] == ["encoders", "probes of x", "encoders and probes together"]
    assert [row[-2] for row in summary] == ["x", "gan0", "x: all GAN"]
    assert summary[0][1:] == ["3", "0.33 [0.33, 0.33]", "1.00", "6 of 9", "3 of 9", "x", "75 %"]
    by_family = {
        (row[0].text, row[1].text): [cell.text for cell in row[2:]] for row in rank_table(ranks).rows
    }
    assert len(by_family) == 6
    assert by_family["encoders", "jpeg"] == [
        "0.00 [0.00, 0.00]", "0.00", "3 of 6", "3 of 6", "50 %", "z", "overtaken",
    ]  # fmt: skip
    assert by_family["encoders", "blur"] == [
        "1.00 [1.00, 1.00]", "1.00", "3 of 3", "0 of 3", "100 %", "x = y = z", "undecided",
    ]  # fmt: skip
