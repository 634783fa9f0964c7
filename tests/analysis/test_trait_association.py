"""Traits against statistics: against SciPy, naive enumeration and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandprobe.analysis.leaderboard import STATISTICS, TRAITS
from bandprobe.analysis.trait_association import (
    COLUMNS,
    DIFFERENCE,
    FEWEST_GROUPS,
    FEWEST_RANKS,
    SPEARMAN,
    difference_test,
    spearman_test,
    trait_associations,
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", [False, True])
def test_ranks_against_scipy_and_naive_enumeration(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    trait = rng.integers(0, 3, 6).astype(float) if ties else rng.standard_normal(6)
    trait[0] = trait[1] + 1
    values = rng.standard_normal(6)
    value, p, least, method = spearman_test(trait, values)
    assert value == pytest.approx(stats.spearmanr(trait, values).statistic)
    every = [stats.spearmanr(trait, order).statistic for order in itertools.permutations(values)]
    assert p == pytest.approx(np.mean(np.abs(every) >= abs(value) - 1e-9))
    assert least == pytest.approx(np.mean(np.abs(every) >= np.abs(every).max() - 1e-9))
    assert method == "exact"


@pytest.mark.parametrize("k", [1, 2, 3])
def test_groups_against_scipy(k: int) -> None:
    rng = np.random.default_rng(k)
    values, has = rng.standard_normal(7), np.arange(7) < k
    value, p, least, method = difference_test(has, values)
    assert value == pytest.approx(values[has].mean() - values[~has].mean())
    every = [values[list(c)].mean() - values[[i for i in range(7) if i not in c]].mean()
             for c in itertools.combinations(range(7), k)]  # fmt: skip
    assert p == pytest.approx(np.mean(np.abs(every) >= abs(value) - 1e-9))
    assert least == pytest.approx(np.mean(np.abs(every) >= np.abs(every).max() - 1e-9))
    assert method == "exact"


def test_perfect_orders_have_the_closed_forms_p() -> None:
    for n, factorial in ((4, 24), (5, 120), (8, 40320)):
        _, p, least, _ = spearman_test(np.arange(n) * 1.0, np.arange(n) ** 3.0)
        assert p == least == pytest.approx(2 / factorial)
    assert 2 / 24 > 0.05 >= 2 / 120
    assert FEWEST_RANKS == 5
    _, p, least, _ = difference_test(np.arange(7) >= 4, np.arange(7) ** 2.0)
    assert p == least == pytest.approx(1 / 35)  # no other three are as far from the rest
    for n, k, ways in (
        (7, 3, 35),
        (8, 4, 70),
    ):  # evenly spaced, the three lowest are as far as the three highest
        _, p, least, _ = difference_test(np.arange(n) < k, np.arange(n) * 1.0)
        assert p == least == pytest.approx(2 / ways)
    assert 2 / 35 > 0.05 >= 2 / 70
    assert FEWEST_GROUPS == 8


def test_many_encoders_are_drawn_and_agree_with_theory() -> None:
    rng = np.random.default_rng(0)
    trait = rng.standard_normal(40)
    values = 0.4 * trait + rng.standard_normal(40)
    value, p, _, method = spearman_test(trait, values)
    theory = stats.spearmanr(trait, values)
    assert method == "99,999 random orders"
    assert value == pytest.approx(theory.statistic)
    assert p == pytest.approx(theory.pvalue, abs=0.01)
    assert spearman_test(trait, values)[1] == p
    has = trait > 0
    difference = difference_test(has, values)
    assert difference[1] == pytest.approx(stats.ttest_ind(values[has], values[~has]).pvalue, abs=0.02)


def test_p_is_uniform_where_nothing_is_associated() -> None:
    rng = np.random.default_rng(1)
    trait = np.arange(6.0)
    p = [spearman_test(trait, rng.standard_normal(6))[1] for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) <= 0.075
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.08)


def board(n: int, world: str = "w") -> pd.DataFrame:
    """n encoders whose dependence rises with their patch, half of them self-distilled."""
    rows = []
    for number in range(n):
        row: dict[str, object] = {
            "encoder": f"e{number}",
            "source": f"e{number}",
            "world": world,
            "datasets": "d",
        }
        row |= {trait.name: "unknown" for trait in TRAITS}
        row |= {one.name: np.nan for one in STATISTICS}
        row |= {
            "patch": str(8 * (number + 1)),
            "objective": "self-distillation" if number % 2 else "image-text",
        }
        row["high_frequency_dependence"] = 0.1 * number + (0.01 if number % 2 else 0)
        rows.append(row)
    return pd.DataFrame(rows)


def test_a_leaderboard_that_is_large_enough() -> None:
    table = trait_associations(board(8))
    assert list(table.columns) == list(COLUMNS)
    patch = table[(table["trait"] == "patch") & (table["statistic"] == "high_frequency_dependence")].iloc[0]
    assert (patch["measure"], patch["value"], patch["n"]) == (SPEARMAN, pytest.approx(1.0), 8)
    assert patch["p_value"] == pytest.approx(2 / 40320)
    made = table["p_value"].notna()
    assert patch["q_value"] == pytest.approx(min(1, patch["p_value"] * made.sum()))
    objective = table[table["trait"] == "objective = self-distillation"].iloc[0]
    assert objective["measure"] == DIFFERENCE
    assert objective["p_value"] > 0.5
    unknown = table[table["trait"] == "parameters"]
    assert unknown["value"].isna().all()
    assert unknown["note"].str.contains("0 encoders").all()


def test_too_few_encoders_are_said() -> None:
    table = trait_associations(pd.concat([board(4), board(8, "other")], ignore_index=True))
    patch = table[(table["trait"] == "patch") & (table["statistic"] == "high_frequency_dependence")]
    few, enough = (patch[patch["world"] == world].iloc[0] for world in ("w", "other"))
    assert np.isnan(few["p_value"])
    assert few["value"] == pytest.approx(1.0)
    assert few["note"].startswith("too few encoders: no order of them has p <= 0.05; it takes 5")
    assert enough["p_value"] < 0.001
    groups = table[(table["world"] == "w") & table["trait"].str.startswith("objective")].dropna(
        subset="value"
    )
    assert groups["note"].str.contains("here 2 against 2; it takes 4 against 4").all()


def test_one_encoder_in_two_precisions_counts_once() -> None:
    twice = pd.concat([board(4), board(4).assign(fingerprint="bf16")], ignore_index=True)
    assert set(trait_associations(twice).query("trait == 'patch' and value == value")["n"]) == {4}
