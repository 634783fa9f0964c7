"""How often tests reject, where there is nothing to find and where there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bandprobe import progress, seeding
from bandprobe.metrics import Resamples, bootstrap, delong_paired, pd_difference, wilson
from bandprobe.metrics.mmd import paired, two_sample
from bandprobe.selftest.coverage import DRAWS, RESAMPLES
from bandprobe.selftest.populations import Binormal

LEVEL = 0.05
LEAST, MOST = 0.035, 0.065  # rejections of a test that holds its level
COLUMNS = (
    "test", "setting", "n", "truth", "draws", "rejected", "rejected_low", "rejected_high", "holds", "passed",
)  # fmt: skip

_SHARED = 0.5  # of the variance of two detectors' scores: they see the same images
_DIMENSIONS = 8
_BATCH = 100

Floats = NDArray[np.float64]
PValue = Callable[[np.random.Generator], float]


def levels(draws: int = DRAWS, *, sizes: Sequence[int] = (50, 200, 1000), seed: int = 0) -> pd.DataFrame:
    """Rejections at 5 % of the tests of two detectors and of two samples.

    `none` in `setting` says that there is no difference: the share rejected is the level. Elsewhere it is
    the power. Differences of metrics are tested by whether their paired interval leaves out 0.

    Args:
        draws: data sets of each row.
        sizes: images of each class; of each sample for MMD, where at most 200.
        seed: of every draw.

    Returns:
        A row for each test, setting and size; `holds` is `yes` for a level between 3.5 and 6.5 %, `conservative`
        below, `no` above, and blank for a power; `passed`, whether what was drawn leaves it open that the level
        is at most 6.5 %.
    """
    asked = list(_tests(sizes))
    rows = []
    with progress.bar("levels", len(asked) + len(sizes) * 3, "tests") as step:
        for test, setting, n, p_value in asked:
            rng = seeding.generator(seed, "level", test, setting, n)
            rejected = sum(p_value(rng) <= LEVEL for _ in range(draws))
            rows.append(_row(test, setting, n, draws, rejected))
            step()
        for n in sizes:
            for value in (0.7, 0.9, 0.99):
                rows += _differences(
                    value, n, draws, seeding.generator(seed, "level", "differences", value, n)
                )
                step()
    return pd.DataFrame(rows, columns=list(COLUMNS))


def holds(share: float) -> str:
    """Whether a share of rejections under the null is a level of 5 %, in a word."""
    return "no" if share > MOST else "conservative" if share < LEAST else "yes"


def pair_of_scores(
    first: float, second: float, rows: int, n: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Scores of two detectors of the same n reals and n fakes, whose means lie so far apart; (rows, 2 n) each."""
    common = rng.standard_normal((rows, 2 * n))
    fake = np.repeat([0.0, 1.0], n)
    first_scores, second_scores = (
        np.sqrt(_SHARED) * common
        + np.sqrt(1 - _SHARED) * rng.standard_normal((rows, 2 * n))
        + distance * fake
        for distance in (first, second)
    )
    return first_scores, second_scores


def _tests(sizes: Sequence[int]) -> Iterator[tuple[str, str, int, PValue]]:
    for n in sizes:
        label = np.repeat([0, 1], n)
        for value, better in ((0.7, 0.8), (0.9, 0.95), (0.99, 0.999)):
            for other in (value, better):

                def auroc(
                    rng: np.random.Generator, n: int = n, value: float = value, other: float = other
                ) -> float:
                    first, second = (float(np.sqrt(2) * special.ndtri(x)) for x in (value, other))
                    a, b = pair_of_scores(first, second, 1, n, rng)
                    return delong_paired(np.repeat([0, 1], n), a[0], b[0]).p_value

                yield "paired DeLong", _setting("AUROC", value, other), n, auroc
        for rate in (0.1, 0.01):
            if n * rate < 10:
                continue
            for value, other in ((0.5, 0.5), (0.9, 0.9), (0.5, 0.7)):

                def pd_test(
                    rng: np.random.Generator,
                    label: NDArray[np.int_] = label,
                    rate: float = rate,
                    value: float = value,
                    other: float = other,
                ) -> float:
                    first, second = (
                        float(special.ndtri(x) + special.ndtri(1 - rate)) for x in (value, other)
                    )
                    a, b = pair_of_scores(first, second, 1, len(label) // 2, rng)
                    return pd_difference(label, a[0], b[0], rate, rng, 500).p_value

                yield "permuted ranks", _setting(f"PD@{100 * rate:g}%", value, other), n, pd_test
        for moved in (0.0, 0.3):
            size = min(n, 200)

            def unpaired(rng: np.random.Generator, size: int = size, moved: float = moved) -> float:
                x, y = rng.standard_normal((2, size, _DIMENSIONS))
                return two_sample(x, y + moved, permutations=200, generator=rng).p_value

            def pairs(rng: np.random.Generator, size: int = size, moved: float = moved) -> float:
                x, noise, other = rng.standard_normal((3, size, _DIMENSIONS))
                return paired(
                    x + 0.3 * noise, x + 0.3 * other + moved / 5, permutations=200, generator=rng
                ).p_value

            what = "none" if moved == 0 else "means moved"
            if n <= 200:
                yield "MMD, two samples", what, size, unpaired
                yield "MMD, pairs", what, size, pairs


def _setting(name: str, first: float, second: float) -> str:
    return f"none: {name} {first:g}" if first == second else f"{name} {first:g} and {second:g}"


def _differences(value: float, n: int, draws: int, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    """Whether the paired interval of a difference leaves out 0, for detectors of one AUROC."""
    detector = Binormal.with_truth("auroc", value)
    names = ["auroc", "ap", "balanced_accuracy", "f1", "eer", "brier", *(["pd@10%"] if n >= 100 else [])]
    label = np.repeat([0, 1], n)
    rejected = dict.fromkeys(names, 0)
    for begin in range(0, draws, _BATCH):
        rows = min(_BATCH, draws - begin)
        scores = np.concatenate(pair_of_scores(detector.distance, detector.distance, rows, n, rng))
        drawn = Resamples.draw(n, n, RESAMPLES, rng)
        pairs = np.column_stack([np.arange(rows), np.arange(rows) + rows])
        cuts = np.full(2 * rows, detector.threshold)
        found = bootstrap.differences(
            label, scores, detector.probabilities(scores), cuts, drawn, pairs, metrics=names
        )
        for name in names:
            rejected[name] += int(((found[name].low > 0) | (found[name].high < 0)).sum())
    for name in names:
        yield _row(f"paired bootstrap, {name}", f"none: AUROC {value:g}", n, draws, rejected[name])


def _row(test: str, setting: str, n: int, draws: int, rejected: int) -> dict[str, object]:
    low, high = wilson(rejected, draws)
    null = setting.startswith("none")
    return {
        "test": test,
        "setting": setting,
        "n": n,
        "truth": "no difference" if null else "a difference",
        "draws": draws,
        "rejected": rejected / draws,
        "rejected_low": float(low),
        "rejected_high": float(high),
        "holds": holds(rejected / draws) if null else "",
        "passed": not null or float(low) <= MOST,
    }
