import numpy as np
import pytest
from report_runs import PHOTOS, results, sweep

from bandprobe.filters import parse
from bandprobe.report.run_directory import prepare_results
from bandprobe.report.sweeps import describe_sweep, is_lowpass, select_view, sweep_of, sweep_rows, sweeps_in


@pytest.mark.parametrize(
    "spec",
    ["lowpass:30px", "lowpass:0.25nyq:order=2", "bandpass:40px:width=30px", "highpass:10px:dc=zero:bits=8",
     "ideal-bandstop:0.1cpp:width=7.5px", "lowpass:30px+identity:bits=8"],
)  # fmt: skip
def test_name_is_the_spec_without_its_cut_off(spec):
    assert sweep_of(spec) == parse(spec).sweep


@pytest.mark.parametrize(
    "spec", ["none", "identity", "jpeg:75", "random-lowpass:5..30px", "blur:2", "resize:0.5"]
)
def test_specs_without_a_cut_off_belong_to_no_sweep(spec):
    assert sweep_of(spec) is None


def test_later_keys_are_not_mistaken_for_the_cut_off():
    assert sweep_of("inject:lowpass:40px:reference=ADM") == "inject:lowpass:reference=ADM"
    assert sweep_of("lowpass:30px+jpeg:75") == "lowpass+jpeg:75"
    assert sweep_of("bandpass:40px:width=20px") != sweep_of("bandpass:40px:width=30px")


def test_words():
    assert describe_sweep("lowpass") == "low-pass"
    assert describe_sweep("ideal-bandpass:width=30px:bits=8") == "ideal band-pass (width=30px, bits=8)"
    assert is_lowpass("ideal-lowpass:bits=8")
    assert not is_lowpass("highpass")
    assert not is_lowpass("lowpass+jpeg:75")


def test_views_pick_the_probes():
    rows = prepare_results(results(["e"], PHOTOS, sweep([5, 30]), {"faces": (9, 9), "scenes": (9, 9)}))
    reliance, information = (select_view(rows, view) for view in ("reliance", "information"))
    assert set(reliance["train_filter"]) == {"none"}
    assert set(reliance["filter"]) == {"none", "identity", "lowpass:5px", "lowpass:30px"}
    assert (information["train_filter"] == information["filter"]).all()
    assert set(information["filter"]) == set(reliance["filter"])


def test_one_cut_off_is_no_sweep_and_low_pass_comes_first():
    filters = [*sweep([5, 30], "highpass"), ("lowpass:5px:order=2", 5.0), ("lowpass:9px:order=2", 9.0),
               ("lowpass:5px", 5.0), ("lowpass:9px", 9.0), ("bandpass:9px", 9.0)]  # fmt: skip
    rows = prepare_results(results(["e"], PHOTOS, filters, {"faces": (9, 9), "scenes": (9, 9)}))
    assert sweeps_in(rows) == ["lowpass", "lowpass:order=2", "highpass"]


def test_an_eight_bit_sweep_is_controlled_by_the_eight_bit_identity():
    filters = [("none", np.nan), ("identity", np.nan), ("identity:bits=8", np.nan),
               ("lowpass:5px", 5.0), ("lowpass:9px", 9.0),
               ("lowpass:5px:bits=8", 5.0), ("lowpass:9px:bits=8", 9.0)]  # fmt: skip
    rows = prepare_results(results(["e"], PHOTOS, filters, {"faces": (9, 9), "scenes": (9, 9)}))
    rows = rows[
        (rows["metric"] == "auroc") & (rows["trained_on"] == "all") & (rows["tested_on"] == "StyleGAN2")
    ]
    original = rows[rows["train_filter"] == "none"].set_index("filter")["value"]
    for name, control in (("lowpass", "identity"), ("lowpass:bits=8", "identity:bits=8")):
        shown = sweep_rows(rows, name, "reliance").set_index("filter")["value"]
        assert shown["identity"] == original[control]
        assert len(shown) == 4
