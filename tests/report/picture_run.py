"""A small run with real pictures behind it: scores that follow from a seed, and names that try to break out."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from page_run import build_page
from PIL import Image
from report_runs import results, write_run

EVIL = "Gen<img src=x onerror=\"document.title='owned'\">&'"
GENERATORS = {"ProGAN": ("gan", "faces"), EVIL: ("diffusion", "faces")}
FILTERS = {
    "none": np.nan,
    "identity": np.nan,
    "lowpass:3px": 3.0,
    "lowpass:12px": 12.0,
    "highpass:0.15nyq": 3.6,
}
ENCODERS = ("one", "two")
SIDE = 48
REALS, FAKES = 24, 12


def identity(pixels: np.ndarray) -> str:
    """SHA-256 of height and width as little-endian uint32, then the RGB bytes."""
    return hashlib.sha256(struct.pack("<II", *pixels.shape[:2]) + pixels.tobytes()).hexdigest()


def write_pictures(folder: Path, rng: np.random.Generator) -> pd.DataFrame:
    """Pictures of noise that is smoother for fakes, and their manifest; all of the test split."""
    rows = []
    for name, n in (("Real", REALS), *((name, FAKES) for name in GENERATORS)):
        for number in range(n):
            noise = rng.normal(128, 60, (SIDE, SIDE, 3))
            if name != "Real":
                noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
            pixels = np.clip(noise, 0, 255).astype(np.uint8)
            path = folder / f"{len(rows):03d}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            family = "real" if name == "Real" else GENERATORS[name][0]
            rows.append(
                (identity(pixels), str(path), int(name != "Real"), name, family, "faces", "test", SIDE, SIDE)
            )
    columns = ["image_id", "path", "label", "generator", "family", "dataset", "split", "width", "height"]
    return pd.DataFrame(rows, columns=columns)


def write_scores(
    folder: Path, manifest: pd.DataFrame, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`scores.parquet` and `confusion.csv`: random logits, higher for fakes, and a threshold for each probe."""
    scores, confusion = [], []
    for encoder in ENCODERS:
        for trained in (*GENERATORS, "all"):
            threshold = round(float(rng.normal(0, 0.2)), 3)
            for train_filter in ("none", "lowpass:3px"):
                for spec in FILTERS:
                    if train_filter not in ("none", spec):
                        continue
                    logits = rng.normal(0, 1, len(manifest)) + manifest["label"]
                    scores.append(
                        pd.DataFrame(
                            {
                                "image_id": manifest["image_id"], "encoder": encoder, "trained_on": trained,
                                "train_filter": train_filter, "filter": spec, "logit": logits,
                                "probability": 1 / (1 + np.exp(-logits)),
                            }
                        )
                    )  # fmt: skip
                    for tested in GENERATORS:
                        confusion.append(
                            (encoder, trained, train_filter, tested, "faces", spec, threshold, 1, 1, 1, 1)
                        )
    columns = ["encoder", "trained_on", "train_filter", "tested_on", "dataset", "filter", "threshold", "tp", "fn",
               "fp", "tn"]  # fmt: skip
    whole, table = pd.concat(scores, ignore_index=True), pd.DataFrame(confusion, columns=columns)
    # Row groups that hold parts of several cells.
    whole.to_parquet(folder / "scores.parquet", index=False, row_group_size=100)
    table.to_csv(folder / "confusion.csv", index=False)
    return whole, table


def picture_run(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A run folder without small pictures yet; returns manifest, scores and thresholds."""
    rng = np.random.default_rng(5)
    filters = list(FILTERS.items())
    table = results(["one"], GENERATORS, filters, {"faces": (REALS, FAKES)}, information=False, pooled=False)
    table["cutoff_nyq"] = table["cutoff_px"] / (SIDE / 2)
    record = {
        "geometry": f"squash:{SIDE}", "seed": 3, "protocol": "corrected", "command": "bandprobe study evil$(x).toml",
        "versions": {"bandprobe": "0.1.0", "numpy": "2.0"},
        "encoders": [{"name": "one", "source": "dinov2-small", "dim": 384, "weights": "ab" * 32}],
        "config": {"data": {"background": "white", "near_duplicates": True}},
    }  # fmt: skip
    write_run(folder, table, record)
    manifest = write_pictures(folder.parent / "images", rng)
    manifest.to_parquet(folder / "manifest.parquet", index=False)
    scores, confusion = write_scores(folder, manifest, rng)
    (folder / "claims.csv").write_text(
        "claim,statistic,value,low,high,margin,verdict,reason,curve,mask,depth,history,metric,dino,clip,beyond\n"
        "a <b>claim</b>,fall of it,0.02,-0.01,0.05,0.05,undecided,the interval holds the margin,reliance,butterworth,"
        "float,raw,auroc,,one,above\n"
        "another,rise of it,0.9,0.8,0.95,0.5,supported,all of it,reliance,butterworth,float,raw,auroc,,one,above\n",
        encoding="utf-8",
    )
    (folder / "audit.csv").write_text(
        "trace,dataset,auroc,low,high,warning\n"
        "metadata,faces,0.9,0.85,0.94,files without their pixels tell fakes from reals\n"
        "format,faces,0.8,0.7,0.9,format differs: PNG in 90 % of fakes\n",
        encoding="utf-8",
    )
    return manifest, scores, confusion


@dataclass(frozen=True)
class Pictured:
    """The run's page, and what it was made from."""

    folder: Path
    page: Path
    manifest: pd.DataFrame
    scores: pd.DataFrame
    confusion: pd.DataFrame


def built(root: Path) -> Pictured:
    """The run made in a folder, and its page."""
    folder = root / "run"
    made = picture_run(folder)
    return Pictured(folder, build_page(folder), *made)
