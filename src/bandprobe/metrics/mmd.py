"""Maximum mean discrepancy (MMD) between two samples, or between the two halves of pairs, with a p-value.

No kernel matrix is ever whole in memory, and none is indexed anew for a permutation: all permutations together
are one matrix product with it, block by block (`divisions`).

The cost is quadratic in the samples' size. Above `LARGEST` they are cut into blocks, whose statistics are
averaged: linear, unbiased still, and with a wider null distribution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.divisions import Divisions, Floats, divisions, mmd2_of_divisions, quadratic_forms
from bandprobe.metrics.kernels import (
    KERNELS,
    Block,
    Points,
    check_kernel,
    in_bandwidths,
    median_distance,
    sample_rows,
)

PERMUTATIONS = 500
LARGEST = 20_000  # vectors of a sample whose kernel matrix is taken whole
_BLOCK = 5_000  # at most, of a larger one
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
    labels: Divisions | None = None,
) -> MMD:
    """Do two independent samples come from one distribution?

    The unbiased estimate is, over pairs i != j within a sample and all pairs across,
    `mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)`. It may be below zero. Its null distribution
    comes from permuting the pooled sample: p = (1 + permutations whose MMD^2 is as large) / (1 + permutations).

    Where both samples have 2,000 rows or more, permutations keep random groups of rows together, 1,000 of a
    sample or more: half the time of a test at 2,000 rows, with the same level and no less power.

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
        labels: the permutations, where several tests share them: `divisions.divisions` of these two sizes,
            instead of `permutations` and `generator`. The samples are not cut into blocks then.

    Returns:
        MMD^2, to about 1e-7, and p. Twice 10,000 rows of 1,536 numbers with 500 permutations take half a
        gigabyte: besides the samples, a block of kernel rows and the signs are in memory.

    Raises:
        ShapeError: not two rows or more of finite numbers, other dimensions, or labels of other samples.
        InputError: unknown kernel, a bandwidth that is not positive, no permutation.

    Source:
        Gretton et al. 2012, *A Kernel Two-Sample Test*, JMLR 13: equation 3 (unbiased), equation 5 (biased).
        Blocks: Zaremba, Gretton & Blaschko 2013, *B-tests: Low Variance Kernel Two-Sample Tests*, NIPS.
    """
    first, second, width = _checked(x, y, kernel, bandwidth, permutations)
    if labels is not None:
        if (labels.m, labels.n) != (len(first), len(second)):
            raise ShapeError(
                f"labels must divide {len(first)} and {len(second)} rows; they divide {labels.m} and {labels.n}."
            )
        return _tested(_permuted(first, second, kernel, width, labels, biased))
    draw = generator or np.random.default_rng(0)
    found = []
    for mine, other in zip(*_blocks((len(first), len(second)), draw), strict=True):
        a, b = first[mine], second[other]
        drawn = divisions(len(a), len(b), permutations, draw)
        found.append(_permuted(a, b, kernel, width, drawn, biased))
    return _tested(np.mean(found, axis=0))


def _permuted(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    kernel: str,
    width: float,
    labels: Divisions,
    biased: bool,
) -> Floats:
    """MMD^2 of two samples, and of their pooled sample permuted."""
    shape = KERNELS[kernel]
    points = Points.of(in_bandwidths(np.concatenate([first, second])[labels.order], width))
    # MMD^2 does not change when a constant is taken from every kernel value; sums near zero round less.
    centre = shape(np.ones(1, np.float32))

    def block(rows: slice, columns: slice) -> Block:
        found = shape(points.distances(rows, points, columns))
        found -= centre
        return found

    return mmd2_of_divisions(block, labels, biased=biased)


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
    forms = quadratic_forms(block, 1 - 2 * swaps.astype(np.float32))
    found: Floats = (
        forms.quadratic / n**2 if biased else (forms.quadratic - forms.diagonal.sum()) / (n * (n - 1))
    )
    return found


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
