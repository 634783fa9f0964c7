"""Maximum mean discrepancy (MMD) between two samples, or between the two halves of pairs, with a p-value.

No kernel matrix is ever whole in memory, and none is indexed anew for a permutation. A division of the
pooled sample in two is a vector s of signs; every statistic here is a function of s'Ks and s'K1, so all
permutations together are one matrix product with the kernel, block of rows by block of rows, and K's
symmetry halves it.

The cost is quadratic in the samples' size. Above `LARGEST` they are cut into blocks, whose statistics are
averaged: linear, unbiased still, and with a wider null distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from bandprobe.errors import InputError, ShapeError
from bandprobe.machine import cores
from bandprobe.metrics.kernels import (
    KERNELS,
    ROWS,
    Block,
    Points,
    check_kernel,
    in_bandwidths,
    median_distance,
    sample_rows,
)

Floats = npt.NDArray[np.float64]
Signs = npt.NDArray[np.int8]
KernelBlock = Callable[[slice, slice], Block]

PERMUTATIONS = 500
LARGEST = 20_000  # vectors of a sample whose kernel matrix is taken whole
_BLOCK = 5_000  # at most, of a larger one
_MOST_THREADS = 16  # each holds a block or two
_KEYS = 64  # permutations drawn at a time
_TIE = 1e-5  # of the null's standard deviation: nearer than this, two statistics differ by rounding alone


class MMD(NamedTuple):
    """Squared MMD, and the p-value of the hypothesis that it is zero."""

    mmd2: float
    p_value: float


def two_sample(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    kernel: str = "gaussian",
    bandwidth: float | None = None,
    permutations: int = PERMUTATIONS,
    generator: np.random.Generator | None = None,
    *,
    biased: bool = False,
    labels: Signs | None = None,
) -> MMD:
    """Do two independent samples come from one distribution?

    The unbiased estimate is, over pairs i != j within a sample and all pairs across,
    `mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)`. It may be below zero. Its null distribution
    comes from permuting the pooled sample: p = (1 + permutations whose MMD^2 is as large) / (1 + permutations).

    A sample of more than 20,000 is cut at random into blocks of 5,000 at most, the other into as many; the
    estimate is the mean over blocks, and permutations stay within blocks, so that the test keeps its level.

    Args:
        x: shape (m, dim), m at least 2.
        y: shape (n, dim), n at least 2.
        kernel: a name in `KERNELS`.
        bandwidth: the kernel's l; by default the median distance within the pooled sample.
        permutations: how many, at least 1.
        generator: where they come from, e.g. `seeding.generator(seed, "mmd", name)`; seed 0 by default.
        biased: keep the pairs i = j within a sample (V-statistic: never below zero, too large).
        labels: the permutations, where several tests share them: `divisions` of these two sizes, instead of
            `permutations` and `generator`. Not for samples that are cut into blocks.

    Returns:
        MMD^2, to about 1e-7, and p. Twice 10,000 rows of 1,536 numbers with 500 permutations take half a
        gigabyte: besides the samples, a block of kernel rows and the signs are in memory.

    Raises:
        ShapeError: not two rows or more of finite numbers, or other dimensions.
        InputError: unknown kernel, a bandwidth that is not positive, no permutation.

    Source:
        Gretton et al. 2012, *A Kernel Two-Sample Test*, JMLR 13: equation 3 (unbiased), equation 5 (biased).
        Blocks: Zaremba, Gretton & Blaschko 2013, *B-tests: Low Variance Kernel Two-Sample Tests*, NIPS.
    """
    first, second, width = _checked(x, y, kernel, bandwidth, permutations)
    draw = generator or np.random.default_rng(0)
    found = [
        _permuted(
            first[mine],
            second[other],
            kernel,
            width,
            divisions(len(first[mine]), len(second[other]), permutations, draw) if labels is None else labels,
            biased,
        )
        for mine, other in zip(*_blocks((len(first), len(second)), draw), strict=True)
    ]
    return _tested(np.mean(found, axis=0))


def _permuted(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    kernel: str,
    width: float,
    labels: Signs,
    biased: bool,
) -> Floats:
    """MMD^2 of two samples, and of their pooled sample permuted."""
    shape = KERNELS[kernel]
    points = Points.of(in_bandwidths(np.concatenate([first, second]), width))
    # MMD^2 does not change when a constant is taken from every kernel value; sums near zero round less.
    centre = shape(np.ones(1, np.float32))

    def block(rows: slice, columns: slice) -> Block:
        found = shape(points.distances(rows, points, columns))
        found -= centre
        return found

    return mmd2_of_divisions(block, labels.astype(np.float32), biased=biased)


def _blocks(sizes: tuple[int, ...], draw: np.random.Generator) -> list[list[npt.NDArray[np.intp] | slice]]:
    """Of each sample the rows of each block: all in one where no sample is larger than `LARGEST`."""
    if max(sizes) <= LARGEST:
        return [[slice(None)] for _ in sizes]
    count = min(-(-max(sizes) // _BLOCK), min(sizes) // 2)
    return [[*np.array_split(draw.permutation(size), count)] for size in sizes]


def paired(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    kernel: str = "gaussian",
    bandwidth: float | None = None,
    permutations: int = PERMUTATIONS,
    generator: np.random.Generator | None = None,
    *,
    biased: bool = False,
) -> MMD:
    """Do the two members of pairs come from one distribution?

    With `h_ij = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j)` the estimate is the mean of h_ij
    over i != j: i = j is left out of the cross term too, since the members of a pair are alike for a
    reason. Were there no difference, it would not matter which member of a pair is whose; so the null
    distribution comes from swapping the members of each pair with probability one half.

    Swapping pair i alone exchanges x_i and y_i in h_ij, which turns it into -h_ij; swapping i and j both
    leaves it. So with s_i = -1 for a swapped pair and 1 for another, the statistic of the swapped pairs is
    `sum_ij s_i s_j h_ij`, that is s'Hs, over n (n - 1), for the H of the pairs as they came. A pair whose
    members are equal has h_ij = 0 with every j, whatever j's: it drops out of H and stays in n.

    More than 20,000 pairs are cut into blocks as in `two_sample`.

    Args:
        x: shape (n, dim), n at least 2.
        y: shape (n, dim); row i belongs to row i of `x`.
        kernel: a name in `KERNELS`.
        bandwidth: the kernel's l; by default the median distance within both samples together.
        permutations: how many times all pairs are swapped at random, at least 1.
        generator: where the swaps come from; seed 0 by default.
        biased: keep i = j, and divide by n^2.

    Returns:
        MMD^2 and p, as in `two_sample`. Equal samples give 0 and 1, exactly.

    Raises:
        ShapeError: not two rows or more of finite numbers, or another shape.
        InputError: unknown kernel, a bandwidth that is not positive, no permutation.

    Source:
        Gretton et al. 2012, equation 4. The swaps: a paired permutation test, Good 2005, *Permutation,
        Parametric and Bootstrap Tests of Hypotheses*.
    """
    first, second, width = _checked(x, y, kernel, bandwidth, permutations)
    if first.shape != second.shape:
        raise ShapeError(f"pairs must have two members each; got x of shape {first.shape}, y {second.shape}.")
    draw = generator or np.random.default_rng(0)
    found = [
        _swapped(first[rows], second[rows], kernel, width, permutations, draw, biased)
        for rows in _blocks((len(first),), draw)[0]
    ]
    return _tested(np.mean(found, axis=0))


def _swapped(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    kernel: str,
    width: float,
    permutations: int,
    draw: np.random.Generator,
    biased: bool,
) -> Floats:
    """MMD^2 of pairs, and of the same pairs swapped at random."""
    n = len(first)
    apart = (first != second).any(axis=1)
    both = in_bandwidths(np.concatenate([first[apart], second[apart]]), width) if apart.any() else first[:0]
    shape = KERNELS[kernel]
    xs, ys = (Points.of(part) for part in np.split(both, 2))

    def block(rows: slice, columns: slice) -> Block:
        found = shape(xs.distances(rows, xs, columns))
        found += shape(ys.distances(rows, ys, columns))
        found -= shape(xs.distances(rows, ys, columns))
        found -= shape(ys.distances(rows, xs, columns))
        return found

    swaps = draw.integers(0, 2, (int(apart.sum()), permutations + 1), np.int8)
    swaps[:, :1] = 0
    forms = _quadratic_forms(block, 1 - 2 * swaps.astype(np.float32))
    found: Floats = (
        forms.quadratic / n**2 if biased else (forms.quadratic - forms.diagonal.sum()) / (n * (n - 1))
    )
    return found


def divisions(m: int, n: int, permutations: int, generator: np.random.Generator) -> Signs:
    """Divisions of a pooled sample into m and n: 1 for the first sample, -1 for the second.

    Each random one is a sort of random 63-bit keys whose last bit says which sample a row came from: the
    fastest shuffle that NumPy has.

    Returns:
        int8, shape (m + n, 1 + permutations). The first column is the division as it came, the others are random.
    """
    signs = np.empty((m + n, 1 + permutations), np.int8)
    signs[:m, 0], signs[m:, 0] = 1, 0
    one = np.uint64(1)
    for begin in range(1, 1 + permutations, _KEYS):
        columns = slice(begin, min(begin + _KEYS, 1 + permutations))
        shape = (columns.stop - begin, m + n)
        keys = generator.integers(0, np.iinfo(np.uint64).max, shape, np.uint64, endpoint=True)
        keys &= ~one
        keys[:, :m] |= one
        keys.sort(axis=1)
        signs[:, columns] = (keys & one).T
    signs *= 2
    signs -= 1
    return signs


def mmd2_of_divisions(kernel: KernelBlock, signs: Block, *, biased: bool = False) -> Floats:
    """MMD^2 of every division of a pooled sample.

    Let K be the kernel matrix without its diagonal, a and b the indicators of the two samples, s = a - b.
    As a + b = 1, the sums within and across the samples are `a'Ka = (1'K1 + 2 s'K1 + s'Ks) / 4`,
    `b'Kb = (1'K1 - 2 s'K1 + s'Ks) / 4` and `a'Kb = (1'K1 - s'Ks) / 4`: the row sums K1 serve all divisions,
    and only s'Ks is computed for each.

    Args:
        kernel: gives the kernel matrix's block at rows and columns; only columns from the first of the
            rows on are asked for.
        signs: shape (m + n, divisions), 1 and -1, each column with the same number of each.
        biased: keep the diagonal.

    Returns:
        Shape (divisions,).
    """
    forms = _quadratic_forms(kernel, signs)
    quadratic, sums = forms.quadratic, forms.sums
    m = int(np.count_nonzero(signs[:, 0] > 0))
    n = len(signs) - m
    pairs_x, pairs_y = m * m, n * n
    if not biased:
        quadratic, sums = quadratic - forms.diagonal.sum(), sums - forms.diagonal
        pairs_x, pairs_y = m * (m - 1), n * (n - 1)
    # s'K1 = s'(K1 - mean) + mean (m - n): small numbers again, so that float32 does.
    total, mean = sums.sum(), sums.mean()
    cross = (sums - mean).astype(np.float32) @ signs + mean * (m - n)
    within_x, within_y = total + 2 * cross + quadratic, total - 2 * cross + quadratic
    found: Floats = (within_x / pairs_x + within_y / pairs_y - 2 * (total - quadratic) / (m * n)) / 4
    return found


class _Forms(NamedTuple):
    """Of a symmetric K: s'Ks for each s, the row sums K1, and the diagonal."""

    quadratic: Floats
    sums: Floats
    diagonal: Floats


