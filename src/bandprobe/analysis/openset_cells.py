"""One left-out test set: what each recipe's detector scores there, and how it differs from the plain probe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.analysis.test_set import TestSet
from bandprobe.metrics.bootstrap import Interval, differences, intervals
from bandprobe.metrics.detection import PD_RATES, auroc, blank_reason, probability_of_detection, reals_needed
from bandprobe.metrics.intervals import delong_paired
from bandprobe.metrics.permutation import pd_difference
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Counts, Resamples, draw_counts

Floats = NDArray[np.float64]


def strictest_pd(n_real: int) -> str:
    """The PD@x% of the fewest false alarms that so many reals allow; PD@10% where they allow none."""
    allowed = [name for name, rate in PD_RATES.items() if n_real >= reals_needed(rate)]
    return min(allowed, key=PD_RATES.__getitem__, default="pd@10%")


@dataclass(frozen=True)
class Cell:
    """A recipe on a left-out test set, less the plain probe there.

    Attributes:
        encoder, recipe, protocol, left_out: whose.
        test: the test set.
        metric: of which this is.
        value: the recipe's, and `plain` the plain probe's.
        plain: see `value`.
        resampled: (1 + resamples,), the difference on the images as they are and in every resample; resamples of a
            data set's reals are the same for all its generators.
        retrained: (replicates,), the difference after each training on resampled images.
    """

    encoder: str
    recipe: str
    protocol: str
    left_out: str
    test: TestSet
    metric: str
    value: float
    plain: float
    resampled: Floats = field(repr=False)
    retrained: Floats = field(repr=False)


class PairedCells:
    """Compares detectors on test sets; whatever is compared on one meets the same resamples.

    Args:
        metrics: `auroc` and one PD@x%.
        seed: of the draws.
        resamples: how many.
    """

    def __init__(self, metrics: Sequence[str], *, seed: int, resamples: int) -> None:
        self.metrics, self._seed, self._size = tuple(metrics), seed, resamples
        self._drawn: dict[tuple[str, str, int], Counts] = {}

    def compare(self, one: TestSet, trained: Sequence[Sequence[Floats]]) -> Compared:
        """What detectors score on a test set.

        Args:
            one: the test set.
            trained: for each training, the first on the images as they are, the logits of the plain probe and then of
                each recipe, each (n,).
        """
        n_real, n_fake = int((one.label == 0).sum()), int((one.label == 1).sum())
        whole = Resamples(
            self._counts(one.dataset, "Real", n_real), self._counts(one.dataset, one.generator, n_fake)
        )
        return Compared(one, self.metrics, [np.stack(list(each)) for each in trained], whole, self._seed)

    def _counts(self, dataset: str, name: str, n: int) -> Counts:
        """How often each image counts: once each, as the data are, then in every resample."""
        key = (dataset, name, n)
        if key not in self._drawn:
            counts = draw_counts(
                n, self._size, seeding.generator(self._seed, "openset", "images", dataset, name)
            )
            self._drawn[key] = np.concatenate([np.ones((1, n), np.uint8), counts])
        return self._drawn[key]


class Compared:
    """Detectors on one test set: the plain probe is row 0, the recipes follow."""

    def __init__(
        self, one: TestSet, metrics: tuple[str, ...], trained: list[Floats], whole: Resamples, seed: int
    ) -> None:
        self._one, self._metrics, self._trained, self._whole, self._seed = one, metrics, trained, whole, seed
        self._scores = trained[0]
        self._blank = np.zeros_like(self._scores)
        self._plain = Resamples(whole.reals[1:], whole.fakes[1:])

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """For each recipe's number and metric what its row says."""
        label, scores = self._one.label, self._scores
        values = intervals(label, scores, self._blank, self._blank[:, 0], self._plain)
        pairs = [(row, 0) for row in range(1, len(scores))]
        pd = self._metrics[1]
        apart = differences(label, scores, self._blank, self._blank[:, 0], self._plain, pairs, metrics=[pd])[
            pd
        ]
        for row in range(1, len(scores)):
            for metric in self._metrics:
                of = values[metric]
                found = {name: float(getattr(of, name)[row]) for name in ("value", "low", "high")}
                reason = blank_reason(metric, int((label == 0).sum())) or ""
                yield row - 1, {
                    "metric": metric, **found, **self._difference(row, metric, apart), "reason": reason,
                }  # fmt: skip

    def _difference(self, row: int, metric: str, apart: Interval) -> dict[str, float]:
        label, ours, plain = self._one.label, self._scores[row], self._scores[0]
        if metric == "auroc":
            paired = delong_paired(label, ours, plain)
            ends = [paired.difference, paired.low, paired.high, paired.p_value]
        else:
            names = (self._one.dataset, self._one.generator)
            draw = seeding.generator(self._seed, "openset", "pd", *names)
            p = pd_difference(label, ours, plain, PD_RATES[metric], draw).p_value
            ends = [*(float(getattr(apart, end)[row - 1]) for end in ("value", "low", "high")), p]
        return dict(zip(("difference", "difference_low", "difference_high", "p_value"), ends, strict=True))

    def draws(self, names: Sequence[str]) -> Iterator[tuple[str, str, float, float, Floats, Floats]]:
        """For each recipe and metric: value, the plain probe's, differences in resamples and after other trainings."""
        label = self._one.label
        found = replicates(
            label, self._scores, self._blank, self._blank[:, 0], self._whole, metrics=self._metrics
        )
        for metric in self._metrics:
            every = found[metric]
            again = np.array(
                [[_value(metric, label, row) for row in scores] for scores in self._trained[1:]]
            ).reshape(len(self._trained) - 1, len(self._scores))
            for row, name in enumerate(names, 1):
                yield (
                    name, metric, float(every[row, 0]), float(every[0, 0]), every[row] - every[0],
                    again[:, row] - again[:, 0],
                )  # fmt: skip


def _value(metric: str, label: NDArray[np.int8], scores: Floats) -> float:
    if metric == "auroc":
        return auroc(label, scores)
    return probability_of_detection(label, scores, PD_RATES[metric])
