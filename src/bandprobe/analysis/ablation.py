"""How far each switch of the published protocol moves every headline number of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.analysis.transfer import REDRAWN
from bandprobe.filters import expand
from bandprobe.metrics.detection import METRICS

COLUMNS = ("switch", "encoder", "quantity", "baseline", "value", "moved", "low", "high", "cells", "reason")
MEASURES = ("accuracy", "recall", "precision", "auroc", "f1", "pd@10%", "pd@1%")
MIDDLE = (0.15, 0.5)  # of Nyquist
RESAMPLES = 2000
_ENOUGH = 5  # generators
_DECIMALS = 9
_KEYS = ["encoder", "trained_on", "tested_on", "dataset"]


def unmoved(words: str, manifest: pd.DataFrame, filters: Sequence[str]) -> str:
    """Why a switch cannot change anything in a study; empty where it can.

    Args:
        words: the protocol.
        manifest: the study's images.
        filters: its test filter specs.
    """
    if words == "fda_relabel" and not any("fda" in spec.kind for spec in expand(list(filters))):
        return "no test filter adapts images to a reference (fda)"
    validation = manifest.loc[manifest["split"] == "val", "generator"].str.casefold()
    if words == "adm_validation" and "adm" not in set(validation):
        return "the data hold no validation images of ADM"
    tested = manifest[manifest["split"] == "test"].groupby(["dataset", "label"]).size()
    if words == "resampled_test" and tested.groupby("dataset").sum().max() <= REDRAWN:
        return f"no test set has more than the {REDRAWN} images that are drawn"
    return ""


def moved(
    switch: str, baseline: Path, switched: Path | None, *, seed: int = 0, reason: str = ""
) -> pd.DataFrame:
    """Every headline number of two runs of one study, and their difference.

    A number is a mean over cells of the grid (a probe on a test set); its difference is the mean of the
    cells' differences, with a 95 % percentile interval from resampling test generators, the cells of one
    going together.

    Args:
        switch: the protocol of the second run.
        baseline: folder of the first.
        switched: folder of the second; None where the switch does not apply.
        seed: of the resampling.
        reason: why it does not apply.

    Returns:
        A row for each encoder and quantity with `COLUMNS`; a single blank row where it does not apply.
    """
    if switched is None:
        return pd.DataFrame([{"switch": switch, "reason": reason}]).reindex(columns=list(COLUMNS))
    before, after = quantities(baseline), quantities(switched)
    both = before.merge(after, on=[*_KEYS, "quantity"], how="outer", suffixes=("_before", "_after"))
    rows = []
    for (encoder, quantity), cells in both.groupby(["encoder", "quantity"], sort=False):
        change = cells["value_after"] - cells["value_before"]
        rng = seeding.generator(seed, "ablation", switch, str(encoder), str(quantity))
        known = change.notna().to_numpy()
        low, high = (
            _interval(change[known].to_numpy(), cells.loc[known, "tested_on"].to_numpy(object), rng)
            if known.any()
            else (np.nan, np.nan)
        )
        rows.append(
            {
                "switch": switch,
                "encoder": encoder,
                "quantity": quantity,
                "baseline": cells["value_before"].mean(),
                "value": cells["value_after"].mean(),
                "moved": change.mean(),
                "low": low,
                "high": high,
                "cells": len(cells),
                "reason": _note(switch, cells, int(known.sum())),
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["baseline", "value", "moved", "low", "high"]
    table[numbers] = table[numbers].astype("float64").round(_DECIMALS) + 0.0
    return table


def _note(switch: str, cells: pd.DataFrame, known: int) -> str:
    """What to know before reading a row."""
    if not known:
        side = "baseline" if cells["value_before"].isna().all() else "switched run"
        return f"blank in the {side}"
    notes = []
    if switch == "sigmoid_head":
        notes.append("the solver changes too: a head with a sigmoid cannot be had from logistic regression")
    if (generators := cells["tested_on"].nunique()) < _ENOUGH:
        notes.append(f"{generators} test generators: too few to trust the interval")
    return "; ".join(notes)


def quantities(run: Path) -> pd.DataFrame:
    """The headline numbers of a run, cell by cell.

    Args:
        run: its folder.

    Returns:
        Columns encoder, trained_on, tested_on, dataset, quantity, value. Of each measure on unfiltered images:
        own generator, each pair of families; every `fda` condition; over all cells: `identity - none`, the
        step between the two controls; `none - weakest low-pass`, the jump at the right end of the published
        curves; and `middle - identity` with `middle - none`, the gain of low-pass filters that end in the
        middle frequencies, over either control, on cells across families. Beside them mean MMD, and the
        generators' departure from Real above half of Nyquist.
    """
    results = pd.read_parquet(run / "results.parquet")
    reliance = results[
        results["train_filter"].isin(["none", "external"]) & results["metric"].isin(MEASURES)
    ].dropna(subset=["value"])
    parts = [
        part for metric in METRICS for part in _of_metric(reliance[reliance["metric"] == metric], metric)
    ]
    parts += [_mmd(run / "mmd.csv"), _spectra(run / "spectra.npz")]
    whole = [part for part in parts if not part.empty]
    return pd.concat(whole, ignore_index=True)[[*_KEYS, "quantity", "value"]]


def _of_metric(rows: pd.DataFrame, metric: str) -> list[pd.DataFrame]:
    if rows.empty:
        return []
    plain = rows[rows["filter"] == "none"]
    own = plain[plain["trained_on"] == plain["tested_on"]]
    single = plain[~plain["trained_on"].str.startswith("family:") & (plain["trained_on"] != "all")]
    other = single[single["trained_on"] != single["tested_on"]]
    found = [own.assign(quantity=f"{metric}: own generator")]
    for pair, cells in other.groupby(["family_from", "family_to"], sort=True):
        found.append(cells.assign(quantity=f"{metric}: {pair[0]} to {pair[1]}"))
    kinds = {text: expand(text)[0] for text in rows["filter"].unique()}
    low = rows[[kinds[text].kind == "lowpass" for text in rows["filter"]]]
    index = [*_KEYS, "family_from", "family_to"]
    wide = pd.DataFrame(
        {
            "none": plain.set_index(index)["value"],
            "identity": rows[rows["filter"] == "identity"].set_index(index)["value"],
            "weakest": low[low["cutoff_nyq"] == low["cutoff_nyq"].max()].set_index(index)["value"],
            "middle": low[low["cutoff_nyq"].between(*MIDDLE)].groupby(index)["value"].mean(),
        }
    ).reset_index()
    across = wide[(wide["family_from"] != wide["family_to"]) & wide["trained_on"].isin(single["trained_on"])]
    adapted = rows[["fda" in kinds[text].kind for text in rows["filter"]]]
    for spec, cells in adapted.groupby("filter", sort=True):
        found.append(cells.assign(quantity=f"{metric}: at {spec}"))
    for cells, first, second, name in (
        (wide, "identity", "none", "identity - none"),
        (wide, "none", "weakest", "none - weakest low-pass"),
        (across, "middle", "none", "middle low-pass - none (across families)"),
        (across, "middle", "identity", "middle low-pass - identity (across families)"),
    ):
        change = cells.assign(quantity=f"{metric}: {name}", value=cells[first] - cells[second])
        found.append(change.dropna(subset=["value"]))
    return found


def _mmd(path: Path) -> pd.DataFrame:
    """MMD^2 between fakes and reals, a cell for each generator and filter."""
    if not path.is_file():
        return pd.DataFrame()
    table = pd.read_csv(path)
    rows = table[(table["experiment"] == "fake_vs_real") & (table["space"] == "embedding")]
    plain = rows[rows["filter"] == "none"].dropna(subset=["mmd2"])
    return (
        plain.assign(
            quantity="mmd2: fake against real", trained_on="", tested_on=plain["source"], value=plain["mmd2"]
        )
        .reindex(columns=[*_KEYS, "quantity", "value"])
        .fillna({"dataset": ""})
    )


def _spectra(path: Path) -> pd.DataFrame:
    """`mean |generator / real - 1|` of the radial density above half of Nyquist."""
    if not path.is_file():
        return pd.DataFrame()
    with np.load(path, allow_pickle=False) as arrays:
        high = arrays["frequency_nyq"] > MIDDLE[1]
        density = {
            key.removesuffix("/density"): arrays[key] for key in arrays.files if key.endswith("/density")
        }
    rows = []
    for place, power in density.items():
        dataset, _, source = place.rpartition("/")
        real = density.get(f"{dataset}/Real")
        if source != "Real" and real is not None:
            departure = float(np.abs(power[high] / real[high] - 1).mean())
            rows.append(
                ("spectra", "", source, dataset, "spectra: departure from Real above 0.5 nyq", departure)
            )
    return pd.DataFrame(rows, columns=[*_KEYS, "quantity", "value"])


def _interval(
    change: NDArray[np.float64], cluster: NDArray[np.object_], rng: np.random.Generator
) -> tuple[float, float]:
    """Percentile interval of the mean; no width where a single generator was tested."""
    names, place = np.unique(cluster.astype(str), return_inverse=True)
    sums, sizes = np.bincount(place, change), np.bincount(place)
    drawn = rng.integers(0, len(names), (RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
