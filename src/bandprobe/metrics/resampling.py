"""Bootstrap resamples of one test set, drawn once and shared by everything that is tested on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError

Counts = npt.NDArray[np.uint8]

_BLOCK = 250_000  # draws at a time, 16 bytes each


@dataclass(frozen=True)
class Resamples:
    """How often each image is in each resample, reals and fakes resampled apart with their numbers kept.

    One set of resamples for a test set pairs all that is said about it: conditions, probes and
    encoders meet the same images. Columns follow the order of the reals, and of the fakes, in the arrays
    they are used with; keep that order fixed (by image id).

    Attributes:
        reals: uint8, shape (resamples, n_real), each row sums to n_real.
        fakes: uint8, shape (resamples, n_fake), each row sums to n_fake.
    """

    reals: Counts
    fakes: Counts

    def __post_init__(self) -> None:
        if self.reals.ndim != 2 or self.fakes.ndim != 2 or len(self.reals) != len(self.fakes):
            raise InputError(
                "reals and fakes must have shapes (resamples, n_real) and (resamples, n_fake); "
                f"got {self.reals.shape} and {self.fakes.shape}. Draw both with the same size."
            )

    @classmethod
    def draw(cls, n_real: int, n_fake: int, size: int, generator: np.random.Generator) -> Resamples:
        """Draw `size` resamples.

        Args:
            n_real: real images of the test set, at least 1.
            n_fake: fake images of the test set, at least 1.
            size: how many resamples; 1000 for 95 % intervals.
            generator: e.g. `seeding.generator(seed, "bootstrap", dataset, tested_on)`.

        Returns:
            The resamples; equal generators give equal ones.

        Raises:
            InputError: a number below 1.
        """
        return cls(draw_counts(n_real, size, generator), draw_counts(n_fake, size, generator))

    def __len__(self) -> int:
        return len(self.reals)


def draw_counts(n: int, size: int, generator: np.random.Generator) -> Counts:
    """How often each of n images is drawn in n draws with replacement, `size` times over.

    Args:
        n: images, at least 1.
        size: resamples, at least 1.
        generator: the source of the draws.

    Returns:
        uint8, shape (size, n), each row sums to n. Laid out image by image in memory, which is how
        sorted cumulative counts read it.

    Raises:
        InputError: a number below 1.
    """
    if n < 1 or size < 1:
        raise InputError(f"n and size must be at least 1; got {n} images and {size} resamples.")
    by_image = np.empty((n, size), dtype=np.uint8)
    block = max(1, _BLOCK // n)
    for begin in range(0, size, block):
        rows = min(block, size - begin)
        drawn = generator.integers(0, n, size=(rows, n), dtype=np.int64) + n * np.arange(rows)[:, None]
        # 255 copies of one of more than 255 images has a chance below 1e-300.
        by_image[:, begin : begin + rows] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).T
    return by_image.T
