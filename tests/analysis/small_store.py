"""A small store with embeddings made up for tests: what filters leave of a few directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bandprobe.store import EmbeddingStore, Rows, fingerprint

SOURCES = (("Real", "real", 40), ("ProGAN", "gan", 34), ("StyleGAN", "gan", 30), ("DDPM", "diffusion", 32))
DIM = 12


def small_manifest(folder: Path, dataset: str = "d", sources: tuple = SOURCES) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (f"{rng.integers(10**9):09d}{dataset}{name}", str(folder / f"{name}{i}.png"), int(name != "Real"), name,
         family, dataset, "test" if i < n - 3 else "train")
        for name, family, n in sources
        for i in range(n)
    ]  # fmt: skip
    columns = ["image_id", "path", "label", "generator", "family", "dataset", "split"]
    return pd.DataFrame(rows, columns=columns)


def fill(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    encoder: str,
    specs: dict[str, float],
    geometry: str = "squash:32",
) -> None:
    """Embeddings whose last directions shrink by a filter's factor; high-passes see noise besides."""
    rng = np.random.default_rng(len(encoder))
    base = rng.standard_normal((len(manifest), DIM))
    with store:
        for spec, factor in specs.items():
            X = base * np.where(np.arange(DIM) < 4, 1, factor)
            if "highpass" in spec:
                X = X + 0.5 * rng.standard_normal(X.shape)
            made = fingerprint({"weights": encoder}, geometry=geometry, background="white", filter=spec)
            share = np.zeros(len(X), np.float32)
            store.write(
                encoder, made, Rows(manifest["image_id"].to_numpy(object), X.astype("f4"), share, share)
            )
