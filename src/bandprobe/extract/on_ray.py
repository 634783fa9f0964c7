"""Filling the store on a Ray cluster: a stream of chunks through workers that decode, filter, encode and write."""

from __future__ import annotations

import importlib
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bandprobe import errors, progress
from bandprobe.cluster import Cluster
from bandprobe.encoders import Encoder, load_again
from bandprobe.encoders.origin import Origin
from bandprobe.errors import BandprobeError, EncoderError
from bandprobe.extract.batches import embedded
from bandprobe.extract.lanes import lanes
from bandprobe.extract.local import shared_out
from bandprobe.extract.memory import suitable
from bandprobe.extract.pictures import Pictures
from bandprobe.extract.plan import Condition, Plan, plan
from bandprobe.extract.task import Extraction, Task
from bandprobe.store import EmbeddingStore, Fingerprint, Rows

_PART = 256 * 2**20  # bytes of embeddings that a worker holds, in parts of all conditions
_ROWS = 1024  # images of a chunk, at most
_SHARES = 4  # chunks for each worker, at least, so that none waits long for the last
_ON_A_PROCESSOR = 32

Lost = Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """All that a worker must know."""

    folder: str  # what relative paths start from
    encoders: tuple[Origin, ...]
    fingerprints: Mapping[str, Mapping[str, str]]  # of the encoders, by name
    device: str
    store: EmbeddingStore
    wanted: Mapping[Condition, Fingerprint]
    pictures: Pictures
    jobs: tuple[tuple[Condition, ...], ...]  # what the images of a job lack
    batch: int  # images a pass
    abs_uint8: bool
    again: bool = False  # some of it was begun before, and may be stored by who was thought dead


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
        sum(encoder.nbytes for encoder in task.encoders),
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
            before, left = left, plan(store, sorted(wanted), task.wanted)
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
        stream = stream.map_batches(
            _decode, batch_size=None, batch_format="pyarrow", fn_args=told, num_cpus=1
        )
    stream = stream.map_batches(
        _Worker,
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


class Foreman:
    """Tells workers what they must know, and whether they may begin a chunk; apart from those that die of some.

    Ray begins work that was lost again, for ever: what killed two workers is for smaller chunks.
    """

    _MOST = 2

    def __init__(self, work: Work) -> None:
        self._work = work
        self._begun: Counter[str] = Counter()

    def work(self) -> Work:
        """What workers must know."""
        return self._work

    def begin(self, chunk: str) -> int:
        """How often it was begun, this time included; 0 where a worker may not try it again."""
        self._begun[chunk] += 1
        return self._begun[chunk] if self._begun[chunk] <= self._MOST else 0

    def again(self) -> int:
        """How many chunks were begun more than once."""
        return sum(count > 1 for count in self._begun.values())


def _begin(stage: str, rows: pa.Table, foreman: Any) -> int:
    """See `Foreman.begin`."""
    key = f"{stage} {rows.column('image_id')[0]}"
    times: int = importlib.import_module("ray").get(foreman.begin.remote(key))
    return times


def _told(foreman: Any) -> Work:
    """The work, with this process standing where the planning one stands."""
    work: Work = importlib.import_module("ray").get(foreman.work.remote())
    os.chdir(work.folder)
    return work


def _decode(rows: pa.Table, foreman: Any) -> Iterator[pa.Table]:
    """A chunk's pictures, a pass's at a time; a worker's first half where decoders are apart."""
    times = _begin("decode", rows, foreman)
    if not times:
        return
    work = _told(foreman)
    for part in _passes(rows):
        ids, pixels, lost = _read(part, work)
        held = {image: place for place, image in enumerate(ids)}
        names = part.column("image_id").to_pylist()
        places = [held.get(image) for image in names]
        # Of a picture that is lost, the reason alone goes on.
        held_pixels = [None if place is None else pixels[place].tobytes() for place in places]
        reasons = [lost.get(image, "") for image in names]
        columns: dict[str, Any] = {name: part.column(name) for name in ("image_id", "job", "batch")}
        columns |= {
            "pixels": pa.array(held_pixels, pa.large_binary()),
            "reason": pa.array(reasons, pa.string()),
            "times": pa.array([times] * len(part), pa.int32()),
        }
        yield pa.table(columns)


class _Worker:
    """An actor that holds encoders, and does chunk after chunk."""

    def __init__(self) -> None:
        self._encoders: list[Encoder] = []
        self._work: Work | None = None

    def __call__(self, rows: pa.Table, foreman: Any) -> dict[str, Any]:
        """Do a chunk, and say what was done: errors too are said, since what kills a worker is tried again."""
        passes, kind, error = 0, "", ""
        lost: dict[str, str] = {}
        try:
            if times := _begin("encode", rows, foreman):
                self._work = self._work or _told(foreman)
                if "times" in rows.column_names:  # of decoding
                    times = max(times, *rows.column("times").to_pylist())
                passes, lost = self._done(rows, self._work, unique=times == 1 and not self._work.again)
        except Exception as found:
            if type(found).__module__.partition(".")[0] == "ray":
                raise  # the machine is leaving
            kind, error = type(found).__name__, str(found)
        return {
            "passes": [passes],
            "lost": [list(lost)],
            "reasons": [list(lost.values())],
            "kind": [kind],
            "error": [error],
            "host": [socket.gethostname()],
        }

    def _done(self, rows: pa.Table, work: Work, *, unique: bool) -> tuple[int, dict[str, str]]:
        if not self._encoders:
            self._encoders = _load(work)
        batch = work.batch or suitable(self._encoders, work.pictures.grid.size)
        gathered: dict[Condition, list[Rows]] = {}
        passes = 0
        lost: dict[str, str] = {}
        for part in _passes(rows) if work.device == "cpu" else _slices(rows, batch):
            ids, pixels, gone = _unpacked(part, work) if "pixels" in part.column_names else _read(part, work)
            lost |= gone
            if not ids:
                continue
            conditions = work.jobs[part.column("job")[0].as_py()]
            for condition, found in embedded(
                self._encoders,
                conditions,
                ids,
                pixels,
                references=work.pictures.references,
                abs_uint8=work.abs_uint8,
            ):
                gathered.setdefault(condition, []).append(found)
                passes += len(found.image_id)
        for condition, some in gathered.items():
            columns = (
                np.concatenate([getattr(one, name) for one in some]) for name in Rows.__dataclass_fields__
            )
            work.store.write(condition[0], work.wanted[condition], Rows(*columns), unique=unique)
        return passes, lost


def _passes(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows of each pass."""
    numbers = rows.column("batch").to_numpy()
    for number in dict.fromkeys(numbers.tolist()):
        yield rows.take(np.flatnonzero(numbers == number))


def _slices(rows: pa.Table, size: int) -> Iterator[pa.Table]:
    """Rows that lack the same, `size` at a time."""
    jobs = rows.column("job").to_numpy()
    for job in dict.fromkeys(jobs.tolist()):
        mine = np.flatnonzero(jobs == job)
        for start in range(0, len(mine), size):
            yield rows.take(mine[start : start + size])


def _read(rows: pa.Table, work: Work) -> tuple[list[str], np.ndarray[Any, Any], dict[str, str]]:
    """The pictures of some rows; see `Pictures.read`."""
    ids, paths = (rows.column(name).to_pylist() for name in ("image_id", "path"))
    conditions = work.jobs[rows.column("job")[0].as_py()]
    specs = list(dict.fromkeys(spec for _, spec in conditions))
    return work.pictures.read(ids, dict(zip(ids, paths, strict=True)), specs)


def _unpacked(rows: pa.Table, work: Work) -> tuple[list[str], np.ndarray[Any, Any], dict[str, str]]:
    """What `_decode` made of some rows."""
    names, reasons = (rows.column(name).to_pylist() for name in ("image_id", "reason"))
    there = [place for place, reason in enumerate(reasons) if not reason]
    held = rows.column("pixels").take(there).to_pylist()
    shape = (len(there), *work.pictures.grid.size, 3)
    pixels = np.frombuffer(bytearray().join(held), np.uint8).reshape(shape)
    lost = {name: reason for name, reason in zip(names, reasons, strict=True) if reason}
    return [names[place] for place in there], pixels, lost


def _load(work: Work) -> list[Encoder]:
    """The encoders, seen to be those of the process that planned the work."""
    loaded = load_again(work.encoders, device=work.device)
    for encoder in loaded:
        asked = work.fingerprints[encoder.name]
        if wrong := [key for key, value in asked.items() if encoder.fingerprint.get(key) != value]:
            raise EncoderError(
                f"worker {socket.gethostname()} loads another {encoder.name!r} than this process (in "
                f"{', '.join(wrong)}); give workers the same files."
            )
    return loaded


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
