"""What benchmarks/slopes.py and mmd_error.py print, at sizes that take no time."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
ABSENT = "the benchmarks are not beside the tests"


@pytest.fixture
def slopes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("slopes", reason=ABSENT)


@pytest.mark.parametrize("exponent", [0.5, 1, 2])
def test_the_slope_is_the_exponent(slopes: ModuleType, exponent: float) -> None:
    sizes = [100, 200, 400]
    assert slopes.slope(sizes, [3e-4 * n**exponent for n in sizes]) == pytest.approx(exponent)


def test_a_line_takes_every_size_and_leaves_out_what_the_work_needs(
    slopes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, made = [0.0], []
    monkeypatch.setattr(slopes.time, "perf_counter", lambda: clock[0])

    def pass_time(seconds: float) -> None:
        clock[0] += seconds

    def work(size: int):
        made.append(size)
        pass_time(1000)
        return lambda: pass_time(size**2)

    found = slopes.line(slopes.Measure("squares", 2, (1000, 2000, 4000), work), rounds=2)
    assert made == [1000, 2000, 4000]
    assert found == ("squares", "1,000 2,000 4,000", "1e+06 4e+06 1.6e+07", "2.00", "2")


def test_every_measure_of_mmd_runs(slopes: ModuleType) -> None:
    measures = [one for one in slopes.MEASURES if one.name.startswith("MMD")]
    assert len(measures) == 5
    for measure in measures:
        mmd2, p_value = measure.work(20)()
        assert abs(mmd2) < 0.1
        assert 0 < p_value <= 1


def test_the_other_measures_do_their_work(slopes: ModuleType) -> None:
    with slopes.progress.quiet():
        slopes.embedding(4, 2)()
        slopes.fitting(slopes.probes.Study(2, 1, 8, 120, 100))()
    assert slopes.resampling(3, 40)()["auroc"].shape == (3, 1000)


def test_errors_of_blocks_are_those_from_the_whole_matrix(slopes: ModuleType) -> None:
    mmd_error = pytest.importorskip("mmd_error", reason=ABSENT)
    found = mmd_error.errors(samples=64, dim=3, draws=4, apart=1.0)
    assert [row[1] for row in found] == ["1", "2", "4", "8", "16"]
    mean, apart = (np.array([float(row[at]) for row in found]) for at in (2, 4))
    assert apart[0] == 0
    assert (apart[1:] > 0).all()
    assert (np.abs(mean - mean[0]) <= apart).all()


def test_the_sides_of_a_study_agree(slopes: ModuleType) -> None:
    mmd = pytest.importorskip("mmd", reason=ABSENT)
    rows = mmd.of_a_study(mmd.Study(samples=30, dim=6, permutations=20, conditions=4), rounds=1)
    assert [row.name for row in rows] == [
        "MMD, two samples",
        "MMD, two samples / rows permuted, not groups",
        "MMD, pairs",
    ]
    assert ["for 4 tests" in row.unit for row in rows] == [True, False, True]
    assert all(row.ratio > 0 for row in rows)
