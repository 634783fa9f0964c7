import numpy as np
import pandas as pd
import pytest
from report_runs import PHOTOS, photo_record, photo_results, results, sweep
from test_heatmap import published

from bandprobe.report import tables
from bandprobe.report.arrangement import arrange
from bandprobe.report.run_directory import prepare_results


def curve_rows(values: dict[str, dict[str, tuple[float, float, float]]], trained_on="a", information=False):
    """AUROC rows {tested_on: {filter: (value, low, high)}} of two GANs a and b."""
    return prepare_results(
        pd.DataFrame(
            {
                "encoder": "e", "trained_on": trained_on, "train_filter": f if information else "none",
                "tested_on": test, "dataset": "x", "family_from": "gan" if trained_on in "ab" else "",
                "family_to": "gan", "filter": f, "cutoff_px": px, "cutoff_nyq": px / 112, "metric": "auroc",
                "value": v[0], "low": v[1], "high": v[2], "n_real": 50, "n_fake": 40,
            }
            for test, of in values.items()
            for f, v in of.items()
            for px in [float(f.split(":")[1][:-2]) if ":" in f else np.nan]
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "derived"),
    [("DINOv2", (93.8, 74.1, 97.3, 93.8, 98.8)), ("OpenCLIP", (99.3, 69.2, 97.5, 83.1, 98.7))],
)
def test_family_averages_of_the_published_grid(encoder, derived):
    """GAN to GAN, GAN to diffusion, diffusion to GAN, diffusion to diffusion, own generator."""
    rows = published()
    rows = rows[(rows["trained_on"] != "coco") & (rows["tested_on"] != "coco")]
    table = tables.family_table(rows, "accuracy")
    table = table[table["encoder"] == encoder].set_index(["relation", "family_from", "family_to"])
    keys = [("within", "gan", "gan"), ("across", "gan", "diffusion"), ("across", "diffusion", "gan"),
            ("within", "diffusion", "diffusion"), ("own", "*", "*")]  # fmt: skip
    assert [100 * table.loc[key, "value"] for key in keys] == pytest.approx(derived, abs=0.051)
    assert [table.loc[key, "n_cells"] for key in keys] == [20, 25, 25, 20, 10]


def test_family_table_counts_pairs_that_change_the_dataset():
    rows = prepare_results(photo_results(("e",)))
    table = tables.family_table(rows, "auroc").set_index(["relation", "family_from", "family_to"])
    # StyleGAN2 is alone in `faces`: its 3 cells to and 3 from other families change it.
    assert table.loc[("across", "*", "*"), ["n_cells", "n_across_datasets"]].tolist() == [10, 6]
    assert table.loc[("within", "*", "*"), ["n_cells", "n_across_datasets"]].tolist() == [2, 0]
    assert table.loc[("own", "*", "*"), ["n_cells", "n_across_datasets"]].tolist() == [4, 0]


def test_smallest_cut_off_by_hand():
    rows = curve_rows({"a": {
        "identity": (0.90, 0.85, 0.94), "none": (0.99, 0.98, 1.0),
        "lowpass:5px": (0.70, 0.60, 0.80), "lowpass:10px": (0.84, 0.79, 0.88),
        "lowpass:20px": (0.86, 0.80, 0.90), "lowpass:40px": (0.89, 0.856, 0.93),
    }})  # fmt: skip
    (row,) = tables.cutoff_table(rows, arrange(rows)).to_dict("records")
    # 0.95 * 0.90 = 0.855: the value reaches it at 20 px, the upper end at 10 px, the lower end at 40 px
    assert (row["cutoff_px"], row["cutoff_px_low"], row["cutoff_px_high"]) == (20, 10, 40)
    assert row["cutoff_nyq"] == pytest.approx(20 / 112)
    assert (row["reference"], row["control"], row["verdict"]) == (0.90, "identity", "found")
    assert (row["view"], row["sweep"]) == ("reliance", "lowpass")


def test_cut_off_never_reached_at_chance_and_without_identity():
    never = curve_rows(
        {"a": {"identity": (0.9, 0.85, 0.94), "lowpass:5px": (0.6, 0.5, 0.7), "lowpass:9px": (0.7, 0.6, 0.8)}}
    )
    (row,) = tables.cutoff_table(never, arrange(never)).to_dict("records")
    assert row["verdict"] == "never"
    assert np.isnan(row["cutoff_px"])
    assert np.isnan(row["cutoff_nyq"])
    chance = curve_rows(
        {"a": {"identity": (0.52, 0.45, 0.6), "lowpass:5px": (0.5, 0.4, 0.6), "lowpass:9px": (0.5, 0.4, 0.6)}}
    )
    (row,) = tables.cutoff_table(chance, arrange(chance)).to_dict("records")
    assert row["verdict"] == "at chance"
    assert np.isnan(row["cutoff_px"])
    without = curve_rows(
        {"a": {"none": (0.8, 0.7, 0.9), "lowpass:5px": (0.5, 0.4, 0.6), "lowpass:9px": (0.79, 0.7, 0.9)}}
    )
    (row,) = tables.cutoff_table(without, arrange(without)).to_dict("records")
    assert (row["control"], row["cutoff_px"]) == ("none", 9)


