"""Shapley values: what each player of a game adds, in the mean over all orders in which they may join."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import comb

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError

Floats = npt.NDArray[np.float64]

MOST_EXACT = 10  # players: 1,024 coalitions


def coalitions(players: int) -> list[int]:
    """Every coalition as a bit mask, the empty one first: bit k is player k."""
    return list(range(2**players))


def exact(values: npt.ArrayLike) -> Floats:
    """Shapley values from the worth of every coalition.

    `phi_k = sum over S without k of |S|! (n - |S| - 1)! / n! (v(S + k) - v(S))`.

    Args:
        values: shape (2^n, ...): the worth of the coalition whose members are the bits of the row's number.

    Returns:
        float64, shape (n, ...). They sum to the worth of all less the worth of none.

    Raises:
        InputError: the number of rows is no power of two above 1.

    Source:
        Shapley 1953, *A value for n-person games*.
    """
    worth = np.asarray(values, np.float64)
    players = len(worth).bit_length() - 1
    if players < 1 or len(worth) != 2**players:
        raise InputError(f"values must hold 2, 4, 8 ... coalitions, one for each subset; got {len(worth)}.")
    rows = np.arange(len(worth))
    members = np.array([int(row).bit_count() for row in rows])
    found = np.zeros((players, *worth.shape[1:]))
    for player in range(players):
        without = rows[(rows >> player) & 1 == 0]
        weight = 1 / (players * np.array([comb(players - 1, int(size)) for size in members[without]]))
        found[player] = np.tensordot(weight, worth[without | (1 << player)] - worth[without], 1)
    return found


def orders(players: int, count: int, rng: np.random.Generator) -> list[list[int]]:
    """Random orders, each followed by its reverse, which takes out much of the sampling error.

    Source:
        Mitchell et al. 2022 (arXiv:2104.12199), antithetic sampling.
    """
    found: list[list[int]] = []
    while len(found) < count:
        drawn = [int(player) for player in rng.permutation(players)]
        found += [drawn, drawn[::-1]]
    return found[:count]


def coalitions_of(drawn: Iterable[list[int]]) -> list[int]:
    """Every coalition that grows in some of the orders, each once, the empty one first."""
    found = {0: None}
    for order in drawn:
        members = 0
        for player in order:
            members |= 1 << player
            found[members] = None
    return list(found)


def sampled(worth: Callable[[int], npt.ArrayLike], drawn: list[list[int]]) -> tuple[Floats, Floats]:
    """Shapley values from some orders.

    Args:
        worth: of a coalition, given as a bit mask.
        drawn: orders of all players; see `orders`.

    Returns:
        Values, shape (n, ...), which sum to the worth of all less that of none whatever the orders, and their
        standard errors by the spread between pairs of an order and its reverse, NaN of fewer than two pairs.
    """
    known: dict[int, Floats] = {}

    def value(members: int) -> Floats:
        if members not in known:
            known[members] = np.asarray(worth(members), np.float64)
        return known[members]

    gains = []
    for order in drawn:
        members, before = 0, value(0)
        gain = [before] * len(order)
        for player in order:
            members |= 1 << player
            gain[player] = value(members) - before
            before = value(members)
        gains.append(np.stack(gain))
    found = np.mean(gains, axis=0)
    pairs = (
        np.stack([(a + b) / 2 for a, b in zip(gains[::2], gains[1::2], strict=False)])
        if len(gains) > 1
        else None
    )
    if pairs is None or len(pairs) < 2:
        return found, np.full(found.shape, np.nan)
    return found, np.asarray(pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)))
