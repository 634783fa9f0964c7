"""Which probes met which degradations, and what they scored: in the data and in every resample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.analysis.hierarchy import FEWEST, generator_weights
from bandprobe.analysis.score_cells import Cell
from bandprobe.analysis.test_set import TestSet
from bandprobe.errors import InputError
from bandprobe.filters.degradations import PRESET, Condition, graded
from bandprobe.metrics.resampling import Counts, Resamples, draw_counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """Probes of one encoder, trained under one filter, that met the same degradations after one filter.

    Attributes:
        encoder: its name in tables.
        train_filter: what the probes were trained under.
        before: the filter that comes before each degradation; `none` where they are alone.
        trained_on: the probes.
        conditions: the reference, then the degradations, families in the catalogue's order, mildest first.
    """

    encoder: str
    train_filter: str
    before: str
    trained_on: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def cell(self, trained_on: str, condition: Condition) -> Cell:
        """Where a probe's scores stand."""
        return Cell(self.encoder, trained_on, self.train_filter, condition.spec)


def arms_of(cells: Iterable[Cell]) -> list[Arm]:
    """What there is of degradations among the cells of a score file.

    A degradation is there where what comes before it was tested as well, and a family in two severities or more. Of
    probes that met different filters, those count that all of an encoder and a train filter met.

    Args:
        cells: probes and the filters they met.

    Raises:
        InputError: nothing.
    """
    met: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
    for cell in cells:
        probes = met.setdefault((cell.encoder, cell.train_filter), {})
        probes.setdefault(cell.trained_on, {})[cell.filter] = None
    found = []
    for (encoder, train_filter), probes in met.items():
        shared = [
            spec for spec in next(iter(probes.values())) if all(spec in specs for specs in probes.values())
        ]
        for before, conditions in graded(shared).items():
            found.append(Arm(encoder, train_filter, before, tuple(probes), conditions))
    if not found:
        raise InputError(
            f'no degradation was tested in two severities, beside what it is compared with: add "none" and "{PRESET}" '
            f'(or "{PRESET}-jpeg" ...) to [filters] test, and "lowpass:0.5nyq+{PRESET}" for the same after a filter.'
        )
    return found


class Resampling:
    """Resamples of the test images and of the generators, the same for all probes and conditions.

    Reals are drawn once for a data set, whatever they are tested against, and each generator's fakes apart. Of
    families with five generators or more the generators are drawn as well (`of_generators`): what is said then holds
    for generators like these. Others stand as they are.

    Args:
        sets: the test sets.
        seed: of the draws.
        resamples: how many; entry 0 of everything is the data as they are.
    """

    def __init__(self, sets: Sequence[TestSet], seed: int, resamples: int) -> None:
        self.resamples = resamples
        self._seed = seed
        self._reals: dict[tuple[str, int], Counts] = {}
        self.images = [self._drawn(one) for one in sets]
        self.families = {one.generator: one.family for one in sets}
        self._weights: dict[frozenset[str], tuple[dict[str, Floats], str]] = {}

    def of_generators(self, names: Iterable[str]) -> tuple[dict[str, Floats], str]:
        """What the generators that a mean is over weigh, drawn among themselves.

        Weights drawn among more generators than a mean has would count families that it has too few of, and those of
        its own would no longer sum to their number.

        Args:
            names: generators of the test sets.

        Returns:
            For each its weight, (1 + resamples,), as of `hierarchy.generator_weights`; and what is resampled, in words.
        """
        key = frozenset(names)
        if key not in self._weights:
            members: dict[str, list[str]] = {}
            for name in sorted(key):
                members.setdefault(self.families[name], []).append(name)
            large = sorted(family for family, its in members.items() if len(its) >= FEWEST)
            weights = {name: np.ones(1 + self.resamples) for name in key}
            for family in large:
                draw = seeding.generator(self._seed, "robustness", "generators", family)
                weights |= generator_weights(members[family], self.resamples, draw)
            note = "images" + (f" and generators of {', '.join(large)}" if large else "")
            self._weights[key] = weights, note
        return self._weights[key]

    def _drawn(self, one: TestSet) -> Resamples:
        n_real, n_fake = int((one.label == 0).sum()), int((one.label == 1).sum())
        key = (one.dataset, n_real)
        if key not in self._reals:
            self._reals[key] = self._counts(n_real, one.dataset, "Real")
        return Resamples(self._reals[key], self._counts(n_fake, one.dataset, one.generator))

    def _counts(self, n: int, *names: str) -> Counts:
        drawn = draw_counts(n, self.resamples, seeding.generator(self._seed, "robustness", "images", *names))
        whole: Counts = np.concatenate([np.ones((1, n), np.uint8), drawn])
        return whole


class Tally:
    """Weighted means over test sets, in the data and in every resample, gathered set by set.

    Weights may lie below zero (`hierarchy.generator_weights`), and where a generator has more test sets than others
    their sum may come near it. The mean is therefore no ratio of sums but its linear part, `m + sum(w (v - m)) / n`
    with m the unweighted mean: the same where weights sum to n, as they do in the data.
    """

    def __init__(self, conditions: int, resamples: int) -> None:
        self._weighted = np.zeros((conditions, 1 + resamples))
        self._plain = np.zeros((conditions, 1 + resamples))
        self._weight = np.zeros(1 + resamples)
        self._n = 0
        self.cells = 0

    def add(self, values: Floats, weight: Floats | float = 1.0, cells: int = 1) -> None:
        """Add the values of one test set, (conditions, 1 + resamples), with its weight, (1 + resamples,)."""
        self._weighted += weight * values
        self._plain += values
        self._weight += weight
        self._n += 1
        self.cells += cells

    @property
    def mean(self) -> Floats:
        """Shape (conditions, 1 + resamples)."""
        plain = self._plain / self._n
        return np.asarray(self._weighted / self._n + plain * (1 - self._weight / self._n))
