"""Whether thresholds and probabilities set on the training generator's validation images hold on other data.

A probe promises at most 10, 5 or 1 % false alarms by a threshold that calls so many of its validation reals fake.
On the test reals of every data set the promise is kept, not kept or undecided, and the calibrated probabilities
have an error of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.errors import InputError
from bandprobe.filters import parse
from bandprobe.images import Geometry
from bandprobe.metrics.bootstrap import intervals
from bandprobe.metrics.detection import PD_RATES, reals_needed
from bandprobe.metrics.intervals import wilson
from bandprobe.metrics.resampling import Resamples
from bandprobe.probes import EXTERNAL, ProbeFile
from bandprobe.probes.sets import training_sets, validated_on
from bandprobe.store import EmbeddingStore

COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
    "cutoff_px", "cutoff_nyq", "measure", "promised", "threshold", "value", "low", "high", "verdict",
    "n_validation", "n_real", "n_fake", "reason",
)  # fmt: skip
KEPT, BROKEN, UNDECIDED = "kept", "not kept", "undecided"
PROMISES = tuple(PD_RATES.values())  # shares of reals
RESAMPLES = 1000

_DECIMALS = 9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Promise:
    """A threshold that called at most a share of validation reals fake; without one, why there is none."""

    rate: float
    threshold: float
    n_validation: int
    reason: str = ""


def promised_threshold(real_scores: Floats, rate: float) -> float:
    """The lowest threshold at which at most a share `rate` of these reals is called fake, midway between scores.

    Args:
        real_scores: logits of validation reals, shape (n,), n at least 1.
        rate: the false alarms promised, in (0, 1).

    Returns:
        The threshold; a score at or above it is called fake. Of tied scores all or none are called fake.
    """
    falling = np.sort(real_scores)[::-1]
    allowed = int(np.floor(rate * len(falling) + 1e-9))  # 0.01 x 300 is a hair below 3
    spared = falling[allowed]
    above = falling[falling > spared]
    if not len(above):
        return float(np.nextafter(spared, np.inf))
    middle = (spared + above[-1]) / 2
    return float(middle if middle > spared else above[-1])


def verdict(low: float, high: float, promised: float) -> str:
    """Whether an interval of a false-alarm rate lies wholly above what was promised, at or below it, or across."""
    return BROKEN if low > promised else KEPT if high <= promised else UNDECIDED


def calibration_transfer(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    *,
    filters: Sequence[str] = ("none",),
    everywhere: Sequence[str] = ("none",),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Hold what each probe's validation promises against every test set.

    Args:
        store: the embeddings of validation images under the train filters, and of test images under `filters`.
        manifest: the images, as the probes were trained on.
        probes: those of the images themselves; replicates are passed over.
        filters: canonical test filter specs.
        everywhere: train filters whose probes are tested under all `filters`; others under their own alone.
        seed: of the bootstrap; resamples are those of the transfer grid.
        resamples: how many.

    Returns:
        The table of `calibration.csv` with `COLUMNS`: for each encoder, probe, test set and filter the measures

        * `false_alarm`: share of test reals called fake, with Wilson's interval, at the probe's own threshold
          (`promised` blank) and at the threshold that promised 10, 5 and 1 % on validation reals. `verdict` is
          `kept` where the interval lies at or below the promise, `not kept` where it lies wholly above, else
          `undecided`. Reals are those of the data set: equal for all its generators.
        * `detection`: share of fakes found at the same thresholds.
        * `ece` (15 equal-mass bins) and `brier` of the calibrated probabilities, with the intervals of the grid.

        A promise is blank, with its `reason`, where validation or test reals are fewer than 10 / promise, and where
        validation images were too few to be kept out of training.

    Raises:
        StoreError: a test image has no embedding.
        InputError: no test set, or nothing to test.
    """
    sets = test_sets(manifest)
    cells = [
        (probe, spec)
        for probe in probes
        if probe.replicate == 0
        for spec in filters
        if probe.train_filter in (*everywhere, spec) or probe.trained_on == EXTERNAL
    ]
    if not cells:
        raise InputError(
            "nothing to hold promises against: no probe was trained under a filter that is tested."
        )
    ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
    promises: dict[tuple[str, str, str], list[Promise]] = {}
    rows: list[dict[str, Any]] = []
    with progress.bar("calibrate", len(cells) * len(sets), "cells") as step:
        for encoder, spec in dict.fromkeys((probe.encoder, spec) for probe, spec in cells):
            mine = [probe for probe, its in cells if (probe.encoder, its) == (encoder, spec)]
            fresh = [probe for probe in mine if _name(probe) not in promises]
            promises |= zip(map(_name, fresh), _promises(store, manifest, fresh), strict=True)
            logits = logits_of(mine, store.read(encoder, spec, list(ids)).embedding)
            cutoff = _cutoff(store, encoder, spec)
            for one in sets:
                seen = logits[:, np.searchsorted(ids, one.image_id)]
                drawn = seeding.generator(seed, "bootstrap", one.dataset, one.generator)
                facts = {"filter": spec, **cutoff, **_of(one)}
                rows += _rows(mine, seen, one.label, facts, promises, drawn, resamples)
                step(len(mine))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for name in ("cutoff_px", "cutoff_nyq", "promised", "threshold", "value", "low", "high"):
        table[name] = table[name].astype("float64").round(_DECIMALS) + 0.0
    return table


