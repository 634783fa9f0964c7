"""The transfer grid: every probe on every generator's test fakes, under every filter."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.errors import InputError
from bandprobe.files import replacing
from bandprobe.filters import parse
from bandprobe.images import Geometry
from bandprobe.metrics.bootstrap import intervals
from bandprobe.metrics.detection import METRICS, blank_reason
from bandprobe.metrics.resampling import Resamples
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore, Fingerprint, difference

RESAMPLES = 1000
COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
    "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake", "ac_removed", "reason",
)  # fmt: skip
_DECIMALS = (
    9  # of values in tables: below any interval's meaning, above rounding that differs between machines
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TestSet:
    """A generator's test fakes and the test reals of their own data set."""

    generator: str
    family: str
    dataset: str
    image_id: NDArray[np.object_]  # (n,), sorted
    label: NDArray[np.int8]  # (n,)

    __test__ = False  # not a test, whatever its name


def test_sets(manifest: pd.DataFrame) -> list[TestSet]:
    """The test set of every generator, by data set and name.

    Raises:
        InputError: no generator has test images, or one's data set has no real test image.
    """
    rows = manifest[manifest["split"] == "test"]
    found = []
    for (dataset, generator), fakes in rows[rows["label"] == 1].groupby(["dataset", "generator"], sort=True):
        reals = rows[(rows["label"] == 0) & (rows["dataset"] == dataset)]
        if reals.empty:
            raise InputError(
                f"the test split of data set {dataset!r} has no real image to test {generator!r} against; "
                "add some or leave the generator out."
            )
        both = pd.concat([reals, fakes]).drop_duplicates("image_id").sort_values("image_id", kind="stable")
        ids, labels = both["image_id"].to_numpy(object), both["label"].to_numpy("int8")
        found.append(TestSet(str(generator), str(fakes["family"].iloc[0]), str(dataset), ids, labels))
    if not found:
        raise InputError("no generator has test images; check the manifest's splits.")
    return found


test_sets.__test__ = False  # type: ignore[attr-defined]


