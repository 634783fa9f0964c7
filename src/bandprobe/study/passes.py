"""Which images each stage of a study takes, and the passes that are left when none is done twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bandprobe.analysis.entropy import LEAST
from bandprobe.analysis.equal_sources import sampled
from bandprobe.errors import InputError
from bandprobe.store.bucket import Place
from bandprobe.store.parts import ids_of
from bandprobe.study.embedding import band_images

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.store import EmbeddingStore
    from bandprobe.study.plan import Plan
    from bandprobe.study.population import Population


@dataclass(frozen=True)
class Scope:
    """Some of the images: how many, whether they are test images, and which, where that is known."""

    n: int
    holds_test: bool = False
    within_test: bool = False
    ids: frozenset[str] | None = None


class Scopes:
    """The images that each stage takes.

    Args:
        plan: the study's.
        people: its images.
    """

    def __init__(self, plan: Plan, people: Population) -> None:
        self._plan, self._people = plan, people

    @cached_property
    def all(self) -> Scope:
        """Every image."""
        table = self._people.table
        if table is None:
            return Scope(self._people.images, holds_test=True)
        return _known(table, holds_test=True)

    @cached_property
    def test(self) -> Scope:
        """The test images."""
        table = self._people.table
        if table is None:
            return Scope(self._people.of("test"), holds_test=True)
        return _known(table[table["split"] == "test"], holds_test=True)

    @cached_property
    def rest(self) -> Scope:
        """All but the test images."""
        table = self._people.table
        if table is None:
            return Scope(self._people.of("train", "val"))
        return _known(table[table["split"] != "test"])

    @cached_property
    def bands(self) -> Scope:
        """Of each source's test images as many as analyses take."""
        table = self._people.table
        if table is None:
            most = self._plan.settings.analysis.samples
            return Scope(sum(min(n, most) for n in self._of_sources()), within_test=True)
        return _known(band_images(self._plan, table), within_test=True)

    @cached_property
    def twins(self) -> Scope:
        """Equally many of each source's test images."""
        asked, table = self._plan.settings, self._people.table
        if table is None:
            enough = [n for n in self._of_sources() if n >= LEAST]
            each = min(asked.analysis.samples, *enough) if enough else 0
            return Scope(sum(min(n, each) for n in self._of_sources()), within_test=True)
        try:
            drawn = sampled(table, asked.analysis.samples, asked.run.seed, LEAST)
        except InputError:  # the analysis will say so, and do without
            return Scope(0)
        return _known(drawn, within_test=True)

    def _of_sources(self) -> list[int]:
        counts = self._people.counts
        return [int(n) for n in counts.loc[counts["split"] == "test", "n"]]


def _known(table: pd.DataFrame, *, holds_test: bool = False, within_test: bool = False) -> Scope:
    ids = frozenset(table["image_id"])
    return Scope(len(ids), holds_test, within_test, ids)


@dataclass(frozen=True)
class Added:
    """Passes to do and saved, and how many images lack anything, so that they have to be opened."""

    to_do: int
    saved: int
    opened: int


class Passes:
    """Passes asked for one after the other: none is done twice.

    Args:
        store: what holds earlier ones; None where there is nothing, or the images are not known one by one.
    """

    def __init__(self, store: EmbeddingStore | None) -> None:
        self._store = store
        self._stored = set() if store is None else set(store.conditions())
        self._held: dict[tuple[str, str], set[str]] = {}
        self._of_test: set[tuple[str, str]] = set()  # conditions that every test image has been seen under

    def add(self, encoders: Sequence[str], scope: Scope, filters: Iterable[str]) -> Added:
        """Ask for images under filters, of encoders that share their passes: one, or layers of one."""
        to_do, asked, opened = 0, 0, 0
        lacking: set[str] = set()
        for spec in dict.fromkeys(filters):
            conditions = [(encoder, spec) for encoder in encoders]
            asked += scope.n
            if scope.ids is None:
                new = 0 if scope.within_test and self._of_test.issuperset(conditions) else scope.n
                opened = max(opened, new)
                if scope.holds_test:
                    self._of_test.update(conditions)
            else:
                held = [self._of(condition) for condition in conditions]
                there = held[0] if len(held) == 1 else set.intersection(*held)
                missing = scope.ids - there if there else scope.ids
                new = len(missing)
                if new and len(lacking) < scope.n:
                    lacking |= missing
                for stored in held:
                    stored.update(missing)
                opened = len(lacking)
            to_do += new
        return Added(to_do, asked - to_do, opened)

    def _of(self, condition: tuple[str, str]) -> set[str]:
        if condition not in self._held:
            parts: list[Place] = []
            if self._store is not None and condition in self._stored:
                parts += self._store.partition(*condition).glob("part-*.parquet")
            self._held[condition] = ids_of(parts)
        return self._held[condition]
