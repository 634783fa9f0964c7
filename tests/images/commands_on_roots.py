"""What `index` and `embed` make of a root of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from bandprobe.cli.app import app
from bandprobe.images import Manifest
from bandprobe.store import EmbeddingStore

COLUMNS = [
    "image_id",
    "label",
    "generator",
    "family",
    "dataset",
    "split",
    "width",
    "height",
    "format",
    "file_bytes",
]


def run(*words: str) -> None:
    result = CliRunner().invoke(app, [*words, "--quiet"])
    assert result.exit_code == 0, result.output


def indexed_and_embedded(root: str, out: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The manifest less its paths, and the vectors of its images, both in the order of the image ids."""
    run("index", root, "--out", str(out / "manifest.parquet"))
    conditions = ["--encoder", "spectral", "--filter", "none", "--geometry", "squash:32"]
    run("embed", root, *conditions, "--store", str(out / "s"))
    table = Manifest.load(out / "manifest.parquet").table[COLUMNS].sort_values("image_id", ignore_index=True)
    store = EmbeddingStore(out / "s")
    [(encoder, spec)] = store.conditions()
    return table, store.read(encoder, spec, table["image_id"].tolist()).embedding
