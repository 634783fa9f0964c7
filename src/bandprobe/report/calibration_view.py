"""Promised false alarms and calibration on other generators, as the page shows them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bandprobe.analysis.calibration_transfer import BROKEN, KEPT, UNDECIDED, promise_warnings
from bandprobe.report.page_tables import Table, table
from bandprobe.report.run_directory import Run

_RELATIONS = ("own generator", "same family", "other families")


def calibration_warnings(run: Run) -> list[str]:
    """A sentence for each encoder and promise that is not kept somewhere."""
    return promise_warnings(run.analyses["calibration"]) if "calibration" in run.analyses else []


def calibration_view(calibration: pd.DataFrame) -> list[Table]:
    """How many promises are kept, and the calibration on own, related and unrelated generators.

    Args:
        calibration: rows of `calibration.csv`.
    """
    return [found for found in (_promises(calibration), _errors(calibration)) if found.rows]


def _promises(calibration: pd.DataFrame) -> Table:
    alarms = calibration[(calibration["measure"] == "false_alarm") & calibration["promised"].notna()]
    # The reals are the data set's: one case, whatever the generators beside them.
    alarms = alarms.drop_duplicates(["encoder", "trained_on", "train_filter", "dataset", "promised"])
    rows = []
    for (encoder, promised), mine in alarms.groupby(["encoder", "promised"], sort=False):
        judged = mine[mine["value"].notna()]
        counts = [str(int((judged["verdict"] == verdict).sum())) for verdict in (KEPT, BROKEN, UNDECIDED)]
        rows.append(
            [
                str(encoder),
                f"{100 * float(str(promised)):g} %",
                *counts,
                str(len(mine) - len(judged)),
                _worst(judged),
            ]
        )
    return table(
        "False alarms promised on validation reals, met on test reals: cases of a probe and a data set",
        ["encoder", "promised", KEPT, BROKEN, UNDECIDED, "too few reals", "most false alarms"],
        rows,
        heads=2,
    )


def _worst(judged: pd.DataFrame) -> str:
    if judged.empty:
        return "–"
    row = judged.sort_values("value", kind="stable").iloc[-1]
    rates = [f"{100 * row[name]:.1f}" for name in ("value", "low", "high")]
    return f"{rates[0]} % [{rates[1]}, {rates[2]}], trained on {row['trained_on']}"


def _errors(calibration: pd.DataFrame) -> Table:
    single = calibration[~calibration["trained_on"].str.startswith("family:")]
    single = single[~single["trained_on"].isin(("all", "external")) & single["value"].notna()]
    own, related = single["trained_on"] == single["tested_on"], single["family_from"] == single["family_to"]
    single = single.assign(relation=np.select([own, related], _RELATIONS[:2], _RELATIONS[2]))
    rows = []
    for encoder, mine in single.groupby("encoder", sort=False):
        for relation in _RELATIONS:
            cells = mine[mine["relation"] == relation]
            means = {name: cells.loc[cells["measure"] == name, "value"] for name in ("ece", "brier")}
            if len(means["ece"]):
                shown = [f"{of.mean():.3f} ({of.min():.3f} to {of.max():.3f})" for of in means.values()]
                rows.append([str(encoder), relation, str(len(means["ece"])), *shown])
    return table(
        "Calibrated probabilities of one-generator probes: mean over cells, and their range",
        ["encoder", "tested on", "cells", "expected calibration error", "Brier score"],
        rows,
        heads=2,
    )
