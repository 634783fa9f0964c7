"""What a run holds, as statistics of encoders ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.analysis.claim_conditions import (
    HISTORY,
    Condition,
    Undecided,
    Variant,
    conditions,
    identity,
    to_add,
)
from bandprobe.analysis.claim_embeddings import Sources
from bandprobe.analysis.hierarchy import Hierarchy, Scope
from bandprobe.images import Geometry
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """A statistic with its resamples.

    Attributes:
        draws: its value, then that of every resample, (1 + resamples,).
        metric: what it is made of.
        said: what was compared, in words.
        bar: why there is no verdict whatever the numbers; empty where there may be one.
        bound: `at most` or `at least` where the value is only a bound, so that the claim's other side stays
            open; `unbounded` where it is neither.
    """

    draws: Floats
    metric: str
    said: str
    bar: str = ""
    bound: str = ""


class Evidence:
    """What a run holds, as the claims ask for it.

    Args:
        store: holds the test images' embeddings.
        manifest: the images.
        probes: of the run.
        replicates: further lists, trained on resamples of the training images.
        filters: the run's test filters; by default all that the store holds.
        seed: of the bootstrap.
        resamples: how many.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        manifest: pd.DataFrame,
        probes: Sequence[ProbeFile],
        replicates: Sequence[Sequence[ProbeFile]],
        filters: Sequence[str] | None,
        *,
        seed: int,
        resamples: int,
    ) -> None:
        self.grid = Hierarchy(store, manifest, probes, replicates, seed=seed, resamples=resamples)
        self.sources = Sources(store, manifest, seed, resamples)
        self.geometry: dict[str, str] = {}
        self.held: dict[str, list[Condition]] = {}
        wanted = None if filters is None else set(filters)
        for encoder, spec in store.conditions():
            if wanted is None or spec in wanted:
                text = (store.fingerprint(encoder, spec) or {})["geometry"].removesuffix(":aliased")
                self.geometry[encoder] = text
                self.held.setdefault(encoder, []).extend(conditions([spec], Geometry.parse(text).size))

    def mean(self, encoder: str, variant: Variant, condition: Condition, scope: Scope, metric: str) -> Floats:
        """A metric under a condition: of the fixed probe (reliance) or the re-trained one (information).

        With equalised history the fixed probe is the one trained on equalised images: one trained on raw
        images would be asked about JPEG instead.
        """
        if variant.curve == "information":
            trained = [condition.spec]
        elif variant.history == "raw":
            trained = ["none", "identity"]
        else:
            trained = [HISTORY, identity(self.held[encoder], variant).spec]
        for spec in trained:
            if self.grid.has(encoder, spec):
                return self.grid.mean(encoder, spec, condition.spec, scope, metric)
        raise Undecided(
            f"not every generator has a probe of {encoder} trained under {trained[0]}: set information = true "
            f"and {to_add(variant, 'identity')}"
        )

    def own(
        self, encoder: str, variant: Variant, *others: Condition, family: str | None = None
    ) -> tuple[Scope, list[Floats], str]:
        """Own-generator AUROC under the identity and under other conditions, of all generators or of a family's;
        and why it decides nothing, where it does not."""
        scope = self.grid.own(family)
        if scope is None:
            raise Undecided("no probe of a single generator that is tested: train_on needs each")
        given = [identity(self.held[encoder], variant), *others]
        found = [self.mean(encoder, variant, condition, scope, "auroc") for condition in given]
        chance = np.nanquantile(found[0], 0.025) <= 0.5
        return scope, found, scope.few or (f"{encoder} is at chance under the identity" if chance else "")

    def across(self) -> Scope:
        """The cells that train on one family and test on another."""
        scope = self.grid.across()
        if scope is None:
            raise Undecided("no second family: generators of two families are needed")
        return scope

    def energy(self, encoder: str, condition: Condition) -> float:
        """Mean share of the test images' AC energy that a condition removes."""
        rows = self.grid.store.read(encoder, condition.spec, list(self.grid.ids))
        return float(rows.ac_removed.mean())
