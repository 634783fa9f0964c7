"""Intervals hold the truth as often as they say, tests reject as rarely; where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from sklearn.metrics import average_precision_score, roc_auc_score

from bandprobe.metrics import ece, wilson
from bandprobe.metrics.calibration_intervals import brier_interval
from bandprobe.selftest import intervals_and_tests
from bandprobe.selftest.coverage import COLUMNS, by_metric, coverage, holds, row
from bandprobe.selftest.embedding_coverage import embedding_coverage
from bandprobe.selftest.family_claims import family_claims
from bandprobe.selftest.levels import levels, pair_of_scores
from bandprobe.selftest.populations import Binormal

# --- the truth itself --------------------------------------------------------------------------------


def test_truths_are_those_of_a_large_sample() -> None:
    detector = Binormal(1.3, sharpness=1.7, lean=0.4)
    scores = detector.draw(1, 400_000, np.random.default_rng(0))[0]
    label = np.repeat([0, 1], 400_000)
    chances = detector.probabilities(scores)
    real, fake = scores[label == 0], scores[label == 1]
    assert detector.truth("auroc") == pytest.approx(roc_auc_score(label, scores), abs=2e-3)
    assert detector.truth("ap") == pytest.approx(average_precision_score(label, scores), abs=2e-3)
    assert detector.truth("brier") == pytest.approx(np.mean((chances - label) ** 2), abs=2e-3)
    assert detector.truth("ece") == pytest.approx(ece(label, chances), abs=3e-3)
    assert detector.truth("pd@5%") == pytest.approx(np.mean(fake > np.quantile(real, 0.95)), abs=4e-3)
    called = scores >= detector.threshold
    for name, value in (
        ("accuracy", np.mean(called == label)),
        ("precision", np.mean(label[called])),
        ("eer", np.mean(called[label == 0])),
        ("recall", np.mean(called[label == 1])),
    ):
        assert detector.truth(name) == pytest.approx(value, abs=2e-3)


def test_brier_score_of_a_calibrated_detector_in_closed_form() -> None:
    # Calibrated: the expected squared error is that of p (1 - p).
    detector = Binormal(2.0)

    def integrand(x: float) -> float:
        weight = (stats.norm.pdf(x) + stats.norm.pdf(x - 2)) / 2
        p = 1 / (1 + np.exp(-2 * (x - 1)))
        return float(weight * p * (1 - p))

    assert detector.truth("brier") == pytest.approx(integrate.quad(integrand, -9, 11)[0], abs=1e-6)
    assert detector.truth("ece") == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("metric", ["auroc", "ap", "accuracy", "pd@10%", "pd@1%"])
@pytest.mark.parametrize("value", [0.5, 0.9, 0.99])
def test_a_population_has_the_truth_asked_for(metric: str, value: float) -> None:
    assert Binormal.with_truth(metric, value).truth(metric) == pytest.approx(value, abs=1e-6)


def test_probabilities_are_spoilt_as_asked() -> None:
    assert Binormal(1.5).leaning("ece", 0.3).truth("ece") == pytest.approx(0.3, abs=1e-6)
    assert Binormal(1.5).sharpened("ece", 0.1).truth("ece") == pytest.approx(0.1, abs=1e-6)
    assert Binormal(1.5).leaning("brier", 0.4).truth("brier") == pytest.approx(0.4, abs=1e-6)


# --- coverage ----------------------------------------------------------------------------------------


def test_every_metric_is_covered() -> None:
    table = coverage(80, sizes=(50, 200), values=(0.7, 0.95), resamples=150)
    assert list(table.columns) == list(COLUMNS)
    bad = table[~table["passed"]]
    assert bad.empty, bad.to_string()
    assert "pd@1%" not in set(table["metric"])  # needs a thousand reals
    assert set(table.loc[table["metric"] == "pd@10%", "n"]) == {200}
    assert np.allclose(table["coverage"] + table["below"] + table["above"], 1)


def test_pd_at_one_percent_is_covered() -> None:
    table = coverage(150, sizes=(1000,), values=(0.5, 0.95), metrics=("pd@1%",), resamples=300)
    assert len(table) == 2
    assert table["passed"].all(), table.to_string()


def test_near_perfect_detectors() -> None:
    """Where percentiles of a bootstrap cover 73 to 88 %."""
    table = coverage(400, sizes=(50,), values=(0.99,), metrics=("auroc", "ap", "brier"), resamples=150)
    assert table["passed"].all(), table.to_string()


def test_counts_leave_no_interval_at_a_hundredth_of_fifty() -> None:
    """Wilson's interval of a share of 50, true value 0.99, exactly; and what any interval could do."""
    right = np.arange(51)
    chance = stats.binom.pmf(right, 50, 0.99)
    low, high = wilson(right, 50)
    assert chance[(low <= 0.99) & (high >= 0.99)].sum() == pytest.approx(0.9106, abs=1e-4)
    # An interval that holds 0.99 for x right holds it for all likelier counts: runs of counts.
    runs = {round(float(chance[a : b + 1].sum()), 3) for a in range(51) for b in range(a, 51)}
    assert not [share for share in runs if 0.92 <= share <= 0.98]
    for n, share in ((50, 0.95), (200, 0.99), (1000, 0.99), (1000, 0.5)):
        counts = np.arange(n + 1)
        ends = wilson(counts, n)
        inside = (ends[0] <= share) & (share <= ends[1])
        assert 0.92 <= stats.binom.pmf(counts, n, share)[inside].sum() <= 0.98


