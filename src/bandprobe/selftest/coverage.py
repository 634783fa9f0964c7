"""How often the intervals of the detection metrics hold the truth, on test sets whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bandprobe import progress, seeding
from bandprobe.metrics import METRICS, Resamples, blank_reason, wilson
from bandprobe.metrics.bootstrap import RESAMPLED, WILSON, Interval, intervals
from bandprobe.metrics.replication import replicates
from bandprobe.selftest.populations import Binormal

SIZES = (50, 200, 1000)  # images of each class
VALUES = (0.5, 0.7, 0.9, 0.95, 0.99)
LEAST, MOST = 0.92, 0.98  # what a nominal 95 % may cover
DRAWS, RESAMPLES = 2000, 1000
COLUMNS = (
    "metric", "population", "n", "truth", "coverage", "coverage_low", "coverage_high", "below", "above", "width",
    "holds", "note", "passed",
)  # fmt: skip

_COARSE = 0.90  # what is asked of counts that no interval covers in 92 to 98 %
_FEW = 10  # images
_BATCH = 100  # test sets that share resamples, as conditions do
_DECIDED = (
    "accuracy",
    "balanced_accuracy",
    "real_accuracy",
    "fake_accuracy",
    "f1",
    "precision",
    "recall",
    "eer",
)
_LOW_IS_GOOD = ("eer", "brier", "ece")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Case:
    """A population, and the metrics that are asked of it."""

    name: str
    population: Binormal
    metrics: tuple[str, ...]


def coverage(
    draws: int = DRAWS,
    *,
    sizes: Sequence[int] = SIZES,
    values: Sequence[float] = VALUES,
    metrics: Sequence[str] = METRICS,
    resamples: int = RESAMPLES,
    percentiles: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw test sets from populations whose metrics are known and count the intervals that hold them.

    Intervals are those of `bootstrap.intervals`, as in every report. Each metric has a population for each
    value; of `eer`, `brier` and `ece`, which are 0 for a perfect detector, 1 less the value (a calibrated
    probe's Brier score is at most 0.25, an ECE at most 0.5 where probabilities lean one way).

    Args:
        draws: test sets of each population and size.
        sizes: images of each class.
        values: true values.
        metrics: which; PD@x% only where there are reals enough.
        resamples: of each bootstrap.
        percentiles: of the resamples as the ends of every interval, for comparison; where all resamples are alike
            the ends stay as they are, and an interval is stretched to hold its value.
        seed: of every draw.

    Returns:
        A row for each metric, population and size: `truth`, `coverage` with its own Wilson interval, the shares of
        intervals that lie `below` and `above` the truth, their mean `width`, and `holds`: `yes` from 92 to 98 %,
        `conservative` above, `no` below; then `note`, why another interval would do no better, and `passed`, whether
        what was drawn leaves it open that the coverage is from 92 to 98 %, or a note says why it is not.
    """
    cases = list(_cases(values, metrics))
    rows: list[dict[str, object]] = []
    with progress.bar("coverage", len(cases) * len(sizes), "cells") as step:
        for case in cases:
            for n in sizes:
                rows += _measured(case, n, draws, resamples, percentiles, seed)
                step()
    return pd.DataFrame(rows, columns=list(COLUMNS))


def holds(share: float) -> str:
    """Whether a coverage is what a nominal 95 % promises, in a word."""
    return "no" if share < LEAST else "conservative" if share > MOST else "yes"


