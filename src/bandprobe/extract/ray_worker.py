"""What a worker on a Ray cluster does with a chunk of images: decode, filter, encode, write."""

from __future__ import annotations

import importlib
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bandprobe.encoders import Encoder, load_again
from bandprobe.encoders.origin import Origin
from bandprobe.errors import EncoderError
from bandprobe.extract.batches import embedded
from bandprobe.extract.memory import suitable
from bandprobe.extract.pictures import Pictures
from bandprobe.extract.plan import Condition
from bandprobe.store import EmbeddingStore, Fingerprint, Rows


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


def decode(rows: pa.Table, foreman: Any) -> Iterator[pa.Table]:
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


class Worker:
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
            for found in embedded(
                self._encoders,
                conditions,
                ids,
                pixels,
                references=work.pictures.references,
                abs_uint8=work.abs_uint8,
            ):
                gathered.setdefault(found.condition, []).append(found.rows)
                passes += found.passes
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
    """What `decode` made of some rows."""
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
