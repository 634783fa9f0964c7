"""The permutation test for PD against a naive one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandprobe.errors import InputError
from bandprobe.metrics.permutation import pd_difference


def sample(seed: int, n_real: int, n_fake: int, k: int, decimals: int | None = None):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.zeros(n_real, int), np.ones(n_fake, int)])
    scores = rng.normal(size=labels.size) + rng.normal(size=(k, labels.size)) + labels
    return labels, scores if decimals is None else scores.round(decimals)


def naive_pd(labels, ranks, rate: float) -> float:
    """Strict PD from ranks that fall as an image looks more fake: the laxest cut that is strict enough."""
    alarms = np.cumsum(np.bincount(ranks[labels == 0], minlength=labels.size + 1)) / (labels == 0).sum()
    found = np.cumsum(np.bincount(ranks[labels == 1], minlength=labels.size + 1)) / (labels == 1).sum()
    return float(np.max(found[alarms <= rate], initial=0.0))


@pytest.mark.parametrize("decimals", [None, 0])
def test_pd_difference_against_a_naive_permutation(decimals: int | None) -> None:
    labels, scores = sample(5, 150, 60, 2, decimals)
    ranks = np.array([[(row >= s).sum() for s in row] for row in scores])
    observed = naive_pd(labels, ranks[0], 0.1) - naive_pd(labels, ranks[1], 0.1)
    rng = np.random.default_rng(1)
    as_large = 0
    for _ in range(4000):
        swap = rng.random(labels.size) < 0.5
        a, b = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        as_large += abs(naive_pd(labels, a, 0.1) - naive_pd(labels, b, 0.1)) >= abs(observed) - 1e-12
    found = pd_difference(labels, *scores, 0.1, np.random.default_rng(2), permutations=20_000)
    assert found.difference == pytest.approx(observed)
    assert 0.05 < found.p_value < 0.95
    assert found.p_value == pytest.approx((1 + as_large) / 4001, abs=0.025)  # three standard errors


def test_pd_difference_of_one_detector_with_itself() -> None:
    labels, scores = sample(6, 120, 50, 1)
    found = pd_difference(
        labels, scores[0], np.exp(scores[0]), 0.1, np.random.default_rng(0), permutations=50
    )
    assert found == (0, 1)


def test_pd_difference_finds_a_difference_and_holds_its_level() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for seed in range(60):
        labels, scores = sample(seed, 120, 120, 2)
        p_values.append(pd_difference(labels, *scores, 0.1, rng, permutations=99).p_value)
    assert np.mean(np.array(p_values) <= 0.1) <= 0.2  # 6 expected of 60; 12 or fewer with 99 %
    labels, scores = sample(1, 200, 200, 2)
    strong = pd_difference(labels, scores[0] + 3 * labels, scores[1], 0.1, rng, permutations=999)
    assert strong.p_value == 0.001
    assert strong.difference > 0.5


def test_pd_difference_is_blank_with_few_reals() -> None:
    labels, scores = sample(0, 99, 20, 2)
    found = pd_difference(labels, *scores, 0.1, np.random.default_rng(0))
    assert math.isnan(found.difference)
    assert math.isnan(found.p_value)


def test_wrong_input() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="rate"):
        pd_difference([0, 1], [0.0, 1.0], [0.0, 1.0], 1, rng)
    with pytest.raises(InputError, match="permutations"):
        pd_difference([0, 1], [0.0, 1.0], [0.0, 1.0], 0.1, rng, permutations=0)
