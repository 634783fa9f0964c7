"""The figures of `mmd.csv`: which there are, what they draw, and whether they can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_checks import assert_readable
from report_runs import THESIS, THESIS_PX

from bandprobe.report.figures import FigureGroup
from bandprobe.report.mmd_figures import mmd_groups
from bandprobe.report.style import drawing

SOURCES = {"Real": "", "DDPM": "diffusion", "ProGAN": "gan", "StyleGAN": "gan"}


def table(
    sources: dict[str, str],
    px: list[int],
    others: tuple[str, ...] = (),
    encoder: str = "one",
    probes: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Rows of `mmd.csv`: fakes come nearer to reals, and filtered images go away, as the cut-off falls."""
    filters = [("none", np.nan), ("identity", np.nan), *((spec, np.nan) for spec in others)]
    filters += [(f"lowpass:{r}px", float(r)) for r in px]
    rows = []
    for number, (source, family) in enumerate(sources.items()):
        for trained_on in ("", *(probe for probe in probes if probe in ("all", source))):
            for spec, cutoff in filters:
                kept = 1.0 if np.isnan(cutoff) else cutoff / (cutoff + 20)
                for experiment, value in (
                    ("fake_vs_real", 0.3 * kept**2 / (1 + number) - 0.001),
                    ("no_filter_vs_filter", 0.0 if spec == "identity" else (1 - kept) ** 2 + 0.01 * number),
                ):
                    if (source == "Real" and experiment == "fake_vs_real") or (
                        spec == "none" and experiment == "no_filter_vs_filter"
                    ):
                        continue
                    p = 0.5 if value < 0.005 else 0.002
                    space = "logit" if trained_on else "embedding"
                    rows.append((encoder, space, experiment, source, spec, cutoff, value, p, p, 100,
                                 family, trained_on, cutoff / 112, "data", ""))  # fmt: skip
    names = [
        "encoder",
        "space",
        "experiment",
        "source",
        "filter",
        "cutoff_px",
        "mmd2",
        "p_value",
        "q_value",
        "n",
    ]
    return pd.DataFrame(rows, columns=[*names, "family", "trained_on", "cutoff_nyq", "dataset", "reason"])


@pytest.fixture(scope="module")
def groups() -> list[FigureGroup]:
    return mmd_groups(table(SOURCES, [2, 8, 30, 90], ("jpeg:75", "highpass:4px"), probes=("all", "DDPM")))


def draw(groups: list[FigureGroup], stem: str) -> Figure:
    (planned,) = [figure for group in groups for figure in group.figures if figure.stem == stem]
    with drawing():
        return planned.draw()


def artist(figure: Figure, gid: str) -> list[object]:
    return list(figure.findobj(lambda one: one.get_gid() == gid))


def test_a_group_for_each_space_probe_and_experiment(groups: list[FigureGroup]) -> None:
    assert [group.title for group in groups] == [
        "Fakes against reals: one",
        "Filtered against unfiltered images: one",
        "Fakes against reals: one, output of each generator's own probe",
        "Filtered against unfiltered images: one, output of each generator's own probe",
        "Fakes against reals: one, output of the probe on all",
        "Filtered against unfiltered images: one, output of the probe on all",
    ]
    stems = [figure.stem for group in groups for figure in group.figures]
    assert len(stems) == len(set(stems)) == 18
    assert stems[:3] == [
        "mmd-one-fake-vs-real-lowpass-heatmap",
        "mmd-one-fake-vs-real-lowpass-curve",
        "mmd-one-fake-vs-real-filters-heatmap",
    ]
    for group in groups:
        for figure in group.figures:
            assert figure.title.startswith(group.title)
            assert figure.reading.endswith(".")
            assert "significant" in figure.alt


