"""Detection metrics against scikit-learn, closed forms and their conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics import detection
from bandprobe.metrics.detection import METRICS, evaluate


def cell(seed: int, n_real: int, n_fake: int, decimals: int | None = None):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.zeros(n_real, int), np.ones(n_fake, int)])
    scores = rng.normal(size=labels.size) + labels
    if decimals is not None:
        scores = scores.round(decimals)
    return labels, scores, 1 / (1 + np.exp(-1.3 * scores + 0.4))


CELLS = [
    (0, 1200, 700, None),
    (1, 300, 1100, 1),
    (2, 40, 37, 0),
    (3, 1, 1, None),
    (4, 3, 1, 0),
    (5, 1500, 20, 1),
]


@pytest.mark.parametrize("spec", CELLS)
def test_against_scikit_learn(spec) -> None:
    labels, scores, probabilities = cell(*spec)
    found = evaluate(labels, scores, probabilities, 0.4)
    called = scores >= 0.4
    expected = {
        "auroc": sk.roc_auc_score(labels, scores),
        "ap": sk.average_precision_score(labels, scores),
        "accuracy": sk.accuracy_score(labels, called),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called),
        "real_accuracy": sk.recall_score(labels, called, pos_label=0),
        "fake_accuracy": sk.recall_score(labels, called),
        "recall": sk.recall_score(labels, called),
        "precision": sk.precision_score(labels, called, zero_division=0),
        "f1": sk.f1_score(labels, called, zero_division=0),
        "brier": sk.brier_score_loss(labels, probabilities),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert tuple(found) == METRICS
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("spec", CELLS)
@pytest.mark.parametrize(("name", "rate"), [("pd@10%", 0.1), ("pd@5%", 0.05), ("pd@1%", 0.01)])
def test_probability_of_detection_against_the_roc_curve(spec, name: str, rate: float) -> None:
    labels, scores, probabilities = cell(*spec)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    strict, nearest = (
        evaluate(labels, scores, probabilities, 0.0, pd_rule=rule)[name] for rule in ("strict", "nearest")
    )
    if (labels == 0).sum() < 10 / rate:
        assert math.isnan(strict)
        assert math.isnan(nearest)
        assert "needs at least" in detection.blank_reason(name, int((labels == 0).sum()))
    else:
        assert strict == pytest.approx(tpr[fpr <= rate].max(), abs=1e-12)
        assert nearest == pytest.approx(tpr[np.argmin(abs(fpr - rate))], abs=1e-12)
        assert detection.blank_reason(name, int((labels == 0).sum())) is None


def test_detection_at_an_exact_rate_keeps_the_point() -> None:
    # 1000 reals: exactly ten false alarms are one per cent, and are allowed.
    reals = np.arange(1000.0)
    fakes = np.array([989.5, 990.5, 2000.0, 500.0])
    labels, scores = np.r_[np.zeros(1000), np.ones(4)], np.r_[reals, fakes]
    assert detection.probability_of_detection(labels, scores, 0.01) == 0.75
    # The eleventh real tied with a fake takes that fake along.
    scores[1000] = 989.0
    assert detection.probability_of_detection(labels, scores, 0.01) == 0.5
    # `nearest` reads the first point at ten false alarms, before the fake at 989.5 came in.
    scores[1000] = 989.5
    assert detection.probability_of_detection(labels, scores, 0.01, "nearest") == 0.5


def test_blank_reason_in_words() -> None:
    assert detection.blank_reason("pd@1%", 36) == "needs at least 1000 real images; has 36"
    assert detection.blank_reason("pd@5%", 199) == "needs at least 200 real images; has 199"
    assert detection.blank_reason("pd@10%", 100) is None
    assert detection.blank_reason("auroc", 1) is None
    with pytest.raises(InputError, match="Did you mean 'pd@10%'"):
        detection.blank_reason("pd@10", 36)


def test_equal_error_rate_closed_forms() -> None:
    assert detection.equal_error_rate([0, 0, 1, 1], [0.0, 1.0, 2.0, 3.0]) == 0
    assert detection.equal_error_rate([0, 0, 1, 1], [2.0, 3.0, 0.0, 1.0]) == 1
    assert detection.equal_error_rate([0, 0, 1], [1.0, 1.0, 1.0]) == 0.5
    # (FPR, TPR): (0, .5), (.25, .5), (.25, .75) ...: the anti-diagonal is met at (.25, .75).
    assert detection.equal_error_rate([1, 1, 0, 1, 0, 0, 0, 1], [8.0, 7, 6, 5, 4, 3, 2, 1]) == pytest.approx(
        0.25
    )
    # One tied block from (0, 0) to (1/2, 1), then (1, 1): met where f = 1 - 2 f.
    assert detection.equal_error_rate([1, 0, 0], [1.0, 1.0, 0.0]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("spec", CELLS)
def test_equal_error_rate_lies_on_the_curve(spec) -> None:
    labels, scores, _ = cell(*spec)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    low, high = 0.0, 1.0  # bisection on the joined curve, followed by its length
    length = np.concatenate([[0], np.cumsum(np.diff(fpr) + np.diff(tpr))]) / 2
    for _ in range(60):
        middle = (low + high) / 2
        above = np.interp(middle, length, fpr) + np.interp(middle, length, tpr) >= 1
        low, high = (low, middle) if above else (middle, high)
    assert detection.equal_error_rate(labels, scores) == pytest.approx(np.interp(high, length, fpr), abs=1e-9)


def naive_ece(labels, probabilities, bins: int) -> float:
    """Rank, cut as np.array_split does, average the gaps; ties broken by chance and averaged over."""
    rng = np.random.default_rng(0)
    order = np.lexsort((rng.random(len(labels)), probabilities))
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return sum(len(part) * abs(probabilities[part].mean() - labels[part].mean()) for part in parts) / len(
        labels
    )


@pytest.mark.parametrize("n", [2, 7, 14, 15, 16, 44, 45, 1000])
def test_calibration_error_without_ties(n: int) -> None:
    rng = np.random.default_rng(n)
    labels = np.r_[0, 1, rng.integers(0, 2, n - 2)]
    probabilities = rng.random(n)
    assert detection.ece(labels, probabilities) == pytest.approx(
        naive_ece(labels, probabilities, 15), abs=1e-12
    )


def test_calibration_error_with_ties() -> None:
    # One probability for all: every bin holds the same mixture.
    assert detection.ece([0, 1, 1, 1], [0.5] * 4) == pytest.approx(0.25)
    # Tied images are shared over a border: six images, three at 0.2, cut into two bins of three.
    labels, probabilities = np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.2, 0.2, 0.9, 0.9])
    first = 0.1 + 2 * (0.2 - 1 / 3)
    second = (0.2 - 1 / 3) + 2 * (0.9 - 1)
    assert detection.ece(labels, probabilities, bins=2) == pytest.approx((abs(first) + abs(second)) / 6)
    shuffled = np.random.default_rng(0).permutation(6)
    assert detection.ece(labels[shuffled], probabilities[shuffled], bins=2) == pytest.approx(
        detection.ece(labels, probabilities, bins=2), abs=1e-15
    )


def test_calibration_error_finds_a_constant_offset() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200_000) * 0.8 + 0.1
    labels = (rng.random(truth.size) < truth).astype(int)
    assert detection.ece(labels, truth) < 0.01
    assert detection.ece(labels, truth + 0.1) == pytest.approx(0.1, abs=0.005)


def test_fake_is_the_positive_class() -> None:
    found = evaluate([0, 0, 0, 1], [-1.0, -1.0, 2.0, 3.0], [0.1, 0.1, 0.7, 0.9], 0.0)
    assert found["auroc"] == 1
    assert found["fake_accuracy"] == found["recall"] == 1
    assert found["real_accuracy"] == pytest.approx(2 / 3)
    assert found["precision"] == 0.5
    assert found["eer"] == 0
    # On the threshold is called fake.
    assert evaluate([0, 1], [0.0, 1.0], [0.2, 0.8], 1.0)["fake_accuracy"] == 1


def test_nothing_called_fake() -> None:
    found = evaluate([0, 1], [0.0, 1.0], [0.2, 0.8], 5.0)
    assert found["precision"] == found["f1"] == found["recall"] == 0
    assert found["real_accuracy"] == 1


def test_all_scores_equal() -> None:
    found = evaluate([0] * 100 + [1] * 50, [0.3] * 150, [0.5] * 150, 0.0)
    assert found["auroc"] == 0.5
    assert found["ap"] == pytest.approx(1 / 3)
    assert found["eer"] == 0.5
    assert found["pd@10%"] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 130), st.integers(1, 40), st.sampled_from([None, 0, 1]))
def test_ranks_alone_matter_and_order_does_not(
    seed: int, n_real: int, n_fake: int, decimals: int | None
) -> None:
    labels, scores, probabilities = cell(seed, n_real, n_fake, decimals)
    before = evaluate(labels, scores, probabilities, 0.5)
    # A power of two and cubing keep ties and order exactly.
    after = evaluate(labels, 8 * scores, probabilities, 4.0)
    assert after == pytest.approx(before, nan_ok=True)
    mix = np.random.default_rng(seed).permutation(labels.size)
    assert evaluate(labels[mix], scores[mix], probabilities[mix], 0.5) == pytest.approx(before, nan_ok=True)
    monotone = detection.auroc(labels, np.arctan(scores)), detection.average_precision(labels, scores**3)
    assert monotone == pytest.approx((before["auroc"], before["ap"]))
    assert detection.auroc(labels, -scores) == pytest.approx(1 - before["auroc"])
    assert detection.equal_error_rate(1 - labels, -scores) == pytest.approx(before["eer"])


def test_probabilities_that_fall_with_the_score() -> None:
    labels, scores, probabilities = cell(0, 60, 60)
    found = evaluate(labels, scores, 1 - probabilities, 0.0)["ece"]
    assert found == pytest.approx(naive_ece(labels, 1 - probabilities, 15), abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([1, 1], [0.0, 1.0], [0.5, 0.5], 0.0), InputError, "0 reals and 2 fakes"),
        (([0, 0], [0.0, 1.0], [0.5, 0.5], 0.0), InputError, "2 reals and 0 fakes"),
        (([], [], [], 0.0), InputError, "0 reals and 0 fakes"),
        (([0, 2], [0.0, 1.0], [0.5, 0.5], 0.0), InputError, "must be 0 .real. or 1 .fake."),
        (([0, 1], [0.0, math.nan], [0.5, 0.5], 0.0), InputError, "1 of 2 are"),
        (([0, 1], [0.0, 1.0, 2.0], [0.5, 0.5], 0.0), ShapeError, r"got \(3,\)"),
        (([[0, 1]], [0.0, 1.0], [0.5, 0.5], 0.0), ShapeError, r"got \(1, 2\)"),
        (([0, 1], [0.0, 1.0], [0.5, 1.5], 0.0), InputError, "0.5 to 1.5"),
        (([0, 1], [0.0, 1.0], [0.5, math.nan], 0.0), InputError, "probabilities must not be NaN"),
        (([0, 1], [0.0, 1.0], [0.5, 0.5], math.nan), InputError, "threshold"),
    ],
)
def test_wrong_input(arguments, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        evaluate(*arguments)
    assert "\n" not in str(caught.value)


def test_wrong_rule_and_rate() -> None:
    with pytest.raises(InputError, match="'strict' or 'nearest'"):
        evaluate([0, 1], [0.0, 1.0], [0.5, 0.5], 0.0, pd_rule="loose")
    with pytest.raises(InputError, match="between 0 and 1"):
        detection.probability_of_detection([0, 1], [0.0, 1.0], 10)
