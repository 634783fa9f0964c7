"""The benchmarks run, and compare like with like. Speed is not tested: it belongs to the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bandprobe.filters import expand

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
KEYS = {"name", "ratio", "target", "ours", "other", "unit", "device"}


@pytest.fixture
def filter_bank(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("filter_bank", reason="the benchmarks are not beside the tests")


def check_rows(rows: list[dict[str, object]]) -> None:
    names = [str(row["name"]) for row in rows]
    assert len(set(names)) == len(names)
    for beginning in (
        "filter bank", "sweep efficiency", "encoder passes", "whole study", "fft_hp", "MMD, two samples",
        "MMD permutations", "bootstrap", "probes", "bandprobe --help", "re-run", "peak memory", "bf16",
    ):  # fmt: skip
        assert any(name.startswith(beginning) for name in names), beginning
    for row in rows:
        assert set(row) == KEYS
        assert min(row["ratio"], row["ours"], row["other"]) > 0
        assert row["unit"]
        assert row["device"]


@pytest.mark.long
def test_a_quick_run_prints_a_table_and_writes_one_object_a_row(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    check_rows(rows)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "ratio", "target", "ours", "other", "unit"]
    for line, row in zip(lines[1:], rows, strict=False):
        assert line.startswith(str(row["name"]))
        assert f"{row['ratio']:.2f}" in line


def test_the_committed_results_have_the_same_shape() -> None:
    check_rows(json.loads((BENCHMARKS / "results.json").read_text()))


def test_every_way_gives_the_same_filtered_images(filter_bank: ModuleType) -> None:
    pixels = np.random.default_rng(0).random((3, 3, 30, 30), dtype=np.float32)
    specs = expand(["identity", "lowpass:2..8/3px", "highpass:4px"])
    found = {name: list(way()) for name, way in filter_bank.ways(specs, pixels).items()}
    assert len(found) == 6
    for name, images in found.items():
        assert len(images) == len(specs)
        for ours, theirs in zip(found["ours"], images, strict=True):
            assert theirs.dtype == (np.float64 if name == "filter bank" else np.float32)
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_sides_that_differ_are_not_timed(filter_bank: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    right = filter_bank.ways

    def wrong(*given: object) -> dict[str, object]:
        sides = right(*given)
        return {**sides, "filter bank": lambda: (images + np.float32(1e-4) for images in sides["ours"]())}

    monkeypatch.setattr(filter_bank, "ways", wrong)
    with pytest.raises(ArithmeticError, match="filter bank: the sides must agree to 1e-05"):
        filter_bank.rows(images=1, side=16, rounds=1, sweep="lowpass:4px")


def test_a_ratio_that_fell_by_more_than_the_slack_is_named(
    filter_bank: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert filter_bank  # the benchmarks are there
    run = pytest.importorskip("run", reason="the benchmarks are not beside the tests")
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({"one": 2.0, "two": 10.0}))
    monkeypatch.setattr(run, "BASELINE", baseline)
    assert run.slower({"one": 1.3, "two": 5.9}) == ["two"]
    slow = run.Row("two", 1.0, 0.0, 1.0, 1.0, "s", "here")
    fast = run.Row("two", 9.0, 0.0, 1.0, 1.0, "s", "here")
    measured = iter([[slow], [fast]])
    monkeypatch.setattr(run, "checked", lambda: {"two": lambda: next(measured)})
    assert run.check() == {"two": 9.0}  # a second look at what seems slow


def test_every_checked_row_has_a_baseline(filter_bank: ModuleType) -> None:
    assert filter_bank  # the benchmarks are there
    run = pytest.importorskip("run", reason="the benchmarks are not beside the tests")
    assert set(json.loads(run.BASELINE.read_text())) == set(run.checked())