def test_the_heat_map_holds_the_table(groups: list[FigureGroup]) -> None:
    figure = draw(groups, "mmd-one-fake-vs-real-lowpass-heatmap")
    (cells,) = artist(figure, "cells")
    rows = table(SOURCES, [2, 8, 30, 90]).query("experiment == 'fake_vs_real'")
    filters = ["none", "identity", *(f"lowpass:{px}px" for px in (2, 8, 30, 90))]
    wanted = rows.pivot(index="source", columns="filter", values="mmd2")
    wanted = wanted.loc[["ProGAN", "StyleGAN", "DDPM"], filters].to_numpy()  # by family
    np.testing.assert_allclose(cells.get_array().reshape(wanted.shape), wanted)
    (dots,) = artist(figure, "significant")
    assert len(dots.get_offsets()) == (wanted >= 0.005).sum() < wanted.size
    assert_readable(figure)


def test_the_curve_holds_the_sweep_and_the_controls_apart(groups: list[FigureGroup]) -> None:
    figure = draw(groups, "mmd-one-no-filter-vs-filter-lowpass-curve")
    rows = table(SOURCES, [2, 8, 30, 90]).query("experiment == 'no_filter_vs_filter'")
    for source in SOURCES:
        (line,) = artist(figure, f"curve:{source}")
        mine = rows[(rows["source"] == source) & rows["cutoff_px"].notna()]
        np.testing.assert_allclose(line.get_xdata(), np.log10(mine["cutoff_px"]))
        np.testing.assert_allclose(line.get_ydata(), mine["mmd2"])
        (controls,) = artist(figure, f"controls:{source}")
        assert list(controls.get_ydata()) == [0.0]
        assert min(controls.get_xdata()) > max(line.get_xdata())
    assert sum(len(one.get_xdata()) for one in artist(figure, "hollow")) == 4  # identity, of four sources
    assert_readable(figure)


def test_filters_of_no_sweep_have_a_heat_map_of_their_own(groups: list[FigureGroup]) -> None:
    figure = draw(groups, "mmd-one-no-filter-vs-filter-filters-heatmap")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["identity", "jpeg:75", "highpass:4px"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Real", "ProGAN", "StyleGAN", "DDPM"]
    assert_readable(figure)


def test_the_thesis_s_sweep_is_readable() -> None:
    groups = mmd_groups(table({"Real": "", **THESIS}, THESIS_PX, encoder="openclip-vit-g-14"))
    for group in groups:
        assert [figure.stem.rpartition("-")[2] for figure in group.figures] == ["heatmap", "curve"]
        for planned in group.figures:
            with drawing():
                figure = planned.draw()
            assert figure.get_size_inches()[0] <= 7.001
            assert_readable(figure)


def test_columns_beyond_the_ten_may_be_missing_and_blanks_have_sentences() -> None:
    rows = table(SOURCES, [4, 16]).iloc[:, :10]
    assert len(mmd_groups(rows)) == 2
    blank = table(SOURCES, [4, 16])
    there = blank["source"] == "DDPM"
    blank.loc[there, ["mmd2", "p_value", "q_value"]] = np.nan
    blank.loc[there, "reason"] = "3 images, and a test needs 5"
    group = mmd_groups(blank)[0]
    assert group.sentences == ["Blank for DDPM: 3 images, and a test needs 5."]
    for planned in group.figures:
        with drawing():
            assert_readable(planned.draw())
    blank[["mmd2", "p_value", "q_value"]] = np.nan
    assert all(not group.figures for group in mmd_groups(blank))


def test_one_source_under_one_filter_and_two_data_sets() -> None:
    alone = mmd_groups(table({"ProGAN": "gan"}, []))
    assert [figure.stem for figure in alone[0].figures] == ["mmd-one-fake-vs-real-filters-heatmap"]
    with drawing():
        assert_readable(alone[0].figures[0].draw())
    both = pd.concat([table(SOURCES, [4, 16]).assign(dataset=name) for name in ("faces", "rooms")])
    figure = draw(mmd_groups(both), "mmd-one-no-filter-vs-filter-lowpass-curve")
    assert artist(figure, "curve:Real · rooms")
    assert_readable(figure)


def test_written_as_png_and_pdf(groups: list[FigureGroup], tmp_path: Path) -> None:
    path = groups[0].figures[0].write(tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
