"""Correspondence against naive versions, invariances and many draws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.correspondence import cosine_correspondence, debiased_cka, mutual_knn
from bandprobe.metrics.jackknife import from_groups, groups

MEASURES = (cosine_correspondence, debiased_cka, mutual_knn)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def orthogonal(d: int) -> np.ndarray:
    return np.linalg.qr(rng(99).standard_normal((d, d)))[0]


def related(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = rng(seed)
    A = generator.standard_normal((n, d)) / np.arange(1, d + 1) + 0.5
    return A, A + 0.4 * generator.standard_normal((n, d))


def naive_cosine(A: np.ndarray, B: np.ndarray) -> float:
    A, B = A - A.mean(axis=0), B - B.mean(axis=0)
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in B] for a in A]
    matching = np.eye(len(A), dtype=bool)
    return np.mean(np.array(cosine)[matching]) - np.mean(np.array(cosine)[~matching])


def naive_cka(A: np.ndarray, B: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, with matrices as printed there."""

    def hsic(K, L):
        n, one = len(K), np.ones(len(K))
        K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        middle = (one @ K @ one) * (one @ L @ one) / (n - 1) / (n - 2)
        return (np.trace(K @ L) + middle - 2 / (n - 2) * one @ K @ L @ one) / n / (n - 3)

    K, L = A @ A.T, B @ B.T
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def naive_mutual(A: np.ndarray, B: np.ndarray, k: int) -> float:
    sets = []
    for X in (A, B):
        search = NearestNeighbors(n_neighbors=k + 1, metric="cosine", algorithm="brute").fit(X)
        sets.append([set(row[1:]) for row in search.kneighbors(X, return_distance=False)])
    return float(np.mean([len(a & b) / k for a, b in zip(*sets, strict=True)]))


@pytest.mark.parametrize("shape", [(40, 6), (15, 60)])
def test_values_are_the_naive_ones(shape):
    A, B = related(*shape)
    assert cosine_correspondence(A, B).value == pytest.approx(naive_cosine(A, B))
    assert debiased_cka(A, B).value == pytest.approx(naive_cka(A, B))
    assert mutual_knn(A, B, k=5).value == pytest.approx(naive_mutual(A, B, 5))


def test_jackknives_leave_out_what_they_say():
    A, B = related(60, 5)
    without = [naive_cka(np.delete(A, i, 0), np.delete(B, i, 0)) for i in range(60)]
    assert debiased_cka(A, B) == pytest.approx(from_groups(naive_cka(A, B), without))
    rest = [groups(60) != g for g in range(50)]
    without = [naive_mutual(A[kept], B[kept], 4) for kept in rest]
    assert mutual_knn(A, B, k=4) == pytest.approx(from_groups(naive_mutual(A, B, 4), without))
    without = [naive_cosine(A[kept], B[kept]) for kept in rest]
    assert cosine_correspondence(A, B) == pytest.approx(from_groups(naive_cosine(A, B), without))


@pytest.mark.parametrize("shape", [(40, 6), (20, 60)])
def test_itself_is_all_alike(shape):
    A, _ = related(*shape)
    assert debiased_cka(A, A) == pytest.approx((1, 1, 1))
    assert mutual_knn(A, A) == pytest.approx((1, 1, 1))
    assert cosine_correspondence(A, A).value > 1  # strangers point away from each other, on average
    assert cosine_correspondence(A, -A).value < -1


def test_cka_and_neighbours_do_not_see_rotation_and_scale():
    A, B = related(50, 8)
    turned = 3 * B @ orthogonal(8)
    assert debiased_cka(A, turned + 2) == pytest.approx(debiased_cka(A, B))
    assert mutual_knn(A, turned) == pytest.approx(mutual_knn(A, B))
    assert debiased_cka(B, A) == pytest.approx(debiased_cka(A, B))
    assert debiased_cka(A, np.hstack([B, np.zeros((50, 3))])) == pytest.approx(debiased_cka(A, B))


def test_independent_embeddings_are_at_chance():
    """Plain CKA would be near 0.9 here, with twice as many dimensions as images."""
    generator, n, d, draws = rng(5), 30, 60, 200
    found = [
        [measure(*generator.standard_normal((2, n, d))).value for measure in MEASURES] for _ in range(draws)
    ]
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(draws)
    chance = np.array([0, 0, 10 / (n - 1)])
    assert (np.abs(mean - chance) < 4 * error).all()


def test_intervals_cover():
    draws, generator = 200, rng(6)
    scale = 1 / np.arange(1, 9)
    found = []
    for _ in range(draws):
        A = generator.standard_normal((60, 8)) * scale
        B = A + 0.3 * generator.standard_normal((60, 8))
        found.append([cosine_correspondence(A, B), debiased_cka(A, B), mutual_knn(A, B)])
    value, low, high = np.moveaxis(np.array(found), 2, 0)
    covered = np.mean((low < value.mean(axis=0)) & (value.mean(axis=0) < high), axis=0)
    assert (covered >= 0.89).all()
    assert (covered[:2] <= 0.99).all()  # the neighbours' is wider than it need be


def test_what_cannot_be_compared_is_said_in_one_line():
    A, B = related(30, 4)
    with pytest.raises(InputError, match="fewer images than neighbours: 8 images cannot have 10") as error:
        mutual_knn(A[:8], B[:8])
    assert "\n" not in str(error.value)
    for measure in MEASURES:
        with pytest.raises(ShapeError, match="same images"):
            measure(A, B[:20])
    with pytest.raises(ShapeError, match="one space"):
        cosine_correspondence(A, B[:, :3])
    with pytest.raises(InputError, match="same embedding for every image"):
        debiased_cka(A, np.ones((30, 2)))
    with pytest.raises(InputError, match="length 0"):
        mutual_knn(A, np.zeros((30, 4)))
    with pytest.raises(InputError, match="5 images or more"):
        debiased_cka(A[:4], B[:4])