def by_metric(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `coverage` or `embedding_coverage` in short: a row for each metric, a column for each size.

    Returns:
        `metric`, then for each size the lowest and the highest coverage in percent, `"94.1 to 96.3"`, then `passed`:
        yes or no.
    """
    rows = []
    for metric, cells in table.groupby("metric", sort=False):
        said: dict[str, object] = {"metric": metric}
        for n, some in cells.groupby("n"):
            low, high = 100 * some["coverage"].min(), 100 * some["coverage"].max()
            said[f"n = {n}"] = f"{low:.1f}" if len(some) == 1 else f"{low:.1f} to {high:.1f}"
        rows.append(said | {"passed": "yes" if cells["passed"].all() else "no"})
    sizes = [f"n = {n}" for n in sorted(table["n"].unique())]
    return pd.DataFrame(rows, columns=["metric", *sizes, "passed"]).fillna("")


def _cases(values: Sequence[float], metrics: Sequence[str]) -> Iterator[_Case]:
    asked = set(metrics)
    for value in values:
        decided = tuple(name for name in _DECIDED if name in asked)
        if decided:
            yield _Case("equal errors", Binormal.with_truth("accuracy", value), decided)
        for name in ("auroc", "ap", "pd@10%", "pd@5%", "pd@1%"):
            if name in asked:
                yield _Case("binormal", Binormal.with_truth(name, value), (name,))
        if "brier" in asked:
            yield (
                _Case("calibrated", Binormal.with_truth("brier", 1 - value), ("brier",))
                if value > 0.75
                else _Case("leaning", Binormal(1.5).leaning("brier", min(1 - value, 0.45)), ("brier",))
            )
        if "ece" in asked:
            yield _Case("leaning", Binormal(1.5).leaning("ece", min(1 - value, 0.45)), ("ece",))
            if 1 - value <= 0.15:
                yield _Case("overconfident", Binormal(1.5).sharpened("ece", 1 - value), ("ece",))
    if "ece" in asked:
        yield _Case("calibrated", Binormal(1.5), ("ece",))
        yield _Case("calibrated, sharp", Binormal(3.0), ("ece",))


def _measured(
    case: _Case, n: int, draws: int, resamples: int, percentiles: bool, seed: int
) -> Iterator[dict[str, object]]:
    """The rows of one population at one size."""
    names = [name for name in case.metrics if blank_reason(name, n) is None]
    if not names:
        return
    labels = np.repeat([0, 1], n)
    rng = seeding.generator(seed, "coverage", case.name, *names, case.population, n)
    size = (
        resamples if percentiles or set(names) & set(RESAMPLED) else 2
    )  # the others' intervals ask for none
    found: dict[str, list[tuple[Floats, Floats]]] = {name: [] for name in names}
    for begin in range(0, draws, _BATCH):
        scores = case.population.draw(min(_BATCH, draws - begin), n, rng)
        chances = case.population.probabilities(scores)
        cuts = np.full(len(scores), case.population.threshold)
        drawn = Resamples.draw(n, n, size, rng)
        measured = intervals(labels, scores, chances, cuts, drawn)
        if percentiles:
            spread = replicates(labels, scores, chances, cuts, drawn, metrics=names)
            measured |= {name: _percentiles(measured[name], spread[name]) for name in names}
        for name in names:
            found[name].append((measured[name].low, measured[name].high))
    for name in names:
        low, high = (np.concatenate(ends) for ends in zip(*found[name], strict=True))
        yield row(name, case.name, n, case.population.truth(name), low, high)


def _percentiles(interval: Interval, resampled: Floats) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    alike = np.ptp(resampled, axis=1) == 0
    return Interval(
        interval.value,
        np.where(alike, interval.low, np.minimum(low, interval.value)),
        np.where(alike, interval.high, np.maximum(high, interval.value)),
    )


def row(metric: str, population: str, n: int, truth: float, low: Floats, high: Floats) -> dict[str, object]:
    """What intervals did, as a row of the table."""
    slack = 1e-9  # an interval may end at the truth, but for rounding
    below, above = high < truth - slack, low > truth + slack
    inside = int((~below & ~above).sum())
    share = inside / len(low)
    ends = wilson(inside, len(low))
    word = holds(share)
    why = _note(metric, n, truth, word)
    least = _COARSE if word == "no" and why else LEAST
    return {
        "metric": metric,
        "population": population,
        "n": n,
        "truth": truth,
        "coverage": share,
        "coverage_low": float(ends[0]),
        "coverage_high": float(ends[1]),
        "below": float(below.mean()),
        "above": float(above.mean()),
        "width": float((high - low).mean()),
        "holds": word,
        "note": why,
        "passed": bool(ends[1] >= least and (ends[0] <= MOST or bool(why))),
    }


def _note(metric: str, n: int, truth: float, word: str) -> str:
    """Why a coverage outside 92 to 98 % has to be borne, or nothing."""
    if word == "no" and metric in WILSON and not _attainable(2 * n if metric == "accuracy" else n, truth):
        return "no interval of a count covers 92 to 98 % here"
    if word != "conservative":
        return ""
    if metric == "ece":
        return "near 0, where ECE ends" if truth < 0.06 else "few images in each of its bins"
    if metric == "mutual k-NN":
        return "the jackknife's variance errs upwards"  # Efron & Stein 1981
    return "fewer than ten images decide" if metric in METRICS and n * min(truth, 1 - truth) < _FEW else ""


def _attainable(n: int, truth: float) -> bool:
    """Whether an interval that is a function of a binomial count, and grows with it, can cover 92 to 98 %.

    It holds the truth for a run of counts.
    """
    upto = np.append(0.0, stats.binom.cdf(np.arange(n + 1), n, truth))
    runs = upto[None, :] - upto[:, None]
    return bool(((runs >= LEAST) & (runs <= MOST)).any())
