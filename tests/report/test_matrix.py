import numpy as np
import pandas as pd
import pytest
from report_checks import assert_readable
from report_runs import PHOTOS, THESIS_PX, results, sweep

from bandprobe.report import tables
from bandprobe.report.arrangement import arrange
from bandprobe.report.curves import curve_rows
from bandprobe.report.matrix_figure import matrix_figure, matrix_groups
from bandprobe.report.measures import ACCURACY, AUROC
from bandprobe.report.run_directory import prepare_results
from bandprobe.report.style import drawing
from bandprobe.report.summary import headlines
from bandprobe.report.sweeps import sweep_rows

SIZES = {"faces": (150, 150), "scenes": (180, 80)}


def everywhere(px, trains, encoders=("e",)):
    """Probes trained under each of `trains` and tested under the whole sweep."""
    rows = results(list(encoders), PHOTOS, sweep(px), SIZES, information=False)
    parts = [rows]
    for i, name in enumerate(trains, 1):
        parts.append(rows.assign(train_filter=name, value=rows["value"] - 0.01 * i))
    return prepare_results(pd.concat(parts, ignore_index=True))


def test_means_over_the_cells_of_each_pair_of_families():
    rows = everywhere([5, 30], ["lowpass:5px", "random-lowpass:30..150px"])
    table = tables.matrix_table(rows, "auroc")
    assert set(table["train_filter"]) == {"none", "lowpass:5px", "random-lowpass:30..150px"}
    keys = ["relation", "family_from", "family_to", "train_filter", "filter"]
    assert not table.duplicated(keys).any()
    found = table.set_index(keys)
    # Two diffusion models in the data: one of them trained on, the other tested on, both ways.
    cells = rows[
        (rows["metric"] == "auroc") & (rows["train_filter"] == "lowpass:5px") & (rows["filter"] == "lowpass:30px")
        & (rows["family_from"] == "diffusion") & (rows["family_to"] == "diffusion")
        & (rows["trained_on"] != rows["tested_on"]) & ~rows["trained_on"].str.startswith("family")
    ]  # fmt: skip
    row = found.loc[("within", "diffusion", "diffusion", "lowpass:5px", "lowpass:30px")]
    assert row["n_cells"] == len(cells) == 2
    assert row["value"] == pytest.approx(cells["value"].mean())
    assert found.loc[("own", "*", "*", "none", "identity"), "n_cells"] == 4
    assert row["train_cutoff_px"] == 5
    assert row["cutoff_nyq"] == pytest.approx(30 / 112)
    assert np.isnan(found.loc[("own", "*", "*", "random-lowpass:30..150px", "none"), "train_cutoff_px"])


def test_a_run_without_a_train_time_sweep_has_no_matrix():
    rows = prepare_results(results(["e"], PHOTOS, sweep([5, 30]), SIZES))  # reliance and information alone
    assert tables.matrix_table(rows, "auroc").empty
    assert matrix_groups({"auroc": tables.matrix_table(rows, "auroc")}, [AUROC], ["e"]) == []


@pytest.mark.parametrize(
    ("px", "trains", "measure"),
    [([5, 30], ["identity", "lowpass:5px"], AUROC), (THESIS_PX, [f"lowpass:{r}px" for r in THESIS_PX], ACCURACY),
     ([2], ["a filter with quite a long name that nobody has heard of"], ACCURACY)],
)  # fmt: skip
def test_the_figure_is_readable(px, trains, measure):
    rows = everywhere(px, trains)
    table = tables.matrix_table(rows, measure.name)
    with drawing():
        figure = matrix_figure(table, "e", measure, "lowpass")
        assert_readable(figure)
    assert figure.get_figwidth() <= 7.05


def test_a_group_holds_a_figure_for_each_encoder_with_the_identity_in_it():
    rows = everywhere([5, 30], ["lowpass:5px"], ("e", "f"))
    (group,) = matrix_groups({"auroc": tables.matrix_table(rows, "auroc")}, [AUROC], ["e", "f"])
    assert [figure.stem for figure in group.figures] == ["matrix-e-auroc-lowpass", "matrix-f-auroc-lowpass"]
    with drawing():
        shown = {text.get_text() for axes in group.figures[0].draw().axes for text in axes.get_xticklabels()}
    assert {"none", "identity", "5 (0.04)", "30 (0.27)"} <= shown


def test_a_detector_trained_elsewhere_has_no_family_and_a_headline():
    rows = results(["mine"], PHOTOS, sweep([5, 30]), SIZES, information=False)
    rows = rows[rows["trained_on"] == "all"].assign(trained_on="external", family_from="external")
    rows = prepare_results(rows)
    arrangement = arrange(rows)
    assert arrangement.training == ("external",)
    assert arrangement.own == {"external": ()}
    families = tables.family_table(rows, "auroc")
    assert families.empty
    (line,) = headlines(rows, families, tables.cutoff_table(rows, arrangement))
    assert "trained elsewhere" in line.across
    assert line.reliance == "not measured"
    assert len(curve_rows(rows, "mine", "auroc", "lowpass", "reliance"))


def test_a_sweep_behind_another_filter_has_its_own_identity():
    names = [("none", np.nan), ("identity", np.nan), ("jpeg:75+identity", np.nan),
             ("jpeg:75+lowpass:5px", 5.0), ("jpeg:75+lowpass:30px", 30.0)]  # fmt: skip
    rows = prepare_results(results(["e"], PHOTOS, names, SIZES, information=False))
    shown = sweep_rows(rows, "jpeg:75+lowpass", "reliance")
    control = rows[rows["filter"] == "jpeg:75+identity"]["value"].to_numpy()
    assert np.array_equal(shown[shown["filter"] == "identity"]["value"].to_numpy(), control, equal_nan=True)
