"""The transfer grid: every probe on every generator's test fakes, under every filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import parallel, progress, seeding
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.score_file import ScoreFile
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.errors import InputError
from bandprobe.files import replacing
from bandprobe.filters import parse
from bandprobe.images import Geometry
from bandprobe.metrics.all_fake import all_fake
from bandprobe.metrics.batches import batch_means
from bandprobe.metrics.bootstrap import Interval, intervals
from bandprobe.metrics.detection import METRICS, blank_reason
from bandprobe.metrics.resampling import Resamples
from bandprobe.probes import EXTERNAL, ProbeFile, Relabel
from bandprobe.protocol import CORRECTED, Protocol
from bandprobe.store import EmbeddingStore, Fingerprint, comparable, difference

RESAMPLES = 1000
REDRAWN = 1000  # test images that the published code drew anew at every radius
COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
    "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake", "ac_removed", "reason",
)  # fmt: skip
CONFUSION = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "filter", "threshold", "tp", "fn", "fp", "tn",
)  # fmt: skip
# Of values in tables: below any interval's meaning, above rounding that differs between machines.
_DECIMALS = 9
_HELD = 32 * 2**20  # of logits and probabilities at a time

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


def evaluate(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    filters: Sequence[str],
    *,
    everywhere: Sequence[str] = ("none",),
    scores: Path | None = None,
    confusion: Path | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    protocol: Protocol = CORRECTED,
    relabel: Relabel | None = None,
) -> pd.DataFrame:
    """Test every probe on every test set.

    Probes trained under a filter of `everywhere` are tested under all `filters` (reliance: what they
    use), and so is what was not trained here; the others under the filter they were trained on alone
    (information: what is there).

    Args:
        store: holds the test images' embeddings.
        manifest: the images; its test split is used.
        probes: what to test.
        filters: canonical test filter specs, in the order wanted. An encoder whose embeddings come from
            elsewhere is tested under those of them that the store holds.
        everywhere: train filters whose probes are tested under all filters.
        scores: where to write a row for each image, probe and filter: logit, probability, head output.
        confusion: where to write the confusion matrices, fake being positive.
        seed: of the bootstrap. Resamples are drawn once for each test set, so that all conditions and
            encoders are paired.
        resamples: bootstrap resamples.
        protocol: its switches `batch_metrics` and `resampled_test` are obeyed here.
        relabel: under `fda_relabel`, the labels that count under a filter.

    Returns:
        The tidy table with `COLUMNS`, a row for each encoder, probe, test set, filter and metric. A blank
        value is NaN, with its `reason`; cut-offs are NaN where a filter has none.

    Raises:
        StoreError: an embedding is missing.
        InputError: no test set, nothing to test, or probes trained on embeddings made otherwise.
    """
    sets = test_sets(manifest)
    ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
    held = set(store.conditions())
    cells = [
        (probe, spec)
        for probe in probes
        for spec in filters
        if probe.train_filter in (*everywhere, spec) or probe.trained_on == EXTERNAL
        if (probe.encoder, spec) in held or not probe.source.startswith("table:")
    ]
    if not cells:
        raise InputError("nothing to evaluate: no probe was trained under a filter that is tested.")
    tables: list[pd.DataFrame] = []
    confusions: list[pd.DataFrame] = []
    with progress.bar("evaluate", len(cells) * len(sets), "cells") as step, ScoreFile(scores) as written:
        for encoder in dict.fromkeys(probe.encoder for probe, _ in cells):
            mine = [cell for cell in cells if cell[0].encoder == encoder]
            thresholds = np.array([probe.probe.threshold for probe, _ in mine])
            facts: list[list[dict[str, Any]]] = [[{}] * len(mine) for _ in sets]
            found = [{metric: np.empty((3, len(mine))) for metric in METRICS} for _ in sets]
            for group in _groups(mine, len(ids)):
                cells_of_group = [mine[number] for number in group]
                logits, chances, conditions = _scores(store, encoder, cells_of_group, ids, written)
                met, ahead = tee(
                    (number, trial, np.searchsorted(ids, trial.image_id), group[trial.cells])
                    for number, one in enumerate(sets)
                    for trial in _trials(one, cells_of_group, protocol, relabel, seed, resamples)
                )
                calls = (
                    (trial, logits[scored], chances[scored], thresholds[rows], protocol)
                    for _, trial, place, rows in ahead
                    for scored in [np.ix_(np.array(trial.cells), place)]
                )
                for (number, trial, place, rows), (measured, called) in zip(
                    met, parallel.each(_measure, calls), strict=True
                ):
                    for metric, interval in measured.items():
                        found[number][metric][:, rows] = interval
                    for row, counts in zip(rows, called, strict=True):
                        probe, spec = mine[row]
                        facts[number][row] = (
                            _facts(probe, conditions[spec], sets[number], trial, place) | counts
                        )
                    step(len(rows))
            for its_facts, its_metrics in zip(facts, found, strict=True):
                confusions.append(pd.DataFrame(its_facts))
                tables += _rows(confusions[-1], its_metrics)
    if confusion is not None:
        with replacing(confusion) as temporary:
            pd.concat(confusions, ignore_index=True)[list(CONFUSION)].to_csv(
                temporary, index=False, lineterminator="\n"
            )
    table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    for name in ("cutoff_px", "cutoff_nyq", "value", "low", "high", "ac_removed"):
        table[name] = table[name].astype("float64").round(_DECIMALS if name != "ac_removed" else 5) + 0.0
    return table


Cell = tuple[ProbeFile, str]


@dataclass(frozen=True)
class _Condition:
    """A test filter on an encoder's grid."""

    filter: str
    cutoff_px: float
    cutoff_nyq: float
    ac_removed: NDArray[np.float32]  # of each image


