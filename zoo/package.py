"""Write what ships, or a larger image set, from the trained models: `python -m zoo.package`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray
from PIL import Image

from bandprobe import progress, shipped
from bandprobe.datasets import micro, photograph
from bandprobe.datasets.captions import caption
from bandprobe.errors import InputError
from bandprobe.files import output_folder, replacing
from bandprobe.images.families import REAL
from zoo import encoders
from zoo.autoencoder import Device, Quiet, Seed, Work, reported
from zoo.card_numbers import write_numbers
from zoo.cards import write_encoder_card, write_image_card
from zoo.photographs import WORK
from zoo.samples import FAMILIES, samples
from zoo.tables import read_table

Pictures: TypeAlias = NDArray[np.uint8]
Draw: TypeAlias = Callable[..., Pictures]

# Of every 25 pictures of a source. The place in it decides, so that a larger set only adds to each split.
PER_25 = {"train": 6, "val": 4, "test": 15}
LIMIT = 40_000_000  # bytes that may ship

_FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["real", "fake"], "_type": "ClassLabel"},
    **{
        name: {"dtype": "string", "_type": "Value"}
        for name in ("generator", "family", "split", "caption", "dataset")
    },
}
_SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        *((name, pa.string()) for name in ("generator", "family", "split", "caption", "dataset")),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
_ROW_GROUP = 100  # pictures that are read together


def write_images(
    folder: Path,
    work: Path,
    per_source: int,
    *,
    generators: Mapping[str, str] = FAMILIES,
    draw: Draw = samples,
    seed: int = 0,
    device: str = "cpu",
) -> None:
    """Write an image set: `train.parquet`, `val.parquet`, `test.parquet` and a card.

    Pictures of each generator are drawn and kept by `zoo.samples`, so that a run that was stopped goes on.

    Args:
        folder: gets the set.
        work: where the generators were trained.
        per_source: pictures of each generator in all splits; there are twice as many photographs.
        generators: name to family.
        draw: pictures of a generator, called like `zoo.samples.samples`.
        seed: of photographs and samples.
        device: to draw on.

    Raises:
        InputError: a generator is not trained, or draws one picture twice; a split would be empty.
    """
    numbers = {split: [n for n in range(per_source) if split_of(n) == split] for split in PER_25}
    if not all(numbers.values()):
        raise InputError(f"per-source must be 11 or more, for no split to be empty; got {per_source}.")
    output_folder(folder)
    drawn = {name: draw(work, name, per_source, seed=seed, device=device) for name in generators}
    for name, pictures in drawn.items():
        if len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) < len(pictures):
            raise InputError(f"{name} drew one picture twice, so it is not fit to ship. Train it better.")
    tables = {}
    for split, chosen in numbers.items():
        tables[split] = list(_reals(split, 2 * len(chosen), seed))
        for name, family in generators.items():
            tables[split] += [_row(drawn[name][n], split, name, family, at) for at, n in enumerate(chosen)]
    for split, table in tables.items():
        with replacing(folder / f"{split}.parquet") as temporary:
            pq.write_table(
                pa.Table.from_pylist(table, schema=_SCHEMA),
                temporary,
                row_group_size=_ROW_GROUP,
                compression="zstd",
                use_dictionary=["generator", "family", "split", "dataset"],
            )
    write_image_card(folder, pd.DataFrame([row for table in tables.values() for row in table]))


def split_of(number: int) -> str:
    """The split of a generator's picture, from its number."""
    names = [split for split, share in PER_25.items() for _ in range(share)]
    return names[number % len(names)]


def write_encoders(
    folder: Path,
    work: Path,
    pictures: Mapping[str, Pictures],
    *,
    names: Sequence[str] = encoders.NAMES,
    seed: int = 0,
) -> None:
    """Write the encoders, each with its card, and on it what `zoo.judge` measured.

    Args:
        folder: gets a folder for each.
        work: where they were trained.
        pictures: shipped ones by name, whose vectors the cards record.
        names: of the encoders.
        seed: of the training that ships.

    Raises:
        InputError: an encoder is not trained.
    """
    judged = work / "judged" / "encoders"
    scores = read_table(judged)[0] if judged.with_suffix(".json").exists() else None
    if scores is None:
        progress.say("the cards say nothing of quality. Measure it first: python -m zoo.judge encoders")
    for name in names:
        encoders.export(work, name, seed, folder / name)
        write_encoder_card(folder / name, name, seed, pictures)
        if scores is not None:
            write_numbers(folder / name, work, name, scores)


def first_of_families(root: Path) -> dict[str, Pictures]:
    """The first test picture of every family in a set, real among them, by name."""
    test = micro("test", root=root)
    first = ~test.table["family"].duplicated().to_numpy()
    return dict(zip(test.table["name"][first], test.images()[first], strict=True))


def _reals(split: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of the first photographs of a split, each split being a purpose of its own."""
    with progress.bar(f"{split} reals", count) as step, ProcessPoolExecutor() as pool:
        shoot = partial(_photograph, purpose=split, seed=seed)
        for number, (picture, words) in enumerate(pool.map(shoot, range(count), chunksize=10)):
            yield _row(picture, split, REAL, "real", number, words)
            step()


def _photograph(number: int, purpose: str, seed: int) -> tuple[Pictures, str]:
    picture, scene = photograph(number, purpose, seed=seed)
    return picture, caption(scene)


def _row(
    picture: Pictures, split: str, generator: str, family: str, number: int, words: str | None = None
) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", optimize=True)
    return {
        "image": {"bytes": file.getvalue(), "path": f"{split}/{generator}/{number:04d}.png"},
        "label": int(generator != REAL),
        "generator": generator,
        "family": family,
        "split": split,
        "caption": words,
        "dataset": "micro",
    }


def main(
    out: Annotated[
        Path | None,
        typer.Option(help="Write an image set alone to this folder, instead of what ships.", metavar="DIR"),
    ] = None,
    per_source: Annotated[
        int,
        typer.Option(min=11, help="Pictures of each generator, and half of the photographs.", metavar="N"),
    ] = 250,
    encoder_seed: Annotated[
        int, typer.Option(min=0, help="Which training of every encoder ships.", metavar="N")
    ] = 0,
    work: Work = WORK,
    seed: Seed = 0,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Write what ships into the package, or with --out an image set of any size."""
    with reported(quiet):
        images = shipped.FOLDER / "images" if out is None else out
        write_images(images, work, per_source, draw=samples, seed=seed, device=device)
        if out is None:
            write_encoders(shipped.FOLDER / "encoders", work, first_of_families(images), seed=encoder_seed)
            size = shipped.seal(shipped.FOLDER)
            if size > LIMIT:
                raise InputError(
                    f"{size / 1e6:.1f} MB in {shipped.FOLDER}, more than the {LIMIT / 1e6:.0f} that may ship. "
                    "Give a smaller --per-source."
                )
            progress.say(f"{size / 1e6:.1f} MB in {shipped.FOLDER}")


if __name__ == "__main__":
    typer.run(main)