def promise_warnings(table: pd.DataFrame) -> list[str]:
    """What a reader must know of the promises, a sentence for each encoder and promise that is not kept.

    Args:
        table: of `calibration_transfer`.
    """
    alarms = table[(table["measure"] == "false_alarm") & (table["filter"] == table["train_filter"])]
    alarms = alarms.drop_duplicates(["encoder", "trained_on", "train_filter", "dataset", "promised"])
    found = []
    for _, rows in alarms.groupby(["encoder", "promised"], sort=False):
        checked, broken = rows[rows["value"].notna()], rows[rows["verdict"] == BROKEN]
        if broken.empty:
            continue
        worst = broken.sort_values("value", kind="stable").iloc[-1]
        spec = "" if worst["filter"] == "none" else f" under {worst['filter']}"
        found.append(
            f"{worst['encoder']}: thresholds that promise at most {100 * worst['promised']:g} % false alarms do not "
            f"keep it in {len(broken)} of {len(checked)} cases of a probe and a data set's reals: the probe trained on "
            f"{worst['trained_on']} calls {100 * worst['value']:.1f} % [{100 * worst['low']:.1f}, "
            f"{100 * worst['high']:.1f}] of the reals of {worst['dataset']} fake{spec}."
        )
    return found


def _promises(
    store: EmbeddingStore, manifest: pd.DataFrame, probes: Sequence[ProbeFile]
) -> Iterator[list[Promise]]:
    """The promises of each probe."""
    sets: dict[tuple[str, bool], list[str]] = {}
    for probe in probes:
        key = probe.trained_on, "adm_validation" in probe.training.get("protocol", ())
        if key not in sets:
            sets[key] = [] if key[0] == EXTERNAL else _validation_reals(manifest, *key)
        scores, reason = _validation_scores(store, sets[key], probe)
        yield [_promise(scores, rate, len(sets[key]), reason) for rate in PROMISES]


def _validation_reals(manifest: pd.DataFrame, trained_on: str, of_adm: bool) -> list[str]:
    rows = training_sets(manifest, [trained_on])[trained_on]
    if of_adm:
        rows = validated_on(rows, manifest, "ADM")
    reals: list[str] = rows.loc[(rows["split"] == "val") & (rows["label"] == 0), "image_id"].tolist()
    return reals


def _name(probe: ProbeFile) -> tuple[str, str, str]:
    return probe.encoder, probe.trained_on, probe.train_filter


def _promise(scores: Floats, rate: float, n_validation: int, reason: str) -> Promise:
    needed = reals_needed(rate)
    if not reason and n_validation < needed:
        reason = f"needs at least {needed} real validation images; has {n_validation}"
    return Promise(rate, np.nan if reason else promised_threshold(scores, rate), n_validation, reason)


