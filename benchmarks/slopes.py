"""How the cost of each stage grows: the exponent b of cost ~ size^b, from sizes that are doubled.

Prints a line for each measure. A measure gives, for a size, the work to be timed; what the work needs is made
before, untimed. `MEASURES` takes more of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.columns import aligned
from bandprobe.metrics import mmd
from bandprobe.seeding import generator
from side_by_side import device

Work = Callable[[], object]


@dataclass(frozen=True)
class Measure:
    """A stage whose cost grows with one size."""

    name: str
    expected: float  # the exponent that the arithmetic has
    sizes: Sequence[int]
    work: Callable[[int], Work]


def mmd_test(test: Callable[..., mmd.MMD], samples: int, dim: int, permutations: int = 100) -> Work:
    """One test of two samples, bandwidth given."""
    x, y = generator(0, "slopes", "mmd").standard_normal((2, samples, dim), dtype=np.float32)
    return partial(test, x, y, bandwidth=float(np.sqrt(2 * dim)), permutations=permutations)


MEASURES = (
    Measure("MMD, vectors", 2, (4000, 8000, 16_000), lambda n: mmd_test(mmd.two_sample, n, 256)),
    Measure("MMD, dimension", 1, (1024, 2048, 4096), lambda dim: mmd_test(mmd.two_sample, 2000, dim)),
    Measure("MMD of pairs, vectors", 2, (2000, 4000, 8000), lambda n: mmd_test(mmd.paired, n, 256)),
    Measure("MMD of pairs, dimension", 1, (1024, 2048, 4096), lambda dim: mmd_test(mmd.paired, 1000, dim)),
    Measure(
        "MMD over blocks, vectors",
        1,
        (mmd.LARGEST + 5000, 2 * mmd.LARGEST + 10_000, 4 * mmd.LARGEST + 20_000),
        lambda n: mmd_test(mmd.two_sample, n, 64),
    ),
)


def cost(work: Work, rounds: int = 3) -> float:
    """The shortest of several runs, in seconds: what else the machine does can only add to it."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The least-squares slope of log(seconds) over log(sizes)."""
    x: NDArray[np.float64] = np.log(np.asarray(sizes, dtype=np.float64))
    y = np.log(np.asarray(seconds, dtype=np.float64))
    return float(np.polyfit(x, y, 1)[0])


def line(measure: Measure, rounds: int = 3) -> tuple[str, ...]:
    """A measure's sizes, the seconds that each took, its slope and the one expected."""
    seconds = [cost(measure.work(size), rounds) for size in measure.sizes]
    return (
        measure.name,
        " ".join(f"{size:,}" for size in measure.sizes),
        " ".join(f"{taken:.3g}" for taken in seconds),
        f"{slope(measure.sizes, seconds):.2f}",
        f"{measure.expected:g}",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="measures whose name has this text")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with progress.quiet():
        table = [line(measure, options.rounds) for measure in MEASURES if options.only in measure.name]
    print("\n".join(aligned(("cost of", "sizes", "seconds", "slope", "expected"), table)))
    print(device())


if __name__ == "__main__":
    main()
