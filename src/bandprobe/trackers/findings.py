"""What is logged of a run: settings, headline numbers with intervals, curves, claims and files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.report.arrangement import of_one_generator
from bandprobe.report.measures import AUROC, choose_pd
from bandprobe.report.run_directory import prepare_results
from bandprobe.report.slugs import slug, unique_slugs
from bandprobe.report.sweeps import VIEWS, sweep_rows, sweeps_in
from bandprobe.report.tables import family_table

FILES = ("report.html", "results.parquet", "run.json", "claims.csv", "bands.csv", "audit.csv")
FIGURES = ("heatmap-*.png", "curves-*.png", "bands-*.png", "spectrum-*.png")
_UNNAMED = re.compile(r"[^A-Za-z0-9_.\- ]")  # what a tracker may not take in a name
RELATIONS = ("own", "within", "across")
_ENDS = (("value", ""), ("low", "_low"), ("high", "_high"))  # columns, and how their metrics' names end


def params(config: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """A study's settings, flat: `filters.test` and the filters, joined by commas; what is not set is left out."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            flat.update(params(value, f"{key}."))
        elif isinstance(value, list | tuple):
            flat[key] = ", ".join(map(str, value))
        elif value is not None:
            flat[key] = str(value)
    return {_UNNAMED.sub("_", key): text for key, text in flat.items() if text}


def headline(results: pd.DataFrame) -> dict[str, float]:
    """Mean unfiltered AUROC and PD@x% of one-generator probes: `ENCODER/auroc/own`, `..._low`, `..._high`.

    Means are over the generators a probe was trained on (`own`), others of its family (`within`) and of other
    families (`across`); so are the ends of their intervals.
    """
    rows = prepare_results(results)
    slugs = unique_slugs([str(name) for name in rows["encoder"].unique()])
    pd_measure = choose_pd(rows)[0]
    found: dict[str, float] = {}
    for measure in (AUROC, *([pd_measure] if pd_measure else [])):
        table = family_table(rows, measure.name)
        for _, row in table[table["family_from"] == "*"].iterrows():
            name = f"{slugs[str(row['encoder'])]}/{slug(measure.name)}/{row['relation']}"
            found |= _with_interval(name, row)
    return found


def curves(results: pd.DataFrame) -> Iterator[tuple[float, dict[str, float]]]:
    """Mean AUROC against the cut-off, for each encoder, sweep, view, and own or other families' generators.

    Yields:
        A cut-off in px, and `ENCODER/SWEEP/VIEW/own` and the like, with the ends of their intervals.
    """
    rows = prepare_results(results)
    rows = rows[(rows["metric"] == AUROC.name) & rows["value"].notna()]
    rows = rows[of_one_generator(rows)]
    slugs = unique_slugs([str(name) for name in rows["encoder"].unique()])
    sweeps = unique_slugs(sweeps_in(rows))
    own, within = rows["trained_on"] == rows["tested_on"], rows["family_from"] == rows["family_to"]
    rows = rows.assign(relation=np.select([own, within], RELATIONS[:2], RELATIONS[2]))
    points: dict[float, dict[str, float]] = {}
    for sweep, name in sweeps.items():
        for view in VIEWS:
            swept = sweep_rows(rows, sweep, view)
            swept = swept[swept["sweep"] != ""]
            keys = ["encoder", "relation", "cutoff_px"]
            means = swept.groupby(keys, sort=False)[["value", "low", "high"]].mean().reset_index()
            for _, row in means.iterrows():
                series = f"{slugs[str(row['encoder'])]}/{name}/{view}/{row['relation']}"
                points.setdefault(float(row["cutoff_px"]), {}).update(_with_interval(series, row))
    yield from sorted(points.items())


def claims(folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """The claims as they are put: numbers with intervals, and verdicts; nothing where there is no `claims.csv`."""
    try:
        table = pd.read_csv(folder / "claims.csv", keep_default_na=False, na_values=[""])
    except (OSError, ValueError):
        return {}, {}
    for name in ("dino", "clip"):
        table[name] = table[name].astype("object").fillna("").astype(str) if name in table else ""
    first = table.drop_duplicates(["claim", "statistic", "dino", "clip"])
    texts = [f"{row['statistic']} {row['dino']} {row['clip']}".strip() for _, row in first.iterrows()]
    names = unique_slugs(texts)
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    for text, (_, row) in zip(texts, first.iterrows(), strict=True):
        numbers |= _with_interval(f"claims/{names[text]}", row)
        words[f"claims/{names[text]}_verdict"] = f"{row['verdict']}: {row['claim']}"
    return numbers, words


def files(folder: Path) -> list[Path]:
    """The files of a run that are worth keeping with it, and its main figures."""
    listed = [folder / name for name in FILES if (folder / name).is_file()]
    return listed + [path for pattern in FIGURES for path in sorted((folder / "figures").glob(pattern))]


def _with_interval(name: str, row: pd.Series[Any]) -> dict[str, float]:
    return {f"{name}{end}": float(row[column]) for column, end in _ENDS if np.isfinite(row[column])}
