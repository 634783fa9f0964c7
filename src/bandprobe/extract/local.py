"""Filling the store on this machine: decode once, one FFT, one pass an encoder and condition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from bandprobe import progress
from bandprobe.extract.batches import Embedded, embedded
from bandprobe.extract.lanes import in_lanes, lanes
from bandprobe.extract.memory import suitable
from bandprobe.extract.pending import Pending
from bandprobe.extract.plan import Job
from bandprobe.extract.task import Extraction, Task
from bandprobe.store import EmbeddingStore


def fill(
    task: Task, store: EmbeddingStore, report: Extraction, *, batch_size: int | None, workers: int
) -> None:
    """Do a task.

    Args:
        task: what to do.
        store: where embeddings go, open for writing.
        report: counts on.
        batch_size: images a forward pass; see `extract`.
        workers: threads that decode for an accelerator.

    Raises:
        StoreError, DiskError, EncoderError: as `extract`.
    """
    device = task.encoders[0].device
    count = lanes(device)
    size = batch_size or suitable(task.encoders, task.pictures.grid.size)

    def work(batch: Job) -> Iterator[Embedded]:
        ids, pixels, lost = task.pictures.read(batch.image_ids, task.paths, batch.specs, read_by)
        report.lose(lost, task.paths)
        if ids:
            yield from embedded(
                task.encoders,
                batch.conditions,
                ids,
                pixels,
                references=task.pictures.references,
                abs_uint8=task.abs_uint8,
            )

    with (
        # A processor's threads are the encoders': each reads its own batch's files.
        nullcontext() if device.type == "cpu" else ThreadPoolExecutor(max(1, workers)) as pool,
        progress.bar("embed", task.plan.passes, "passes") as step,
        Pending(store, task.wanted) as pending,
    ):
        read_by = map if pool is None else pool.map
        batches = task.plan.batches(shared_out(size, count) if device.type == "cpu" else size)
        for place, found in in_lanes(work, batches, count):
            pending.add(found.condition, place, found.rows)
            report.passes += found.passes
            step(found.passes)
            pending.flush_if_due()


def shared_out(size: int, count: int) -> int:
    """The images of a lane's batch where a batch of `size` is shared out among `count` lanes."""
    return math.ceil(size / count)
