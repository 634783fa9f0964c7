"""Bootstrap values against each resample spelled out image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandprobe.errors import InputError
from bandprobe.metrics import replication
from bandprobe.metrics.bootstrap import WILSON, differences, intervals
from bandprobe.metrics.calibration_intervals import brier_interval
from bandprobe.metrics.detection import METRICS, evaluate
from bandprobe.metrics.intervals import delong, wilson
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples, draw_counts


def grid(seed: int, n_real: int, n_fake: int, k: int, decimals: int | None = None):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.zeros(n_real, int), np.ones(n_fake, int)])
    scores = rng.normal(size=(k, labels.size)) + np.linspace(0, 2, k)[:, None] * labels
    if decimals is not None:
        scores = scores.round(decimals)
    probabilities = 1 / (1 + np.exp(-scores + 0.3))
    return labels, scores, probabilities, np.linspace(0.2, 0.8, k)


def naive_ece(labels, probabilities, counts) -> float:
    """ECE of a resample whose bins are those of the whole set; no ties."""
    gaps = [
        abs((counts[part] * (probabilities[part] - labels[part])).sum())
        for part in np.array_split(np.argsort(probabilities), 15)
    ]
    return sum(gaps) / counts.sum()


@pytest.mark.parametrize("rule", ["strict", "nearest"])
@pytest.mark.parametrize(
    ("n_real", "n_fake", "decimals"),
    [(230, 90, None), (230, 90, 1), (104, 33, 0), (5, 3, 0), (1, 1, None), (1020, 41, 2)],
)
def test_equal_to_the_resample_spelled_out(
    n_real: int, n_fake: int, decimals: int | None, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "_BLOCK", 7 * (n_real + n_fake))  # several blocks and groups
    monkeypatch.setattr(replication, "_MATRIX", 40 * (n_real + n_fake))
    monkeypatch.setattr(replication, "_CONDITIONS", 2)
    labels, *cells = grid(n_real, n_real, n_fake, 3, decimals)
    draws = Resamples.draw(n_real, n_fake, 25, np.random.default_rng(0))
    found = replicates(labels, *cells, draws, pd_rule=rule)
    assert tuple(found) == METRICS
    for b in range(25):
        counts = np.empty(labels.size, dtype=int)
        counts[labels == 0], counts[labels == 1] = draws.reals[b], draws.fakes[b]
        spelled = np.repeat(np.arange(labels.size), counts)
        for k, (scores, probabilities, threshold) in enumerate(zip(*cells, strict=True)):
            expected = evaluate(
                labels[spelled], scores[spelled], probabilities[spelled], threshold, pd_rule=rule
            )
            got = {name: found[name][k, b] for name in METRICS}
            if decimals is None:
                expected["ece"] = naive_ece(labels, probabilities, counts)
            else:
                expected.pop("ece"), got.pop("ece")
            assert got == pytest.approx(expected, abs=1e-10, nan_ok=True)


def test_nearest_point_may_be_the_one_that_calls_nothing_fake() -> None:
    # Four reals in ten share the top score: no alarm is nearer to 10 % than 40 % are.
    labels = np.r_[np.zeros(100), np.ones(50)]
    scores = np.r_[np.zeros(60), np.ones(40), np.zeros(10), np.ones(40)]
    draws = Resamples.draw(100, 50, 30, np.random.default_rng(0))
    found = replicates(labels, [scores], [scores], [0.5], draws, metrics=["pd@10%"], pd_rule="nearest")
    assert evaluate(labels, scores, scores, 0.5, pd_rule="nearest")["pd@10%"] == 0
    assert (found["pd@10%"] == 0).all()


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_one_of_each_gives_the_plain_value(decimals: int | None) -> None:
    labels, *cells = grid(1, 210, 100, 4, decimals)
    once = Resamples(np.ones((2, 210), np.uint8), np.ones((2, 100), np.uint8))
    found = replicates(labels, *cells, once)
    for k, cell in enumerate(zip(*cells, strict=True)):
        assert {name: found[name][k, 1] for name in METRICS} == pytest.approx(
            evaluate(labels, *cell), abs=1e-12, nan_ok=True
        )


def test_intervals_by_kind() -> None:
    labels, *cells = grid(2, 220, 120, 3)
    draws = Resamples.draw(220, 120, 400, np.random.default_rng(0))
    found = intervals(labels, *cells, draws)
    raw = replicates(labels, *cells, draws)
    values = [evaluate(labels, *cell) for cell in zip(*cells, strict=True)]
    assert tuple(found) == METRICS
    for name, (value, low, high) in found.items():
        assert value == pytest.approx([v[name] for v in values], nan_ok=True)
        if name == "pd@1%":
            assert np.isnan([value, low, high]).all()
            continue
        assert (low <= value).all()
        assert (value <= high).all()
        assert (low < high).all()
        if name in WILSON:
            n = {"accuracy": 340, "real_accuracy": 220}.get(name, 120)
            ends = wilson(np.round(value * n), n)
        elif name == "auroc":
            ends = delong(labels, cells[0])[2:]
        elif name in {"brier", "ece"}:
            continue  # by themselves below
        elif name.startswith("pd"):
            ends = np.percentile(raw[name], [2.5, 97.5], axis=1)
        elif name == "eer":
            size = value * (1 - value) / (raw[name].std(axis=1) ** 2 * 120 / 119)
            ends = wilson(value * size, size)
        else:
            reach = stats.t.ppf(0.975, 119) * raw[name].std(axis=1) * np.sqrt(120 / 119)
            odds, slope = np.log(value / (1 - value)), 1 / (value * (1 - value))
            ends = tuple(1 / (1 + np.exp(-odds - side * reach * slope)) for side in (-1, 1))
        assert low == pytest.approx(ends[0])
        assert high == pytest.approx(ends[1])
    wide = intervals(labels, *cells, draws, level=0.99)
    assert all((wide[m].low <= found[m].low).all() for m in METRICS if m != "pd@1%")
    some = intervals(labels, *cells, draws, metrics=("pd@10%", "auroc"))
    assert list(some) == ["auroc", "pd@10%"]
    assert all(np.array_equal(some[name], found[name]) for name in some)


def test_interval_of_brier_spelled_out() -> None:
    labels, *cells = grid(7, 90, 40, 2)
    found = intervals(labels, *cells, Resamples.draw(90, 40, 2, np.random.default_rng(0)))["brier"]
    for row, chances in enumerate(cells[1]):
        error = (chances - labels) ** 2
        variance = sum((labels == c).sum() * error[labels == c].var(ddof=1) for c in (0, 1)) / 130**2
        for extra, side, end in ((0.0, -1, found.low[row]), (1.0, 1, found.high[row])):
            shifted = error.mean() + (extra - error.mean()) * 0.25 / 130
            reach = stats.t.ppf(0.975, 128) * np.sqrt(variance + 0.25 / 130**2) / (shifted * (1 - shifted))
            assert end == pytest.approx(1 / (1 + np.exp(-np.log(shifted / (1 - shifted)) - side * reach)))


def test_interval_of_brier_of_fakes_alone() -> None:
    chances = np.random.default_rng(0).uniform(0.3, 1, size=(2, 60))
    low, high = brier_interval(np.ones(60, bool), chances)
    for row, error in enumerate((chances - 1) ** 2):
        for extra, side, end in ((0.0, -1, low[row]), (1.0, 1, high[row])):
            shifted = error.mean() + (extra - error.mean()) * 0.25 / 60
            spread = np.sqrt(error.var(ddof=1) / 60 + 0.25 / 60**2)
            reach = stats.t.ppf(0.975, 59) * spread / (shifted * (1 - shifted))
            assert end == pytest.approx(1 / (1 + np.exp(-np.log(shifted / (1 - shifted)) - side * reach)))
    # All wrong by the same: nothing shows a spread, so Wilson's.
    same = brier_interval(np.ones(60, bool), np.full((1, 60), 0.5))
    assert (same[0][0], same[1][0]) == pytest.approx(tuple(float(end) for end in wilson(15, 60)))


def test_interval_of_ece_is_where_the_value_would_be_extreme() -> None:
    """The upper end's gaps, drawn at random with their covariance, exceed the value in 97.5 % of cases."""
    labels, scores, *_ = grid(8, 400, 400, 1)
    chances = 1 / (1 + np.exp(-1.5 * scores - 1))
    found = intervals(labels, scores, chances, [0.0], Resamples.draw(400, 400, 2, np.random.default_rng(0)))[
        "ece"
    ]
    number = np.empty(800, int)
    for place, part in enumerate(np.array_split(np.argsort(chances[0]), 15)):
        number[part] = place
    each = np.eye(15)[number] * (chances[0] - labels)[:, None] / 800
    covariance = sum(400 * np.cov(each[labels == c].T) for c in (0, 1))
    gap, spread = each.sum(axis=0), np.sqrt(np.diag(covariance))
    assert found.value[0] == pytest.approx(np.abs(gap).sum())

    def drawn(end):
        steps = np.linspace(-12, (np.abs(gap) / spread).max(), 20_001)
        path = np.maximum(np.abs(gap) - steps[:, None] * spread, 0)
        truth = path[np.argmin(np.abs(path.sum(axis=1) - end))] * np.where(gap < 0, -1, 1)
        noise = np.random.default_rng(0).multivariate_normal(truth, covariance, 20_000)
        return np.mean(np.abs(noise).sum(axis=1) > found.value[0])

    assert drawn(found.high[0]) == pytest.approx(0.975, abs=0.012)
    # The lower end allows a bin at least the spread it has if calibrated, so less remains above.
    assert 0.003 < drawn(found.low[0]) < 0.04


