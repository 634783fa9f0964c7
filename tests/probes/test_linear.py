"""The linear probe against scikit-learn and closed forms, its validation, and its null."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bandprobe import seeding
from bandprobe.errors import InputError
from bandprobe.probes import Examples, balanced_weights, best_threshold, fit, platt, probability
from bandprobe.probes.linear import _FEW, PENALTIES, _path, direction_of
from bandprobe.probes.validation import log_loss


def examples(
    n: int, dim: int = 12, *, shift: float = 0.8, fake: float = 0.5, val: float = 0.25, seed: int = 0
) -> Examples:
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < fake).astype(np.int8)
    X = rng.standard_normal((n, dim)) * rng.uniform(0.1, 10, dim)
    X[:, :3] += shift * label[:, None] * X[:, :3].std(0)
    split = np.where(rng.random(n) < val, "val", "train").astype(object)
    return Examples(X.astype(np.float32), label, np.full(n, "one", object), split)


def rng() -> np.random.Generator:
    return seeding.generator(0, "folds", "test")


def test_probe_is_scikit_learns_balanced_logistic_regression() -> None:
    data = examples(1600, fake=0.3)
    probe = fit(data, rng=rng())
    assert probe.validation == "split"
    train, val = data.split == "train", data.split == "val"
    X = data.embedding.astype(np.float64)
    reference = make_pipeline(
        StandardScaler(), LogisticRegression(C=probe.C, class_weight="balanced", tol=1e-10, max_iter=10_000)
    ).fit(X[train], data.label[train])
    np.testing.assert_allclose(probe.logits(X), reference.decision_function(X), atol=2e-4)
    np.testing.assert_allclose(X @ probe.direction + probe.offset, probe.logits(X), atol=1e-9)
    losses = []
    for C in PENALTIES:
        model = reference.set_params(logisticregression__C=C).fit(X[train], data.label[train])
        weights = np.where(
            data.label[val] == 1, 0.5 / data.label[val].mean(), 0.5 / (1 - data.label[val].mean())
        )
        chance = np.clip(model.predict_proba(X[val]), 1e-15, 1)
        losses.append(np.average(-np.log(chance[np.arange(val.sum()), data.label[val]]), weights=weights))
    assert PENALTIES[int(np.argmin(losses))] == probe.C


def test_small_validation_is_cross_fitted() -> None:
    data = examples(300)
    probe = fit(data, rng=rng())
    assert probe.validation == "cross-fitting"
    # The final probe has seen train and validation alike.
    X = data.embedding.astype(np.float64)
    np.testing.assert_allclose(probe.mean, X.mean(0))
    reference = make_pipeline(
        StandardScaler(), LogisticRegression(C=probe.C, class_weight="balanced", tol=1e-10, max_iter=10_000)
    ).fit(X, data.label)
    np.testing.assert_allclose(probe.logits(X), reference.decision_function(X), atol=2e-4)


def test_the_same_examples_give_the_same_probe() -> None:
    one, two = fit(examples(300), rng=rng()), fit(examples(300), rng=rng())
    np.testing.assert_array_equal(one.weight, two.weight)
    assert (one.threshold, one.slope, one.intercept) == (two.threshold, two.slope, two.intercept)


@pytest.mark.parametrize("n", [300, 1000])  # cross-fitted, and with a validation split
def test_shuffled_labels_score_one_half(n: int) -> None:
    scores = []
    for seed in range(20):
        data = examples(n, seed=seed)
        shuffled = np.random.default_rng(seed + 1000).permutation(data.label)
        probe = fit(
            Examples(data.embedding, shuffled, data.dataset, data.split), rng=seeding.generator(seed, "folds")
        )
        fresh = examples(400, seed=seed + 500, shift=0.0)
        scores.append(roc_auc_score(fresh.label, probe.logits(fresh.embedding)))
    # The standard error of one AUROC with 200 images of each class is about 0.029.
    assert abs(np.mean(scores) - 0.5) < 3 * 0.029 / np.sqrt(20)


def test_validation_threshold_is_blind_to_the_probes_own_training_scores() -> None:
    """Pure noise of many dimensions is separated perfectly in training; calibration must not believe it."""
    data = examples(200, dim=500, shift=0.0)
    probe = fit(data, rng=rng())
    chance = probe.probabilities(probe.logits(data.embedding))
    assert (np.abs(chance - 0.5) < 0.25).all()


def test_classes_are_needed() -> None:
    data = examples(100)
    with pytest.raises(InputError, match="no fake image"):
        fit(Examples(data.embedding, np.zeros(100, np.int8), data.dataset, data.split), rng=rng())
    label = np.zeros(100, np.int8)
    label[np.flatnonzero(data.split == "train")[0]] = 1
    with pytest.raises(InputError, match="1 image in train and validation"):
        fit(Examples(data.embedding, label, data.dataset, data.split), rng=rng())


def test_weights_are_scikit_learns_in_one_data_set_and_balance_each_of_several() -> None:
    label = np.array([0, 0, 0, 1, 1, 0, 1, 1, 1], np.int8)
    dataset = np.array(["a"] * 5 + ["b"] * 4, object)
    weights = balanced_weights(label, dataset)
    np.testing.assert_allclose(weights[:5], [5 / 6] * 3 + [5 / 4] * 2)
    for name in "ab":
        inside = dataset == name
        assert weights[inside & (label == 0)].sum() == pytest.approx(weights[inside & (label == 1)].sum())
        assert weights[inside].sum() == pytest.approx(inside.sum())


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=25).filter(
        lambda rows: len({fake for _, fake in rows}) == 2
    )
)
def test_no_threshold_beats_the_one_chosen(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(score) for score, _ in rows])
    labels = np.array([fake for _, fake in rows], np.int8)
    chosen = best_threshold(scores, labels, np.ones(len(scores)))
    best = max(balanced_accuracy_score(labels, scores >= t) for t in [*np.unique(scores), scores.max() + 1])
    assert balanced_accuracy_score(labels, scores >= chosen) == pytest.approx(best)
    assert chosen not in scores


def test_threshold_lies_midway_between_scores() -> None:
    labels = np.array([0, 0, 1, 1], np.int8)
    assert best_threshold(np.array([0.0, 1.0, 4.0, 5.0]), labels, np.ones(4)) == 2.5


def test_platt_minimises_the_smoothed_loss() -> None:
    generator = np.random.default_rng(3)
    labels = (generator.random(300) < 0.4).astype(np.int8)
    logits = 7 * (generator.standard_normal(300) + 0.9 * labels) - 2
    weights = generator.uniform(0.5, 2, 300)
    n1, n0 = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))

    def loss(ab: np.ndarray) -> float:
        p = expit(ab[0] * logits + ab[1])
        return float(-(weights * (target * np.log(p) + (1 - target) * np.log1p(-p))).sum())

    best = minimize(loss, np.array([0.1, 0.0]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    slope, intercept = platt(logits, labels, weights)
    assert loss(np.array([slope, intercept])) <= best.fun + 1e-6
    np.testing.assert_allclose([slope, intercept], best.x, rtol=1e-3)


def test_platt_stays_finite_on_separable_scores_and_flat_on_reversed_ones() -> None:
    logits, labels = np.arange(20.0), np.repeat([0, 1], 10).astype(np.int8)
    slope, intercept = platt(logits, labels, np.ones(20))
    assert 0 < slope < 100
    assert (np.diff(probability(logits, slope, intercept)) > 0).all()
    assert platt(-logits, labels, np.ones(20)) == (0.0, 0.0)


def test_log_loss_in_nats() -> None:
    assert log_loss(np.zeros(4), np.array([0, 1, 0, 1], np.int8), np.ones(4)) == pytest.approx(np.log(2))


def test_the_path_of_penalties_is_scikit_learns_fit_by_fit() -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((120, 40)) * rng.uniform(0.1, 5, 40) + 3
    label = rng.integers(0, 2, 120).astype(np.int8)
    X[label == 1, :3] += 1
    weights = rng.uniform(0.5, 2, 120)
    path = _path(X, label, weights, PENALTIES)
    Z = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(path.scaler.transform(X), Z, atol=1e-12)
    start = np.zeros((1, 40)), np.zeros(1)
    for C, weight, bias in zip(PENALTIES, path.weights, path.biases, strict=True):
        model = LogisticRegression(C=C, tol=1e-6, max_iter=5000, warm_start=True)
        model.coef_, model.intercept_ = start
        model.fit(Z, label, sample_weight=weights)
        start = model.coef_, model.intercept_
        np.testing.assert_allclose(weight, model.coef_[0], atol=1e-8)
        assert bias == pytest.approx(model.intercept_[0], abs=1e-8)


@pytest.mark.parametrize("dim", [_FEW, _FEW + 1])  # Newton's method, L-BFGS
@pytest.mark.parametrize("C", [0.01, 10.0])
def test_a_direction_is_scikit_learns_fit_on_features_as_they_are(dim: int, C: float) -> None:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((500, dim)) * rng.uniform(0.1, 5, dim) + 3
    label = rng.integers(0, 2, 500).astype(np.int8)
    X[label == 1, :3] += 1
    weights = rng.uniform(0.5, 2, 500)
    direction, offset = direction_of(X, label, weights, C)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=C, solver="newton-cg", tol=1e-9, max_iter=5000)
    )
    model.fit(X, label, logisticregression__sample_weight=weights)
    expected = model.decision_function(X)
    np.testing.assert_allclose(X @ direction + offset, expected, atol=1e-3 * np.abs(expected).max())
