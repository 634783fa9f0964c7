"""Divisions that keep groups of rows together, against the formula on the whole kernel matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from bandprobe.metrics import divisions as these
from bandprobe.metrics.kernels import median_distance
from bandprobe.metrics.mmd import two_sample
from bandprobe.seeding import generator


def naive(K: np.ndarray, in_first: np.ndarray, biased: bool) -> float:
    """Gretton et al. 2012, equations 3 and 5, from the whole matrix in float64."""
    a, b = np.flatnonzero(in_first), np.flatnonzero(~in_first)
    xx, yy, xy = K[np.ix_(a, a)], K[np.ix_(b, b)], K[np.ix_(a, b)]
    if biased:
        return xx.mean() + yy.mean() - 2 * xy.mean()
    within = [(part.sum() - np.trace(part)) / (len(part) * (len(part) - 1)) for part in (xx, yy)]
    return sum(within) - 2 * xy.mean()


def by_row(drawn: these.Divisions) -> np.ndarray:
    """The sign of every pooled row, as it came, in every division."""
    sizes = [drawn.size] * (len(drawn.signs) - drawn.left) + [1] * drawn.left
    signs = np.empty((drawn.m + drawn.n, drawn.signs.shape[1]))
    signs[drawn.order] = np.repeat(drawn.signs, sizes, axis=0)
    return signs


@pytest.mark.parametrize(("m", "n", "size"), [(12, 12, 3), (23, 37, 4), (19, 16, 1), (8, 30, 8), (11, 11, 2)])
def test_every_division_has_both_sizes_and_keeps_groups(
    m: int, n: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(these, "_GROUPS", min(m, n) // size)
    drawn = these.divisions(m, n, 50, np.random.default_rng(1))
    assert (drawn.size, drawn.left) == (size, m % size + n % size)
    signs = by_row(drawn)
    assert ((signs == 1).sum(axis=0) == m).all()
    assert ((signs == -1).sum(axis=0) == n).all()
    assert (signs[:m, 0] == 1).all()
    if m > 2 * size:
        assert len(np.unique(signs, axis=1).T) > 25  # of 51; there are 70 of the fewest groups
    groups = np.split(np.arange(m + n)[drawn.order][: m + n - drawn.left], len(drawn.signs) - drawn.left)
    for group in groups:
        assert len(group) == size
        assert (signs[group] == signs[group[0]]).all()
        assert (group < m).all() or (group >= m).all()


@pytest.mark.parametrize("rows", [256, 7, 4])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("m", "n", "size"), [(24, 24, 2), (23, 37, 4), (31, 17, 5), (8, 30, 8)])
def test_sums_over_groups_give_what_all_rows_give(
    m: int, n: int, size: int, biased: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(these, "_GROUPS", min(m, n) // size)
    monkeypatch.setattr(these, "ROWS", rows)
    rng = np.random.default_rng(m)
    points = rng.normal(size=(m + n, 3))
    K = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(-1))
    drawn = these.divisions(m, n, 30, rng)
    ordered = K[drawn.order][:, drawn.order].astype(np.float32)
    found = these.mmd2_of_divisions(lambda r, c: ordered[r, c], drawn, biased=biased)
    wanted = [naive(K, column > 0, biased) for column in by_row(drawn).T]
    np.testing.assert_allclose(found, wanted, atol=4e-7)


def test_a_test_of_samples_that_are_grouped_is_that_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(130, 6)), rng.normal(0.25, 1, (171, 6))
    plain = two_sample(x, y, "gaussian", 3.0, 999, np.random.default_rng(0))
    monkeypatch.setattr(these, "_GROUPS", 40)
    grouped = two_sample(x, y, "gaussian", 3.0, 999, np.random.default_rng(0))
    assert grouped.mmd2 == pytest.approx(plain.mmd2, abs=1e-7)
    assert grouped.p_value == pytest.approx(plain.p_value, abs=4 * np.sqrt(0.05 * 0.95 / 999))


def test_groups_keep_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(these, "_GROUPS", 12)
    p = []
    for number in range(400):
        rng = generator(number, "mmd groups null")
        x, y = rng.standard_normal((50, 4)), rng.standard_normal((41, 4))
        p.append(two_sample(x, y, "gaussian", 2.0, 99, rng).p_value)
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.083  # 3 standard deviations of 5 %


def test_groups_do_not_follow_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of neighbours in sorted samples would move together: a null distribution far too wide."""
    monkeypatch.setattr(these, "_GROUPS", 20)
    rng = generator(0, "mmd groups and order")
    x, y = np.sort(rng.standard_normal((2, 200, 1)), axis=1) + np.array([0, 0.5])[:, None, None]
    width = median_distance(np.concatenate([x, y]))
    assert two_sample(x, y, "gaussian", width, 199, rng).p_value == 1 / 200


@pytest.mark.parametrize(("m", "n"), [(1999, 5000), (1000, 1000), (5, 9)])
def test_below_two_thousand_rows_each_moves_alone(m: int, n: int) -> None:
    drawn = these.divisions(m, n, 1, np.random.default_rng(0))
    assert (drawn.size, drawn.left, len(drawn.signs)) == (1, 0, m + n)