def _validation_scores(store: EmbeddingStore, ids: list[str], probe: ProbeFile) -> tuple[Floats, str]:
    """What a probe says of the validation reals it was not trained on; or none, and why."""
    none = np.empty(0)
    if probe.trained_on == EXTERNAL:
        return none, "a detector that was trained elsewhere has no validation images here"
    if probe.probe.validation == "cross-fitting":
        return none, f"validation is small ({len(ids)} reals), so the probe was fitted on it as well"
    made = store.fingerprint(probe.encoder, probe.train_filter)
    held = store.present(probe.encoder, made) if made else set()
    if absent := sum(image not in held for image in ids):
        return none, f"{absent} of {len(ids)} real validation images are not in the store"
    return logits_of([probe], store.read(probe.encoder, probe.train_filter, ids).embedding)[0], ""


def _cutoff(store: EmbeddingStore, encoder: str, spec: str) -> dict[str, float]:
    cutoff, grid = (
        parse(spec).cutoff,
        Geometry.parse((store.fingerprint(encoder, spec) or {})["geometry"]).size,
    )
    return {
        "cutoff_px": np.nan if cutoff is None else cutoff.px(grid),
        "cutoff_nyq": np.nan if cutoff is None else cutoff.nyq(grid),
    }


def _of(one: TestSet) -> dict[str, Any]:
    return {
        "tested_on": one.generator,
        "dataset": one.dataset,
        "family_to": one.family,
        "n_real": int((one.label == 0).sum()),
        "n_fake": int((one.label == 1).sum()),
    }


def _rows(
    probes: Sequence[ProbeFile],
    logits: Floats,
    label: NDArray[np.int8],
    facts: dict[str, Any],
    promises: dict[tuple[str, str, str], list[Promise]],
    draw: np.random.Generator,
    resamples: int,
) -> Iterator[dict[str, Any]]:
    """The rows of probes of one encoder on one test set under one filter."""
    chances = np.stack([probe.probe.probabilities(row) for probe, row in zip(probes, logits, strict=True)])
    thresholds = np.array([probe.probe.threshold for probe in probes])
    drawn = Resamples.draw(facts["n_real"], facts["n_fake"], resamples, draw)
    measured = intervals(label, logits, chances, thresholds, drawn)
    for number, probe in enumerate(probes):
        about = facts | {
            "encoder": probe.encoder,
            "trained_on": probe.trained_on,
            "train_filter": probe.train_filter,
            "family_from": probe.family,
        }
        given = promises[_name(probe)]
        own = Promise(np.nan, probe.probe.threshold, given[0].n_validation)
        real, fake = logits[number, label == 0], logits[number, label == 1]
        for promise in (own, *given):
            yield from _at(about, promise, real, fake)
        for measure in ("ece", "brier"):
            ends = {name: getattr(measured[measure], name)[number] for name in ("value", "low", "high")}
            blank = {"promised": np.nan, "threshold": np.nan, "verdict": "", "reason": ""}
            yield about | blank | ends | {"measure": measure, "n_validation": own.n_validation}


def _at(facts: dict[str, Any], promise: Promise, real: Floats, fake: Floats) -> Iterator[dict[str, Any]]:
    """False alarms and detections at one threshold; blank where it is, or where reals are too few to say."""
    needed = 0 if np.isnan(promise.rate) else reals_needed(promise.rate)
    few = f"needs at least {needed} real test images; has {len(real)}" if len(real) < needed else ""
    reason = promise.reason or few
    for measure, scores in (("false_alarm", real), ("detection", fake)):
        row = {"measure": measure, "promised": promise.rate, "threshold": promise.threshold, "verdict": ""}
        row |= {"value": np.nan, "low": np.nan, "high": np.nan}
        if not reason:
            called = int((scores >= promise.threshold).sum())
            low, high = (float(end) for end in wilson(called, len(scores)))
            row |= {"value": called / len(scores), "low": low, "high": high}
            if measure == "false_alarm" and needed:
                row["verdict"] = verdict(low, high, promise.rate)
        yield facts | row | {"n_validation": promise.n_validation, "reason": reason}