def _quadratic_forms(matrix: KernelBlock, signs: Block) -> _Forms:
    """All forms in one pass over the blocks on and right of the diagonal."""
    n = len(signs)
    found = _Forms(np.zeros(signs.shape[1]), np.zeros(n), np.zeros(n))

    def of_block(begin: int) -> tuple[slice, Floats, Block, Block, Block]:
        here, after = slice(begin, min(begin + ROWS, n)), slice(min(begin + ROWS, n), n)
        block = matrix(here, slice(begin, n))
        square, right = block[:, : here.stop - begin], block[:, here.stop - begin :]
        product = right @ signs[after]
        product *= 2  # K is symmetric: the block below the diagonal gives the same
        product += square @ signs[here]
        product *= signs[here]
        sums = block.sum(axis=1), right.sum(axis=0)
        return here, product.sum(axis=0, dtype=np.float64), *sums, np.diagonal(square).copy()

    # A thread a block, and none inside a product: those wait for each other, and long on a busy machine.
    with _blas().limit(limits=1), ThreadPoolExecutor(min(cores(), _MOST_THREADS)) as pool:
        for here, quadratic, own, below, diagonal in pool.map(of_block, range(0, n, ROWS)):
            found.quadratic[:] += quadratic
            found.sums[here] += own
            found.sums[here.stop :] += below
            found.diagonal[here] = diagonal
    return found


@lru_cache(maxsize=1)
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")


def _tested(statistics: Floats) -> MMD:
    """The first statistic against the others."""
    observed, null = float(statistics[0]), statistics[1:]
    as_large = int(np.count_nonzero(null >= observed - _TIE * null.std()))
    return MMD(observed, (1 + as_large) / (1 + len(null)))


def _checked(
    x: npt.ArrayLike, y: npt.ArrayLike, kernel: str, bandwidth: float | None, permutations: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], float]:
    """Both samples and the bandwidth, once they are seen to fit."""
    check_kernel(kernel)
    if permutations < 1:
        raise InputError(f"permutations must be at least 1; got {permutations}.")
    first, second = sample_rows("x", x), sample_rows("y", y)
    if first.shape[1] != second.shape[1]:
        raise ShapeError(f"x and y must have one dimension; got {first.shape[1]} and {second.shape[1]}.")
    if bandwidth is None:
        bandwidth = median_distance(np.concatenate([first, second]))
    if not 0 < bandwidth < np.inf:
        raise InputError(f"bandwidth must be a positive number; got {bandwidth}.")
    return first, second, float(bandwidth)
