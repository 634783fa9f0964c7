"""Means over generators with every source of chance resampled: images, generators, probe seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bandprobe import seeding
from bandprobe.analysis.logits import logits_of
from bandprobe.analysis.test_set import test_sets
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Counts, Resamples, draw_counts
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

FEWEST = 5  # generators of a family, for a statement about the family

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """The cells of the transfer grid that a mean is taken over.

    Attributes:
        cells: training generator and number of the test set.
        weights: of each cell, in the data and in every resample of the generators, (cells, 1 + resamples).
        few: families with too few generators for a statement about them, in words; empty where each
            family has enough.
        note: what the mean is over, in words.
    """

    cells: tuple[tuple[str, int], ...]
    weights: Floats
    few: str
    note: str


class Hierarchy:
    """Mean metrics of one-generator probes, on the images as they are and in every resample.

    A resample draws the probe's training (one of its replicates, the same number for the whole study),
    the generators of each family, and the test images of each: reals once for a data set, whatever they
    are tested against, and each generator's fakes. All that is asked of one object meets the same
    resamples, so that differences between encoders and conditions are paired.

    The mean over n generators drawn with replacement spreads too little for small n, by the factor
    `sqrt((n - 1) / n)`, and its quantiles are the normal's where Student's belong. The generators'
    weights are therefore spread by `student_stretch(n)`. In simulated studies of five generators a family
    in which there is no effect, 2 to 3 % of the 95 % intervals then leave zero out, and 11 to 14 % without.

    Args:
        store: holds the test images' embeddings.
        manifest: the images.
        probes: of the run.
        replicates: further lists of probes, trained on resamples of the training images.
        seed: of the draws.
        resamples: how many.

    Source:
        Davison & Hinkley 1997, section 3.8 (resampling of nested data); Hesterberg 2015, *What teachers
        should know about the bootstrap* (the narrowness for small n and its correction).
    """

    def __init__(
        self,
        store: EmbeddingStore,
        manifest: pd.DataFrame,
        probes: Sequence[ProbeFile],
        replicates: Sequence[Sequence[ProbeFile]] = (),
        *,
        seed: int = 0,
        resamples: int = 1000,
    ) -> None:
        self.store, self.seed, self.resamples = store, seed, resamples
        self.sets = test_sets(manifest)
        self.ids = np.array(sorted(set().union(*(one.image_id for one in self.sets))), dtype=object)
        self._places = [np.searchsorted(self.ids, one.image_id) for one in self.sets]
        fakes = manifest[manifest["label"] == 1]
        self.families: dict[str, str] = dict(zip(fakes["generator"], fakes["family"], strict=True))
        # Of each encoder and train filter, the probe of each generator, then its replicates.
        self._probes: dict[tuple[str, str], dict[str, list[ProbeFile]]] = {}
        for probe in (probe for several in (probes, *replicates) for probe in several):
            if probe.trained_on in self.families:
                held = self._probes.setdefault((probe.encoder, probe.train_filter), {})
                held.setdefault(probe.trained_on, []).append(probe)
        self.trained = sorted({name for held in self._probes.values() for name in held})
        self.seeds = 1 + len(replicates)
        draw = seeding.generator(seed, "claims", "probes")
        self._training = np.append(0, draw.integers(0, self.seeds, size=resamples))
        self._reals: dict[tuple[str, int], Counts] = {}
        self._drawn = [self._resampled(number) for number in range(len(self.sets))]
        self._means: dict[tuple[str, str, str, str, tuple[tuple[str, int], ...]], Floats] = {}
        self._last: tuple[tuple[str, str], NDArray[np.float32]] | None = None

    def has(self, encoder: str, train_filter: str) -> bool:
        """Whether every training generator has a probe of this encoder and train filter."""
        return bool(self.trained) and set(self._probes.get((encoder, train_filter), {})) == set(self.trained)

    @property
    def n_real(self) -> int:
        """Reals of the smallest test set."""
        return min(int((one.label == 0).sum()) for one in self.sets)

    def own(self, family: str | None = None) -> Scope | None:
        """Every probe, or every one of a family, on its own generator; families with fewer than five are left out
        where others have."""
        tested = {one.generator for one in self.sets}
        members = self._by_family(
            [name for name in self.trained if name in tested and family in (None, self.families[name])]
        )
        large = {family: names for family, names in members.items() if len(names) >= FEWEST}
        weights = {
            name: row
            for family, names in (large or members).items()
            for name, row in self._generators(family, names).items()
        }
        cells = tuple(
            (one.generator, number) for number, one in enumerate(self.sets) if one.generator in weights
        )
        if not cells:
            return None
        return Scope(
            cells,
            np.stack([weights[name] for name, _ in cells]),
            "" if large else _few(members),
            f"{len(weights)} generators{_left_out(members, large)}",
        )

    def across(self, start: str | None = None, end: str | None = None) -> Scope | None:
        """Every probe on the generators of other families, of all or of one pair of families."""
        froms = self._by_family(self.trained)
        tos = self._by_family([one.generator for one in self.sets])
        pairs = [(a, b) for a in froms for b in tos if a != b and start in (None, a) and end in (None, b)]
        large = [(a, b) for a, b in pairs if min(len(froms[a]), len(tos[b])) >= FEWEST]
        cells, weights = [], []
        for a, b in large or pairs:
            training, testing = self._generators(a, froms[a]), self._generators(b, tos[b])
            for name in froms[a]:
                for number, one in enumerate(self.sets):
                    if one.generator in testing:
                        cells.append((name, number))
                        weights.append(training[name] * testing[one.generator])
        if not cells:
            return None
        used = sorted({family for pair in large or pairs for family in pair})
        sizes = {family: sorted({*froms.get(family, []), *tos.get(family, [])}) for family in used}
        counts = " and ".join(f"{len(names)} {family}" for family, names in sizes.items())
        return Scope(
            tuple(cells),
            np.stack(weights),
            "" if large else _few({a: froms[a] for a, _ in pairs} | {b: tos[b] for _, b in pairs}),
            f"{counts} generators, {len(cells)} cells",
        )

    def mean(self, encoder: str, train_filter: str, spec: str, scope: Scope, metric: str = "auroc") -> Floats:
        """The mean of a metric over a scope's cells.

        Returns:
            float64, shape (1 + resamples,): the value itself, then that of every resample.
        """
        key = (encoder, train_filter, spec, metric, scope.cells)
        if key not in self._means:
            embedding = self._embedding(encoder, spec)
            probes = self._probes[encoder, train_filter]
            names = list(dict.fromkeys(name for name, _ in scope.cells))
            logits = {name: logits_of(probes[name], embedding) for name in names}
            total = np.zeros(1 + self.resamples)
            for number, place in enumerate(self._places):
                rows = [row for row, (_, its) in enumerate(scope.cells) if its == number]
                if rows:
                    scores = [logits[scope.cells[row][0]][:, place] for row in rows]
                    total += (scope.weights[rows] * self._cells(number, scores, metric)).sum(axis=0)
            self._means[key] = total / scope.weights.sum(axis=0)
        return self._means[key]

    def _cells(self, number: int, scores: Sequence[Floats], metric: str) -> Floats:
        """A metric of several probes on one test set, (probes, 1 + resamples); `scores` hold a row for
        each of a probe's replicates."""
        drawn, label = self._drawn[number], self.sets[number].label
        found = np.empty((len(scores), 1 + self.resamples))
        for training in range(self.seeds):
            columns = np.flatnonzero(self._training == training)
            if not len(columns):
                continue
            logits = np.stack([rows[min(training, len(rows) - 1)] for rows in scores])
            some = Resamples(drawn.reals[columns], drawn.fakes[columns])
            blank = np.zeros_like(logits)
            found[:, columns] = replicates(
                label, logits, blank, blank[:, 0], some, metrics=(metric,)
            )[metric]  # fmt: skip
        return found

    def _resampled(self, number: int) -> Resamples:
        one = self.sets[number]
        n_real, n_fake = int((one.label == 0).sum()), int((one.label == 1).sum())
        key = (one.dataset, n_real)
        if key not in self._reals:
            self._reals[key] = self._images(n_real, one.dataset, "Real")
        return Resamples(self._reals[key], self._images(n_fake, one.dataset, one.generator))

    def _images(self, n: int, *names: str) -> Counts:
        """Counts of each image: once each, as the data are, then in every resample."""
        counts = draw_counts(n, self.resamples, seeding.generator(self.seed, "claims", "images", *names))
        whole: Counts = np.concatenate([np.ones((1, n), np.uint8), counts])
        return whole

    def _generators(self, family: str, names: Sequence[str]) -> dict[str, Floats]:
        return generator_weights(names, self.resamples, seeding.generator(self.seed, "claims", family))

    def _by_family(self, names: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in sorted(set(names)):
            found.setdefault(self.families[name], []).append(name)
        return found

    def _embedding(self, encoder: str, spec: str) -> NDArray[np.float32]:
        if self._last is None or self._last[0] != (encoder, spec):
            self._last = (encoder, spec), self.store.read(encoder, spec, list(self.ids)).embedding
        return self._last[1]


def generator_weights(
    names: Sequence[str], resamples: int, generator: np.random.Generator
) -> dict[str, Floats]:
    """What each generator of a family counts, in the data (1) and in every resample.

    Returns:
        float64 of shape (1 + resamples,) for each name. Over the names they sum to their number; spread
        by `student_stretch`, so that some may lie below zero.
    """
    n = len(names)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = 1 + student_stretch(n) * (np.concatenate([np.ones((1, n)), counts]) - 1)
    return dict(zip(names, weights.T, strict=True))


def student_stretch(n: int) -> float:
    """By how much a bootstrap over n generators is too narrow: `sqrt(n / (n - 1)) t / z` at 95 %.

    1 below five generators, where no verdict is given and the interval speaks of these generators alone.
    """
    if n < FEWEST:
        return 1.0
    return float(np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975))


def _few(members: Mapping[str, Sequence[str]]) -> str:
    listed = ", ".join(f"{family} ({len(names)})" for family, names in members.items() if len(names) < FEWEST)
    return f"fewer than five generators in {listed}"


def _left_out(members: Mapping[str, Sequence[str]], large: Mapping[str, Sequence[str]]) -> str:
    small = [f"{family} ({len(names)})" for family, names in members.items() if family not in large]
    return f"; {', '.join(small)} left out: fewer than five" if large and small else ""
