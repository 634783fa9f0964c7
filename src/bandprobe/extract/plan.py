"""What is missing from the store, and in which batches to make it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bandprobe.filters import Filter
from bandprobe.store import EmbeddingStore, Fingerprint

Condition = tuple[str, Filter]  # an encoder's name and a filter


@dataclass(frozen=True)
class Job:
    """Images that lack the same conditions."""

    image_ids: tuple[str, ...]  # sorted
    conditions: tuple[Condition, ...]

    @property
    def specs(self) -> list[Filter]:
        """The conditions' filters, each once."""
        return list(dict.fromkeys(spec for _, spec in self.conditions))


@dataclass(frozen=True)
class Plan:
    """The work of an extraction: `passes` to do, `saved` by what the store holds.

    A pass is one image through one encoder under one filter; it gives all layers that are lacking at once.
    """

    jobs: tuple[Job, ...]
    passes: int
    saved: int

    def batches(self, size: int) -> Iterator[Job]:
        """The jobs, at most `size` images at a time."""
        for job in self.jobs:
            for start in range(0, len(job.image_ids), size):
                yield Job(job.image_ids[start : start + size], job.conditions)


def plan(
    store: EmbeddingStore,
    image_ids: Sequence[str],
    wanted: Mapping[Condition, Fingerprint],
    wholes: Mapping[str, str] | None = None,
) -> Plan:
    """Group the images by the conditions they lack.

    Args:
        store: where finished embeddings lie.
        image_ids: every image wanted.
        wanted: each condition with its fingerprint, in the order to compute them.
        wholes: by encoder, whose passes give its vectors: its own name, the default, or of a layer the whole
            encoder's.

    Returns:
        The jobs, in an order that depends on ids and conditions alone: batches cut from them are the same
        after a stop as before.

    Raises:
        StoreError: a condition is stored otherwise than wanted.
    """
    ids = sorted(set(image_ids))
    present = {condition: store.present(condition[0], made) for condition, made in wanted.items()}
    groups: dict[tuple[Condition, ...], list[str]] = {}
    for image in ids:
        lacking = tuple(condition for condition in wanted if image not in present[condition])
        if lacking:
            groups.setdefault(lacking, []).append(image)
    jobs = tuple(Job(tuple(images), lacking) for lacking, images in groups.items())

    def shared(conditions: Iterable[Condition]) -> int:
        return len({((wholes or {}).get(encoder, encoder), spec) for encoder, spec in conditions})

    passes = sum(len(job.image_ids) * shared(job.conditions) for job in jobs)
    return Plan(jobs, passes, len(ids) * shared(wanted) - passes)
