"""What each band of frequencies adds to a probe's AUROC and to its logits: Shapley values over a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.analysis.coalitions import Bands
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.errors import InputError
from bandprobe.filters import Filter
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples
from bandprobe.metrics.shapley import MOST_EXACT, coalitions, coalitions_of, exact, orders, sampled
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

COLUMNS = (
    "encoder", "trained_on", "train_filter", "tested_on", "family", "dataset", "quantity", "band", "low_nyq",
    "high_nyq", "value", "low", "high", "sampling_error", "bare", "whole", "method", "n_real", "n_fake",
)  # fmt: skip
RESAMPLES = 500
ORDERS = 64  # of more bands than all coalitions are tried of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Game:
    """The bands, and the coalitions of them whose worth must be known.

    Attributes:
        bands: the players.
        orders: those drawn of more than `MOST_EXACT` bands; empty where every coalition is tried.
    """

    bands: Bands
    orders: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, bands: Bands, *, count: int = ORDERS, seed: int = 0) -> Game:
        """All coalitions of up to ten bands, those of `count` random orders of more."""
        if len(bands) <= MOST_EXACT:
            return cls(bands)
        drawn = orders(len(bands), count, seeding.generator(seed, "band orders", len(bands)))
        return cls(bands, tuple(map(tuple, drawn)))

    @property
    def coalitions(self) -> list[int]:
        """As bit masks, the empty one first."""
        if not self.orders:
            return coalitions(len(self.bands))
        return coalitions_of(list(order) for order in self.orders)

    @property
    def filters(self) -> dict[int, Filter]:
        """The filter that keeps each coalition."""
        return {members: self.bands.keeping(members) for members in self.coalitions}

    def values(self, worth: Mapping[int, Floats]) -> tuple[Floats, Floats]:
        """Shapley values, shape (bands, ...), and their standard errors of sampling: zero where all are tried."""
        if self.orders:
            return sampled(worth.__getitem__, [list(order) for order in self.orders])
        found = exact(np.stack([worth[members] for members in self.coalitions]))
        return found, np.zeros_like(found)


def band_shapley(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    game: Game,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Divide AUROC, and the mean logit of reals and of fakes, among bands.

    A coalition's worth is what a probe trained on whole images gets from images that keep the coalition's bands, the
    mean and the slowest waves, by ideal masks. Without any band the AUROC is near 0.5, and what the bands add sums to
    the AUROC of whole images less that.

    Args:
        store: holds the test images' embeddings under `game.filters`.
        manifest: the images; its test split is used.
        probes: those trained under `none` are asked.
        game: the bands and the coalitions.
        resamples: of images, the same in every coalition, for the intervals.
        seed: of the resamples.

    Returns:
        A row for each probe, test set, quantity and band, with `COLUMNS`: `low` and `high` are 95 % percentile
        intervals over images, `sampling_error` the standard error by which orders of bands were drawn, `bare` and
        `whole` the worth of no band and of all.

    Raises:
        StoreError: an embedding is missing.
        InputError: no probe trained on unfiltered images, or no test set.

    Source:
        Shapley 1953; Lundberg & Lee 2017 (arXiv:1705.07874) for decisions.
    """
    asked = [probe for probe in probes if probe.train_filter == "none"]
    if not asked:
        raise InputError("no probe was trained on unfiltered images; train one with --filter none.")
    sets = test_sets(manifest)
    ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
    rows: list[pd.DataFrame] = []
    for encoder in dict.fromkeys(probe.encoder for probe in asked):
        its = [probe for probe in asked if probe.encoder == encoder]
        logits = _logits(store, encoder, its, ids, game)
        for one in sets:
            places = np.searchsorted(ids, one.image_id)
            drawn = _resamples(one, resamples, seed)
            for number, probe in enumerate(its):
                of_probe = {members: values[number, places] for members, values in logits.items()}
                worths = _worths(one, of_probe, drawn)
                rows += [_rows(probe, one, game, quantity, worth) for quantity, worth in worths.items()]
    return pd.concat(rows, ignore_index=True)[list(COLUMNS)]


def _logits(
    store: EmbeddingStore, encoder: str, probes: Sequence[ProbeFile], ids: NDArray[np.object_], game: Game
) -> dict[int, Floats]:
    """Logits of every coalition, shape (probes, images)."""
    found = {}
    filters = game.filters
    with progress.bar(f"read {encoder}", len(filters), "coalitions") as step:
        for members, spec in filters.items():
            held = np.empty((len(probes), len(ids)))
            for places, rows in store.in_parts(encoder, str(spec), ids):
                held[:, places] = logits_of(probes, rows.embedding)
            found[members] = held
            step()
    return found


def _resamples(one: TestSet, size: int, seed: int) -> Resamples:
    fakes = int(one.label.sum())
    rng = seeding.generator(seed, "band shapley", one.dataset, one.generator)
    return Resamples.draw(len(one.label) - fakes, fakes, size, rng)


Worth = dict[int, Floats]


def _worths(one: TestSet, logits: Mapping[int, Floats], drawn: Resamples) -> dict[str, Worth]:
    """Each quantity's worth of every coalition: of the test set first, then of each resample."""
    members, scores = list(logits), np.stack(list(logits.values()))
    whole = Resamples(*(np.vstack([np.ones_like(part[:1]), part]) for part in (drawn.reals, drawn.fakes)))
    halves, none = np.full_like(scores, 0.5), np.zeros(len(scores))
    found = {
        "auroc": replicates(one.label, scores, halves, none, whole, metrics=["auroc"])["auroc"],
        "logit real": scores[:, one.label == 0] @ whole.reals.T / whole.reals.shape[1],
        "logit fake": scores[:, one.label == 1] @ whole.fakes.T / whole.fakes.shape[1],
    }
    return {quantity: dict(zip(members, values, strict=True)) for quantity, values in found.items()}


def _rows(probe: ProbeFile, one: TestSet, game: Game, quantity: str, worth: Worth) -> pd.DataFrame:
    values, errors = game.values(worth)
    low, high = np.percentile(values[:, 1:], [2.5, 97.5], axis=1)
    everyone = (1 << len(game.bands)) - 1
    fakes = int(one.label.sum())
    edges = np.array(game.bands.edges) / (min(game.bands.shape) / 2)
    return pd.DataFrame(
        {
            "encoder": probe.encoder, "trained_on": probe.trained_on, "train_filter": probe.train_filter,
            "tested_on": one.generator, "family": one.family, "dataset": one.dataset, "quantity": quantity,
            "band": game.bands.names, "low_nyq": edges[:-1], "high_nyq": edges[1:], "value": values[:, 0],
            "low": low, "high": high, "sampling_error": errors[:, 0], "bare": worth[0][0],
            "whole": worth[everyone][0], "method": "sampled" if game.orders else "exact",
            "n_real": len(one.label) - fakes, "n_fake": fakes,
        }
    )  # fmt: skip
