"""MMD tests against the bare kernel matrices, and their permutations against indexing the matrix anew for each."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import bandprobe.metrics.divisions
from bandprobe.metrics.divisions import divisions, mmd2_of_divisions
from bandprobe.metrics.kernels import KERNELS, Points, in_bandwidths, median_distance
from bandprobe.metrics.mmd import paired, two_sample
from bandprobe.seeding import generator
from side_by_side import Row, check_equal, device, ratio, times

Stack = NDArray[np.float32]

_TOLERANCE = 1e-6


def rows(
    *,
    samples: int = 1000,
    dim: int = 1536,
    permutations: int = 500,
    rounds: int = 3,
    study: Study | None = None,
) -> list[Row]:
    """Whole tests, as a study has them, and their permutations alone.

    Args:
        samples: vectors in each of the two samples of the rows on permutations.
        dim: their dimension; of no account to the time.
        permutations: of the pooled sample.
        rounds: how often each side runs.
        study: the sizes of the whole tests.

    Raises:
        ArithmeticError: two sides' MMD^2 are more than 1e-6 apart.
    """
    return [*of_a_study(study or Study(), rounds), *of_permutations(samples, dim, permutations, rounds)]


@dataclass(frozen=True)
class Study:
    """As many tests as a sweep has conditions, of samples of one size."""

    samples: int = 2000
    dim: int = 1024
    permutations: int = 1000
    conditions: int = 39


def of_a_study(study: Study, rounds: int) -> list[Row]:
    """Every condition's test, from vectors to p, against nothing but the kernel matrices of the same vectors.

    Ours begins with the bandwidth, which a study has from its unfiltered reals, and draws the permutations of two
    samples once, as a study does. The matrices are one product each, in float32 with all threads, and the
    exponential in place; `x @ x.T` computes half of itself.
    """
    draw = generator(0, "mmd study benchmark")
    shape = (study.conditions, study.samples, study.dim)
    plain = draw.standard_normal(shape[1:], dtype=np.float32)
    filtered = plain + np.float32(0.1) * draw.standard_normal(shape, dtype=np.float32)
    width = median_distance(plain)

    def two_samples(others: Stack) -> list[float]:
        bandwidth, draws = median_distance(plain), np.random.default_rng(0)
        labels = divisions(study.samples, study.samples, study.permutations, draws)
        return [two_sample(plain, other, bandwidth=bandwidth, labels=labels).mmd2 for other in others]

    def each_row(others: Stack) -> list[float]:
        with patch.object(bandprobe.metrics.divisions, "_GROUPS", study.samples):
            return two_samples(others)

    def pairs(others: Stack) -> list[float]:
        bandwidth = median_distance(plain)
        return [
            paired(plain, other, bandwidth=bandwidth, permutations=study.permutations).mmd2
            for other in others
        ]

    def pooled(others: Stack) -> Stack:
        for other in others:
            both = np.concatenate([plain, other])
            last = matrix(both, both, width)
        return last

    def three(others: Stack) -> list[Stack]:
        for other in others:
            last = [matrix(a, b, width) for a, b in ((plain, plain), (other, other), (plain, other))]
        return last

    few = filtered[-max(1, study.conditions // 3) :]
    last = filtered[-1:]
    estimates = {pooled: unbiased(pooled(last), study.samples), three: paired_estimate(*three(last))}
    found = []
    for name, ours, bare, others, target in (
        ("MMD, two samples", two_samples, pooled, filtered, 0.7),
        ("MMD, two samples / rows permuted, not groups", each_row, pooled, few, 0.5),
        ("MMD, pairs", pairs, three, filtered, 0.5),
    ):
        check_equal(
            name, np.array(ours(last), np.float32), np.array([estimates[bare]], np.float32), _TOLERANCE
        )
        taken = times({"ours": partial(ours, others), "bare": partial(bare, others)}, rounds)
        found.append(
            Row(
                name=name,
                ratio=ratio(taken["ours"], taken["bare"]),
                target=target,
                ours=statistics.median(taken["ours"]),
                other=statistics.median(taken["bare"]),
                unit=f"s for {len(others)} tests of {study.samples} + {study.samples} x {study.dim}, "
                f"{study.permutations} permutations",
                device=device(),
            )
        )
    return found


def matrix(x: NDArray[np.float32], y: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """The Gaussian kernel's matrix."""
    found: NDArray[np.float32] = x @ y.T
    found *= -2
    found += np.einsum("id,id->i", x, x)[:, None]
    found += np.einsum("id,id->i", y, y)
    found *= np.float32(-0.5 / width**2)
    np.exp(found, out=found)
    return found


def unbiased(kernel: NDArray[np.float32], m: int) -> float:
    """MMD^2 from the kernel matrix of a pooled sample whose first m rows are the first sample."""
    whole = kernel.astype(np.float64)
    np.fill_diagonal(whole, 0)
    n = len(whole) - m
    within = whole[:m, :m].sum() / (m * (m - 1)) + whole[m:, m:].sum() / (n * (n - 1))
    return float(within - 2 * whole[:m, m:].mean())


def paired_estimate(xx: NDArray[np.float32], yy: NDArray[np.float32], xy: NDArray[np.float32]) -> float:
    """MMD^2 of pairs, from the kernel matrices of their members."""
    n = len(xx)
    h = xx.astype(np.float64) + yy - xy - xy.T
    return float((h.sum() - np.trace(h)) / (n * (n - 1)))


def of_permutations(samples: int, dim: int, permutations: int, rounds: int) -> list[Row]:
    """Ours against two ways to permute a kernel matrix, which all sides are given.

    Drawing the permutations is part of every side's time.
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
        drawn = divisions(samples, samples, permutations, np.random.default_rng(seed))
        return mmd2_of_divisions(lambda rows, columns: kernel[rows, columns], drawn).astype(np.float32)

    def re_indexed(matrix: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
        drawn = divisions(samples, samples, permutations, np.random.default_rng(seed))
        found = []
        for column in drawn.signs.T:
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
