"""A small probe on the embedded encoder, for what is done with probes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bandprobe import datasets, encoders, probes
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry
from bandprobe.store import EmbeddingStore

SOURCES = ("Real", "gan-transposed", "gan-style")


def micro_table(each: int = 60) -> pd.DataFrame:
    """Some images of three sources of the embedded world, of each split."""
    from bandprobe.images import build

    table = build([str(datasets.micro().root)]).table
    table = table[table["generator"].isin(SOURCES) | (table["label"] == 0)]
    return table.groupby(["generator", "split"]).head(each).reset_index(drop=True)


def write_probe(folder: Path, table: pd.DataFrame, *, filters: tuple[str, ...] = ("none",)) -> list[Path]:
    """Probes of micro-dino on all of a table's fakes, one a filter."""
    model = encoders.load("micro-dino", device="cpu")
    store = EmbeddingStore(folder / "store", {model.name: "micro-dino"})
    extract(store, table, [model], expand(filters), geometry=Geometry.parse("squash:64"))
    made = probes.train(store, table, {model.name: "micro-dino"}, ["all"], list(filters), folder / "probes")
    return [folder / "probes" / file.file_name for file in made]


def pictures(source: str, n: int) -> list[np.ndarray]:
    return list(datasets.micro().images(source)[:n])
