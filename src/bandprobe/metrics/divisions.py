"""Random divisions of a pooled sample in two, and MMD^2 of all of them in one pass over the kernel matrix.

A division is a vector s of signs; every statistic is a function of s'Ks and s'K1, so all divisions together are
one matrix product with the kernel, block of rows by block of rows, and K's symmetry halves it.

From 2,000 rows a sample on, divisions keep groups of rows together, at least 1,000 groups a sample: the
kernel's sums over groups are enough for s'Ks then, and the product costs a fraction. The permutations of
groups are a group of permutations, so the test keeps its level exactly, as with those of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from bandprobe.machine import cores
from bandprobe.metrics.kernels import ROWS, Block

Floats = npt.NDArray[np.float64]
Signs = npt.NDArray[np.int8]
KernelBlock = Callable[[slice, slice], Block]

_GROUPS = 1000  # of a sample, at least, where rows are grouped
_MOST_THREADS = 16  # each holds a block or two
_KEYS = 64  # permutations drawn at a time


class Divisions(NamedTuple):
    """Divisions of a pooled sample into m and n rows that keep groups of rows together.

    `order` puts the pooled rows group by group, of `size` rows each, and the `left` rows that make no
    group last: those never change sides. `signs`, int8, shape (groups + left, divisions), are 1 for the
    first sample and -1 for the second; the first column is the division as it came.
    """

    m: int
    n: int
    order: npt.NDArray[np.intp] | slice
    size: int
    left: int
    signs: Signs


def divisions(m: int, n: int, permutations: int, generator: np.random.Generator) -> Divisions:
    """The division of a pooled sample into its first m rows and its last n, and random ones.

    Which rows make a group is drawn too: their order may say what is in them.

    Args:
        m: rows of the first sample.
        n: rows of the second.
        permutations: how many random divisions.
        generator: where they come from.
    """
    size = max(1, min(m, n) // _GROUPS)
    signs = _shuffled(m // size, n // size, permutations, generator)
    if size == 1:
        return Divisions(m, n, slice(None), 1, 0, signs)
    first, second = generator.permutation(m), m + generator.permutation(n)
    whole, left = (m // size * size, n // size * size), (m % size, n % size)
    order = np.concatenate([first[: whole[0]], second[: whole[1]], first[whole[0] :], second[whole[1] :]])
    fixed = np.repeat(np.array([1, -1], np.int8), left)[:, None].repeat(signs.shape[1], axis=1)
    return Divisions(m, n, order, size, sum(left), np.concatenate([signs, fixed]))


def _shuffled(m: int, n: int, permutations: int, generator: np.random.Generator) -> Signs:
    """m signs of 1 and n of -1, as they come and shuffled, shape (m + n, 1 + permutations).

    Each shuffle is a sort of random 63-bit keys whose last bit says which sample a row came from: the
    fastest that NumPy has.
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


def mmd2_of_divisions(kernel: KernelBlock, drawn: Divisions, *, biased: bool = False) -> Floats:
    """MMD^2 of every division of a pooled sample.

    Let K be the kernel matrix without its diagonal, a and b the indicators of the two samples, s = a - b.
    As a + b = 1, the sums within and across the samples are `a'Ka = (1'K1 + 2 s'K1 + s'Ks) / 4`,
    `b'Kb = (1'K1 - 2 s'K1 + s'Ks) / 4` and `a'Kb = (1'K1 - s'Ks) / 4`: the row sums K1 serve all divisions,
    and only s'Ks is computed for each.

    Args:
        kernel: gives the block at rows and columns of the kernel matrix, its rows in the divisions' `order`;
            only columns from the first of the rows on are asked for.
        drawn: the divisions.
        biased: keep the diagonal.

    Returns:
        Shape (divisions,).
    """
    signs = drawn.signs.astype(np.float32)
    forms = quadratic_forms(kernel, signs, drawn.size, drawn.left)
    quadratic, sums = forms.quadratic, forms.sums
    sizes = np.repeat([drawn.size, 1], [len(signs) - drawn.left, drawn.left])
    m, n = drawn.m, drawn.n
    pairs_x, pairs_y = m * m, n * n
    if not biased:
        quadratic, sums = quadratic - forms.diagonal.sum(), sums - forms.diagonal
        pairs_x, pairs_y = m * (m - 1), n * (n - 1)
    # s'K1 = s'(K1 - mean) + mean (m - n): small numbers again, so that float32 does.
    total = sums.sum()
    mean = total / (m + n)
    cross = (sums - mean * sizes).astype(np.float32) @ signs + mean * (m - n)
    within_x, within_y = total + 2 * cross + quadratic, total - 2 * cross + quadratic
    found: Floats = (within_x / pairs_x + within_y / pairs_y - 2 * (total - quadratic) / (m * n)) / 4
    return found


class Forms(NamedTuple):
    """Of a symmetric K: s'Ks for each s, and of each group of rows the sums of K1 and of the diagonal."""

    quadratic: Floats
    sums: Floats
    diagonal: Floats


def quadratic_forms(matrix: KernelBlock, signs: Block, size: int = 1, left: int = 0) -> Forms:
    """All forms in one pass over the blocks on and right of the diagonal.

    Args:
        matrix: gives K's block at rows and columns.
        signs: shape (groups, vectors), one a group of rows.
        size: rows in a group.
        left: rows at the end that are a group each.
    """
    count, whole = len(signs), len(signs) - left
    found = Forms(np.zeros(signs.shape[1]), np.zeros(count), np.zeros(count))
    step = max(1, ROWS // size)

    def of_block(begin: int) -> tuple[slice, Floats, Block, Block, Block]:
        here, after = slice(begin, min(begin + step, count)), slice(min(begin + step, count), count)
        first, stop, end = (min(i, whole) * size + max(i - whole, 0) for i in (begin, here.stop, count))
        block = matrix(slice(first, stop), slice(first, end))
        diagonal = np.diagonal(block).copy()
        if size > 1:
            groups = max(0, min(here.stop, whole) - begin)
            diagonal = _by_group(diagonal, groups, size)
            block = _by_group(_by_group(block, groups, size).T, max(0, whole - begin), size).T
        square, right = block[:, : here.stop - begin], block[:, here.stop - begin :]
        product = right @ signs[after]
        product *= 2  # K is symmetric: the block below the diagonal gives the same
        product += square @ signs[here]
        product *= signs[here]
        sums = block.sum(axis=1), right.sum(axis=0)
        return here, product.sum(axis=0, dtype=np.float64), *sums, diagonal

    # A thread a block, and none inside a product: those wait for each other, and long on a busy machine.
    with _blas().limit(limits=1), ThreadPoolExecutor(min(cores(), _MOST_THREADS)) as pool:
        for here, quadratic, own, below, diagonal in pool.map(of_block, range(0, count, step)):
            found.quadratic[:] += quadratic
            found.sums[here] += own
            found.sums[here.stop :] += below
            found.diagonal[here] = diagonal
    return found


def _by_group(values: Block, groups: int, size: int) -> Block:
    """Sums along the first axis over each of the first groups; what comes after them stays."""
    end = groups * size
    sums = values[:end:size].copy(order="K")  # slices, not `reduceat` or a short axis: 5 to 20 times as fast
    for place in range(1, size):
        sums += values[place:end:size]
    return np.concatenate([sums, values[end:]]) if end < len(values) else sums


@lru_cache(maxsize=1)
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")
