"""How alike two embeddings of the same images are: those of their low and of their high frequencies, say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.entropy import embeddings
from bandprobe.metrics.jackknife import Estimate, Floats, from_groups
from bandprobe.metrics.neighbours import Places, enough, left_out, nearest, reach, remaining

K = 10

_BLOCK = 2**24  # kernel entries held at a time


def cosine_correspondence(A: npt.ArrayLike, B: npt.ArrayLike) -> Estimate:
    """Mean cosine between the two embeddings of an image, less that between those of two images.

    Both are centred over the images first. The mean over shuffled pairs is taken over all n (n - 1) pairs
    of different images at once: with unit vectors a, b it is (sum a . sum b - sum a . b) / (n (n - 1)).

    Args:
        A: embeddings, shape (n, d), n at least 4.
        B: of the same images in the same order and space.

    Returns:
        The difference, in [-2, 2], 0 where pairs are no nearer than strangers; with its delete-a-group
        jackknife interval, centred anew without each group.

    Raises:
        ShapeError: A and B do not have the same shape (n, d).
        InputError: fewer than four images, or an embedding that equals the mean.
    """
    first, second = _paired(A, B, 4)
    if first.shape != second.shape:
        raise ShapeError(
            f"A and B must lie in one space; got {first.shape[1]} and {second.shape[1]} dimensions. Across "
            "encoders use debiased_cka or mutual_knn."
        )
    without = [_cosine(first[rows], second[rows]) for rows, _ in left_out(len(first))]
    return from_groups(_cosine(first, second), without)


def debiased_cka(A: npt.ArrayLike, B: npt.ArrayLike) -> Estimate:
    """Centred kernel alignment with linear kernels and unbiased HSIC.

    Where plain CKA rises to 1 as dimensions outnumber images, this has no such bias: numerator and both
    parts of the denominator are U-statistics, and independent embeddings give 0 on average.

    Args:
        A: embeddings, shape (n, d), n at least 5.
        B: of the same images in the same order; the dimension may differ.

    Returns:
        `HSIC(A, B) / sqrt(HSIC(A, A) HSIC(B, B))`: 1 for embeddings that are equal up to rotation, scale
        and shift, 0 for independent ones, and a little below by chance. The interval is that of the
        leave-one-out jackknife, whose n values are had from the sums of the full kernel.

    Raises:
        ShapeError: A and B are not (n, d), or differ in n.
        InputError: fewer than five images, or embeddings without spread.

    Source:
        Song et al. 2012, *Feature selection via dependence maximization*, eq. 5; Kornblith et al. 2019
        (arXiv:1905.00414); Nguyen et al. 2021 (arXiv:2010.15327), who divide by the unbiased HSIC too.
    """
    first, second = (_scaled(part, name) for part, name in zip(_paired(A, B, 5), "AB", strict=True))
    both, a, b = _hsic(first, second), _hsic(first, first), _hsic(second, second)
    if not (a[0] > 0 and b[0] > 0):
        raise InputError(
            "A and B must spread beyond chance: an unbiased HSIC of an embedding with itself is not positive; "
            "give more images."
        )
    # Without an image the denominator stays positive but in samples of a handful.
    with np.errstate(invalid="ignore"):
        cka = both / np.sqrt(a * b)
    return from_groups(cka[0], cka[1:])


def mutual_knn(A: npt.ArrayLike, B: npt.ArrayLike, k: int = K) -> Estimate:
    """Share of an image's k nearest neighbours in one embedding that are among the k in the other.

    Neighbours are those with the largest inner product of embeddings of length 1, which are not centred.

    Args:
        A: embeddings, shape (n, d), n at least k + 2.
        B: of the same images in the same order; the dimension may differ.
        k: neighbours.

    Returns:
        The mean overlap, in [0, 1]; chance gives k / (n - 1), so compare it at equal n. The interval is the
        delete-a-group jackknife's, some 1.4 times as wide as it need be.

    Raises:
        ShapeError: A and B are not (n, d), or differ in n.
        InputError: fewer images than neighbours, or an embedding of length 0.

    Source:
        Huh et al. 2024, *The Platonic Representation Hypothesis* (arXiv:2405.07987), appendix A.
    """
    first, second = _paired(A, B, 3)
    n = len(first)
    enough(n, k)
    a, b = (nearest(_unit(part), reach(n, k)) for part in (first, second))
    everyone = np.ones(n, dtype=bool)
    without = [_overlap(a[rows], b[rows], stays, k) for rows, stays in left_out(n)]
    return from_groups(_overlap(a, b, everyone, k), without)


def _cosine(A: Floats, B: Floats) -> float:
    a, b = (_unit(part - part.mean(axis=0)) for part in (A, B))
    n = len(a)
    matching = float(np.einsum("ij,ij->", a, b))
    others = float(a.sum(axis=0) @ b.sum(axis=0)) - matching
    return matching / n - others / (n * (n - 1))


def _overlap(a: Places, b: Places, stays: npt.NDArray[np.bool_], k: int) -> float:
    a, b = (np.take_along_axis(part, remaining(part, stays, k), 1) for part in (a, b))
    shared = sum(int((a == b[:, [column]]).sum()) for column in range(k))
    return shared / a.size


def _hsic(A: Floats, B: Floats) -> Floats:
    """Unbiased HSIC (times constants that cancel) of all n images, then without each; shape (n + 1,).

    With kernels whose diagonal is 0: `tr(KL) + sum K sum L / ((n-1)(n-2)) - 2/(n-2) sum KL`, over
    `n (n - 3)`. Leaving image i out takes row and column i from each sum.
    """
    n = len(A)
    own_a, own_b = np.einsum("ij,ij->i", A, A), np.einsum("ij,ij->i", B, B)
    products = np.empty(n)  # sum_j K_ij L_ij
    step = max(1, _BLOCK // n)
    for begin in range(0, n, step):
        rows = slice(begin, begin + step)
        products[rows] = np.einsum("ij,ij->i", A[rows] @ A.T, B[rows] @ B.T)
    products -= own_a * own_b
    rows_a, rows_b = A @ A.sum(axis=0) - own_a, B @ B.sum(axis=0) - own_b
    across_a = A @ (A.T @ rows_b) - own_a * rows_b  # K (L 1)
    across_b = B @ (B.T @ rows_a) - own_b * rows_a
    trace, sum_a, sum_b, chain = products.sum(), rows_a.sum(), rows_b.sum(), rows_a @ rows_b
    whole = _unbiased(n, trace, sum_a, sum_b, chain)
    without = _unbiased(
        n - 1,
        trace - 2 * products,
        sum_a - 2 * rows_a,
        sum_b - 2 * rows_b,
        chain - rows_a * rows_b - across_a - across_b + products,
    )
    return np.concatenate([[whole], without])


def _unbiased(n: int, trace: Floats, sum_a: Floats, sum_b: Floats, chain: Floats) -> Floats:
    total = trace + sum_a * sum_b / ((n - 1) * (n - 2)) - 2 * chain / (n - 2)
    return np.asarray(total / (n * (n - 3)))


def _paired(A: npt.ArrayLike, B: npt.ArrayLike, least: int) -> tuple[Floats, Floats]:
    first, second = embeddings(A, least), embeddings(B, least)
    if len(first) != len(second):
        raise ShapeError(
            f"A and B must hold the same images in the same order; got {len(first)} and {len(second)} rows."
        )
    return first, second


def _scaled(X: Floats, name: str) -> Floats:
    """Centred, and of mean square 1: CKA does not change, and sums of products stay near 1."""
    centred = X - X.mean(axis=0)
    scale = np.sqrt((centred**2).mean())
    if scale <= 1e-12 * np.abs(X).max():
        raise InputError(f"{name} holds the same embedding for every image; there is no spread to compare.")
    return np.asarray(centred / scale)


def _unit(X: Floats) -> Floats:
    length = np.linalg.norm(X, axis=1, keepdims=True)
    if not length.all():
        raise InputError("an embedding has length 0 and no direction; leave that image out.")
    return np.asarray(X / length)
