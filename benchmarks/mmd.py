"""The permutations of an MMD test, against indexing the kernel matrix anew for each of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bandprobe.metrics.kernels import KERNELS, Points, in_bandwidths, median_distance
from bandprobe.metrics.mmd import divisions, mmd2_of_divisions
from bandprobe.seeding import generator
from side_by_side import Row, check_equal, device, ratio, times

_TOLERANCE = 1e-6


def rows(*, samples: int = 1000, dim: int = 1536, permutations: int = 500, rounds: int = 3) -> list[Row]:
    """Ours against two ways to permute a kernel matrix, which all sides are given.

    Drawing the permutations is part of every side's time.

    Args:
        samples: vectors in each of the two samples.
        dim: their dimension; of no account to the time.
        permutations: of the pooled sample.
        rounds: how often each side runs.

    Raises:
        ArithmeticError: a side's MMD^2 of one division is more than 1e-6 from ours.
    """
    draw = generator(0, "mmd benchmark")
    pooled = draw.standard_normal((2 * samples, dim), dtype=np.float32)
    points = Points.of(in_bandwidths(pooled, median_distance(pooled)))
    everything = slice(0, len(pooled))
    kernel = KERNELS["gaussian"](points.distances(everything, points, everything))
    sides = ways(kernel, samples, permutations)
    for name, way in sides.items():
        check_equal(name, sides["ours"](0), way(0), _TOLERANCE)
    taken = times({name: partial(way, 1) for name, way in sides.items()}, rounds)
    return [
        Row(
            name=name,
            ratio=ratio(taken["ours"], taken[name]),
            target=100.0,
            ours=statistics.median(taken["ours"]) * 1000,
            other=statistics.median(taken[name]) * 1000,
            unit=f"ms for {permutations} permutations, {samples} + {samples} samples",
            device=device(),
        )
        for name in list(sides)[1:]
    ]


def ways(
    kernel: NDArray[np.float32], samples: int, permutations: int
) -> dict[str, Callable[[int], NDArray[np.float32]]]:
    """Each way as a function of a seed that gives MMD^2 of the sample and of each permutation, ours first."""
    twice = kernel.astype(np.float64)
    pairs = samples * (samples - 1)

    def ours(seed: int) -> NDArray[np.float32]:
        signs = divisions(samples, samples, permutations, np.random.default_rng(seed))
        return mmd2_of_divisions(lambda rows, columns: kernel[rows, columns], signs).astype(np.float32)

    def re_indexed(matrix: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
        signs = divisions(samples, samples, permutations, np.random.default_rng(seed))
        found = []
        for column in signs.T:
            order = np.argsort(-column, kind="stable")
            permuted = matrix[order][:, order]
            within_x, within_y = permuted[:samples, :samples], permuted[samples:, samples:]
            found.append(
                (within_x.sum(dtype=np.float64) - samples) / pairs
                + (within_y.sum(dtype=np.float64) - samples) / pairs
                - 2 * permuted[:samples, samples:].sum(dtype=np.float64) / samples**2
            )
        return np.array(found, np.float32)

    return {
        "ours": ours,
        "MMD permutations": lambda seed: re_indexed(twice, seed),
        "MMD permutations / float32": lambda seed: re_indexed(kernel, seed),
    }
