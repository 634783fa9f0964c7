"""Which trait of an encoder goes with which statistic, over the encoders of a leaderboard."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bandprobe import seeding
from bandprobe.analysis.leaderboard import NONE, STATISTICS, TRAITS, UNKNOWN
from bandprobe.metrics.multiplicity import benjamini_hochberg

COLUMNS = (
    "world", "datasets", "trait", "statistic", "measure", "value", "p_value", "q_value", "n", "method", "note",
)  # fmt: skip
SPEARMAN, DIFFERENCE = "spearman", "difference of means"
LEVEL = 0.05
# The fewest encoders of which, whatever their values, some order is as rare as LEVEL, two-sided: 2 / 5! for ranks,
# 2 / C(8, 4) for groups.
FEWEST_RANKS, FEWEST_GROUPS = 5, 8
_EXACT = 400_000  # orders, or groupings, that are gone through; beyond, so many are drawn
_DRAWN = 99_999
_TINY = 1e-12  # rounding

Floats = NDArray[np.float64]


def trait_associations(board: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Every trait against every statistic, world by world.

    A trait that is a number: Spearman's rank correlation. Any other: for each of its values that some encoders have
    and others have not, the mean statistic of those that have it less that of the others. The p-value is that of
    the permutation test: the share of all assignments of the statistic's values to the encoders whose measure is
    as far from zero; of 99,999 random ones where there are more than 400,000. Where not even the rarest
    assignment has p <= 0.05 the row says "too few encoders", and has none.

    Encoders differ in several traits at once, so that an association is none with one of them alone; and encoders
    of one maker are no independent draws.

    Args:
        board: rows of `leaderboard`; those whose trait or statistic is not known are left out, pair by pair.
        seed: of random assignments.

    Returns:
        A table with `COLUMNS`. `q_value` is Benjamini and Hochberg's, within a world.

    Source:
        Exact permutation tests: Good 2005, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, ch. 3.
    """
    rows = []
    for (world, datasets), mine in board.groupby(["world", "datasets"], sort=False):
        # One encoder made in two ways (precision, revision) is one encoder.
        single = mine.drop_duplicates("source", keep="last")
        for trait in TRAITS:
            for one in STATISTICS:
                known = single[single[one.name].notna() & ~single[trait.name].isin([UNKNOWN, ""])]
                found = _numeric(known, trait.name, one.name, seed) if trait.numeric else None
                for row in [found] if found else _categories(known, trait.name, one.name, seed):
                    rows.append({"world": world, "datasets": datasets, "statistic": one.name, **row})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("value", "p_value", "q_value"):
        table[name] = table[name].astype("float64")
    for _, mine in table.groupby("world", sort=False):
        table.loc[mine.index, "q_value"] = benjamini_hochberg(mine["p_value"].to_numpy())
    return table


def spearman_test(trait: Floats, values: Floats, seed: int = 0) -> tuple[float, float, float, str]:
    """Spearman's correlation with its permutation test.

    Args:
        trait: shape (n,), of n encoders, not all equal.
        values: shape (n,), their statistic, not all equal.
        seed: of random orders.

    Returns:
        The correlation; its two-sided p; the smallest p that any order of these values has; how it was found.
    """
    a, b = (_standardised(stats.rankdata(given)) for given in (trait, values))
    n = len(a)
    observed = float(a @ b)
    if math.factorial(n) <= _EXACT:
        measures = np.array(list(itertools.permutations(b))) @ a
        return observed, *_tail(measures, observed), "exact"
    draw = seeding.generator(seed, "traits", "orders")
    measures = draw.permuted(np.tile(b, (_DRAWN, 1)), axis=1) @ a
    # That many encoders always have an order rare enough.
    return observed, _drawn_tail(measures, observed), 0.0, f"{_DRAWN:,} random orders"


