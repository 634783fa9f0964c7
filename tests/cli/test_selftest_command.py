"""`bandprobe selftest`: what it prints, writes and exits with, on results made up here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from bandprobe import selftest as room
from bandprobe.cli.trust import selftest
from bandprobe.selftest import BandAttribution, BandRecovery, Statistics
from bandprobe.selftest.band_attribution import WAYS
from bandprobe.selftest.coverage import row

APP = typer.Typer()
APP.command()(selftest)


def recovery(right: int, wrong: int, silent: int, loud: int) -> BandRecovery:
    def case(kind: str, auroc: float, good: bool) -> dict[str, object]:
        return {"encoder": "spectral", "kind": kind, "auroc": auroc, "claimed": int(auroc >= 0.75), "located": good,
                "covered": True}  # fmt: skip

    cases = [case("missing", 0.9, True)] * right + [case("missing", 0.9, False)] * wrong
    cases += [case("scramble", 0.5, False)] * 2
    nulls = pd.DataFrame(
        {"encoder": "spectral", "auroc": 0.5, "claimed": 0, "ungated": [0] * silent + [1] * loud},
    )
    return BandRecovery(pd.DataFrame(cases), nulls)


def pointing(right: int, wrong: int) -> BandAttribution:
    return BandAttribution(pd.DataFrame({way: [True] * right + [False] * wrong for way in WAYS}))


def simulated(coverage: float, rejected: float, wrong: float) -> Statistics:
    """200 test sets whose intervals cover the truth so often, and what tests and verdicts did."""
    inside = np.arange(200) < 200 * coverage
    held = [row("ap", "binormal", n, 0.9, np.where(inside, 0.8, 0.95), np.ones(200)) for n in (50, 200)]
    tests = [("paired DeLong", "none: AUROC 0.9", 50, "no difference", rejected, rejected <= 0.065),
             ("paired DeLong", "AUROC 0.9 and 0.95", 50, "a difference", 0.4, True)]  # fmt: skip
    return Statistics(
        pd.DataFrame(held),
        pd.DataFrame(tests, columns=["test", "setting", "n", "truth", "rejected", "passed"]),
        pd.DataFrame(
            {
                "statement": ["own generator"],
                "difference": 0.0,
                "draws": 400,
                "supported": wrong,
                "wrong": wrong,
                "passed": wrong <= 0.05,
            }
        ),
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the command asks for; the answers are `answer` and `statistics`."""
    seen: dict[str, object] = {
        "answer": recovery(11, 1, 57, 3),
        "attribution": pointing(8, 0),
        "statistics": simulated(0.95, 0.05, 0.01),
    }

    def bands(cases: int, nulls: int, **more: object) -> object:
        seen.update(cases=cases, nulls=nulls, **more)
        return seen["answer"]

    def statistics(full: bool, **more: object) -> object:
        seen.update(all_draws=full, statistics_seed=more["seed"])
        return seen["statistics"]

    def attribution(cases: int, **more: object) -> object:
        seen.update(attributed=cases)
        return seen["attribution"]

    monkeypatch.setattr(room, "bands", bands)
    monkeypatch.setattr(room, "attribution", attribution)
    monkeypatch.setattr(room, "statistics", statistics)
    return seen


