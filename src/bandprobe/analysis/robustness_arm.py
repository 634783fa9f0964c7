"""One arm of the robustness table: what its probes keep under every degradation, cell by cell and on average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.analysis.robustness_grid import Arm, Resampling, Tally
from bandprobe.analysis.score_cells import ScoreCells
from bandprobe.analysis.test_set import TestSet
from bandprobe.filters.degradations import Condition
from bandprobe.metrics.bootstrap import differences, intervals
from bandprobe.metrics.intervals import delong_paired, normal_quantile, on_logit
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples

OWN, OTHERS = "own", "others"

Floats = NDArray[np.float64]
# Labels, scores, probabilities and thresholds (which no metric here asks for), and resamples.
_Given = tuple[NDArray[np.int8], Floats, Floats, Floats, Resamples]


@dataclass
class ArmScores:
    """The scores of an arm's probes, gathered probe by probe.

    Attributes:
        arm: the probes and conditions.
        metrics: `auroc`, and PD where there is one.
        drawn: the resamples.
    """

    arm: Arm
    metrics: Sequence[str]
    drawn: Resampling
    # Means: of each metric and probe over all test sets; of each metric over probes of one generator on their own,
    # and, for each test set, over those that do not know its generator.
    _overall: dict[tuple[str, str], Tally] = field(default_factory=dict)
    _own: dict[str, Tally] = field(default_factory=dict)
    _others: dict[str, dict[tuple[str, str], Tally]] = field(default_factory=dict)
    _pooled: list[str] = field(default_factory=list)
    _smallest: int = 0  # class of any test set

    def add(
        self, trained_on: str, held: ScoreCells, sets: Sequence[TestSet], families: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Gather one probe.

        Args:
            trained_on: which.
            held: the scores.
            sets: the test sets, as the resamples were drawn for.
            families: of the generators of the study.

        Yields:
            The rows of `robustness.csv`.
        """
        single = trained_on in families
        if not single:
            self._pooled.append(trained_on)
        ids = np.array(sorted(set().union(*(one.image_id for one in sets))), dtype=object)
        logits = np.stack([held.logits(self.arm.cell(trained_on, one), ids) for one in self.arm.conditions])
        overall, _ = self.drawn.of_generators(self.drawn.families)
        own, _ = self.drawn.of_generators(self._known)
        for one, images in zip(sets, self.drawn.images, strict=True):
            seen = logits[:, np.searchsorted(ids, one.image_id)]
            blank = np.zeros_like(seen)
            given: _Given = (one.label, seen, blank, blank[:, 0], images)
            for metric, values in replicates(*given, metrics=self.metrics).items():
                self._tally(self._overall, (metric, trained_on)).add(values, overall[one.generator])
                if single and one.generator == trained_on:
                    self._tally(self._own, metric).add(values, own[one.generator])
                elif single:
                    self._tally(self._others.setdefault(metric, {}), (one.dataset, one.generator)).add(values)
            n_real, n_fake = images.reals.shape[1], images.fakes.shape[1]
            self._smallest = min(n_real, n_fake, self._smallest or n_real)
            facts = {
                "encoder": self.arm.encoder,
                "trained_on": trained_on,
                "train_filter": self.arm.train_filter,
                "tested_on": one.generator,
                "dataset": one.dataset,
                "family_from": families.get(trained_on, trained_on.removeprefix("family:")),
                "family_to": one.family,
                "n_real": n_real,
                "n_fake": n_fake,
            }
            yield from (facts | row for row in self._rows(given))

    def means(self) -> Iterator[dict[str, Any]]:
        """The rows of `robustness_means.csv`, once all probes are gathered."""
        _, everything = self.drawn.of_generators(self.drawn.families)
        for metric in self.metrics:
            sets: dict[str, tuple[Tally, str]] = {}
            if metric in self._own:
                sets[OWN] = self._own[metric], self.drawn.of_generators(self._known)[1]
            if others := self._others.get(metric):
                tally = Tally(len(self.arm.conditions), self.drawn.resamples)
                weights, resampled = self.drawn.of_generators(generator for _, generator in others)
                for (_, generator), held in others.items():
                    tally.add(held.mean, weights[generator], held.cells)
                sets[OTHERS] = tally, resampled
            sets |= {name: (self._overall[metric, name], everything) for name in self._pooled}
            for name, (tally, resampled) in sets.items():
                about: dict[str, Any] = {"encoder": self.arm.encoder, "probes": name}
                about |= {"train_filter": self.arm.train_filter, "metric": metric}
                about |= {"cells": tally.cells, "resampled": resampled}
                yield from (about | row for row in self._mean_rows(tally.mean))

    def auroc(self, trained_on: str, conditions: Sequence[Condition]) -> Floats:
        """A probe's mean AUROC over all test sets, in the data and in every resample.

        Returns:
            Shape (conditions, 1 + resamples).
        """
        rows = [self.arm.conditions.index(condition) for condition in conditions]
        return self._overall["auroc", trained_on].mean[rows]

    @property
    def _known(self) -> frozenset[str]:
        """The generators that have both a probe of their own and a test set."""
        return frozenset(self.arm.trained_on) & frozenset(self.drawn.families)

    def _tally(self, tallies: dict[Any, Tally], key: Any) -> Tally:
        if key not in tallies:
            tallies[key] = Tally(len(self.arm.conditions), self.drawn.resamples)
        return tallies[key]

    def _rows(self, given: _Given) -> Iterator[dict[str, Any]]:
        """Every metric of one probe on one test set under every condition, and its fall."""
        label, logits = given[0], given[1]
        found = intervals(*given, metrics=self.metrics)
        rest = [name for name in self.metrics if name != "auroc"]
        pairs = [(0, number) for number in range(len(logits))]
        fallen = differences(*given, pairs, metrics=rest) if rest else {}
        for number, seen in enumerate(logits):
            paired = delong_paired(label, logits[0], seen)
            falls = {"auroc": (paired.difference, paired.low, paired.high)}
            falls |= {
                name: (of.value[number], of.low[number], of.high[number]) for name, of in fallen.items()
            }
            for metric in self.metrics:
                value, low, high = (part[number] for part in found[metric])
                yield self._row(number, value, low, high, falls[metric]) | {"metric": metric}

    def _mean_rows(self, draws: Floats) -> Iterator[dict[str, Any]]:
        value, spread = draws[:, 0], draws[:, 1:]
        variance = np.where(np.ptp(spread, axis=1) == 0, 0.0, spread.var(axis=1))
        low, high = on_logit(value, variance, self._smallest)
        deviation = (spread[0] - spread).std(axis=1)
        for number in range(len(draws)):
            fall = float(value[0] - value[number])
            below = above = normal_quantile(0.95) * float(deviation[number])
            if min(variance[0], variance[number]) == 0:
                # Told apart in every resample: the ends of both values put together, as `delong_paired` does.
                below = float(np.hypot(value[0] - low[0], high[number] - value[number]))
                above = float(np.hypot(high[0] - value[0], value[number] - low[number]))
            ends = (fall, max(fall - below, -1.0), min(fall + above, 1.0))
            yield self._row(number, value[number], low[number], high[number], ends)

    def _row(
        self, number: int, value: float, low: float, high: float, ends: Sequence[float]
    ) -> dict[str, Any]:
        """A condition with a value and its fall, which the reference has none of."""
        one = self.arm.conditions[number]
        fall, fall_low, fall_high = ends if number else (np.nan, np.nan, np.nan)
        return {
            "before": self.arm.before, "degradation": one.degradation, "severity": one.severity, "filter": one.spec,
            "value": value, "low": low, "high": high, "fall": fall, "fall_low": fall_low, "fall_high": fall_high,
        }  # fmt: skip