def evaluate(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    filters: Sequence[str],
    *,
    everywhere: Sequence[str] = ("none",),
    scores: Path | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Test every probe on every test set.

    Probes trained under a filter of `everywhere` are tested under all `filters` (reliance: what they
    use); the others under the filter they were trained on alone (information: what is there).

    Args:
        store: holds the test images' embeddings.
        manifest: the images; its test split is used.
        probes: what to test.
        filters: canonical test filter specs, in the order wanted.
        everywhere: train filters whose probes are tested under all filters.
        scores: where to write a row for each image, probe and filter: logit and probability.
        seed: of the bootstrap. Resamples are drawn once for each test set, so that all conditions and
            encoders are paired.
        resamples: bootstrap resamples.

    Returns:
        The tidy table with `COLUMNS`, a row for each encoder, probe, test set, filter and metric. A blank
        value is NaN, with its `reason`; cut-offs are NaN where a filter has none.

    Raises:
        StoreError: an embedding is missing.
        InputError: no test set, nothing to test, or probes trained on embeddings made otherwise.
    """
    sets = test_sets(manifest)
    drawn = [
        Resamples.draw(
            int((one.label == 0).sum()),
            int((one.label == 1).sum()),
            resamples,
            seeding.generator(seed, "bootstrap", one.dataset, one.generator),
        )
        for one in sets
    ]
    ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
    places = [np.searchsorted(ids, one.image_id) for one in sets]
    cells = [
        (probe, spec)
        for probe in probes
        for spec in filters
        if probe.train_filter in everywhere or probe.train_filter == spec
    ]
    if not cells:
        raise InputError("nothing to evaluate: no probe was trained under a filter that is tested.")
    tables = []
    with progress.bar("evaluate", len(cells) * len(sets), "cells") as step, _ScoreFile(scores) as written:
        for encoder in dict.fromkeys(probe.encoder for probe, _ in cells):
            mine = [cell for cell in cells if cell[0].encoder == encoder]
            logits, conditions = _logits(store, encoder, mine, ids)
            chances = np.stack([p.probe.probabilities(row) for (p, _), row in zip(mine, logits, strict=True)])
            thresholds = np.array([probe.probe.threshold for probe, _ in mine])
            written.add(ids, mine, logits, chances)
            for one, place, resample in zip(sets, places, drawn, strict=True):
                found = intervals(one.label, logits[:, place], chances[:, place], thresholds, resample)
                facts = pd.DataFrame([_facts(probe, conditions[spec], one, place) for probe, spec in mine])
                for metric in METRICS:
                    reason = blank_reason(metric, int((one.label == 0).sum())) or ""
                    tables.append(facts.assign(metric=metric, reason=reason, **found[metric]._asdict()))
                step(len(mine))
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


def _logits(
    store: EmbeddingStore, encoder: str, cells: Sequence[Cell], ids: NDArray[np.object_]
) -> tuple[Floats, dict[str, _Condition]]:
    """Logits (cells, images); the embeddings of a filter are read once for all its probes."""
    logits = np.empty((len(cells), len(ids)))
    conditions = {}
    for spec in dict.fromkeys(spec for _, spec in cells):
        rows = store.read(encoder, spec, list(ids))
        stored = store.fingerprint(encoder, spec) or {}
        numbers = [number for number, (_, its) in enumerate(cells) if its == spec]
        probes = [cells[number][0] for number in numbers]
        for probe in probes:
            _check_same_encoder(probe, stored)
        directions = np.stack([probe.probe.direction for probe in probes])
        offsets = np.array([[probe.probe.offset] for probe in probes])
        logits[numbers] = directions @ rows.embedding.T.astype(np.float64) + offsets
        grid, cutoff = Geometry.parse(stored["geometry"]).size, parse(spec).cutoff
        conditions[spec] = _Condition(
            spec,
            np.nan if cutoff is None else cutoff.px(grid),
            np.nan if cutoff is None else cutoff.nyq(grid),
            rows.ac_removed,
        )
    return logits, conditions


def _check_same_encoder(probe: ProbeFile, stored: Fingerprint) -> None:
    """A probe may only meet embeddings made as those it was trained on, but for the filter."""
    wrong = difference({**stored, "filter": ""}, {**probe.fingerprint, "filter": ""})
    if wrong:
        raise InputError(
            f"probe {probe.trained_on!r} of {probe.encoder!r} was trained on embeddings made otherwise than "
            f"the store's ({wrong}); train it again on this store."
        )


def _facts(probe: ProbeFile, condition: _Condition, one: TestSet, place: NDArray[np.intp]) -> dict[str, Any]:
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
        "n_real": int((one.label == 0).sum()),
        "n_fake": int((one.label == 1).sum()),
        "ac_removed": float(condition.ac_removed[place].mean()),
    }


class _ScoreFile:
    """A row for each image and cell, whole or not at all."""

    def __init__(self, path: Path | None) -> None:
        name = pa.dictionary(pa.int32(), pa.string())
        texts = [(column, name) for column in ("encoder", "trained_on", "train_filter", "filter")]
        numbers = [("logit", pa.float64()), ("probability", pa.float64())]
        self._schema = pa.schema([("image_id", pa.string()), *texts, *numbers])
        self._stack = contextlib.ExitStack()
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _ScoreFile:
        if self._path is not None:
            temporary = self._stack.enter_context(replacing(self._path))
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(temporary, self._schema, compression="zstd")
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, ids: NDArray[np.object_], cells: Sequence[Cell], logits: Floats, chances: Floats) -> None:
        if self._writer is None:
            return
        constant = pa.array(np.zeros(len(ids), np.int32))
        images = pa.array(ids.tolist(), pa.string())
        for (probe, spec), logit, chance in zip(cells, logits, chances, strict=True):
            texts = [
                pa.DictionaryArray.from_arrays(constant, pa.array([text]))
                for text in (probe.encoder, probe.trained_on, probe.train_filter, spec)
            ]
            columns = [images, *texts, pa.array(logit), pa.array(chance)]
            self._writer.write_table(pa.table(columns, schema=self._schema))