def test_cut_off_of_a_pooled_set_averages_its_generators_first():
    rows = curve_rows(
        {
            "a": {"identity": (0.9, 0.8, 1), "lowpass:5px": (0.90, 0.8, 1), "lowpass:9px": (0.9, 0.8, 1)},
            "b": {"identity": (0.9, 0.8, 1), "lowpass:5px": (0.78, 0.7, 0.8), "lowpass:9px": (0.9, 0.8, 1)},
        },
        trained_on="family:gan",
    )
    (row,) = tables.cutoff_table(rows, arrange(rows)).to_dict("records")
    assert row["cutoff_px"] == 9  # at 5 px the mean is 0.84, below 0.855


def test_information_is_compared_with_the_probe_trained_on_identity():
    rows = curve_rows(
        {
            "a": {
                "identity": (0.8, 0.7, 0.9),
                "lowpass:5px": (0.77, 0.7, 0.8),
                "lowpass:9px": (0.79, 0.7, 0.9),
            }
        },
        information=True,
    )
    (row,) = tables.cutoff_table(rows, arrange(rows)).to_dict("records")
    assert (row["view"], row["reference"], row["cutoff_px"]) == ("information", 0.8, 5)


def test_transfer_table_holds_each_cell_once_in_order():
    rows = prepare_results(photo_results(("e", "f")))
    table = tables.transfer_table(rows, "auroc", arrange(rows))
    assert len(table) == 2 * 4 * 8
    assert not table.duplicated(["encoder", "tested_on", "trained_on"]).any()
    first = table.iloc[0]
    source = rows[
        (rows["encoder"] == "e") & (rows["metric"] == "auroc") & (rows["filter"] == "none")
        & (rows["tested_on"] == "StyleGAN2") & (rows["trained_on"] == "StyleGAN2")
    ].iloc[0]  # fmt: skip
    assert (first["tested_on"], first["trained_on"]) == ("StyleGAN2 · faces", "StyleGAN2")
    assert (
        first[["value", "low", "high", "n_real"]].tolist()
        == source[["value", "low", "high", "n_real"]].tolist()
    )


def test_counts_from_the_record_and_from_the_results():
    rows = prepare_results(photo_results(("e",)))
    recorded = tables.count_table(rows, photo_record())
    assert list(recorded.columns) == ["dataset", "generator", "family", "train", "val", "test"]
    assert recorded[["train", "val", "test"]].sum().tolist() == [6 * 105, 6 * 15, 6 * 30]
    assert list(recorded["generator"]) == [
        "Real",
        "StyleGAN2",
        "Real",
        "DALLE-mini",
        "Disco-ADM",
        "LatentDiffusion",
    ]
    seen = tables.count_table(rows, {})
    assert list(seen.columns) == ["dataset", "generator", "family", "test"]
    assert dict(zip(seen["generator"] + seen["dataset"], seen["test"], strict=True)) == {
        "Realfaces": 150, "StyleGAN2faces": 150, "Realscenes": 180, "DALLE-miniscenes": 80,
        "Disco-ADMscenes": 80, "LatentDiffusionscenes": 80,
    }  # fmt: skip


def test_energy_zones_and_shares():
    filters = [*sweep([16, 17, 56, 57]), ("highpass:20px", 20.0), ("lowpass:3px", 3.0)]
    rows = prepare_results(results(["e"], PHOTOS, filters, {"faces": (9, 9), "scenes": (9, 9)}))
    rows.loc[(rows["dataset"] == "faces") & (rows["filter"] == "lowpass:16px"), "ac_removed"] = 0.25
    table = tables.energy_table(rows)
    assert list(table["filter"]) == [
        "lowpass:3px",
        "lowpass:16px",
        "lowpass:17px",
        "lowpass:56px",
        "lowpass:57px",
        "highpass:20px",
    ]
    assert list(table["zone"]) == ["low", "low", "middle", "middle", "high", "middle"]  # 0.15 nyq is 16.8 px
    by_filter = table.set_index("filter")
    assert by_filter.loc["lowpass:16px", "faces"] == 0.25
    assert by_filter.loc["lowpass:16px", "scenes"] == pytest.approx(np.exp(-16 / 25))
    assert tables.energy_table(rows.assign(ac_removed=np.nan)).empty


def test_conditions_outside_the_sweeps_are_compared_with_identity():
    filters = [*sweep([5, 30]), ("jpeg:75", np.nan)]
    rows = prepare_results(results(["e"], PHOTOS, filters, {"faces": (9, 9), "scenes": (9, 9)}))
    (row,) = tables.condition_table(rows, arrange(rows)).to_dict("records")
    own = rows[
        (rows["metric"] == "auroc")
        & (rows["trained_on"] == rows["tested_on"])
        & (rows["train_filter"] == "none")
    ]
    jpeg, identity = (own.loc[own["filter"] == f, "value"].mean() for f in ("jpeg:75", "identity"))
    assert (row["filter"], row["value"], row["identity"]) == (
        "jpeg:75",
        pytest.approx(jpeg),
        pytest.approx(identity),
    )
    assert row["change"] == pytest.approx(jpeg - identity)
