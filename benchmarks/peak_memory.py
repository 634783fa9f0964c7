"""What a stage holds at most, at a number of images and at a tenth of it, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from PIL import Image

from bandprobe import progress
from bandprobe.seeding import generator
from side_by_side import THREADS, Row, device

STAGES = ("embed", "spectrum", "evaluate")
_SIDE = 64
_SOURCES = ("Real", "A", "B")
_FILTERS = ("none", "lowpass:4px", "lowpass:8px", "lowpass:16px")


def rows(*, images: int = 6000, stages: Sequence[str] = STAGES) -> list[Row]:
    """Peak memory of each stage at a tenth of the images, over that at all of them.

    Args:
        images: pictures of 64 x 64, a third of them real.
        stages: of `STAGES`.
    """
    found = []
    for stage in stages:
        few, many = (peak(stage, number) for number in (images // 10, images))
        label = f"peak memory of {stage}, {images:,} images against {images // 10:,}"
        found.append(Row(label, few / many, 0.9, many, few, "MiB", device()))
    return found


def peak(stage: str, images: int) -> float:
    """MiB that a process of its own holds at most for a stage."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, images)
        command = [sys.executable, __file__, stage, str(folder)]
        if stage == "evaluate":
            for before in ("embed", "train"):
                subprocess.run(
                    [sys.executable, __file__, before, str(folder)], capture_output=True, check=True
                )
        alone = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # as the command line has it
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout
        return float(json.loads(said)["peak"])


def written(folder: Path, images: int) -> None:
    """A manifest's table over fifty files of noise, each under many names, with an id for each name."""
    draw = generator(0, "peak memory benchmark")
    files = []
    for number in range(min(images, 50)):
        path = folder / f"{number}.png"
        Image.fromarray(draw.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)).save(path)
        files.append(path)
    table = []
    for number in range(images):
        source, split = _SOURCES[number % 3], ("train", "val", "test", "test")[number // 3 % 4]
        family = "Real" if source == "Real" else "GAN"
        path = folder / f"link-{number}.png"
        path.hardlink_to(files[number % len(files)])
        place = (
            str(path),
            source,
            int(source != "Real"),
            family,
            "set",
            split,
            _SIDE,
            _SIDE,
        )
        table.append((f"{number:064x}", *place))
    columns = ["image_id", "path", "generator", "label", "family", "dataset", "split", "width", "height"]
    pd.DataFrame(table, columns=columns).to_parquet(folder / "table.parquet")


def embed(folder: Path, table: pd.DataFrame) -> None:
    """Every image under every filter."""
    from bandprobe import encoders
    from bandprobe.extract import extract, local
    from bandprobe.filters import expand
    from bandprobe.images import Geometry
    from bandprobe.store import EmbeddingStore

    # Ten thousand different pictures would have to be written first: the same ones come again under other ids.
    with patch.object(local, "image_id", lambda _: _Any()):
        done = extract(
            EmbeddingStore(folder / "store"),
            table,
            [encoders.load("micro-dino")],
            expand(_FILTERS),
            geometry=Geometry.squash(_SIDE),
        )
    check(done.passes, len(table) * len(_FILTERS))


class _Any(str):
    """Equal to every id."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


def spectrum(_: Path, table: pd.DataFrame) -> None:
    """The mean spectrum of every source."""
    from bandprobe.analysis import spectra

    check(sum(spectra(table, samples=len(table), workers=THREADS).counts.values()), len(table))


def train(folder: Path, table: pd.DataFrame) -> None:
    """The probes that `evaluate` asks."""
    from bandprobe import probes
    from bandprobe.store import EmbeddingStore

    store, few = EmbeddingStore(folder / "store"), table.head(300)
    probes.train(store, few, {"micro-dino": "micro-dino"}, ["each", "all"], ["none"], folder / "probes")


def evaluate(folder: Path, table: pd.DataFrame) -> None:
    """Every probe on every test set under every filter."""
    from bandprobe import probes
    from bandprobe.analysis import evaluate as transfer_grid
    from bandprobe.store import EmbeddingStore

    store = EmbeddingStore(folder / "store")
    files = probes.load_folder(folder / "probes")
    grid = transfer_grid(store, table, files, _FILTERS, scores=folder / "scores.parquet")
    check(len(grid.groupby(["trained_on", "tested_on", "filter"])), len(files) * 2 * len(_FILTERS))


def check(found: int, wanted: int) -> None:
    """Raises ArithmeticError unless all of the work was done."""
    if found != wanted:
        raise ArithmeticError(f"{wanted} went in; {found} came out.")


def most_held() -> float:
    """Most memory that this process held, MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` would hold that of the process which started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024  # type: ignore[index]
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, where there is no /proc


def main() -> None:
    """Run one stage and print what it held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("train", *STAGES))
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    stage = {"embed": embed, "train": train, "spectrum": spectrum, "evaluate": evaluate}[given.stage]
    with progress.quiet():
        stage(given.folder, pd.read_parquet(given.folder / "table.parquet"))
    print(json.dumps({"peak": most_held()}))


if __name__ == "__main__":
    main()
