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
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

import probes
import sweep_efficiency
from bandprobe import encoders, progress
from bandprobe.columns import aligned
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry
from bandprobe.metrics import mmd
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples
from bandprobe.seeding import generator
from bandprobe.store import EmbeddingStore
from side_by_side import THREADS, device

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


def embedding(images: int, conditions: int) -> Work:
    """A whole extraction with an encoder that ships, into a new store each time."""
    folder = TemporaryDirectory()
    table = sweep_efficiency.write_micro_images(Path(folder.name) / "images", images)
    encoder, specs = encoders.load("micro-dino"), expand([f"lowpass:1..{conditions}/1px"])
    stores = count()

    def work() -> None:
        store = EmbeddingStore(Path(folder.name) / f"store-{next(stores)}")
        extract(store, table, [encoder], specs, geometry=Geometry.squash(64))

    return work


def fitting(study: probes.Study) -> Work:
    """All of a study's probes, into a new folder each time."""
    folder = TemporaryDirectory()
    store, table = probes.written(Path(folder.name) / "store", study)
    runs = count()

    def work() -> None:
        probes.ours(store, table, study, Path(folder.name) / f"probes-{next(runs)}")

    return work


def resampling(cells: int, images: int) -> Work:
    """Every metric of cells in a thousand resamples."""
    draw = generator(0, "slopes", "bootstrap")
    labels = np.repeat([0, 1], images // 2)
    scores = draw.standard_normal((cells, images)) + labels
    resamples = Resamples.draw(images // 2, images // 2, 1000, draw)
    return partial(replicates, labels, scores, 1 / (1 + np.exp(-scores)), np.zeros(cells), resamples)


MEASURES = (
    Measure("embed, images", 1, (128, 256, 512), lambda n: embedding(n, 8)),
    Measure("embed, conditions", 1, (8, 16, 32), lambda k: embedding(128, k)),
    Measure("train, probes", 1, (4, 8, 16), lambda n: fitting(probes.Study(n, 4, 512))),
    Measure("train, dimension", 1, (512, 1024, 2048), lambda dim: fitting(probes.Study(4, 4, dim))),
    Measure("bootstrap, cells", 1, (64, 128, 256), lambda k: resampling(k, 1000)),
    Measure("bootstrap, images", 1, (500, 1000, 2000), lambda n: resampling(64, n)),
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
    torch.set_num_threads(THREADS)
    with progress.quiet():
        table = [line(measure, options.rounds) for measure in MEASURES if options.only in measure.name]
    print("\n".join(aligned(("cost of", "sizes", "seconds", "slope", "expected"), table)))
    print(device())


if __name__ == "__main__":
    main()
