"""Made-up runs with the columns of real ones; every number follows from a closed form and a seed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

THESIS_PX = [1, *range(5, 190, 5)]
NYQUIST_PX = 112
THESIS = {
    **dict.fromkeys(("ProGAN", "StyleGAN", "ProjectedGAN", "Diff-StyleGAN2", "Diff-ProjectedGAN"), "gan"),
    **dict.fromkeys(("DDPM", "IDDPM", "ADM", "PNDM", "LDM"), "diffusion"),
    "coco": "other",
}
PHOTOS = {
    "StyleGAN2": ("gan", "faces"),
    "DALLE-mini": ("autoregressive", "scenes"),
    "Disco-ADM": ("diffusion", "scenes"),
    "LatentDiffusion": ("diffusion", "scenes"),
}


def sweep(px: list[int], kind: str = "lowpass") -> list[tuple[str, float]]:
    return [("none", np.nan), ("identity", np.nan), *((f"{kind}:{r}px", float(r)) for r in px)]


def results(
    encoders: list[str],
    generators: dict[str, tuple[str, str]],
    filters: list[tuple[str, float]],
    n: dict[str, tuple[int, int]],
    information: bool = True,
    pooled: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows for every encoder, training set, test set, filter, view and metric shown in a report."""
    rng = np.random.default_rng(seed)
    families = list(dict.fromkeys(family for family, _ in generators.values()))
    training = [(name, family) for name, (family, _) in generators.items()]
    if pooled:
        training += [("all", ""), *((f"family:{family}", family) for family in families)]
    views = [("none", name, px) for name, px in filters]
    if information:
        views += [(name, name, px) for name, px in filters if name != "none"]
    rows = []
    for e, encoder in enumerate(encoders):
        for trained, family_from in training:
            for tested, (family_to, dataset) in generators.items():
                own = trained in (tested, "all", f"family:{family_to}")
                plateau = 0.97 if own else 0.88 if family_from == family_to else 0.66
                plateau -= 0.02 * rng.random() + 0.01 * e
                knee = 12 + 30 * e + 4 * rng.random()
                n_real, n_fake = n[dataset]
                for train_filter, filter_name, px in views:
                    kept = 1.0 if np.isnan(px) else px**2 / (px**2 + knee**2)
                    if train_filter != "none":
                        kept = kept**0.5
                    auroc = 0.5 + (plateau - 0.5) * kept + 0.004 * rng.standard_normal()
                    half = 0.6 / np.sqrt(min(n_real, n_fake))
                    share = 0.0 if np.isnan(px) else float(np.exp(-px / 25))
                    base = (encoder, trained, train_filter, tested, dataset, family_from, family_to,
                            filter_name, px, px / NYQUIST_PX)  # fmt: skip
                    for metric, value, needs in (
                        ("auroc", auroc, 0), ("accuracy", 0.5 + 0.9 * (auroc - 0.5), 0),
                        ("pd@10%", max(2 * auroc - 1, 0.1), 100), ("pd@5%", max(2 * auroc - 1.1, 0.05), 200),
                        ("pd@1%", max(2 * auroc - 1.2, 0.01), 1000),
                    ):  # fmt: skip
                        exact = float(np.clip(value, 0, 1))
                        blank = n_real < needs
                        reason = f"{metric.upper()} needs {needs:,} reals" if blank else ""
                        rows.append((*base, metric, *(
                            (np.nan, np.nan, np.nan) if blank
                            else (exact, max(exact - half, 0), min(exact + half * (1 - exact) * 2, 1))
                        ), n_real, n_fake, reason, share))  # fmt: skip
    columns = ["encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to",
               "filter", "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake",
               "reason", "ac_removed"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@cache
def photo_results(encoders: tuple[str, ...] = ("spectral", "dinov2-tiny", "clip-tiny")) -> pd.DataFrame:
    return results(list(encoders), PHOTOS, sweep(THESIS_PX), {"faces": (150, 150), "scenes": (180, 80)})


@cache
def thesis_results(encoders: tuple[str, ...] = ("dinov2-giant", "openclip-vit-g-14")) -> pd.DataFrame:
    generators = {name: (family, "lsun-bedroom") for name, family in THESIS.items()}
    made = results(list(encoders), generators, sweep(THESIS_PX), {"lsun-bedroom": (10_000, 10_000)})
    return made[made["trained_on"] != "family:other"]


def minimal_results() -> pd.DataFrame:
    return results(["spectral"], {"ProGAN": ("gan", "faces")}, [("none", np.nan)], {"faces": (40, 40)},
                   information=False, pooled=False)  # fmt: skip


def spectra(generators: dict[str, tuple[str, str]], size: int = 64) -> dict[str, np.ndarray]:
    """Arrays of `spectra.npz`: 1/f reals, generators with a dent and a grid of peaks."""
    half = size // 2
    radius = np.hypot(*np.meshgrid(np.arange(size) - half, np.arange(size) - half))
    rings = np.arange(int(np.sqrt(2) * half) + 1)
    arrays = {"frequency_nyq": rings / half}
    for dataset in dict.fromkeys(d for _, d in generators.values()):
        members = ["Real", *(name for name, (_, d) in generators.items() if d == dataset)]
        for i, name in enumerate(members):
            arrays[f"{dataset}/{name}/density"] = (
                30.0 / np.maximum(rings, 0.5) ** 2 * (1 + 0.4 * i * rings / half)
            )
            plane = 0.02 * np.sqrt(radius / half + 0.05)
            coherent = plane / 10
            if i:
                coherent = coherent.copy()
                coherent[:: size // 8, :: size // 8] *= 20 / i
            arrays[f"{dataset}/{name}/magnitude_hp"] = plane * (1 + 0.1 * i)
            arrays[f"{dataset}/{name}/fft_hp"] = coherent
            arrays[f"{dataset}/{name}/n"] = np.array(100)
    return arrays


def write_run(
    folder: Path, table: pd.DataFrame, record: dict | None = None, arrays: dict | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "results.parquet", index=False)
    if record is not None:
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    if arrays is not None:
        np.savez_compressed(folder / "spectra.npz", **arrays)
    return folder


def photo_record() -> dict:
    counts = [
        {"dataset": dataset, "generator": name, "family": family, "split": split, "n": n}
        for name, family, dataset in (
            ("Real", "", "faces"), ("Real", "", "scenes"), *((g, f, d) for g, (f, d) in PHOTOS.items())
        )
        for split, n in (("train", 105), ("val", 15), ("test", 30))
    ]  # fmt: skip
    return {
        "versions": {"bandprobe": "0.1.0", "torch": "2.13.0", "python": "3.11"},
        "seed": 0, "device": "cpu", "command": "bandprobe study photos.toml --out runs/photos",
        "geometry": "squash:224", "protocol": "corrected", "left_out": 2,
        "timings": {"index": 1.2, "extract": 182.4, "probes": 33.0},
        "encoder_passes": {"done": 29_200, "saved": 1_460},
        "warnings": ["dinov2-tiny has random weights: its numbers say nothing about trained encoders."],
        "data": {"roots": ["faces", "scenes"], "n_images": 730, "counts": counts},
        "encoders": [
            {"name": "spectral", "dim": 512}, {"name": "dinov2-tiny", "dim": 192}, {"name": "clip-tiny"},
        ],
    }  # fmt: skip
