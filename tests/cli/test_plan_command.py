"""`bandprobe plan`: what it prints, at two widths and as JSON, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bandprobe.cli import run
from bandprobe.cli.quantities import amount, duration, summary

STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral", "dinov2-giant"]
[filters]
test = ["none", "thesis"]
"""


@pytest.fixture
def study(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "world").symlink_to(world)
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "study.toml"


@pytest.mark.parametrize("columns", [80, 120])
def test_the_page_fits_and_keeps_the_three_kinds_of_number_apart(
    study: Path, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    arguments = ["--no-calibrate", "--gpus", "8", "--gpu", "a100", "--usd-per-gpu-hour", "2"]
    assert run(["plan", str(study), "--images", "10000000", *arguments]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    places = [
        printed.index(title) for title in ("\nCounted\n", "\nMeasured here\n", "\nProjected\n", "\nWhat if\n")
    ]
    assert places == sorted(places)
    for word in (
        "10,000,000",
        "lowpass 1px..185px (38)",
        "599 GFLOP",
        "NVIDIA A100 data sheet",
        "40%",
        "spectral",
    ):
        assert word in printed
    assert not (study.parent / "runs").exists()


def test_json_says_how_each_number_was_got(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "study.toml", "--no-calibrate", "--tflops", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    counted = found["counted"]
    assert counted["images"]["total"] == 160
    assert sum(row["n"] for row in counted["images"]["sources"]) == 160
    assert all(counted[block]["how"] for block in ("images", "passes", "flops", "bytes"))
    assert len(counted["conditions"]["test"]) == 40
    assert counted["passes"]["to_do"] == sum(one["to_do"] for one in counted["passes"]["by_stage"])
    assert counted["flops"]["not_counted"] == ["spectral"]
    assert found["measured_here"] is None
    at = found["projected"]["at"]["fp32"]
    assert at["hours"] == pytest.approx(counted["flops"]["total"] / (100e12 * 0.4) / 3600)
    assert found["what_if"][0]["passes"] == counted["passes"]["to_do"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gpu", "h1000"], "Did you mean 'h100'"),
        (["--gpus", "8"], "--gpu NAME, or --tflops X"),
        (["--gpu", "a100", "--tflops", "100"], "not --gpu a100 as well"),
        (["--tflops", "-1"], "above 0"),
        (["--gpu", "a100", "--utilisation", "40"], "at most 1; got 40"),
    ],
)
def test_wrong_use_is_one_line(
    study: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", str(study), "--no-calibrate", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_no_data_and_no_number_is_one_line(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study.parent / "world").unlink()
    assert run(["plan", str(study), "--no-calibrate"]) == 2
    said = capsys.readouterr().err
    assert "--images N" in said
    assert said.count("\n") == 1


def test_numbers_are_written_as_a_person_would() -> None:
    assert [amount(number, "FLOP") for number in (0, 12, 999.6, 598.8e9, 2.334e20)] == [
        "0 FLOP", "12 FLOP", "1.00 kFLOP", "599 GFLOP", "233 EFLOP",
    ]  # fmt: skip
    assert amount(2_400_000, "") == "2.40 M"
    assert [duration(hours) for hours in (0.001, 0.5, 1, 30, 100, 1e5)] == [
        "4 s", "30.0 min", "1.0 h", "30.0 h", "4.2 days", "11.4 years",
    ]  # fmt: skip
    assert (
        summary(["none", "lowpass:3px", "lowpass:7px", "highpass:9px"])
        == "none, lowpass 3px..7px (2), highpass:9px"
    )
