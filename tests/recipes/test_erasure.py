"""Directions taken out of embeddings, against the theorem and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import pinv, sqrtm
from sklearn.linear_model import LogisticRegression

from bandprobe.recipes.erasure import leace, moved


@pytest.fixture
def planted() -> tuple[np.ndarray, np.ndarray]:
    """Correlated embeddings of three classes whose means differ."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    concept = rng.integers(0, 3, 900)
    means = rng.standard_normal((3, 6))
    return rng.standard_normal((900, 6)) @ mixing + 2 * means[concept], concept


def test_leace_is_the_theorems_formula(planted: tuple[np.ndarray, np.ndarray]) -> None:
    X, concept = planted
    Z = np.eye(3)[concept]
    mean = X.mean(0)
    S = np.cov(X.T, bias=True)
    W = np.real(pinv(sqrtm(S)))
    cross = W @ ((X - mean).T @ (Z - Z.mean(0)) / len(X))
    projection = pinv(W) @ cross @ pinv(cross) @ W  # W^+ P W, P onto the columns of W cov(X, Z)
    expected = X - (X - mean) @ projection.T
    np.testing.assert_allclose(leace(X, concept, shrunk=False)(X), expected, atol=1e-8)


def test_no_linear_classifier_tells_an_erased_concept(planted: tuple[np.ndarray, np.ndarray]) -> None:
    X, concept = planted
    before = LogisticRegression(C=1e6, max_iter=2000).fit(X, concept).score(X, concept)
    for shrunk in (False, True):
        erased = leace(X, concept, shrunk=shrunk)(X)
        means = np.stack([erased[concept == one].mean(0) for one in range(3)])
        np.testing.assert_allclose(means, np.tile(means[0], (3, 1)), atol=1e-8)
        model = LogisticRegression(C=1e6, max_iter=2000).fit(erased, concept)
        most = np.bincount(concept).max() / len(concept)
        assert model.score(erased, concept) <= most + 0.01 < before - 0.3


def test_leace_changes_less_than_orthogonal_projection(planted: tuple[np.ndarray, np.ndarray]) -> None:
    X, concept = planted
    means = np.stack([X[concept == one].mean(0) for one in range(3)])
    basis = np.linalg.svd(means - means.mean(0))[2][:2]
    orthogonal = X - (X - X.mean(0)) @ basis.T @ basis
    assert ((leace(X, concept, shrunk=False)(X) - X) ** 2).sum() < 0.99 * ((orthogonal - X) ** 2).sum()


def test_a_concept_that_no_mean_tells_takes_nothing_out() -> None:
    X = np.random.default_rng(0).standard_normal((100, 4))
    both = np.vstack([X, X])
    eraser = leace(both, np.repeat([0, 1], 100))
    np.testing.assert_allclose(eraser(X), X, atol=1e-7)


def test_what_a_filter_moves_is_found_and_goes() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((300, 5)) * [1, 10, 1, 0.1, 1]
    direction = np.array([0.0, 10.0, 0.0, 0.1, 1.0])
    filtered = X + rng.standard_normal((300, 1)) * direction + 1e-3 * rng.standard_normal(X.shape)
    eraser = moved(X, [filtered], 1)
    assert np.abs(filtered - X).max() > 1
    assert np.abs(eraser(filtered) - eraser(X)).max() < 0.1
    np.testing.assert_allclose(eraser(eraser(X)), eraser(X), atol=1e-9)  # a projection
    np.testing.assert_array_equal(moved(X, [filtered], 0)(X), X)


@pytest.mark.parametrize("count", [0, 2])
def test_a_folded_probe_scores_embeddings_as_they_are(count: int) -> None:
    rng = np.random.default_rng(2)
    X, filtered = rng.standard_normal((2, 50, 6))
    eraser = moved(X, [filtered], count)
    direction, offset = eraser.folded(weights := rng.standard_normal(6), 0.7)
    np.testing.assert_allclose(X @ direction + offset, eraser(X) @ weights + 0.7)
