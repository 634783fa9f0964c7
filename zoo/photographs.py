"""The photographs that the zoo's models are trained on, rendered once: `python -m zoo.photographs`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.datasets import photograph
from bandprobe.datasets.captions import attributes, caption
from bandprobe.files import output_folder, replacing

WORK = Path("zoo/work")  # ignored by git
SETS = {"generators": (64, 12_000), "encoders": (96, 24_000)}  # purpose: side, number

_CHUNK = 500  # photographs a file; a chunk that is there is not rendered again


def photographs(work: Path, size: int, count: int, purpose: str, seed: int = 0) -> NDArray[np.uint8]:
    """Photographs to train on, from disk or rendered now.

    Args:
        work: the zoo's folder.
        size: side in pixels.
        count: how many; the first `count` of those of `purpose`.
        purpose: `"generators"` or `"encoders"`; no two share a scene.
        seed: the world's.

    Returns:
        uint8, shape (count, size, size, 3).
    """
    paths = _chunks(work, size, count, purpose, seed)
    return np.concatenate([np.load(path.with_suffix(".npy")) for path in paths])[:count]


def scene_table(work: Path, count: int, purpose: str, seed: int = 0) -> pa.Table:
    """What the photographs show: row i is photograph i.

    Args:
        work, count, purpose, seed: as for `photographs`.

    Returns:
        `caption`, `caption_notexture`, and the scenes' attributes.
    """
    size = SETS[purpose][0]
    paths = _chunks(work, size, count, purpose, seed)
    return pa.concat_tables(pq.read_table(path.with_suffix(".parquet")) for path in paths).slice(0, count)


def _chunks(work: Path, size: int, count: int, purpose: str, seed: int) -> list[Path]:
    folder = output_folder(work / "photographs" / f"{purpose}-{size}-seed-{seed}")
    paths = [folder / f"{start:06d}" for start in range(0, count, _CHUNK)]
    missing = [path for path in paths if not path.with_suffix(".parquet").exists()]
    if missing:
        with progress.bar("render", len(missing) * _CHUNK) as step, ProcessPoolExecutor() as pool:
            tasks = [pool.submit(_render_chunk, path, size, purpose, seed) for path in missing]
            for task in tasks:
                task.result()
                step(_CHUNK)
    return paths


def _render_chunk(path: Path, size: int, purpose: str, seed: int) -> None:
    first = int(path.name)
    shots = [photograph(number, purpose, size=size, seed=seed) for number in range(first, first + _CHUNK)]
    rows = [
        {"caption": caption(scene), "caption_notexture": caption(scene, texture=False), **attributes(scene)}
        for _, scene in shots
    ]
    with replacing(path.with_suffix(".npy")) as temporary:
        np.save(temporary, np.stack([image for image, _ in shots]))
    with replacing(path.with_suffix(".parquet")) as temporary:  # last: it says that the chunk is whole
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def main(
    purpose: Annotated[str, typer.Option(help="generators or encoders")],
    work: Annotated[Path, typer.Option(help="the zoo's folder")] = WORK,
    seed: Annotated[int, typer.Option(help="the world's")] = 0,
) -> None:
    """Render the photographs of one purpose."""
    size, count = SETS[purpose]
    _chunks(work, size, count, purpose, seed)
    progress.say(f"{count} photographs of {size} px for {purpose} in {work / 'photographs'}")


if __name__ == "__main__":
    typer.run(main)
