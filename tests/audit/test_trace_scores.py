"""Scores of traces: what they find, and that they find nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bandprobe.audit.scores import by_category, by_number, combined, folds
from bandprobe.metrics import auroc, delong


def labels(n: int) -> np.ndarray:
    return np.repeat(np.array([0, 1], np.int8), n)


def test_folds_are_even() -> None:
    label = np.array([0] * 53 + [1] * 21, np.int8)
    fold = folds(label, np.random.default_rng(0))
    for value, n in ((0, 53), (1, 21)):
        counts = np.bincount(fold[label == value], minlength=5)
        assert counts.max() - counts.min() <= 1
        assert counts.sum() == n


def test_the_better_direction() -> None:
    label = labels(4)
    values = np.array([8.0, 7, 6, 5, 4, 3, 2, 1])
    assert auroc(label, by_number(values, label)) == 1
    assert auroc(label, by_number(-values, label)) == 1


def test_a_rate_by_hand() -> None:
    """Score = log of the shrunk shares' ratio, from the other folds alone."""
    label = labels(50)
    values = np.array(["a"] * 40 + ["b"] * 10 + ["a"] * 15 + ["b"] * 35, object)
    fold = folds(label, np.random.default_rng(3))
    found = by_category(values, label, fold)
    for held in range(5):
        rows = fold != held
        for value in "ab":
            n = [np.sum(rows & (label == c) & (values == value)) for c in (0, 1)]
            N = [np.sum(rows & (label == c)) for c in (0, 1)]
            share = n[0] / N[0] + n[1] / N[1]
            expected = np.log((n[1] + 2 * share) / (N[1] + 4)) - np.log((n[0] + 2 * share) / (N[0] + 4))
            assert np.allclose(found[~rows & (values == value)], expected)


def test_what_says_nothing_scores_zero() -> None:
    label = labels(30)
    fold = folds(label, np.random.default_rng(0))
    assert not by_category(np.full(60, "same", object), label, fold).any()
    own = np.array([f"file {number}" for number in range(60)], object)
    assert not by_category(own, label, fold).any()
    # Pairs of one real and one fake: no value is frequent enough to be counted on.
    assert not by_category(np.array([f"{n % 30}" for n in range(60)], object), label, fold).any()


def test_together_they_see_what_none_sees_alone() -> None:
    rng = np.random.default_rng(0)
    label = labels(300)
    sign = rng.choice([-1, 1], 600)
    frame = pd.DataFrame({"x": sign * 1.0, "kind": np.where(sign * (2 * label - 1.0) > 0, "p", "q")})
    fold = folds(label, rng)
    assert abs(auroc(label, frame["x"]) - 0.5) < 0.1
    assert auroc(label, combined(frame, label, fold)) == 1


@pytest.mark.parametrize("n", [25, 150])
def test_chance_where_there_is_nothing(n: int) -> None:
    """No single interval at the level of a study's traces lies above one half by the margin, in 12 draws."""
    values = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        label = labels(n)
        fold = folds(label, rng)
        kinds = rng.choice(list("abcdefgh"), 2 * n).astype(object)
        frame = pd.DataFrame({"kind": kinds, **{f"x{k}": rng.standard_normal(2 * n) for k in range(4)}})
        scores = np.stack(
            [
                by_category(kinds, label, fold),
                by_number(frame["x0"].to_numpy(), label),
                combined(frame, label, fold),
            ]
        )
        assert delong(label, scores, 1 - 0.05 / 24).low.max() < 0.52
        values.append(np.atleast_1d(delong(label, scores).value))
    assert np.mean(values, axis=0)[[0, 2]] == pytest.approx(0.5, abs=0.06)
