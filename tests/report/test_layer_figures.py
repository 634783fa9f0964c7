"""Figures by layer: what is drawn where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bandprobe.analysis.layers import COLUMNS, OUTPUT
from bandprobe.report.layer_figures import layer_groups, layer_table, measures_figure, radius_figure
from bandprobe.report.run_directory import layers_beside
from bandprobe.report.style import drawing

LAYERS = {"deep": [*map(str, range(1, 25)), OUTPUT], "flat": ["1", "2", "3"]}
CUTOFFS = [round(0.05 * number, 2) for number in range(1, 21)]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rows = []
    for encoder, layers in LAYERS.items():
        for at, layer in enumerate(layers):
            place = {
                "encoder": encoder,
                "layer": layer,
                "layers": len(layers) - (OUTPUT in layers),
                "note": "n",
            }

            def add(measure, curve, value, place=place, mask="butterworth", spec="", cutoff=np.nan):
                rows.append(
                    {**place, "measure": measure, "curve": curve, "mask": mask, "filter": spec, "cutoff_nyq": cutoff,
                     "cutoff_px": 32 * cutoff, "value": value, "low": value - 0.02, "high": value + 0.02}
                )  # fmt: skip

            add("auroc", "reliance", 0.9, mask="none", spec="identity")
            for cutoff in CUTOFFS:
                add("auroc", "reliance", 0.5 + 0.4 * cutoff, spec=f"lowpass:{cutoff}nyq", cutoff=cutoff)
            add("auroc", "information", 0.8 - 0.01 * at, spec="highpass:0.5nyq", cutoff=0.5)
            add("auroc", "information", 0.7, spec="highpass:0.15nyq", cutoff=0.15)
            add("high_alone", "information", 0.8 - 0.01 * at)
            add("kept_cutoff", "reliance", 0.3)
            add("cka", "embedding", np.nan)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def lines_of(axes):
    return {
        line.get_gid().removeprefix("line:"): line
        for line in axes.lines
        if str(line.get_gid()).startswith("line:")
    }


def test_a_panel_a_curve_and_a_line_a_cutoff(table):
    mine = table[(table["encoder"] == "deep") & (table["measure"] == "auroc")]
    with drawing():
        figure = radius_figure(mine, "title")
    panels = {axes.get_gid(): axes for axes in figure.axes}
    reliance, information = panels["panel:reliance"], panels["panel:information"]
    lines = lines_of(reliance)
    assert lines["identity"].get_ydata().tolist() == [0.9] * 24  # the output stands apart
    shown = [spec for spec in lines if spec.startswith("lowpass") and len(lines[spec].get_xdata())]
    assert len(shown) == 8
    assert {shown[0], shown[-1]} == {"lowpass:0.05nyq", "lowpass:1.0nyq"}
    assert lines[shown[0]].get_xdata().tolist() == list(range(24))
    np.testing.assert_allclose(
        lines_of(information)["highpass:0.5nyq"].get_ydata(), [0.8 - 0.01 * at for at in range(24)]
    )
    assert len({to_hex(lines[spec].get_color()) for spec in shown}) == 8
    ticks = [label.get_text() for label in reliance.get_xticklabels()]
    assert ticks[0] == "1"
    assert ticks[-1] == OUTPUT
    assert len(ticks) < 25
    note = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "12 cut-offs between those shown are in layers.csv" in note


def test_encoders_of_any_depth_share_an_axis(table):
    with drawing():
        figure = measures_figure(table, "title")
    panels = {axes.get_gid(): axes for axes in figure.axes}
    assert set(panels) == {"panel:high_alone", "panel:kept_cutoff", "legend"}
    lines = lines_of(panels["panel:high_alone"])
    np.testing.assert_allclose(lines["deep"].get_xdata(), np.arange(1, 25) / 24)
    np.testing.assert_allclose(lines["flat"].get_xdata(), [1 / 3, 2 / 3, 1])


def test_figures_and_table_of_a_run(table, tmp_path):
    (group,) = layer_groups(table)
    assert [figure.stem for figure in group.figures] == [
        "layers-deep-butterworth", "layers-flat-butterworth", "layers-measures-butterworth",
    ]  # fmt: skip
    for figure in group.figures:
        png = figure.write(tmp_path)
        assert png.stat().st_size > 5_000
        assert png.with_suffix(".pdf").is_file()
        assert figure.alt
    shown = layer_table(table)
    assert len(shown.rows) == 28
    assert [cell.text for cell in shown.rows[24]][:3] == ["deep", OUTPUT, "0.560 [0.540, 0.580]"]


def test_layers_stand_beside_their_encoder_alone():
    names = ["a", "a#layer1", "a#layer2", "b#layer1", "c+d#layer3"]
    assert layers_beside(names) == {"a#layer1", "a#layer2"}
