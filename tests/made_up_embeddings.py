"""Embeddings made up for tests of recipes: what tells fakes from reals, under which filter, is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bandprobe.filters import parse
from bandprobe.filters.presets import CHANGES, PARTS, RADII, RANDOM_BANDSTOP, RANDOM_LOWPASS
from bandprobe.recipes import TrainingSet, Vectors, without
from bandprobe.store import EmbeddingStore, Rows, fingerprint

ENCODER = "toy"
SPECS = ("none", *(str(parse(spec)) for spec in (*PARTS, *RADII, *CHANGES, RANDOM_LOWPASS, RANDOM_BANDSTOP)))
FAMILIES = {"A": "gan", "B": "gan", "C": "diffusion", "D": "diffusion"}
DIM = 14  # more than generators


def manifest(each: int = 40, generators: dict[str, str] = FAMILIES) -> pd.DataFrame:
    """Twice as many reals as fakes of each generator, in three splits."""
    rows = []
    for name, family, n in [("Real", "real", 2 * each), *((g, f, each) for g, f in generators.items())]:
        for i in range(n):
            split = ("train", "train", "val", "test")[i % 4]
            rows.append(
                (f"{name}{i:04d}", int(name != "Real"), name, family, "d", split, f"/pictures/{name}{i}.png")
            )
    columns = ["image_id", "label", "generator", "family", "dataset", "split", "path"]
    return pd.DataFrame(rows, columns=columns)


def vectors(
    table: pd.DataFrame, seed: int = 0, *, signal: float = 1.6, own: float = 3.0
) -> dict[str, np.ndarray]:
    """Vectors by filter: direction 0 holds what all fakes share, each generator has a direction of its own.

    Low-passes take the generators' own artefacts away and leave what is shared; high-passes move the last direction.
    """
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((len(table), DIM))
    fake = table["label"].to_numpy() == 1
    base[fake, 0] += signal
    found = {}
    for spec in SPECS:
        X = base + 0.1 * rng.standard_normal(base.shape)
        for place, name in enumerate(sorted(set(table["generator"]) - {"Real"}), 1):
            X[(table["generator"] == name).to_numpy(), place] += 0.0 if spec.startswith("lowpass") else own
        if spec.startswith("highpass"):
            X[:, -1] += 4.0
        found[spec] = X
    return found


def held(
    table: pd.DataFrame, found: dict[str, np.ndarray], encoder: str = ENCODER, **others: dict[str, np.ndarray]
) -> Vectors:
    """As recipes are given them; `others` are further encoders'."""
    ids = table["image_id"].to_numpy(object)
    order = np.argsort(ids)
    of = {
        (name, spec): X[order].astype(np.float32)
        for name, its in {encoder: found, **others}.items()
        for spec, X in its.items()
    }
    return Vectors(ids[order], of)


def training_set(
    table: pd.DataFrame, of: Vectors, left_out: Sequence[str] = (), name: str = "all"
) -> TrainingSet:
    return TrainingSet(without(table, left_out), of, seed=0, name=name)


def stored(
    folder: Path, table: pd.DataFrame, found: dict[str, np.ndarray], encoder: str = ENCODER
) -> EmbeddingStore:
    """The same in a store."""
    store = EmbeddingStore(folder, {encoder: encoder})
    blank = np.zeros(len(table), np.float32)
    with store:
        for spec, X in found.items():
            made = fingerprint({"weights": encoder}, geometry="squash:64", background="white", filter=spec)
            rows = Rows(table["image_id"].to_numpy(object), X.astype(np.float32), blank, blank)
            store.write(encoder, made, rows)
    return store
