"""What the page's numbers are packed into, read back without the page's script."""

from __future__ import annotations

import base64
import gzip
import json
from importlib.resources import files

import numpy as np
import pytest
from report_runs import PHOTOS, photo_results, results, sweep

from bandprobe.report.arrangement import arrange
from bandprobe.report.interactive_results import results_payload, shown_measures
from bandprobe.report.measures import AUROC
from bandprobe.report.payload import BLANK, Payload, plotly_script
from bandprobe.report.run_directory import prepare_results


def unpacked(text):
    """The header, and a reader of its arrays."""
    whole = gzip.decompress(base64.b64decode(text, validate=True))
    length = int.from_bytes(whole[:4], "little")
    arrays = whole[4 + length :]

    def read(reference):
        at, n = reference["at"], reference["n"]
        if reference["type"] == "u2":
            low, high = (
                np.frombuffer(arrays[at + i * n : at + (i + 1) * n], np.uint8).astype(int) for i in (0, 1)
            )
            return low + 256 * high
        return np.frombuffer(arrays[at : at + 4 * n], {"u4": "<u4", "f4": "<f4"}[reference["type"]])

    return json.loads(whole[4 : 4 + length]), read


def decoded(column, read):
    """Values and ends of an interval column."""
    value, below, above = (read(column[name]) for name in ("value", "below", "above"))
    scaled = [value, value - below, value + above]
    return [
        np.where((value == BLANK) | (end == BLANK), np.nan, column["least"] + column["step"] * of)
        for end, of in zip((value, below, above), scaled, strict=True)
    ]


def test_arrays_come_back_as_they_went_in():
    payload = Payload()
    header = {
        "small": payload.integers([0, 255, 256, 65_535]),
        "large": payload.integers([1, 70_000]),
        "none": payload.integers([]),
        "floats": payload.floats([0.5, np.nan, -1e9]),
        "words": payload.words(["ä", "</script>", "ä"]),
    }
    found, read = unpacked(payload.encode(header))
    assert read(found["small"]).tolist() == [0, 255, 256, 65_535]
    assert read(found["large"]).tolist() == [1, 70_000]
    assert read(found["none"]).tolist() == []
    np.testing.assert_array_equal(read(found["floats"]), np.float32([0.5, np.nan, -1e9]))
    assert [found["words"]["names"][i] for i in read(found["words"]["codes"])] == ["ä", "</script>", "ä"]


@pytest.mark.parametrize(("least", "most"), [(0.0, 1.0), (-3.0, 40.0)])
def test_intervals_are_right_to_a_fifty_thousandth_of_their_range(least, most):
    rng = np.random.default_rng(0)
    low, value, high = np.sort(rng.uniform(least, most, (3, 5000)), axis=0)
    value[::7] = low[::7] = high[::7] = np.nan
    low[1] = high[1] = np.nan  # a value without an interval
    payload = Payload()
    found, read = unpacked(payload.encode({"of": payload.intervals(value, low, high)}))
    for ours, theirs in zip(decoded(found["of"], read), (value, low, high), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.51 * (most - least) / 50_000, equal_nan=True)


def test_blanks_alone_are_blanks():
    nothing = np.full(3, np.nan)
    payload = Payload()
    found, read = unpacked(payload.encode({"of": payload.intervals(nothing, nothing, nothing)}))
    assert all(np.isnan(part).all() for part in decoded(found["of"], read))


def test_every_row_of_the_results_is_in_the_page():
    table = prepare_results(
        results(["a", "b"], PHOTOS, sweep([5, 60]), {"faces": (150, 150), "scenes": (180, 80)})
    )
    arrangement = arrange(table)
    payload = Payload()
    header = results_payload(payload, table, arrangement, shown_measures(table, [AUROC]))
    found, read = unpacked(payload.encode(header))
    assert [metric["name"] for metric in found["metrics"]] == [
        "auroc",
        "accuracy",
        "pd@10%",
        "pd@5%",
        "pd@1%",
    ]
    columns = {metric["name"]: decoded(metric, read) for metric in found["metrics"]}
    reasons = {metric["name"]: read(metric["reason"]) for metric in found["metrics"]}
    specs = [one["spec"] for one in found["filters"]]
    real = read(found["n_real"])
    for row in table.sample(300, random_state=0).itertuples():
        pair = found["pairs"].index(
            [found["training_filters"].index(row.train_filter), specs.index(row.filter)]
        )
        place = (found["encoders"].index(row.encoder), pair, arrangement.training.index(row.trained_on),
                 arrangement.tests.index(row.test))  # fmt: skip
        shape = (2, len(found["pairs"]), len(found["training"]), len(found["tests"]))
        at = np.ravel_multi_index(place, shape)
        for ours, theirs in zip(columns[row.metric], (row.value, row.low, row.high), strict=True):
            assert ours[at] == pytest.approx(theirs, abs=2e-5, nan_ok=True)
        assert real[at] == row.n_real
        if np.isnan(row.value):
            assert found["reasons"][reasons[row.metric][at]] == row.reason


def test_metrics_beyond_the_room_are_named_and_left_out():
    table = prepare_results(photo_results())
    payload = Payload()
    header = results_payload(payload, table, arrange(table), shown_measures(table, [AUROC]), room=1)
    assert [metric["name"] for metric in header["metrics"]] == ["auroc"]
    assert header["absent"] == ["accuracy", "PD@10%", "PD@5%", "PD@1%"]


def test_the_same_numbers_give_the_same_text():
    texts = []
    for _ in range(2):
        payload = Payload()
        texts.append(payload.encode({"of": payload.floats(np.arange(1000))}))
    assert texts[0] == texts[1]


def test_plotly_is_the_installed_one_with_its_licence():
    script = gzip.decompress(base64.b64decode(plotly_script()))
    assert script == (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    assert b"Licensed under the MIT license" in script[:400]