def test_percentiles_cover_less() -> None:
    """Of the same resamples, as ends: the reason why no metric's interval is made of them."""
    asked = {"sizes": (50,), "values": (0.99,), "metrics": ("ap", "brier", "ece"), "resamples": 300}
    ours, theirs = coverage(200, **asked), coverage(200, percentiles=True, **asked)
    assert ours["passed"].all(), ours.to_string()
    assert not theirs["passed"].any(), theirs.to_string()


def test_intervals_that_are_too_narrow_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from bandprobe.metrics import bootstrap

    def narrow(fake, probabilities, level=0.95):
        value = ((probabilities - fake) ** 2).mean(axis=1)
        low, high = brier_interval(fake, probabilities, level)
        return value - (value - low) / 2, value + (high - value) / 2

    monkeypatch.setattr(bootstrap, "brier_interval", narrow)
    table = coverage(300, sizes=(50,), values=(0.9,), metrics=("brier",))
    assert table["holds"].tolist() == ["no"]
    assert table["coverage"].item() < 0.8


def test_words_and_short_table() -> None:
    assert [holds(share) for share in (0.9199, 0.92, 0.95, 0.98, 0.9801)] == [
        "no",
        "yes",
        "yes",
        "yes",
        "conservative",
    ]
    table = pd.DataFrame(
        [("ap", 50, 0.93, True), ("ap", 50, 0.985, True), ("ap", 200, 0.95, True), ("eer", 50, 0.9, False)],
        columns=["metric", "n", "coverage", "passed"],
    )
    assert by_metric(table).to_numpy().tolist() == [
        ["ap", "93.0 to 98.5", "95.0", "yes"],
        ["eer", "90.0", "", "no"],
    ]


@pytest.mark.parametrize(
    ("metric", "n", "truth", "covered", "note", "passed"),
    [
        ("ap", 200, 0.9, 0.95, "", True),
        ("ap", 200, 0.9, 0.91, "", True),  # 2,000 draws leave 92 % open
        ("ap", 200, 0.9, 0.90, "", False),
        ("ap", 200, 0.9, 0.99, "", False),  # too wide, and no reason
        ("brier", 200, 0.02, 0.99, "fewer than ten images decide", True),
        ("recall", 50, 0.99, 0.905, "no interval of a count covers 92 to 98 % here", True),
        ("recall", 50, 0.99, 0.88, "no interval of a count covers 92 to 98 % here", False),
        ("recall", 50, 0.9, 0.905, "", False),
        ("ece", 1000, 0.01, 0.99, "near 0, where ECE ends", True),
        ("ece", 50, 0.3, 0.90, "", False),
    ],
)
def test_what_passes(metric: str, n: int, truth: float, covered: float, note: str, passed: bool) -> None:
    inside = np.arange(2000) < 2000 * covered
    found = row(
        metric, "made up", n, truth, np.where(inside, truth - 0.01, truth + 0.001), np.full(2000, 1.0)
    )
    assert found["coverage"] == pytest.approx(covered)
    assert (found["note"], found["passed"]) == (note, passed)
    assert found["below"] == 0


