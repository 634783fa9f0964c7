"""Shapley values against their definition, the mean over all orders, and their axioms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bandprobe.errors import InputError
from bandprobe.metrics.shapley import coalitions, coalitions_of, exact, orders, sampled


def by_orders(worth: np.ndarray, players: int) -> np.ndarray:
    """What each player adds when it joins, in the mean over all orders."""
    found = np.zeros((players, *worth.shape[1:]))
    every = list(itertools.permutations(range(players)))
    for order in every:
        members = 0
        for player in order:
            found[player] += worth[members | 1 << player] - worth[members]
            members |= 1 << player
    return found / len(every)


@pytest.mark.parametrize("players", [1, 2, 5])
def test_exact_values_are_the_mean_over_all_orders(players: int) -> None:
    worth = np.random.default_rng(players).normal(size=(2**players, 3))
    np.testing.assert_allclose(exact(worth), by_orders(worth, players), atol=1e-12)


def test_axioms() -> None:
    rng = np.random.default_rng(0)
    worth = rng.normal(size=2**6)
    values = exact(worth)
    assert values.sum() == pytest.approx(worth[-1] - worth[0])  # nothing is lost
    other = rng.normal(size=2**6)
    np.testing.assert_allclose(exact(2 * worth + other), 2 * values + exact(other), atol=1e-12)
    members = np.array(coalitions(6))
    idle = worth[members & ~(1 << 3)]  # player 3 changes nothing
    assert exact(idle)[3] == pytest.approx(0)
    alike = np.array([row.bit_count() ** 2 for row in coalitions(6)], float)
    np.testing.assert_allclose(exact(alike), 6)  # 36 shared by six that are alike


def test_sampled_values_sum_to_the_whole_and_meet_the_exact_ones_within_their_error() -> None:
    players = 6
    worth = np.random.default_rng(1).normal(size=2**players)
    drawn = orders(players, 400, np.random.default_rng(2))
    values, error = sampled(worth.__getitem__, drawn)
    assert values.sum() == pytest.approx(worth[-1] - worth[0])
    assert (error > 0).all()
    assert (np.abs(values - exact(worth)) < 4 * error).all()
    assert set(coalitions_of(drawn)) <= set(coalitions(players))
    assert coalitions_of([[1, 0]]) == [0, 2, 3]
    assert np.isnan(sampled(worth.__getitem__, drawn[:2])[1]).all()


def test_an_order_is_followed_by_its_reverse() -> None:
    drawn = orders(4, 6, np.random.default_rng(0))
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        assert one == other[::-1]
        assert sorted(one) == [0, 1, 2, 3]


@pytest.mark.parametrize("rows", [0, 1, 3, 6])
def test_what_is_no_power_of_two_is_refused(rows: int) -> None:
    with pytest.raises(InputError, match="one for each subset"):
        exact(np.zeros(rows))
