"""Which of two items is better, against a pair-by-pair count; and what its interval of tau holds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from bandprobe.metrics.ordered_pairs import Pairs, order


def brute(scores: np.ndarray, level: float = 0.95) -> dict[tuple[int, int], int]:
    """The sign of each pair, spelled out: of two items whose difference lies beyond z standard deviations."""
    z = stats.norm.ppf(0.5 + level / 2)
    found = {}
    for a, b in combinations(range(scores.shape[1]), 2):
        apart = scores[0, a] - scores[0, b]
        deviation = (scores[1:, a] - scores[1:, b]).std()
        found[a, b] = int(np.sign(apart)) if abs(apart) > z * deviation else 0
    return found


@pytest.fixture
def lists() -> tuple[np.ndarray, np.ndarray]:
    """Two lists of seven items, of which the second orders some otherwise, with 300 resamples each."""
    rng = np.random.default_rng(5)
    truth = np.array([0.9, 0.85, 0.84, 0.7, 0.62, 0.6, 0.55])
    there = truth[[3, 1, 2, 0, 4, 6, 5]]
    return tuple(
        one + np.vstack([np.zeros(7), 0.02 * rng.standard_normal((300, 7))]) for one in (truth, there)
    )


def test_pairs_are_decided_as_one_by_one(lists):
    for scores in lists:
        for level in (0.5, 0.95, 0.999):
            expected = brute(scores, level)
            pairs = Pairs.of(scores)
            assert pairs.decided(level).tolist() == list(expected.values())
            for item in range(7):
                against = [
                    expected[item, b] if item < b else -expected[b, item] for b in range(7) if b != item
                ]
                assert pairs.against(item, level).tolist() == against
        signs = Pairs.of(scores).decided()
        assert {-1, 0, 1} >= set(signs)
        assert 0 in signs  # some differ by no more than chance
        assert 1 in signs


def test_an_order_counts_what_both_lists_decide(lists):
    first, second = (brute(scores) for scores in lists)
    found = order(*map(Pairs.of, lists))
    products = [first[pair] * second[pair] for pair in first]
    assert (found.pairs, found.kept, found.turned) == (21, products.count(1), products.count(-1))
    assert min(found.kept, found.turned) > 0
    tau = stats.kendalltau(lists[0][0], lists[1][0]).statistic
    low, high = found.tau
    assert low < tau < high
    assert low == pytest.approx((found.kept - (21 - found.kept)) / 21)
    assert high == pytest.approx(((21 - found.turned) - found.turned) / 21)


def test_items_that_never_differ_are_no_pair():
    scores = np.tile([0.7, 0.7, 0.9], (50, 1))  # whatever is drawn
    pairs = Pairs.of(scores)
    assert pairs.tied.tolist() == [True, False, False]
    assert pairs.decided().tolist() == [0, -1, -1]
    same = order(pairs, pairs)
    assert (same.pairs, same.kept, same.turned, same.tau) == (2, 2, 0, (1.0, 1.0))
    constant = Pairs.of(np.full((50, 3), 0.5))
    assert order(constant, pairs).pairs == 0
    assert np.isnan(order(constant, pairs).tau).all()


def test_the_interval_of_tau_holds_the_truth():
    """Lists seen with noise, each with resamples of it: also where the truth is one order, kept."""
    rng = np.random.default_rng(11)
    truth = np.linspace(0.6, 0.9, 8)
    for there in (truth, truth[::-1], rng.permutation(truth)):
        tau = stats.kendalltau(truth, there).statistic
        held = 0
        for _ in range(100):
            seen = []
            for one in (truth, there):
                mean = one + 0.03 * rng.standard_normal(8)
                seen.append(Pairs.of(np.vstack([mean, mean + 0.03 * rng.standard_normal((200, 8))])))
            low, high = order(*seen).tau
            held += low - 1e-9 <= tau <= high + 1e-9
        assert held >= 90