def test_embeddings_are_covered() -> None:
    table = embedding_coverage(60, sizes=(50, 200))
    assert set(table["metric"]) == {
        "effective rank", "effective rank, ratio", "k-NN entropy", "cosine correspondence", "debiased CKA",
        "mutual k-NN",
    }  # fmt: skip
    assert (table["coverage_high"] >= 0.92).all(), table.to_string()


# --- tests and verdicts ------------------------------------------------------------------------------


def test_tests_hold_their_level_and_find_a_difference() -> None:
    table = levels(150, sizes=(50,))
    null, real = (table[table["truth"] == word] for word in ("no difference", "a difference"))
    assert null["passed"].all(), null.to_string()
    assert set(real["holds"]) == {""}
    power = dict(zip(zip(real["test"], real["setting"], strict=True), real["rejected"], strict=True))
    assert power["paired DeLong", "AUROC 0.7 and 0.8"] > 0.3
    assert power["MMD, two samples", "means moved"] > 0.7


def test_two_detectors_see_the_same_images() -> None:
    first, second = pair_of_scores(1.0, 2.0, 40, 300, np.random.default_rng(0))
    real, fake = (slice(None), slice(0, 300)), (slice(None), slice(300, 600))
    assert np.corrcoef(first[real].ravel(), second[real].ravel())[0, 1] == pytest.approx(0.5, abs=0.03)
    assert first[fake].mean() - first[real].mean() == pytest.approx(1, abs=0.03)
    assert second[fake].mean() - second[real].mean() == pytest.approx(2, abs=0.03)


def test_family_verdicts() -> None:
    table = family_claims(5, trainings=2, resamples=150)
    assert len(table) == 6
    assert set(table["holds"]) == {"yes"}
    assert table.loc[table["difference"] == 1, "contradicted"].eq(0).all()
    assert table.loc[table["difference"] == 1, "supported"].mean() > 0.4


def test_seed_decides_every_draw() -> None:
    small = {"sizes": (50,), "values": (0.9,), "metrics": ("ap",), "resamples": 50}
    first, again, other = (coverage(30, seed=seed, **small) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert first["width"].item() != other["width"].item()


def test_quick_and_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which parts are asked for, and that one bad row is enough to fail."""
    asked: dict[str, tuple[object, ...]] = {}

    def part(name: str, passed: bool) -> None:
        def table(*draws: object, **more: object) -> pd.DataFrame:
            asked[name] = (*draws, more["seed"])
            return pd.DataFrame({"part": [name], "passed": [passed]})

        monkeypatch.setattr(intervals_and_tests, name, table)

    names = ("coverage", "embedding_coverage", "levels", "family_claims")
    for name in names:
        part(name, True)
    assert intervals_and_tests.statistics(seed=4).passed
    assert asked == {
        "coverage": (200, 4),
        "embedding_coverage": (60, 4),
        "levels": (100, 4),
        "family_claims": (10, 4),
    }
    full = intervals_and_tests.statistics(full=True, seed=5)
    assert asked == dict.fromkeys(names, (5,))
    assert full.coverage["part"].tolist() == ["coverage", "embedding_coverage"]
    for name in names:
        part(name, False)
        assert not intervals_and_tests.statistics().passed
        part(name, True)


# --- all of it ---------------------------------------------------------------------------------------


@pytest.mark.trust
def test_all_coverage() -> None:
    table = coverage()
    bad = table[~table["passed"]]
    assert bad.empty, bad.to_string()


@pytest.mark.trust
def test_all_embeddings() -> None:
    table = embedding_coverage()
    assert (table["coverage_high"] >= 0.92).all(), table.to_string()


@pytest.mark.trust
def test_all_levels() -> None:
    table = levels()
    assert table["passed"].all(), table[~table["passed"]].to_string()


@pytest.mark.trust
def test_all_family_verdicts() -> None:
    table = family_claims()
    assert set(table["holds"]) == {"yes"}, table.to_string()
    assert table.loc[table["difference"] == 1, "contradicted"].eq(0).all()
    assert table.loc[table["difference"] == 1, "supported"].min() > 0.2