def difference_test(has: NDArray[np.bool_], values: Floats, seed: int = 0) -> tuple[float, float, float, str]:
    """Difference of means between those that have something and those that have not, with its permutation test.

    Args:
        has: shape (n,), some true and some false.
        values: shape (n,).
        seed: of random groupings.

    Returns:
        The difference; its two-sided p; the smallest p that any grouping has; how it was found.
    """
    n, k = len(values), int(has.sum())

    def difference(sums: Floats) -> Floats:
        return np.asarray(sums / k - (values.sum() - sums) / (n - k))

    observed = float(difference(np.array([values[has].sum()]))[0])
    if math.comb(n, k) <= _EXACT:
        chosen = np.array(list(itertools.combinations(range(n), k)))
        return observed, *_tail(difference(values[chosen].sum(axis=1)), observed), "exact"
    draw = seeding.generator(seed, "traits", "groups")
    sums = draw.permuted(np.tile(values, (_DRAWN, 1)), axis=1)[:, :k].sum(axis=1)
    return observed, _drawn_tail(difference(sums), observed), 0.0, f"{_DRAWN:,} random groupings"


def _numeric(known: pd.DataFrame, trait: str, statistic: str, seed: int) -> dict[str, object]:
    numbers = pd.to_numeric(known[trait], errors="coerce").to_numpy(np.float64)
    there = np.isfinite(numbers)
    numbers, values = numbers[there], known[statistic].to_numpy(np.float64)[there]
    row = {"trait": trait, "measure": SPEARMAN, "n": len(values)}
    if len(set(numbers)) < 2 or len(set(values)) < 2:
        which = "the trait" if len(set(numbers)) < 2 else "the statistic"
        return row | {"note": f"{len(values)} encoders, {which} does not vary"}
    found = spearman_test(numbers, values, seed)
    return row | _judged(found, f"it takes {FEWEST_RANKS} or more that differ")


def _categories(known: pd.DataFrame, trait: str, statistic: str, seed: int) -> Iterator[dict[str, object]]:
    words, values = known[trait].astype(str).to_numpy(), known[statistic].to_numpy(np.float64)
    levels = [level for level in dict.fromkeys(sorted(words)) if level != NONE or trait == "objective"]
    if len(set(words)) < 2:
        note = f"{len(values)} encoders, the trait does not vary"
        yield {"trait": trait, "measure": DIFFERENCE, "n": len(values), "note": note}
        return
    if len(set(words)) == 2:
        levels = levels[-1:]  # the other level is the same comparison
    for level in levels:
        has = words == level
        row = {"trait": f"{trait} = {level}", "measure": DIFFERENCE, "n": len(values)}
        found = difference_test(has, values, seed)
        sizes = f"{int(has.sum())} against {int((~has).sum())}"
        yield (
            row
            | _judged(found, f"here {sizes}; it takes {FEWEST_GROUPS // 2} against {FEWEST_GROUPS // 2}")
            | ({} if len(set(values)) > 1 else {"note": "the statistic does not vary"})
        )


def _judged(found: tuple[float, float, float, str], needed: str) -> dict[str, object]:
    value, p, least, method = found
    if least > LEVEL:
        return {
            "value": value,
            "method": method,
            "note": f"too few encoders: no order of them has p <= {LEVEL}; {needed}",
        }
    return {"value": value, "p_value": p, "method": method, "note": ""}


def _tail(measures: Floats, observed: float) -> tuple[float, float]:
    """Share of all assignments as far from zero as what was observed, and as the farthest."""
    far = np.abs(measures)
    ends = abs(observed), float(far.max())
    return tuple(float((far >= end - _TINY).mean()) for end in ends)  # type: ignore[return-value]


def _drawn_tail(measures: Floats, observed: float) -> float:
    return float((1 + (np.abs(measures) >= abs(observed) - _TINY).sum()) / (1 + len(measures)))


def _standardised(ranks: Floats) -> Floats:
    centred = ranks - ranks.mean()
    return np.asarray(centred / np.linalg.norm(centred))
