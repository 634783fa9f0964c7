"""Filling the store on a Ray cluster: a stream of chunks through workers that decode, filter, encode and write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bandprobe import errors, progress
from bandprobe.cluster import Cluster
from bandprobe.encoders import Encoder
from bandprobe.encoders.layers import wholes
from bandprobe.encoders.origin import Origin
from bandprobe.errors import BandprobeError, EncoderError
from bandprobe.extract.lanes import lanes
from bandprobe.extract.local import shared_out
from bandprobe.extract.plan import Plan, plan
from bandprobe.extract.ray_worker import Foreman, Work, Worker, decode
from bandprobe.extract.task import Extraction, Task, passes_of
from bandprobe.store import EmbeddingStore

_PART = 256 * 2**20  # bytes of embeddings that a worker holds, in parts of all conditions
_ROWS = 1024  # images of a chunk, at most
_SHARES = 4  # chunks for each worker, at least, so that none waits long for the last
_ON_A_PROCESSOR = 32

Lost = Mapping[str, str]


def fill(
    task: Task,
    store: EmbeddingStore,
    report: Extraction,
    cluster: Cluster,
    *,
    batch_size: int | None,
) -> None:
    """Do a task on a cluster.

    Chunks of images go to workers, and each writes its chunk's parts itself. What is missing after that, because
    a worker or its machine died, is planned anew in smaller chunks, down to single images: one that its worker
    dies of again is left out.

    Args:
        task: what to do.
        store: where embeddings go; workers must see it.
        report: counts on.
        cluster: where.
        batch_size: images a pass; as `extract`.

    Raises:
        InputError: the cluster is not there, or not fit for it.
        BandprobeError: what stopped a worker.
    """
    ray = cluster.connect()
    device, actors = cluster.place()
    cluster.check(
        [task.paths[image] for job in task.plan.jobs for image in job.image_ids],
        [store.root] if isinstance(store.root, Path) else [],
        sum(encoder.nbytes for encoder in wholes(task.encoders)),
    )
    # As many as a lane of this machine takes: a vector's last bits depend on it.
    own = torch.device("cpu")
    batch = batch_size or _ON_A_PROCESSOR
    batch = shared_out(batch, lanes(own)) if device == "cpu" else batch
    work = Work(
        folder=str(Path.cwd()),
        encoders=tuple(_origin(encoder) for encoder in task.encoders),
        fingerprints={encoder.name: dict(encoder.fingerprint) for encoder in task.encoders},
        device=device,
        store=store,
        wanted=task.wanted,
        pictures=task.pictures,
        jobs=(),
        batch=batch if device == "cpu" or batch_size else 0,
        abs_uint8=task.abs_uint8,
    )
    left = task.plan
    size = _chunk(left, task, actors, batch)
    with progress.bar("embed", left.passes, "passes") as step:
        while left.passes:
            work = replace(work, jobs=tuple(job.conditions for job in left.jobs))
            done = 0
            for passes, lost in _wave(ray, work, _chunks(left, task.paths, size, batch), cluster, actors):
                report.lose(lost, task.paths)
                report.passes += passes
                done += passes
                step(passes)
            wanted = {image for job in left.jobs for image in job.image_ids} - report.lost
            before, left = left, plan(store, sorted(wanted), task.wanted, passes_of(task.encoders))
            if not left.passes:
                return
            images = sum(len(job.image_ids) for job in left.jobs)
            if size == 1 and left == before:
                dead = {image: "the worker died of it" for job in left.jobs for image in job.image_ids}
                if len(dead) == len(task.paths):
                    raise EncoderError(
                        f"every worker died, {actors} at once on {device}; does {', '.join(work.fingerprints)} fit its "
                        "memory? Use fewer workers (--actors), a smaller encoder or --precision fp16."
                    )
                report.lose(dead, task.paths)
                return
            size, work = batch if size > batch else 1, replace(work, again=True)
            progress.say(
                f"{images:,} images are done again, {size} at a time: a worker that had them died, or its machine left."
            )


def _chunk(left: Plan, task: Task, actors: int, batch: int) -> int:
    """Images that a worker does before it writes: whole batches, and as many parts as there are conditions."""
    dims = {encoder.name: encoder.dim for encoder in task.encoders}
    images = sum(len(job.image_ids) for job in left.jobs)
    held = max(sum(4 * dims[name] for name, _ in job.conditions) for job in left.jobs)
    most = min(_ROWS, _PART // held, -(-images // (actors * _SHARES)))
    return max(batch, most // batch * batch)


def _chunks(left: Plan, paths: Mapping[str, str], size: int, batch: int) -> Iterator[pa.Table]:
    """The images that lack something, a table a chunk: whose, where, what they lack, and in which pass they are."""
    number = count()
    for job, lacking in enumerate(left.jobs):
        ids = lacking.image_ids
        for start in range(0, len(ids), size):
            chunk = ids[start : start + size]
            passes = np.repeat([next(number) for _ in range(0, len(chunk), batch)], batch)[: len(chunk)]
            yield pa.table(
                {
                    "image_id": pa.array(chunk),
                    "path": pa.array([paths[image] for image in chunk]),
                    "job": pa.array(np.full(len(chunk), job, np.int32)),
                    "batch": pa.array(passes.astype(np.int64)),
                }
            )


def _wave(
    ray: Any, work: Work, chunks: Iterator[pa.Table], cluster: Cluster, actors: int
) -> Iterator[tuple[int, Lost]]:
    """Each chunk through a worker: passes done, and images lost. Chunks that kill their workers are not in it."""
    gpu = work.device != "cpu"
    apart = gpu if cluster.apart is None else cluster.apart
    tables = list(chunks)
    rows = max(len(table) for table in tables)
    # On this process's machine: those of workers may leave.
    beside = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    told = (ray.remote(num_cpus=0, scheduling_strategy=beside)(Foreman).remote(work),)
    stream = ray.data.from_arrow(tables)
    if apart:
        stream = stream.map_batches(decode, batch_size=None, batch_format="pyarrow", fn_args=told, num_cpus=1)
    stream = stream.map_batches(
        Worker,
        fn_args=told,
        batch_size=rows if apart else None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=2
        ),
        num_gpus=1 if gpu else 0,
        num_cpus=0 if gpu else 1,
    )
    for said in stream.iter_rows():
        if said["kind"]:
            raise _error(said["kind"], said["error"])
        yield said["passes"], dict(zip(said["lost"], said["reasons"], strict=True))
    if again := ray.get(told[0].again.remote()):
        progress.say(
            f"{again} chunks of images were begun again: the worker that had them died, or its machine left."
        )


def _origin(encoder: Encoder) -> Origin:
    """What a worker loads the encoder from."""
    if encoder.origin is None:
        raise EncoderError(
            f"encoder {encoder.name!r} was not loaded by name, so that workers cannot load it; use encoders.load."
        )
    return encoder.origin


def _error(kind: str, message: str) -> Exception:
    """A worker's error, as if it had happened here."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, BandprobeError):
        return known(message)
    return RuntimeError(f"a worker failed: {kind}: {message}")
