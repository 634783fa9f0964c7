"""Agreement of rankings, against SciPy and in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bandprobe.errors import ShapeError
from bandprobe.metrics.rank_agreement import kendall_tau_b, leader_stays, spearman


@pytest.mark.parametrize("items", [2, 3, 7, 30])
@pytest.mark.parametrize("levels", [0, 3])
def test_as_scipy_says_with_and_without_ties(items: int, levels: int) -> None:
    rng = np.random.default_rng(items)
    first, second = rng.standard_normal((2, 40, items))
    second += first
    if levels:
        first, second = np.round(first * levels / 3), np.round(second * levels / 3)
    tau, rho = kendall_tau_b(first, second), spearman(first, second)
    for row, (one, other) in enumerate(zip(first, second, strict=True)):
        if np.ptp(one) and np.ptp(other):
            assert tau[row] == pytest.approx(stats.kendalltau(one, other, variant="b").statistic, abs=1e-12)
            assert rho[row] == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
        else:
            assert np.isnan(tau[row])
            assert np.isnan(rho[row])


def test_in_closed_form() -> None:
    order = np.arange(5.0)
    assert kendall_tau_b(order, order**3) == spearman(order, order**3) == 1
    assert kendall_tau_b(order, -order) == spearman(order, -order) == -1
    # One neighbouring pair of five turned round: 9 pairs alike, 1 not; sum of squared rank differences 2.
    turned = np.array([0.0, 2, 1, 3, 4])
    assert kendall_tau_b(order, turned) == pytest.approx(0.8)
    assert spearman(order, turned) == pytest.approx(1 - 6 * 2 / (5 * 24))


def test_one_list_against_many_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    one, many = rng.standard_normal(6), rng.standard_normal((4, 50, 6))
    whole = kendall_tau_b(one, many)
    monkeypatch.setattr("bandprobe.metrics.rank_agreement._BLOCK", 40)
    assert whole.shape == (4, 50)
    assert np.array_equal(kendall_tau_b(one, many), whole)
    assert whole[2, 7] == pytest.approx(stats.kendalltau(one, many[2, 7]).statistic)


def test_who_leads() -> None:
    first = np.array([[3.0, 2, 1], [3, 3, 1], [1, 1, 1], [1, 2, 3]])
    second = np.array([[9.0, 8, 8], [1, 4, 2], [0, 0, 5], [3, 2, 1]])
    assert leader_stays(first, second).tolist() == [True, True, True, False]


def test_what_is_no_ranking() -> None:
    for first, second in (([1.0], [1.0]), ([1.0, 2], [1.0, 2, 3]), (np.ones((2, 3)), np.ones((4, 3)))):
        with pytest.raises(ShapeError):
            kendall_tau_b(first, second)