@dataclass(frozen=True)
class _Trial:
    """Cells that meet the same images with the same labels."""

    cells: list[int]
    image_id: NDArray[np.object_]
    label: Labels
    resamples: Resamples | None  # None where a class is missing
    reason: str = ""  # why everything is blank then


def _groups(cells: Sequence[Cell], images: int) -> list[NDArray[np.intp]]:
    """Cells to score at a time, whole filters: as many as keep what is held below `_HELD` bytes."""
    filters = np.array([spec for _, spec in cells], dtype=object)
    at_most = max(1, _HELD // (16 * images))
    groups: list[list[int]] = []
    for spec in dict.fromkeys(filters):
        numbers = np.flatnonzero(filters == spec).tolist()
        if not groups or len(groups[-1]) + len(numbers) > at_most:
            groups.append([])
        groups[-1] += numbers
    return [np.array(group) for group in groups]


def _trials(
    one: TestSet, cells: Sequence[Cell], protocol: Protocol, relabel: Relabel | None, seed: int, size: int
) -> Iterator[_Trial]:
    """A test set as its cells meet it: all alike, unless a switch makes filters differ."""
    names = (one.dataset, one.generator)

    def trial(rows: list[int], ids: NDArray[np.object_], label: Labels, *more: str) -> _Trial:
        reals, fakes = int((label == 0).sum()), int((label == 1).sum())
        if not reals or not fakes:
            word = "real" if not reals else "fake"
            return _Trial(rows, ids, label, None, f"no image of this test set counts as {word}")
        drawn = Resamples.draw(reals, fakes, size, seeding.generator(seed, "bootstrap", *names, *more))
        return _Trial(rows, ids, label, drawn)

    if not protocol.resampled_test and relabel is None:
        yield trial(list(range(len(cells))), one.image_id, one.label)
        return
    for spec in dict.fromkeys(spec for _, spec in cells):
        rows = [row for row, cell in enumerate(cells) if cell[1] == spec]
        ids, label = one.image_id, one.label
        if protocol.resampled_test and len(ids) > REDRAWN:
            draw = seeding.generator(seed, "resampled_test", *names, spec)
            kept = np.sort(draw.choice(len(ids), REDRAWN, replace=False))
            ids, label = ids[kept], label[kept]
        if relabel is not None:
            label = relabel(spec, ids.tolist(), label)
        yield trial(rows, ids, label, spec)


def _measure(
    trial: _Trial, logits: Floats, chances: Floats, thresholds: Floats, protocol: Protocol
) -> tuple[dict[str, Interval], list[dict[str, float]]]:
    """Every metric of a trial's cells, and their counts."""
    return _metrics(trial, logits, chances, thresholds, protocol), _confusion(trial.label, logits, thresholds)


def _metrics(
    trial: _Trial, logits: Floats, chances: Floats, thresholds: Floats, protocol: Protocol
) -> dict[str, Interval]:
    if trial.resamples is None:
        blank = np.full(len(logits), np.nan)
        nothing = {metric: Interval(blank, blank, blank) for metric in METRICS}
        return nothing | (all_fake(logits, chances, thresholds) if trial.label.all() else {})
    found = intervals(trial.label, logits, chances, thresholds, trial.resamples)
    if protocol.batch_metrics:
        found |= batch_means(trial.label == 1, logits, thresholds)
    return found


def _scores(
    store: EmbeddingStore,
    encoder: str,
    cells: Sequence[Cell],
    ids: NDArray[np.object_],
    written: ScoreFile,
) -> tuple[Floats, Floats, dict[str, _Condition]]:
    """Logits and probabilities (cells, images); a filter's embeddings are read once for all its probes."""
    logits, chances = np.empty((2, len(cells), len(ids)))
    conditions = {}
    for spec in dict.fromkeys(spec for _, spec in cells):
        stored = store.fingerprint(encoder, spec) or {}
        numbers = [number for number, (_, its) in enumerate(cells) if its == spec]
        for number in numbers if stored else ():  # what is not stored is found missing below
            _check_same_encoder(cells[number][0], stored)
        probes = [cells[number][0] for number in numbers]
        ac_removed = np.empty(len(ids), np.float32)
        outputs: list[NDArray[np.float32]] = []
        for places, rows in store.in_parts(encoder, spec, ids):
            logits[np.ix_(np.array(numbers), places)] = logits_of(probes, rows.embedding)
            ac_removed[places] = rows.ac_removed
            if written.wanted:
                some = [probe.probe.outputs(rows.embedding) for probe in probes]
                outputs = outputs or [np.empty((len(ids), one.shape[1]), np.float32) for one in some]
                for whole, one in zip(outputs, some, strict=True):
                    whole[places] = one
        for number, probe in zip(numbers, probes, strict=True):
            chances[number] = probe.probe.probabilities(logits[number])
        # After all parts, which lie as the run that stored them was stopped and started: rows in the ids' order.
        for number, probe, output in zip(numbers, probes, outputs, strict=written.wanted):
            written.add(ids, probe, spec, output, logits[number], chances[number])
        grid, cutoff = Geometry.parse(stored["geometry"]).size, parse(spec).cutoff
        conditions[spec] = _Condition(
            spec,
            np.nan if cutoff is None else cutoff.px(grid),
            np.nan if cutoff is None else cutoff.nyq(grid),
            ac_removed,
        )
    return logits, chances, conditions


def _check_same_encoder(probe: ProbeFile, stored: Fingerprint) -> None:
    """A probe may only meet embeddings made as those it was trained on, but for the filter.

    An imported probe does not know what it was trained on.
    """
    wrong = difference(comparable(stored), comparable(probe.fingerprint)) if probe.fingerprint else ""
    if wrong:
        raise InputError(
            f"probe {probe.trained_on!r} of {probe.encoder!r} was trained on embeddings made otherwise than "
            f"the store's ({wrong}); train it again on this store."
        )


def _facts(
    probe: ProbeFile, condition: _Condition, one: TestSet, trial: _Trial, place: NDArray[np.intp]
) -> dict[str, Any]:
    """What the rows of a cell say besides the metric."""
    return {
        "encoder": probe.encoder,
        "trained_on": probe.trained_on,
        "train_filter": probe.train_filter,
        "tested_on": one.generator,
        "dataset": one.dataset,
        "family_from": probe.family,
        "family_to": one.family,
        "filter": condition.filter,
        "cutoff_px": condition.cutoff_px,
        "cutoff_nyq": condition.cutoff_nyq,
        "n_real": int((trial.label == 0).sum()),
        "n_fake": int((trial.label == 1).sum()),
        "ac_removed": float(condition.ac_removed[place].mean()),
        "blank": trial.reason,
    }


def _confusion(label: Labels, logits: Floats, thresholds: Floats) -> list[dict[str, float]]:
    """Counts at the threshold of each cell, fake being positive."""
    fake, called = label == 1, logits >= thresholds[:, None]
    return [
        {
            "threshold": float(threshold),
            "tp": int((row & fake).sum()),
            "fn": int((~row & fake).sum()),
            "fp": int((row & ~fake).sum()),
            "tn": int((~row & ~fake).sum()),
        }
        for row, threshold in zip(called, thresholds, strict=True)
    ]


def _rows(facts: pd.DataFrame, found: dict[str, Floats]) -> Iterator[pd.DataFrame]:
    """The rows of the cells of a test set, metric by metric."""
    for metric, (value, low, high) in found.items():
        blank = [blank_reason(metric, n) or "" for n in facts["n_real"]]
        reason = np.where(facts["blank"] == "", blank, facts["blank"])  # of what needs both classes
        yield facts.assign(
            metric=metric, value=value, low=low, high=high, reason=np.where(np.isnan(value), reason, "")
        )
