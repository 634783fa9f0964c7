"""Flipped signs against every pattern counted one by one, and against what chance gives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest, wilcoxon

from bandprobe.errors import InputError
from bandprobe.metrics.sign_flips import sign_flip_p


@pytest.mark.parametrize("values", [[0.3, -0.1, 0.2, 0.25], [1, 1, 1, 1, 1, 1], [0.0, 0.0, 0.5], [-2, 1]])
def test_small_samples_are_counted_out(values: list[float]) -> None:
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in product((1, -1), repeat=len(values))
    ]
    expected = np.mean([one >= abs(sum(values)) - 1e-9 for one in sums])
    assert sign_flip_p(values, np.random.default_rng(0)) == pytest.approx(expected)


def test_of_ranks_it_is_wilcoxons_test() -> None:
    values = np.array([1, -2, 3, 4, -5, 6, 7, 8, 9, 10.0])
    assert sign_flip_p(values, np.random.default_rng(0)) == pytest.approx(
        wilcoxon(values, method="exact").pvalue
    )


def test_drawn_signs_agree_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 40)
    drawn = sign_flip_p(values, np.random.default_rng(2))
    from scipy.stats import norm

    z = abs(values.sum()) / np.sqrt((values**2).sum())
    assert drawn == pytest.approx(2 * norm.sf(z), abs=0.015)


def test_of_no_effect_it_is_uniform() -> None:
    rng = np.random.default_rng(3)
    p = [sign_flip_p(rng.standard_t(3, 11), rng) for _ in range(400)]
    assert kstest(p, "uniform").pvalue > 0.01


def test_nothing_and_wrong_shapes() -> None:
    rng = np.random.default_rng(0)
    assert np.isnan(sign_flip_p([np.nan], rng))
    assert sign_flip_p([0.2, np.nan, 0.3], rng) == sign_flip_p([0.2, 0.3], rng) == 0.5
    with pytest.raises(InputError, match=r"shape \(n,\)"):
        sign_flip_p([[1.0]], rng)
