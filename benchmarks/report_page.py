"""How soon a report of the thesis's size is open: the interactive page beside a page of the same run's pictures.

`python benchmarks/report_page.py` makes up a run of 14 training sets, 11 test sets, 40 filters and two encoders with
all fifteen metrics and their intervals, probes re-trained at every filter and under four filters more, distances,
entropy and bands, builds its report and opens it in a headless Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from bandprobe.report import build
from bandprobe.report.figure_images import embed_images
from bandprobe.seeding import generator

TARGET = 2.0  # seconds from navigation to the first figure, and to the load event
LARGEST = 10e6  # bytes
GANS = ("ProGAN", "StyleGAN", "ProjectedGAN", "Diff-StyleGAN2", "Diff-ProjectedGAN")
DIFFUSION = ("DDPM", "IDDPM", "ADM", "PNDM", "LDM")
FAMILY_OF = {**dict.fromkeys(GANS, "gan"), **dict.fromkeys(DIFFUSION, "diffusion"), "coco": "other"}
TRAINING = [*FAMILY_OF, "all", "family:gan", "family:diffusion"]
FILTERS = {
    "none": np.nan,
    "identity": np.nan,
    **{f"lowpass:{px}px": float(px) for px in (1, *range(5, 190, 5))},
}
ENCODERS = ("dinov2-giant", "openclip-vit-g-14")
METRICS = (
    "auroc", "accuracy", "pd@1%", "pd@5%", "pd@10%", "ap", "eer", "balanced_accuracy", "real_accuracy",
    "fake_accuracy", "precision", "recall", "f1", "brier", "ece",
)  # fmt: skip
NYQUIST = 112


def results(seed: int = 0) -> pd.DataFrame:
    """A tidy table of made-up values: 14 x 11 x 40 x 2 cells, of five times as many probes."""
    more = [f"lowpass:{px}px" for px in (5, 30, 60, 120)]
    pairs = [("none", name) for name in FILTERS] + [(name, name) for name in FILTERS if name != "none"]
    pairs += [pair for pair in product(more, FILTERS) if pair[0] != pair[1]]
    keys = pd.DataFrame(
        [
            (encoder, probe, *pair, test, metric)
            for encoder, pair, probe, test, metric in product(ENCODERS, pairs, TRAINING, FAMILY_OF, METRICS)
        ],
        columns=["encoder", "trained_on", "train_filter", "filter", "tested_on", "metric"],
    )
    rng = generator(seed, "benchmark", "report page")
    value = rng.uniform(0.4, 1.0, len(keys))
    half = rng.uniform(0.003, 0.02, len(keys))
    return keys.assign(
        dataset="lsun-bedroom",
        family_from=keys["trained_on"].map(FAMILY_OF).fillna(""),
        family_to=keys["tested_on"].map(FAMILY_OF),
        cutoff_px=keys["filter"].map(FILTERS),
        cutoff_nyq=keys["filter"].map(FILTERS) / NYQUIST,
        value=value,
        low=np.maximum(value - half, 0),
        high=np.minimum(value + half, 1),
        n_real=10_000,
        n_fake=10_000,
        ac_removed=0.1,
        reason="",
    )


def distances(seed: int = 0) -> pd.DataFrame:
    """A made-up `mmd.csv`."""
    rows = pd.DataFrame(
        list(product(ENCODERS, ("fake_vs_real", "no_filter_vs_filter"), FAMILY_OF, FILTERS)),
        columns=["encoder", "experiment", "source", "filter"],
    )
    p = generator(seed, "benchmark", "distances").uniform(0.001, 1, len(rows))
    return _with_cutoffs(rows).assign(
        space="embedding", family=rows["source"].map(FAMILY_OF), dataset="lsun-bedroom", mmd2=p, p_value=p, q_value=p,
        n=1000, n_real=1000,
    )  # fmt: skip


def entropies(seed: int = 0) -> pd.DataFrame:
    """A made-up `entropy.csv`."""
    measures = ("effective_rank", "effective_rank_ratio", "knn_entropy", "cosine", "cka", "mutual_knn")
    rows = pd.DataFrame(
        list(product(ENCODERS, ("Real", "family:gan", "family:diffusion", "all"), FILTERS, measures)),
        columns=["encoder", "source", "filter", "measure"],
    )
    value = generator(seed, "benchmark", "entropies").uniform(0, 1, len(rows))
    return _with_cutoffs(rows).assign(
        value=value, low=value - 0.1, high=value + 0.1, n=1000, dataset="lsun-bedroom"
    )


def _with_cutoffs(rows: pd.DataFrame) -> pd.DataFrame:
    px = rows["filter"].map(FILTERS)
    return rows.assign(cutoff_px=px, cutoff_nyq=px / NYQUIST)


def pictures_page(run: Path) -> Path:
    """A page of the run's figures as embedded pictures, scaled down to eight megabytes."""
    images = embed_images(sorted((run / "figures").glob("*.png")))
    body = "".join(f'<img src="{i.address}" width="{i.width}" height="{i.height}" alt="">' for i in images)
    page = run / "pictures.html"
    page.write_text(f"<!DOCTYPE html><title>pictures</title>{body}", encoding="utf-8")
    return page


def opened(page: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from navigation to the load event, and to the first figure, in a fresh context each time."""
    loads, figures = [], []
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            tab = context.new_page()
            tab.goto(f"{page.as_uri()}#grid")
            loads.append(tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"))
            if tab.locator("#figure-grid").count():
                tab.wait_for_selector("#figure-grid[data-drawn]", timeout=60_000)
                figures.append(tab.evaluate("performance.getEntriesByName('drawn grid')[0].startTime / 1000"))
            context.close()
        browser.close()
    return loads, figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder to keep the run in")
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch:
        run = arguments.keep or Path(scratch)
        run.mkdir(parents=True, exist_ok=True)
        table = results()
        table.to_parquet(run / "results.parquet", index=False)
        distances().to_csv(run / "mmd.csv", index=False)
        entropies().to_csv(run / "entropy.csv", index=False)
        start = time.perf_counter()
        page = build(run)
        took = time.perf_counter() - start
        print(f"{len(table):,} rows of results; built with its figures for papers in {took:.0f} s")
        print(f"{'page':<12} {'MB':>6} {'load event':>12} {'first figure':>13}   target")
        for name, path in (("interactive", page), ("pictures", pictures_page(run))):
            loads, figures = opened(path, arguments.rounds)
            figure = f"{statistics.median(figures):.2f} s" if figures else "–"
            size = path.stat().st_size
            met = "" if name == "pictures" else (
                "met" if max(*loads, *figures) < TARGET and size < LARGEST else "missed"
            )  # fmt: skip
            print(f"{name:<12} {size / 1e6:>6.2f} {statistics.median(loads):>10.2f} s {figure:>13}   {met}")


if __name__ == "__main__":
    main()
