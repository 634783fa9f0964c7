"""Claims about embeddings themselves: effective rank and correspondence, source by source."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.analysis.claim_conditions import Undecided
from bandprobe.analysis.hierarchy import generator_weights
from bandprobe.analysis.sources import drawn_sources
from bandprobe.metrics.correspondence import debiased_cka
from bandprobe.metrics.entropy import effective_rank
from bandprobe.metrics.jackknife import groups
from bandprobe.store import EmbeddingStore

LARGEST = 400  # images of each source: more hardly narrow an interval that generators decide
FEWEST = 20

Floats: TypeAlias = NDArray[np.float64]


class Sources:
    """Equal numbers of test images of the reals of each data set and of each generator.

    A statistic is a mean over sources. Its resamples draw the generators of each family, the reals of
    each data set being there always, and give each source the normal error of its jackknife, which
    leaves the same images out of every encoder and condition.

    Args:
        store: holds the images' embeddings.
        manifest: the images.
        seed: of the draws.
        resamples: how many.
    """

    def __init__(self, store: EmbeddingStore, manifest: pd.DataFrame, seed: int, resamples: int) -> None:
        self.store, self.seed, self.resamples = store, seed, resamples
        found = drawn_sources(manifest, LARGEST, seed, "claims")
        self.n = min(len(source.image_id) for source in found)
        self.names = [source.name for source in found]
        self._ids = np.concatenate([source.image_id[: self.n] for source in found])  # hashes: a random order
        families: dict[str, set[str]] = {}
        for source in found:
            if not source.is_real:
                families.setdefault(source.family, set()).add(source.name)
        drawn: dict[str, Floats] = {}
        for family, names in families.items():
            draw = seeding.generator(seed, "claims", family)
            drawn |= generator_weights(sorted(names), resamples, draw)
        one = np.ones(1 + resamples)
        self._weights = np.stack([drawn.get(name, one) for name in self.names])
        self._ranks: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._alike: dict[tuple[str, str, str], Floats] = {}

    def rank(self, encoder: str, spec: str) -> tuple[Floats, Floats]:
        """Log effective rank of each source (s,), and the influence of each image on it (s, n)."""
        if (encoder, spec) not in self._ranks:
            found = [effective_rank(X) for X in self._embeddings(encoder, spec)]
            logs = np.log([rank.value for rank in found])
            self._ranks[encoder, spec] = logs, np.stack([rank.influence for rank in found])
        return self._ranks[encoder, spec]

    def correspondence(self, encoder: str, low: str, high: str) -> Floats:
        """Debiased CKA of each source between two conditions, whole and without each group, (s, 1 + g)."""
        key = (encoder, low, high)
        if key not in self._alike:
            group = groups(self.n)
            self._alike[key] = np.stack(
                [
                    [
                        debiased_cka(A[group != left], B[group != left]).value
                        for left in range(-1, int(group.max()) + 1)
                    ]
                    for A, B in zip(
                        self._embeddings(encoder, low), self._embeddings(encoder, high), strict=True
                    )
                ]
            )
        return self._alike[key]

    def mean_of_influences(self, value: Floats, influence: Floats) -> Floats:
        """Mean over sources and its resamples, (1 + resamples,), from values (s,) and influences (s, n)."""
        return self._mean(value, influence.std(axis=1) / np.sqrt(self.n - 1))

    def mean_of_groups(self, values: Floats) -> Floats:
        """The same from a jackknife's values, (s, 1 + g)."""
        left = values[:, 1:]
        return self._mean(values[:, 0], np.sqrt((left.shape[1] - 1) * left.var(axis=1)))

    def _mean(self, value: Floats, deviation: Floats) -> Floats:
        noise = seeding.generator(self.seed, "claims", "embeddings").standard_normal(
            (len(value), self.resamples)
        )
        shaken = np.column_stack([value, value[:, None] + deviation[:, None] * noise])
        mean: Floats = (self._weights * shaken).sum(axis=0) / self._weights.sum(axis=0)
        return mean

    def _embeddings(self, encoder: str, spec: str) -> list[NDArray[np.float32]]:
        if self.n < FEWEST:
            raise Undecided(f"a source has {self.n} test images where {FEWEST} are needed: add test images")
        rows = self.store.read(encoder, spec, list(self._ids))
        return list(rows.embedding.reshape(len(self.names), self.n, -1))
