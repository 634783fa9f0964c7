"""Half precision against single: how far embeddings turn, and what that does to every headline metric.

As a script it prints the change of each metric over the cells of a grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import bandprobe as bp
from bandprobe import progress
from bandprobe.datasets import micro
from bandprobe.store import EmbeddingStore
from side_by_side import THREADS, Row, device

ENCODERS = ("micro-dino", "micro-clip")
HALVES = ("fp16", "bf16")
FILTERS = ("none", "lowpass:7px", "lowpass:0.5nyq", "highpass:0.15nyq")
METRICS = ("auroc", "ap", "accuracy", "eer", "pd@10%", "brier")
_LEFT_OUT = (
    "information", "spectrum", "mmd", "entropy", "twin", "claims", "audit", "calibration", "bands",
)  # fmt: skip
_LEAST = 0.99  # the cosine that an embedding must keep


def studies(
    folder: Path, limit: int, encoders: Sequence[str] = ENCODERS, filters: Sequence[str] = FILTERS
) -> dict[str, bp.Run]:
    """The same study of the images that ship in each precision: everything but the grid left out.

    Args:
        folder: where the runs go.
        limit: images of each generator and split.
        encoders: their names.
        filters: the test conditions.
    """
    images = micro()
    found = {}
    for precision in ("fp32", *HALVES):
        study = bp.Study.from_dict(
            {
                "data": {"root": str(images.root), "limit": limit},
                "families": images.families,
                "encoders": {"names": list(encoders), "geometry": "squash:64"},
                "filters": {"test": list(filters)},
                "probes": {"seeds": 1},
                "analysis": dict.fromkeys(_LEFT_OUT, False),
                "run": {"precision": precision, "batch_size": 64},
            },
            precision,
        )
        found[precision] = study.run(folder / precision)
    return found


def cosines(one: Path, two: Path, encoder: str, filters: Sequence[str]) -> NDArray[np.float64]:
    """The cosine between two stores' vectors of each image under each filter."""
    found = []
    for spec in filters:
        a, b = (EmbeddingStore(folder).read(encoder, spec) for folder in (one, two))
        if not np.array_equal(a.image_id, b.image_id):
            raise ArithmeticError(f"{encoder} {spec}: the stores must hold the same images.")
        x, y = a.embedding.astype(np.float64), b.embedding.astype(np.float64)
        found.append((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))
    return np.concatenate(found)


def changes(single: pd.DataFrame, half: pd.DataFrame) -> pd.DataFrame:
    """Of each metric, over the cells of the grid: mean and largest change, and the mean interval's half width."""
    keys = ["encoder", "trained_on", "train_filter", "tested_on", "filter", "metric"]
    both = single.merge(half, on=keys, suffixes=("", "_half"), validate="one_to_one")
    both = both[both["metric"].isin(METRICS)].dropna(subset=["value", "value_half"])
    both["change"] = (both["value_half"] - both["value"]).abs()
    both["half_width"] = (both["high"] - both["low"]) / 2
    return both.groupby(["encoder", "metric"], sort=False).agg(
        cells=("change", "size"),
        mean_change=("change", "mean"),
        largest_change=("change", "max"),
        half_width=("half_width", "mean"),
    )


def rows(
    *, limit: int = 20, encoders: Sequence[str] = ENCODERS, filters: Sequence[str] = FILTERS
) -> list[Row]:
    """The least cosine of any embedding with its single-precision one."""
    with TemporaryDirectory() as name:
        runs = studies(Path(name), limit, encoders, filters)
        found = []
        for half in HALVES:
            stores = runs["fp32"].folder / "store", runs[half].folder / "store"
            least = min(float(cosines(*stores, encoder, filters).min()) for encoder in encoders)
            found.append(
                Row(
                    f"{half} embeddings",
                    least,
                    _LEAST,
                    least,
                    1.0,
                    "least cosine with single precision",
                    device(),
                )
            )
        return found


def main() -> None:
    """Print cosines, and the change of every headline metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=100, help="images of each generator and split")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    with TemporaryDirectory() as name, progress.quiet():
        runs = studies(Path(name), options.limit)
        single = runs["fp32"]
        for half in HALVES:
            for encoder in ENCODERS:
                found = cosines(single.folder / "store", runs[half].folder / "store", encoder, FILTERS)
                most, median = 1 - found.min(), 1 - np.median(found)
                print(f"{half} {encoder}: 1 - cosine {most:.2g} at most, {median:.2g} in the median")
            print(changes(single.results, runs[half].results).to_string(float_format="%.4f"))
    print(device())


if __name__ == "__main__":
    main()