def test_a_pass_is_said_and_written(asked: dict[str, object], tmp_path: Path) -> None:
    done = CliRunner().invoke(APP, ["--out", str(tmp_path / "trust"), "--seed", "3"])
    assert done.exit_code == 0
    assert (asked["cases"], asked["nulls"], asked["encoder"], asked["seed"]) == (12, 60, "spectral", 3)
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["spectral", "missing", "12", "12", "0.92", "1.00"]
    assert lines[2].endswith("spectral cannot see it")
    assert "11 of 12, 91.7 %" in done.stdout
    assert "57 of 60, 95.0 %" in done.stdout
    assert lines[-1] == "passed"
    assert len(pd.read_csv(tmp_path / "trust" / "bands-planted.csv")) == 14
    assert len(pd.read_csv(tmp_path / "trust" / "bands-nulls.csv")) == 60
    assert (asked["all_draws"], asked["statistics_seed"]) == (False, 3)
    assert ["ap", "95.0", "95.0", "yes"] in [line.split() for line in lines]
    assert ["paired", "DeLong", "5.0", "yes"] in [line.split() for line in lines]  # a power is no level
    assert len(pd.read_csv(tmp_path / "trust" / "coverage.csv")) == 2
    assert len(pd.read_csv(tmp_path / "trust" / "levels.csv")) == 2
    assert pd.read_csv(tmp_path / "trust" / "families.csv")["wrong"].tolist() == [0.01]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (simulated(0.85, 0.05, 0.01), "ap, binormal, n = 50, true value 0.90: covered in 85.0 %"),
        (simulated(0.95, 0.12, 0.01), "paired DeLong, none: AUROC 0.9, n = 50: rejects 12.0 %"),
        (simulated(0.95, 0.05, 0.2), "own generator: 20.0 % of verdicts are wrong"),
    ],
)
def test_intervals_tests_and_verdicts_may_fail_it(
    asked: dict[str, object], found: Statistics, said: str
) -> None:
    asked["statistics"] = found
    done = CliRunner().invoke(APP, ["--only", "statistics"])
    assert done.exit_code == 1
    assert said in done.stdout
    assert done.stdout.splitlines()[-1] == "failed"
    assert "cases" not in asked


def test_ways_that_point_elsewhere_fail_it(asked: dict[str, object]) -> None:
    done = CliRunner().invoke(APP, ["--only", "attribution"])
    assert done.exit_code == 0
    assert asked["attributed"] == 8
    assert "8 of 8, 100.0 %" in done.stdout
    asked["attribution"] = pointing(10, 10)
    done = CliRunner().invoke(APP, ["--only", "attribution", "--full", "--json"])
    assert done.exit_code == 1
    assert asked["attributed"] == 100
    assert json.loads(done.stdout)["attribution"]["shares"]["attack"] == {"n": 10, "of": 20}


def test_one_part_alone(asked: dict[str, object], tmp_path: Path) -> None:
    done = CliRunner().invoke(APP, ["--only", "statistics", "--json", "--full", "--out", str(tmp_path)])
    assert done.exit_code == 0
    content = json.loads(done.stdout)
    assert list(content) == ["statistics"]
    assert content["statistics"]["passed"] is True
    assert [one["n"] for one in content["statistics"]["coverage"]] == [50, 200]
    assert asked["all_draws"] is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coverage.csv", "families.csv", "levels.csv"]
    done = CliRunner().invoke(APP, ["--only", "bands", "--json"])
    assert list(json.loads(done.stdout)) == ["bands"]
    assert CliRunner().invoke(APP, ["--only", "everything"]).exit_code == 2


def test_a_failure_is_exit_code_1(asked: dict[str, object]) -> None:
    asked["answer"] = recovery(170, 30, 990, 10)  # 85 % of 200
    done = CliRunner().invoke(APP, ["--full", "--json"])
    assert done.exit_code == 1
    assert (asked["cases"], asked["nulls"]) == (200, 1000)
    found = json.loads(done.stdout)["bands"]
    assert found["passed"] is False
    assert found["shares"]["recovered"] == {"n": 170, "of": 200}
    kinds = {row["kind"]: row for row in found["kinds"]}
    assert kinds["missing"]["both"] == 0.85
    assert kinds["scramble"]["both"] is None


@pytest.mark.parametrize(
    ("right", "wrong", "silent", "loud", "passed"),
    [
        (180, 20, 930, 70, True),  # just what is asked
        (179, 21, 930, 70, False),
        (180, 20, 929, 71, False),
        (8, 2, 30, 0, True),  # 80 % of ten may well be 90 %
        (5, 5, 30, 0, False),
    ],
)
def test_few_cases_fail_only_for_sure(right: int, wrong: int, silent: int, loud: int, passed: bool) -> None:
    found = recovery(right, wrong, silent, loud)
    assert found.passed is passed
    assert found.shares["silent"] == (silent + loud, silent + loud)
    summary = found.summary.set_index("kind")
    assert summary.loc["missing", "counted"] == right + wrong
    np.testing.assert_allclose(summary.loc["missing", "both"], right / (right + wrong))
    assert summary.loc["scramble", "claimed_unseen"] == 0
