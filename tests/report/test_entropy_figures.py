"""The figures of `entropy.csv` and `projection.csv`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from report_checks import assert_readable

from bandprobe.analysis.entropy import COLUMNS
from bandprobe.analysis.projection import COLUMNS as POINT_COLUMNS
from bandprobe.report.entropy_curves import encoder_marks
from bandprobe.report.entropy_figures import entropy_groups
from bandprobe.report.figures import PlannedFigure
from bandprobe.report.projection_figures import projection_groups
from bandprobe.report.style import drawing

FAMILIES = {"ProGAN": "gan", "DDPM": "diffusion"}
ENCODERS = ("dinov2-giant", "random:dinov2-giant", "openclip-vit-g-14", "random:openclip-vit-g-14")
ENTROPIES = ("effective_rank", "effective_rank_ratio", "knn_entropy")
CORRESPONDENCES = ("cosine", "cka", "mutual_knn")
CUTOFFS = (0.05, 0.1, 0.25, 0.5)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    conditions = [("none", np.nan), ("identity", np.nan)]
    conditions += [(f"{kind}:{c}nyq", c) for kind in ("lowpass", "highpass") for c in CUTOFFS]
    sources = ("Real", "ProGAN", "DDPM", "family:gan", "family:diffusion", "all")
    rows = []
    for encoder in (*ENCODERS, "images"):
        for source in sources:
            measured = [(spec, c, m) for spec, c in conditions for m in ENTROPIES]
            measured += [(spec, c, m) for spec, c in conditions if "lowpass" in spec for m in CORRESPONDENCES]
            if encoder == "images":
                measured = [(s, c, m) for s, c in conditions for m in ("spectral_entropy", "radial_entropy")]
                measured += [
                    (f"ideal-bandpass:{r}px:width=1px", r / 112, "spectral_entropy") for r in range(1, 113)
                ]
            for spec, nyq, measure in measured:
                value = rng.random() + (0 if np.isnan(nyq) else nyq)
                rows.append(
                    (encoder, source, spec, nyq * 112, measure, value, value - 0.1, value + 0.1, nyq, 1000,
                     "bedroom", encoder.startswith("random:"), "")
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with drawing():
        yield


def figures(groups) -> dict[str, PlannedFigure]:
    return {figure.stem: figure for group in groups for figure in group.figures}


def test_every_sweep_has_its_figures() -> None:
    found = figures(entropy_groups(table(), FAMILIES))
    assert list(found) == [
        "entropy-lowpass", "entropy-highpass", "correspondence-lowpass", "entropy-images-bedroom-lowpass",
        "entropy-rings-bedroom",
    ]  # fmt: skip
    for figure in found.values():
        assert_readable(figure.draw())
        assert figure.reading.endswith(".")
        assert "bedroom" in figure.alt or "dinov2-giant" in figure.alt


def test_a_panel_shows_every_encoder_with_its_twin_dashed() -> None:
    rows = table()
    figure = figures(entropy_groups(rows))["correspondence-lowpass"].draw()
    panels = [axes for axes in figure.axes if (axes.get_gid() or "").startswith("panel:cka")]
    assert [axes.get_gid().removeprefix("panel:cka:") for axes in panels] == [
        "Real", "family:gan", "family:diffusion", "all",
    ]  # fmt: skip
    lines = {line.get_gid(): line for line in panels[1].lines}
    wanted = rows[(rows["measure"] == "cka") & (rows["source"] == "family:gan")]
    for encoder in ENCODERS:
        mine = wanted[wanted["encoder"] == encoder].sort_values("cutoff_px")
        np.testing.assert_allclose(lines[f"curve:{encoder}"].get_ydata(), mine["value"])
        np.testing.assert_allclose(10 ** lines[f"curve:{encoder}"].get_xdata(), mine["cutoff_px"])
    own, twin = lines["curve:dinov2-giant"], lines["curve:random:dinov2-giant"]
    assert own.get_color() == twin.get_color() != lines["curve:openclip-vit-g-14"].get_color()
    assert own.get_linestyle() == "-"
    assert twin.get_linestyle() == "--"


def test_controls_stand_apart_from_the_curve() -> None:
    figure = figures(entropy_groups(table()))["entropy-lowpass"].draw()
    axes = next(a for a in figure.axes if a.get_gid() == "panel:effective_rank:Real")
    lines = {line.get_gid(): line for line in axes.lines}
    last = lines["curve:dinov2-giant"].get_xdata().max()
    assert len(lines["controls:dinov2-giant"].get_xdata()) == 2
    assert lines["controls:dinov2-giant"].get_xdata().min() > last
    assert lines["controls:dinov2-giant"].get_linestyle() == "None"


def test_sources_can_be_chosen() -> None:
    figure = figures(entropy_groups(table(), sources=["DDPM", "Real", "nobody"]))["entropy-lowpass"].draw()
    shown = [axes.get_gid() for axes in figure.axes if (axes.get_gid() or "").startswith("panel:knn")]
    assert shown == ["panel:knn_entropy:DDPM", "panel:knn_entropy:Real"]


def test_rings_are_drawn_less_the_reals() -> None:
    rows = table()
    figure = figures(entropy_groups(rows, FAMILIES))["entropy-rings-bedroom"].draw()
    axes = next(a for a in figure.axes if a.get_gid() == "panel:rings")
    lines = {line.get_gid(): line for line in axes.lines}
    rings = rows[rows["filter"].str.startswith("ideal-bandpass")].set_index(["source", "cutoff_nyq"])["value"]
    np.testing.assert_allclose(lines["curve:ProGAN"].get_ydata(), rings["ProGAN"] - rings["Real"])
    assert not lines["curve:Real"].get_ydata().any()


def test_blank_values_and_one_cut_off_are_said_or_left_out() -> None:
    rows = table()
    rows.loc[rows["measure"] == "knn_entropy", ["value", "low", "high"]] = np.nan
    figure = figures(entropy_groups(rows))["entropy-lowpass"].draw()
    assert not any("knn_entropy" in (axes.get_gid() or "") for axes in figure.axes)
    one = rows[rows["filter"].isin(["none", "identity", "lowpass:0.1nyq"]) & (rows["encoder"] != "images")]
    groups = entropy_groups(one)
    assert not figures(groups)
    assert all(group.sentences for group in groups)
    assert entropy_groups(rows.iloc[:0]) == []


def test_eight_encoders_still_fit_the_page() -> None:
    rows = table()
    more = [
        rows[rows["encoder"] == "dinov2-giant"].assign(encoder=f"an-encoder-with-a-long-name-{i}")
        for i in range(6)
    ]
    assert_readable(figures(entropy_groups(pd.concat([rows, *more])))["entropy-lowpass"].draw())
    assert len({mark.colour for mark in encoder_marks(["a", "b", "random:a"]).values()}) == 2


def points(filters=("none", "lowpass:30px")) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (str(i), "dinov2-giant", source, family, spec, method, rng.normal(), rng.normal(), "bedroom")
        for source, family in {"Real": "real", **FAMILIES}.items()
        for spec in filters
        for method in ("tsne", "pca")
        for i in range(30)
    ]
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


def test_projection_shows_every_point_in_its_colour_and_marker() -> None:
    [group] = projection_groups(points(), {("dinov2-giant", "tsne"): "180 points; perplexity 30"})
    assert [figure.stem for figure in group.figures] == [
        "projection-dinov2-giant-tsne",
        "projection-dinov2-giant-pca",
    ]
    for planned in group.figures:
        figure = planned.draw()
        assert_readable(figure)
        plane = next(axes for axes in figure.axes if axes.get_gid() == "plane")
        assert sum(len(part.get_offsets()) for part in plane.collections) == 180
        assert len({tuple(colour) for part in plane.collections for colour in part.get_facecolors()}) == 3
        assert len({len(part.get_paths()[0].vertices) for part in plane.collections}) == 2
    [group] = projection_groups(points(("identity",)))
    assert_readable(group.figures[0].draw())
