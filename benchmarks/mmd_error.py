"""What the mean over blocks costs in exactness and saves in time, against the whole kernel matrix.

Prints, for samples that differ and for samples that do not: the standard deviation of the estimate over draws of the
samples, of the whole matrix and of blocks; the root mean square of their difference; and the time.
"""

from __future__ import annotations

import argparse
import time
from unittest.mock import patch

import numpy as np

from bandprobe.columns import aligned
from bandprobe.metrics import mmd
from bandprobe.metrics.kernels import median_distance
from bandprobe.seeding import generator
from side_by_side import device

BLOCKS = (1, 2, 4, 8, 16)


def errors(samples: int, dim: int, draws: int, apart: float) -> list[tuple[str, ...]]:
    """A row for each number of blocks.

    Args:
        samples: vectors of each of the two samples.
        dim: their dimension.
        draws: how often both samples are drawn.
        apart: how far the second normal distribution is moved along each axis.
    """
    found: dict[int, list[float]] = {count: [] for count in BLOCKS}
    seconds = dict.fromkeys(BLOCKS, 0.0)
    for number in range(draws):
        rng = generator(number, "mmd error")
        x, y = rng.standard_normal((2, samples, dim), dtype=np.float32)
        y += np.float32(apart)
        width = median_distance(np.concatenate([x, y]))
        for count in BLOCKS:
            largest = samples if count == 1 else samples - 1
            with patch.object(mmd, "LARGEST", largest), patch.object(mmd, "_BLOCK", samples // count):
                start = time.perf_counter()
                test = mmd.two_sample(x, y, bandwidth=width, permutations=100, generator=rng)
                seconds[count] += time.perf_counter() - start
            found[count].append(test.mmd2)
    whole = np.array(found[1])
    return [
        (
            f"{apart:g}",
            str(count),
            f"{np.mean(found[count]):.2e}",
            f"{np.std(found[count], ddof=1):.2e}",
            f"{np.sqrt(np.mean((np.array(found[count]) - whole) ** 2)):.2e}",
            f"{seconds[count] / draws:.3f}",
        )
        for count in BLOCKS
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--draws", type=int, default=40)
    options = parser.parse_args()
    table = [
        row
        for apart in (0.0, 0.02, 0.1)
        for row in errors(options.samples, options.dim, options.draws, apart)
    ]
    header = ("apart", "blocks", "mean", "standard deviation", "from the whole", "seconds")
    print("\n".join(aligned(header, table)))
    print(device())


if __name__ == "__main__":
    main()
