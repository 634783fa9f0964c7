"""Which bands the probes of a study use, from the store: the tables `bands.csv` and `bands_tested.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bandprobe import progress, seeding
from bandprobe.analysis.band_bank import CONDITIONS, IDENTITY
from bandprobe.analysis.localisation import RESAMPLES, Localisation, localise
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.metrics.detection import auroc as area
from bandprobe.metrics.resampling import Resamples
from bandprobe.probes import EXTERNAL, ProbeFile
from bandprobe.store import EmbeddingStore

LEAST = 0.75  # AUROC on its own test set of a probe that is asked
COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "centre_nyq", "low_nyq", "high_nyq", "strength", "p_value",
)  # fmt: skip
TESTED_COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "own_auroc", "n_real", "n_fake", "outcome",
    "filter", "kind", "centre_nyq", "low_nyq", "high_nyq", "auroc", "fall", "control_fall", "ac_removed", "p_value",
)  # fmt: skip
_DECIMALS = 6


class Bands(NamedTuple):
    """What was claimed, with `COLUMNS`, and what was tried, with `TESTED_COLUMNS`."""

    claimed: pd.DataFrame
    tested: pd.DataFrame


def bands(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    *,
    train_filters: Sequence[str] = ("none",),
    least: float = LEAST,
    seed: int = 0,
) -> Bands:
    """Locate the bands that each probe uses on its own generators' test sets.

    Own is the generator that a probe was trained on, each one of its family, or each one at all; of a detector that was
    trained elsewhere every generator is.

    Args:
        store: holds the test images' embeddings under the filters of the preset `bands`.
        manifest: the images; its test split is used.
        probes: those trained under one of `train_filters`, or elsewhere, are asked.
        train_filters: as above.
        least: a probe whose AUROC on a test set is lower is not asked there.
        seed: of resamples and permutations.

    Returns:
        Bands claimed at 5 % for each probe and test set, the strongest first; and a row for each filter that was
        tried, or one alone with the outcome, where none was.

    Raises:
        InputError: no test set.
        StoreError: an embedding is missing.
    """
    asked = [probe for probe in probes if probe.train_filter in train_filters or probe.trained_on == EXTERNAL]
    sets = test_sets(manifest)
    claimed: list[dict[str, Any]] = []
    tested: list[dict[str, Any]] = []
    with progress.bar("bands", len(asked), "probes") as step:
        for encoder in dict.fromkeys(probe.encoder for probe in asked):
            mine = [probe for probe in asked if probe.encoder == encoder]
            for probe, one, found in _each(store, encoder, mine, sets, least, seed):
                facts = {
                    "encoder": encoder,
                    "trained_on": probe.trained_on,
                    "train_filter": probe.train_filter,
                    "tested_on": one.generator,
                }
                counts = {
                    "dataset": one.dataset,
                    "n_real": int((one.label == 0).sum()),
                    "n_fake": int((one.label == 1).sum()),
                }
                if isinstance(found, str | float):
                    own = found if isinstance(found, float) else np.nan
                    outcome = (
                        found if isinstance(found, str) else f"not asked: AUROC {own:.3f} is below {least:g}"
                    )
                    tested.append({**facts, **counts, "own_auroc": own, "outcome": outcome})
                else:
                    claimed += [{**facts, **vars(band)} for band in found.used]
                    tested += [{**facts, **counts, **row} for row in _tried(found)]
            step(len(mine))
    return Bands(_table(claimed, COLUMNS), _table(tested, TESTED_COLUMNS))


Answer = Localisation | float | str  # an AUROC that is too low, or why nothing can be said


def _each(
    store: EmbeddingStore,
    encoder: str,
    probes: Sequence[ProbeFile],
    sets: Sequence[TestSet],
    least: float,
    seed: int,
) -> Iterator[tuple[ProbeFile, TestSet, Answer]]:
    """Every probe of an encoder on every test set of its own."""
    held = {spec for name, spec in store.conditions() if name == encoder}
    missing = [spec for spec in CONDITIONS if spec not in held]
    ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
    logits = np.empty((len(CONDITIONS), len(probes), len(ids)))
    removed = np.zeros((len(CONDITIONS), len(ids)))
    if not missing:
        for number, spec in enumerate(CONDITIONS):
            rows = store.read(encoder, spec, list(ids))
            logits[number], removed[number] = logits_of(probes, rows.embedding), rows.ac_removed
    for number, probe in enumerate(probes):
        for one in sets:
            if not _own(probe, one):
                continue
            if missing:
                yield probe, one, f"not asked: no embeddings under {len(missing)} filters, e.g. {missing[0]}"
                continue
            place = np.searchsorted(ids, one.image_id)
            seen = logits[:, number][:, place]
            own = area(one.label, seen[CONDITIONS.index(IDENTITY)])
            if own < least:
                yield probe, one, own
                continue
            n_real, n_fake = int((one.label == 0).sum()), int((one.label == 1).sum())
            names = (one.dataset, one.generator)
            yield (
                probe,
                one,
                localise(
                    dict(zip(CONDITIONS, seen, strict=True)),
                    one.label,
                    dict(zip(CONDITIONS, removed[:, place].mean(1).tolist(), strict=True)),
                    # One draw for a test set: probes and encoders are paired.
                    Resamples.draw(n_real, n_fake, RESAMPLES, seeding.generator(seed, "bands", *names)),
                    seeding.generator(seed, "bands", "permutation", *names),
                ),
            )


def _own(probe: ProbeFile, one: TestSet) -> bool:
    """Whether a test set's fakes are of a generator that the probe was trained on."""
    if probe.trained_on in ("all", EXTERNAL):
        return True
    family = probe.trained_on.removeprefix("family:")
    return one.family == family if family != probe.trained_on else one.generator == probe.trained_on


def _tried(found: Localisation) -> Iterator[dict[str, Any]]:
    outcome = f"{len(found.used)} claimed" if found.used else "none claimed"
    for band in found.tried:
        ring = band.ring
        yield {
            "own_auroc": found.auroc,
            "outcome": outcome,
            "filter": ring.filter,
            "kind": band.kind,
            "centre_nyq": (ring.low_nyq + ring.high_nyq) / 2,
            "low_nyq": ring.low_nyq,
            "high_nyq": ring.high_nyq,
            "auroc": band.auroc,
            "fall": band.fall,
            "control_fall": band.control_fall,
            "ac_removed": band.ac_removed,
            "p_value": band.p_value,
        }


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a table with these columns, there even without a row; numbers rounded."""
    table = pd.DataFrame(rows, columns=list(columns))
    numbers = table.select_dtypes("float").columns
    table[numbers] = table[numbers].round(_DECIMALS) + 0.0
    return table
