"""Ray against this process: throughput at one and two actors, what Ray costs, and memory at many images.

Prints the rows and writes cluster.json beside this file, from which scale_sim.py takes its stage times.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

import sweep_efficiency
from bandprobe import encoders, progress
from bandprobe.cluster import Cluster
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.seeding import generator
from bandprobe.store import EmbeddingStore
from run import table
from side_by_side import THREADS, Row, device

RESULTS = Path(__file__).with_name("cluster.json")
_POLL = 0.5  # seconds between two looks at what processes hold


def throughput(*, images: int = 240, few: int = 40, conditions: int = 8, side: int = 224) -> list[Row]:
    """A ViT of 22 million parameters on one actor and on two, a thread each, against this process's two threads.

    Args:
        images: of a run; so many that it takes over two minutes.
        few: of a second run, whose time is taken off: what is left is free of every start.
        conditions: low-passes.
        side: the encoder's grid, in pixels.
    """
    specs = expand([f"lowpass:10..{10 * conditions}/10px"])
    with TemporaryDirectory() as name:
        folder = Path(name)
        sweep_efficiency.write_encoder(folder / "encoder", side, sweep_efficiency.SMALL)
        pictures = sweep_efficiency.write_images(folder / "images", images, side + 32)
        encoder = encoders.load(str(folder / "encoder"), device="cpu")

        def seconds(label: str, some: int, cluster: Cluster | None) -> float:
            store = EmbeddingStore(folder / f"{label}-{some}")
            start = time.perf_counter()
            done = extract(
                store, pictures[:some], [encoder], specs, geometry=Geometry.squash(side, side),
                batch_size=8, cluster=cluster,
            )  # fmt: skip
            if done.passes != some * conditions:
                raise ArithmeticError(f"{label}: {done.passes} passes of {some * conditions}.")
            return time.perf_counter() - start

        sides: dict[str, Cluster | None] = {
            "here": None,
            "two": Cluster(device="cpu", actors=2),
            "one": Cluster(device="cpu", actors=1),
        }
        rate, whole = {}, {}
        for label, cluster in sides.items():
            start_up = seconds(label, few, cluster)
            whole[label] = seconds(label, images, cluster)
            rate[label] = (images - few) * conditions / (whole[label] - start_up)
        check_same(EmbeddingStore(folder / f"here-{images}"), EmbeddingStore(folder / f"two-{images}"))
    unit = f"images x conditions / s, {images - few} images more than {few}; the run took {whole['here']:.0f} s here"
    return [
        Row("Ray, two actors against one", rate["two"] / rate["one"], 1.8, rate["two"], rate["one"], unit, device()),
        Row("Ray, two actors against two threads here", rate["two"] / rate["here"], 0.95, rate["two"], rate["here"],
            unit, device()),
    ]  # fmt: skip


def check_same(one: EmbeddingStore, two: EmbeddingStore) -> None:
    """Refuse stores that differ.

    Raises:
        ArithmeticError: a vector differs by more than 1e-6.
    """
    for condition in one.conditions():
        apart = np.abs(one.read(*condition).embedding - two.read(*condition).embedding).max()
        if apart > 1e-6:
            raise ArithmeticError(f"{condition}: vectors differ by {apart:.1e}.")


def memory(*, images: int = 20_000, fewer: Sequence[int] = (1_000, 5_000)) -> list[Row]:
    """What this process and the largest worker hold at most, at few images and at many.

    Args:
        images: pictures of 64 x 64.
        fewer: what it is set against; below some 8,000, chunks are smaller, so that each worker has four.
    """
    with TemporaryDirectory() as name:
        pictures = written(Path(name), images)
        peaks = {n: peak(pictures[:n], Path(name) / f"store-{n}") for n in (*fewer, images)}
    return [
        Row(f"memory of {who}, {images:,} images against {few:,}", peaks[few][who] / peaks[images][who], 0.9,
            peaks[images][who], peaks[few][who], "MiB", device())
        for few in fewer
        for who in ("a worker", "this process")
    ]  # fmt: skip


def written(folder: Path, images: int) -> pd.DataFrame:
    """Pictures of 64 x 64, each another, and their table."""
    rng, found = generator(0, "cluster benchmark"), []
    for number in range(images):
        path = folder / f"{number}.png"
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path)
        found.append((image_id(decode(path)), str(path)))
    return pd.DataFrame(found, columns=["image_id", "path"])


def peak(pictures: pd.DataFrame, store: Path) -> dict[str, float]:
    """MiB of their own that this process and any worker held while a store was filled on Ray."""
    most = {"a worker": 0.0, "this process": 0.0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(_POLL):
            most["this process"] = max(most["this process"], own_memory(Path("/proc/self")))
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and named(process, b"MapWorker"):
                    most["a worker"] = max(most["a worker"], own_memory(process))

    watcher = threading.Thread(target=look)
    watcher.start()
    extract(
        EmbeddingStore(store), pictures, [encoders.load("spectral", device="cpu")],
        expand(["none", "lowpass:8px"]), geometry=Geometry.squash(64, 64), cluster=Cluster(device="cpu"),
    )  # fmt: skip
    over.set()
    watcher.join()
    return most


def named(process: Path, what: bytes) -> bool:
    """Whether a process goes by that name."""
    try:
        return what in (process / "cmdline").read_bytes()
    except OSError:
        return False


def own_memory(process: Path) -> float:
    """MiB that a process holds and shares with none."""
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def stages(*, side: int = 224, images: int = 16) -> dict[str, float]:
    """Seconds of one thread for one image: read and decoded, filtered and encoded once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        sweep_efficiency.write_encoder(folder / "encoder", side, sweep_efficiency.SMALL)
        pictures = sweep_efficiency.write_images(folder / "images", images, side + 32)
        encoder = encoders.load(str(folder / "encoder"), device="cpu")
        grid = Geometry.squash(side, side)
        torch.set_num_threads(1)
        found: list[np.ndarray[Any, Any]] = []

        def read() -> None:
            decoded = [decode(path) for path in pictures["path"]]
            found[:] = [grid.apply(picture) for picture in decoded if image_id(picture)]

        def encode() -> None:
            batch = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255
            for start in range(0, images, 4):
                encoder.embed(batch[start : start + 4])

        return {"decode": timed(read) / images, "encode": timed(encode) / images}


def timed(work: Callable[[], object]) -> float:
    """Seconds, the second time."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two minutes; writes nothing")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    with progress.quiet():
        if options.quick:
            rows = [*throughput(images=12, few=4, conditions=2, side=56), *memory(images=400, fewer=(100,))]
        else:
            rows = [*throughput(), *memory()]
        measured = stages()
    print(table(rows))
    print(rows[0].device)
    print(
        ", ".join(f"{name} {1000 * value:.2f} ms" for name, value in measured.items()), "an image, one thread"
    )
    if not options.quick:
        content = {"rows": [asdict(row) for row in rows], "stages": measured}
        RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
