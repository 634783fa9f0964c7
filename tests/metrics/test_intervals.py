"""Closed-form intervals against textbook values and naive definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics import intervals
from bandprobe.metrics.intervals import delong, delong_covariance, delong_paired, wilson


def test_wilson_textbook_values() -> None:
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29.
    low, high = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def test_wilson_solves_its_equation() -> None:
    # Both ends are where the score test gives exactly z.
    n, k, z = 50, 7, stats.norm.ppf(0.95)
    for end in wilson(k, n, level=0.9):
        assert abs(k / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(z)


def test_wilson_ends() -> None:
    assert [float(end) for end in wilson(0, 0)] == [0, 1]
    low, high = wilson([0, 9], 9)
    assert low[0] == 0
    assert high[1] == 1
    assert high[0] == pytest.approx(1 - low[1])
    with pytest.raises(InputError, match="between 0 and n"):
        wilson(5, 4)
    with pytest.raises(InputError, match="level"):
        wilson(1, 4, level=95)


def naive_components(labels, scores):
    reals, fakes = scores[labels == 0], scores[labels == 1]
    wins = (fakes[:, None] > reals) + 0.5 * (fakes[:, None] == reals)
    return wins.mean(), wins.mean(axis=1), wins.mean(axis=0)


def sample(seed: int, n_real: int, n_fake: int, k: int, decimals: int | None = None):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.zeros(n_real, int), np.ones(n_fake, int)])
    scores = rng.normal(size=labels.size) + rng.normal(size=(k, labels.size)) + labels
    return labels, scores if decimals is None else scores.round(decimals)


@pytest.mark.parametrize(
    ("n_real", "n_fake", "decimals"), [(60, 90, None), (60, 90, 0), (2, 2, None), (33, 5, 1)]
)
def test_delong_against_the_naive_components(n_real: int, n_fake: int, decimals: int | None) -> None:
    labels, scores = sample(n_real, n_real, n_fake, 4, decimals)
    naive = [naive_components(labels, row) for row in scores]
    by_fake, by_real = (np.cov(np.stack([parts[i] for parts in naive])) for i in (1, 2))
    value, covariance = delong_covariance(labels, scores)
    assert value == pytest.approx([parts[0] for parts in naive], abs=1e-12)
    assert covariance == pytest.approx(by_fake / n_fake + by_real / n_real, abs=1e-12)

    found = delong(labels, scores)
    assert found.value == pytest.approx(value)
    assert found.variance == pytest.approx(np.diag(covariance), abs=1e-12)
    for a, v, low, high in zip(*found, strict=True):
        if 0 < a < 1 and v > 0:
            logit, reach = math.log(a / (1 - a)), 1.959964 * math.sqrt(v) / (a * (1 - a))
            assert [low, high] == pytest.approx(
                [1 / (1 + math.exp(-logit + s * reach)) for s in (1, -1)], abs=1e-7
            )
        assert 0 <= low <= a <= high <= 1


def test_delong_in_blocks_and_for_one_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores = sample(0, 30, 40, 7)
    whole = delong(labels, scores)
    monkeypatch.setattr(intervals, "_BLOCK", 150)
    for one, all_at_once in zip(delong(labels, scores), whole, strict=True):
        assert (one == all_at_once).all()
    single = delong(labels, scores[3])
    assert np.shape(single.value) == ()
    assert single.low == pytest.approx(whole.low[3])


def test_perfect_separation_is_not_certainty() -> None:
    labels = np.r_[np.zeros(36), np.ones(100)]
    found = delong(labels, labels)
    assert (found.value, found.variance, found.high) == (1, 0, 1)
    assert found.low == pytest.approx(wilson(36, 36)[0])
    inverse = delong(labels, -labels)
    assert (inverse.value, inverse.low) == (0, 0)
    assert inverse.high == pytest.approx(1 - found.low)


def test_degenerate_inside() -> None:
    labels = np.r_[np.zeros(20), np.ones(30)]
    found = delong(labels, np.zeros(50))  # all equal: 0.5, and no variance to go by
    assert (found.value, found.variance) == (0.5, 0)
    assert [found.low, found.high] == pytest.approx([float(end) for end in wilson(10, 20)])
    one = delong([0, 1, 1, 1], [1.0, 0.0, 2.0, 3.0])  # one real: no variance among reals
    assert math.isnan(one.variance)
    assert [one.low, one.high] == pytest.approx([float(end) for end in wilson(2 / 3, 1)])


def test_paired_difference() -> None:
    labels, scores = sample(3, 80, 70, 2)
    _, covariance = delong_covariance(labels, scores)
    found = delong_paired(labels, *scores)
    sd = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = naive_components(labels, scores[0])[0] - naive_components(labels, scores[1])[0]
    assert found.difference == pytest.approx(difference)
    assert found.variance == pytest.approx(sd**2)
    assert [found.low, found.high] == pytest.approx([difference - 1.959964 * sd, difference + 1.959964 * sd])
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / sd))
    turned = delong_paired(labels, *scores[::-1])
    assert [turned.difference, turned.low, turned.high] == pytest.approx(
        [-difference, -found.high, -found.low]
    )


def test_paired_difference_where_a_detector_is_perfect() -> None:
    labels = np.r_[np.zeros(40), np.ones(40)]
    rng = np.random.default_rng(0)
    noisy = labels + rng.normal(size=80)
    same = delong_paired(labels, labels, 3 * labels)
    assert (same.difference, same.p_value) == (0, 1)
    assert same.low < -0.05  # two perfect results on 40 images leave room
    assert same.high == -same.low
    better = delong_paired(labels, labels, noisy)
    single = delong(labels, noisy)
    assert better.low < better.difference < better.high <= 1
    assert better.high == pytest.approx(better.difference + (single.value - single.low))
    reach = math.hypot(1 - wilson(40, 40)[0], single.high - single.value)
    assert better.low == pytest.approx(better.difference - reach)
    assert (better.p_value < 0.05) == (better.low > 0)
    alike = delong_paired(labels, noisy, noisy)  # one ranking twice, though it is not perfect
    assert (alike.difference, alike.p_value, alike.low, alike.high) == (0, 1, 0, 0)


def test_coverage() -> None:
    # Normal scores one apart: the true AUROC is known. Wilson and logit-DeLong near 95 %.
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(60), np.ones(60)]
    for shift in (0.7, 2.3):
        truth = stats.norm.cdf(shift / math.sqrt(2))
        found = delong(labels, rng.normal(size=(1500, 120)) + shift * labels)
        assert np.mean((found.low <= truth) & (truth <= found.high)) == pytest.approx(0.95, abs=0.025)
    low, high = wilson(rng.binomial(80, 0.93, 4000), 80)
    assert np.mean((low <= 0.93) & (high >= 0.93)) == pytest.approx(0.95, abs=0.02)


def test_wrong_input() -> None:
    with pytest.raises(InputError, match="0 reals and 3 fakes"):
        delong([1, 1, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="scores_b"):
        delong_paired([0, 1], [0.0, 1.0], [0.0])
    with pytest.raises(InputError, match="scores must not be NaN"):
        delong([0, 1], [[0.0, 1.0], [math.nan, 0.0]])