def test_perfect_separation_is_not_certainty() -> None:
    labels = np.r_[np.zeros(120), np.ones(40)]
    scores = np.stack([labels * 2 - 1, 1 - labels * 2])
    draws = Resamples.draw(120, 40, 50, np.random.default_rng(0))
    found = intervals(labels, scores, (scores + 1) / 2, [0.0, 0.0], draws)
    bound = float(wilson(40, 40)[0])
    for name in METRICS:
        if name in {"pd@1%", "pd@5%"}:
            assert np.isnan(found[name].low).all()
            continue
        value, low, high = (part[0] for part in found[name])
        right, wrong = (0, 1) if name in {"eer", "brier", "ece"} else (1, 0)
        assert value == right
        assert low < high
        if name not in WILSON:
            assert (low, high) == pytest.approx((bound, 1) if right else (0, 1 - bound))
        if name not in {"ap", "ece"}:
            assert found[name].value[1] == wrong
    # Nothing called fake: precision is 0 of 0, and anything is possible.
    none = intervals(labels, scores, (scores + 1) / 2, [9.0, 9.0], draws)["precision"]
    assert (none.value[0], none.low[0], none.high[0]) == (0, 0, 1)


def test_differences_are_paired() -> None:
    labels, scores, probabilities, thresholds = grid(4, 150, 150, 4)
    scores[1] = scores[0] + 1e-9  # the same detector, as good as
    probabilities[1], thresholds[1] = probabilities[0], thresholds[0]
    draws = Resamples.draw(150, 150, 300, np.random.default_rng(0))
    found = differences(labels, scores, probabilities, thresholds, draws, [(3, 0), (1, 0), (0, 3)])
    raw = replicates(labels, scores, probabilities, thresholds, draws)
    for name in ("auroc", "ap", "f1", "pd@10%", "ece", "accuracy", "brier", "eer"):
        value, low, high = found[name]
        assert value[0] == pytest.approx(
            evaluate(labels, scores[3], probabilities[3], thresholds[3])[name]
            - evaluate(labels, scores[0], probabilities[0], thresholds[0])[name]
        )
        ends = np.percentile(raw[name][3] - raw[name][0], [2.5, 97.5])
        wider = np.sqrt(150 / 149) * stats.t.ppf(0.975, 149)
        if name in {"brier", "eer"} or name.startswith("pd"):
            half = wider * (raw[name][3] - raw[name][0]).std()
            assert [low[0], high[0]] == pytest.approx([value[0] - half, value[0] + half])
        else:
            wider /= stats.norm.ppf(0.975)
            assert [low[0], high[0]] == pytest.approx(value[0] + wider * (ends - value[0]))
        assert (value[2], low[2], high[2]) == pytest.approx((-value[0], -high[0], -low[0]))
        assert np.abs([value[1], low[1], high[1]]).max() < 1e-9
    assert np.isnan(found["pd@1%"].value).all()
    only = differences(labels, scores, probabilities, thresholds, draws, [(3, 0)], metrics=["eer"])
    assert list(only) == ["eer"]


