"""What a run directory holds, read once and handed to figures, tables and page."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bandprobe.encoders.compound_names import LAYER
from bandprobe.errors import InputError

REQUIRED = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
    "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake",
)  # fmt: skip
NUMERIC = ("cutoff_px", "cutoff_nyq", "value", "low", "high", "n_real", "n_fake", "ac_removed")

ANALYSES = {
    "claims": ("claim", "statistic", "value", "low", "high", "margin", "verdict", "reason"),
    "mmd": (
        "encoder",
        "space",
        "experiment",
        "source",
        "filter",
        "cutoff_px",
        "mmd2",
        "p_value",
        "q_value",
        "n",
    ),
    "entropy": ("encoder", "source", "filter", "cutoff_px", "measure", "value", "low", "high"),
    "confusion": ("encoder", "trained_on", "tested_on", "filter", "tp", "fn", "fp", "tn"),
    "audit": ("trace", "dataset", "auroc", "low", "high", "warning"),
    "calibration": (
        "encoder",
        "trained_on",
        "tested_on",
        "dataset",
        "measure",
        "promised",
        "value",
        "verdict",
    ),
    "bands": (
        "encoder",
        "trained_on",
        "train_filter",
        "tested_on",
        "centre_nyq",
        "low_nyq",
        "high_nyq",
        "strength",
        "p_value",
    ),
    "layers": (
        "encoder",
        "layer",
        "layers",
        "curve",
        "mask",
        "measure",
        "filter",
        "value",
        "low",
        "high",
        "note",
    ),
    "bands_tested": ("encoder", "trained_on", "train_filter", "tested_on", "outcome"),
    "robustness_means": (
        "encoder",
        "probes",
        "train_filter",
        "before",
        "degradation",
        "severity",
        "filter",
        "metric",
        "value",
        "low",
        "high",
        "fall",
        "fall_low",
        "fall_high",
        "resampled",
    ),
    "robustness_ranks": (
        "ranked",
        "encoder",
        "train_filter",
        "before",
        "degradation",
        "severity",
        "items",
        "tau",
        "tau_low",
        "tau_high",
        "tau_repeat",
        "rho",
        "pairs",
        "pairs_kept",
        "pairs_turned",
        "winner",
        "winner_there",
        "verdict",
        "kept",
    ),
    "ablation": ("quantity", "baseline", "switch", "value", "low", "high", "moved"),
}
_NUMBERS = {
    "value", "low", "high", "margin", "mmd2", "p_value", "q_value", "n", "cutoff_px", "cutoff_nyq", "baseline",
    "moved", "cells", "auroc", "auroc_found", "low_found", "high_found", "promised", "threshold", "n_validation",
    "n_real", "n_fake", "centre_nyq", "low_nyq", "high_nyq", "strength", "own_auroc", "fall", "control_fall",
    "ac_removed", "severity", "fall_low", "fall_high", "tau", "tau_low", "tau_high", "tau_repeat", "rho", "pairs",
    "pairs_kept", "pairs_turned", "kept", "kept_resampled", "items",
}  # fmt: skip


@dataclass(frozen=True)
class SourceSpectra:
    """Spectra of one source (the reals or one generator) of one dataset.

    Attributes:
        density: mean power per ring, shape (r,), squared intensity (ortho FFT); None when absent.
        density_std: its standard deviation over images, shape (r,); None when absent.
        planes: two-dimensional spectra by the names of `spectra.npz`, such as `fft_hp` or `magnitude_hp`,
            shape (s, s); Fourier spectra have DC in the centre, a DCT at the upper left.
        n: number of images averaged; 0 when unknown.
    """

    density: npt.NDArray[np.float64] | None = None
    density_std: npt.NDArray[np.float64] | None = None
    planes: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    n: int = 0


@dataclass(frozen=True)
class Spectra:
    """All spectra of a run: ring frequencies as fractions of Nyquist, and sources by dataset and name, in
    the order of the file; `filter` is what was applied to the images before."""

    frequency_nyq: npt.NDArray[np.float64]
    sources: Mapping[str, Mapping[str, SourceSpectra]]
    filter: str = "none"


@dataclass(frozen=True)
class Run:
    """A run directory in memory.

    Attributes:
        folder: where it lies.
        results: the tidy table, less layers that stand beside their encoder, with `reason`, `ac_removed` and
            `test` (the tested generator, with its dataset where the run has several) always there.
        record: `run.json`, or an empty mapping.
        spectra: `spectra.npz`, or None.
        left_out: `left-out.csv`, or None.
        analyses: the tables of the other analyses by name, see `ANALYSES`, those that are there and hold a row.
    """

    folder: Path
    results: pd.DataFrame
    record: Mapping[str, Any] = field(default_factory=dict)
    spectra: Spectra | None = None
    left_out: pd.DataFrame | None = None
    analyses: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def read_run(folder: Path) -> Run:
    """Read everything the report is made from.

    Raises:
        InputError: `results.parquet` is missing, unreadable, empty or lacks a column, or another
            file of the run is damaged.
    """
    results, analyses = _read_results(folder), _read_analyses(folder)
    tables = [
        results,
        *(table for name, table in analyses.items() if name != "layers" and "encoder" in table),
    ]
    beside = layers_beside(name for table in tables for name in table["encoder"].unique())
    if beside:
        results = results[~results["encoder"].isin(beside)].reset_index(drop=True)
        analyses = {
            name: table if "encoder" not in table else table[~table["encoder"].isin(beside)]
            for name, table in analyses.items()
        }
    return Run(
        folder=folder,
        results=results,
        record=_read_record(folder / "run.json"),
        spectra=read_spectra(folder / "spectra.npz"),
        left_out=_read_left_out(folder / "left-out.csv"),
        analyses={name: table for name, table in analyses.items() if len(table)},
    )


def layers_beside(encoders: Iterable[str]) -> frozenset[str]:
    """The layers among encoders' names whose whole encoder is there too: the page shows them together, in one
    section, and not as encoders of their own."""
    names = set(encoders)
    return frozenset(
        name for name in names if (layer := LAYER.search(name)) and name[: layer.start()] in names
    )


def prepare_results(results: pd.DataFrame) -> pd.DataFrame:
    """Fill the optional columns, make numbers numeric, and name each test set in column `test`."""
    results = results.copy()
    for name in ("reason", "ac_removed"):
        if name not in results:
            results[name] = "" if name == "reason" else np.nan
    for name in NUMERIC:
        results[name] = pd.to_numeric(results[name], errors="coerce").astype("float64")
    texts = [name for name in (*REQUIRED, "reason") if name not in NUMERIC]
    for name in texts:
        results[name] = results[name].astype("object").where(results[name].notna(), "").astype(str)
    several = results["dataset"].nunique() > 1
    results["test"] = results["tested_on"] + " · " + results["dataset"] if several else results["tested_on"]
    return results


def _read_results(folder: Path) -> pd.DataFrame:
    path = folder / "results.parquet"
    remake = f"`bandprobe study FILE.toml --out {folder}` makes it."
    if not path.is_file():
        raise InputError(f"{path} is missing, and a report needs it: {remake}")
    try:
        results = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({_one_line(error)}): {remake}") from error
    missing = [name for name in REQUIRED if name not in results]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}: {remake}")
    if results.empty:
        raise InputError(f"{path} holds no row: {remake}")
    return prepare_results(results)


def _read_record(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not JSON ({_one_line(error)}): delete it or run the study again."
        ) from error
    return record if isinstance(record, dict) else {}


def read_spectra(path: Path) -> Spectra | None:
    """`spectra.npz`; None where there is no such file, or no source in it.

    Raises:
        InputError: the file is damaged.
    """
    if not path.is_file():
        return None
    found: dict[str, dict[str, dict[str, npt.NDArray[Any]]]] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            frequency = np.asarray(arrays["frequency_nyq"], dtype=np.float64)
            spec = str(arrays["filter"]) if "filter" in arrays.files else "none"
            for key in arrays.files:
                place, _, name = key.rpartition("/")
                if place:
                    dataset, _, source = place.rpartition("/")
                    found.setdefault(dataset, {}).setdefault(source, {})[name] = np.asarray(arrays[key])
        sources = {d: {name: _source(of) for name, of in sources.items()} for d, sources in found.items()}
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({_one_line(error)}): delete it or run the study again."
        ) from error
    return Spectra(frequency, sources, spec) if sources else None


def _source(arrays: Mapping[str, npt.NDArray[Any]]) -> SourceSpectra:
    floats = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items() if name != "n"}
    return SourceSpectra(
        density=floats.get("density"),
        density_std=floats.get("density_deviation"),
        planes={name: array for name, array in floats.items() if array.ndim == 2},
        n=int(arrays.get("n", 0)),
    )


def _read_left_out(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({_one_line(error)}): delete it or run the study again."
        ) from error


def _read_analyses(folder: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for name, columns in ANALYSES.items():
        path = folder / f"{name}.csv"
        if not path.is_file():
            continue
        try:
            table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read ({_one_line(error)}): delete it or run the study again."
            ) from error
        missing = [column for column in columns if column not in table]
        if missing:
            raise InputError(
                f"{path} lacks the columns {', '.join(missing)}: delete it or run the study again."
            )
        for column in table.columns:
            # A text column without a word reads as numbers.
            if column not in _NUMBERS and not table[column].notna().all():
                table[column] = table[column].astype("object").fillna("")
        if len(table):
            found[name] = table
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
