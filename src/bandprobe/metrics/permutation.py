"""A test of two detectors' probability of detection on the same images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError
from bandprobe.metrics.cells import Floats, fake_mask, per_image
from bandprobe.metrics.detection import reals_needed

_BLOCK = 1_000_000  # ranks permuted at a time


class PDDifference(NamedTuple):
    """Difference of two detectors' PD@x%, and the two-sided p of the permutation test."""

    difference: float
    p_value: float


def pd_difference(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    rate: float,
    generator: np.random.Generator,
    permutations: int = 1000,
) -> PDDifference:
    """Do two detectors differ in PD@x% (strict) on the same images? A permutation test.

    Each image has a rank under each detector: how many images score at or above it there. The ranks
    carry all that PD depends on and have one scale, which the scores have not. Were the detectors
    alike, it would not matter which of an image's two ranks is whose; so the ranks of each image, real
    or fake, are swapped with probability one half, and PD is read again from the swapped ranks.
    p = (1 + permutations whose absolute difference is as large) / (1 + permutations).

    Ranks among the reals alone put both detectors' thresholds at the same rank, and so hide how uncertain a
    threshold is that ten reals make: the test then rejects 8 % of equal detectors at 1 % of 1,000 reals.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores_a: shape (n,), higher is more fake.
        scores_b: shape (n,), of the same images.
        rate: the false-alarm rate x, in (0, 1).
        generator: where the swaps come from, e.g. `seeding.generator(seed, "pd", dataset)`.
        permutations: how many, at least 1.

    Returns:
        PD of a minus PD of b, and p; both NaN with fewer than 10 / rate reals.

    Raises:
        InputError: one class only, a NaN, a rate outside (0, 1), no permutation.
        ShapeError: scores and labels differ in length.

    Source:
        Ranks in the pooled sample, swapped within subjects: Venkatraman & Begg 1996, there for whole ROC curves.
    """
    if not 0 < rate < 1:
        raise InputError(f"rate must lie between 0 and 1, e.g. 0.01 for 1 %; got {rate}.")
    if permutations < 1:
        raise InputError(f"permutations must be at least 1; got {permutations}.")
    fake = fake_mask(labels)
    ranks = np.stack(
        [
            _ranks(per_image("scores_a", scores_a, fake.size)),
            _ranks(per_image("scores_b", scores_b, fake.size)),
        ]
    )
    reals, fakes = ranks[:, ~fake], ranks[:, fake]
    n_real = reals.shape[1]
    if n_real < reals_needed(rate):
        return PDDifference(float("nan"), float("nan"))
    allowed = int(np.searchsorted(np.arange(n_real + 1) / n_real, rate, side="right")) - 1
    cuts = np.partition(reals, allowed, axis=1)[:, allowed]
    observed = np.count_nonzero(fakes[0] < cuts[0]) - np.count_nonzero(fakes[1] < cuts[1])

    # No permuted threshold can leave these bounds: only reals below the upper one can set it, and
    # only fakes that have a rank on each side of it, or between the bounds, can change the difference.
    floor = np.partition(reals.min(axis=0), allowed)[allowed]
    ceiling = np.partition(reals.max(axis=0), allowed)[allowed]
    reals = reals[:, reals.min(axis=0) <= ceiling]
    fakes = fakes[:, (fakes.min(axis=0) < ceiling) & (fakes.max(axis=0) >= floor)]
    as_large = 0
    block = max(1, _BLOCK // max(reals.shape[1] + fakes.shape[1], 1))
    for begin in range(0, permutations, block):
        rows = min(block, permutations - begin)
        real_a, real_b = _swapped(reals, rows, generator)
        fake_a, fake_b = _swapped(fakes, rows, generator)
        cut_a = np.partition(real_a, allowed, axis=1)[:, allowed, None]
        cut_b = np.partition(real_b, allowed, axis=1)[:, allowed, None]
        permuted = (fake_a < cut_a).sum(axis=1) - (fake_b < cut_b).sum(axis=1)
        as_large += int(np.count_nonzero(np.abs(permuted) >= abs(observed)))
    return PDDifference(float(observed / fake.sum()), (1 + as_large) / (1 + permutations))


def _ranks(scores: Floats) -> npt.NDArray[np.int32]:
    return (scores.size - np.searchsorted(np.sort(scores), scores, side="left")).astype(np.int32)


def _swapped(
    ranks: npt.NDArray[np.int32], rows: int, generator: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Both detectors' ranks after random swaps within images, each (rows, images)."""
    n = ranks.shape[1]
    bits = np.frombuffer(generator.bytes(rows * ((n + 7) // 8)), dtype=np.uint8).reshape(rows, -1)
    swap = np.unpackbits(bits, axis=1, count=n).astype(bool)
    return np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
