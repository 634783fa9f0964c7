"""What the page's transfer grid and curves read: every metric of every cell, as one block of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bandprobe.report import interactive_marks as marks
from bandprobe.report.arrangement import POOLED, Arrangement, training_label
from bandprobe.report.measures import ACCURACY, AUROC, Measure, pd_measure
from bandprobe.report.payload import Payload

ROOM = 3_000_000  # bytes that the results may take in the page, compressed
_LABELS = {
    "ap": "average precision", "balanced_accuracy": "balanced accuracy", "real_accuracy": "accuracy on reals",
    "fake_accuracy": "accuracy on fakes", "eer": "equal error rate", "f1": "F1", "brier": "Brier score",
    "ece": "expected calibration error",
}  # fmt: skip
_LOWEST_IS_BEST = ("eer", "brier", "ece")
_OF_CHANCE = ("ap", "balanced_accuracy")
_SHARES = ("balanced_accuracy", "real_accuracy", "fake_accuracy", "eer", "precision", "recall")


def shown_measures(results: pd.DataFrame, first: list[Measure]) -> list[Measure]:
    """Every metric of a run as it is shown, those in `first` before the rest."""
    names = [str(name) for name in results["metric"].unique()]
    known = {measure.name: measure for measure in (*first, AUROC, ACCURACY)}
    found = [measure for measure in first if measure.name in names]
    for name in names:
        if name in {measure.name for measure in found}:
            continue
        if name in known:
            found.append(known[name])
        elif name.startswith("pd@"):
            found.append(pd_measure(name))
        else:
            label = _LABELS.get(name, name.replace("_", " "))
            found.append(Measure(name, label, 0.5 if name in _OF_CHANCE else 0.0, name in _SHARES))
    return found


def results_payload(
    payload: Payload,
    results: pd.DataFrame,
    arrangement: Arrangement,
    measures: list[Measure],
    room: int = ROOM,
) -> dict[str, Any]:
    """Put the results into the page.

    A cell is an encoder, a pair of filters (trained under, tested under) that the run has, a training set and
    a test set, in this order; each metric holds a value with its interval for every cell, so that names stand
    there once and no row repeats a key.

    Args:
        payload: takes the arrays.
        results: the prepared tidy table of a run.
        arrangement: order of training and test sets.
        measures: of `shown_measures`; the first that fit into `room` are taken, one at least.
        room: bytes that the arrays may take, compressed.

    Returns:
        The header: names in order, and for each metric the references to its arrays.
    """
    tested = marks.filters(results)
    specs = [one["spec"] for one in tested]
    training_specs = list(dict.fromkeys([*specs, *results["train_filter"].unique()]))
    axes = {
        "encoder": list(results["encoder"].unique()),
        "train_filter": training_specs,
        "filter": specs,
        "trained_on": list(arrangement.training),
        "test": list(arrangement.tests),
    }
    codes = {name: pd.Index(order).get_indexer(results[name]) for name, order in axes.items()}
    both = codes["train_filter"] * len(specs) + codes["filter"]
    pairs, pair = np.unique(both, return_inverse=True)
    shape = (len(axes["encoder"]), len(pairs), len(axes["trained_on"]), len(axes["test"]))
    cell = np.ravel_multi_index((codes["encoder"], pair, codes["trained_on"], codes["test"]), shape)
    columns = {
        name: results[name].to_numpy(dtype=float) for name in ("value", "low", "high", "n_real", "n_fake")
    }
    reason_codes, reasons = pd.factorize(results["reason"].where(results["value"].isna(), ""))
    metric = results["metric"].to_numpy()

    def spread(values: npt.NDArray[Any], where: npt.NDArray[np.bool_], blank: float) -> npt.NDArray[Any]:
        block = np.full(int(np.prod(shape)), blank)
        block[cell[where]] = values[where]
        return block

    everywhere = np.ones(len(results), dtype=bool)
    header: dict[str, Any] = {
        "encoders": axes["encoder"],
        "training_filters": training_specs,
        "filters": tested,
        "sweeps": marks.sweeps(results, tested),
        "pairs": [[int(p) // len(specs), int(p) % len(specs)] for p in pairs],
        "training": _training(arrangement),
        "tests": _tests(arrangement),
        "families": marks.families([*arrangement.test_family.values()]),
        "reasons": [str(reason) for reason in reasons],
        "n_real": payload.integers(np.nan_to_num(spread(columns["n_real"], everywhere, 0)).astype(int)),
        "n_fake": payload.integers(np.nan_to_num(spread(columns["n_fake"], everywhere, 0)).astype(int)),
        "metrics": [],
        "absent": [],
    }
    for measure in measures:
        mine = metric == measure.name
        trial = Payload()
        arrays = [spread(columns[name], mine, np.nan) for name in ("value", "low", "high")]
        trial.intervals(*arrays)
        room -= trial.compressed()
        if room < 0 and header["metrics"]:
            header["absent"].append(measure.label)
            continue
        block = payload.intervals(*arrays)
        why = spread(reason_codes.astype(float), mine, len(reasons))
        header["metrics"].append(
            {
                **_described(measure),
                **block,
                "reason": payload.integers(why.astype(int)),
            }
        )
    return header


def _described(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "label": measure.heading,
        "floor": measure.floor,
        "percent": measure.percent,
        "lowest_is_best": measure.name in _LOWEST_IS_BEST,
    }


def _training(arrangement: Arrangement) -> list[dict[str, Any]]:
    places = {test: i for i, test in enumerate(arrangement.tests)}
    family_of = arrangement.training_family
    pooled = {name: family for name, family in family_of.items() if family == POOLED}
    single = {name: family for name, family in family_of.items() if family != POOLED}
    looks = {**marks.source_marks(single), **marks.source_marks(pooled)}
    return [
        {
            "label": training_label(name),
            "family": arrangement.training_family[name],
            "own": [places[test] for test in arrangement.own.get(name, ())],
            "mark": looks[name],
        }
        for name in arrangement.training
    ]


def _tests(arrangement: Arrangement) -> list[dict[str, Any]]:
    looks = marks.source_marks(arrangement.test_family)
    return [
        {"label": test, "family": family, "mark": looks[test]}
        for test, family in arrangement.test_family.items()
    ]