def test_draws() -> None:
    first, again = (Resamples.draw(30, 20, 500, np.random.default_rng(3)) for _ in range(2))
    assert first.reals.shape == (500, 30)
    assert first.fakes.shape == (500, 20)
    assert len(first) == 500
    assert (first.reals.sum(axis=1) == 30).all()
    assert (first.fakes.sum(axis=1) == 20).all()
    assert (first.reals == again.reals).all()
    assert (first.fakes == again.fakes).all()
    # Multinomial: mean 1, variance 1 - 1/n, covariance -1/n.
    counts = draw_counts(10, 20_000, np.random.default_rng(0)).astype(float)
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.04)
    assert np.cov(counts.T) == pytest.approx(np.eye(10) - 0.1, abs=0.05)


def test_threads_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, *cells = grid(5, 120, 80, 3)
    draws = Resamples.draw(120, 80, 60, np.random.default_rng(0))
    monkeypatch.setattr(replication, "_BLOCK", 2000)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(replication, "_threads", lambda n=threads: n)
        found.append(replicates(labels, *cells, draws))
    assert all(np.array_equal(found[0][name], found[1][name], equal_nan=True) for name in METRICS)


def test_wrong_input() -> None:
    labels, scores, probabilities, thresholds = grid(0, 12, 8, 2)
    draws = Resamples.draw(12, 8, 5, np.random.default_rng(0))
    with pytest.raises(InputError, match="12 reals and 8 fakes; got some of 8 and 12"):
        intervals(labels, scores, probabilities, thresholds, Resamples(draws.fakes, draws.reals))
    with pytest.raises(InputError, match="Did you mean 'auroc'"):
        replicates(labels, scores, probabilities, thresholds, draws, metrics=["aurocc"])
    with pytest.raises(InputError, match="conditions 0 to 1"):
        differences(labels, scores, probabilities, thresholds, draws, [(0, 2)])
    with pytest.raises(InputError, match=r"scores must have shape \(k, 20\)"):
        intervals(labels, scores[0], probabilities, thresholds, draws)
    with pytest.raises(InputError, match="probabilities must have the shape of scores"):
        intervals(labels, scores, probabilities[:1], thresholds, draws)
    with pytest.raises(InputError, match="2 numbers"):
        intervals(labels, scores, probabilities, 0.5, draws)
    with pytest.raises(InputError, match="level"):
        intervals(labels, scores, probabilities, thresholds, draws, level=math.nan)
    with pytest.raises(InputError, match="not be NaN"):
        intervals(labels, scores * np.nan, probabilities, thresholds, draws)
    with pytest.raises(InputError, match="at least 1"):
        Resamples.draw(0, 3, 5, np.random.default_rng(0))
    with pytest.raises(InputError, match="same size"):
        Resamples(draws.reals, draws.fakes[:2])
