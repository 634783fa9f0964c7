"""Filling the store on this machine: decode once, one FFT, one pass an encoder and condition."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.encoders import Encoder, distinct
from bandprobe.errors import ImageError, InputError
from bandprobe.extract.memory import halve, largest, settle
from bandprobe.extract.plan import Condition, Plan, plan
from bandprobe.filters import Filter, FilterBank, References, Step
from bandprobe.images import MAX_PIXELS, Geometry, decode, image_id, parse_colour
from bandprobe.machine import out_of_memory
from bandprobe.protocol import CORRECTED, Protocol
from bandprobe.store import EmbeddingStore, Fingerprint, Rows, fingerprint

# A part is written when this much is pending. A kill loses less: the store's journal has every finished batch.
# Every condition's part waits for the disk: with 40 of them, twice a minute takes 1 % of the time.
_FLUSH_SECONDS = 120.0
_FLUSH_BYTES = 256 * 2**20


@dataclass
class Extraction:
    """What an extraction did."""

    passes: int = 0  # encoder forward passes: images x conditions
    saved: int = 0  # passes that the store made unnecessary
    left_out: dict[str, str] = field(default_factory=dict)  # path -> reason
    lost: set[str] = field(default_factory=set)  # the ids of those images


def extract(
    store: EmbeddingStore,
    images: pd.DataFrame,
    encoders: Sequence[Encoder],
    filters: Sequence[Filter],
    *,
    geometry: Geometry | None,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    batch_size: int = 32,
    workers: int = 2,
    protocol: Protocol = CORRECTED,
    reference_folder: Path | None = None,
    sources: pd.DataFrame | None = None,
    shared: Path | None = None,
) -> Extraction:
    """Embed images under every filter with every encoder; only what the store lacks.

    Args:
        store: where embeddings go.
        images: a manifest's table, of which `image_id` and `path` are read; repeated ids count once.
        encoders: loaded encoders, their names distinct.
        filters: the conditions.
        geometry: the grid all encoders share; None for each encoder's native one.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        batch_size: images a batch. Vectors do not depend on it beyond rounding.
        workers: decoding threads.
        protocol: its switches `abs_uint8` and `resize_mismatch` are obeyed here.
        reference_folder: what relative paths of reference images start from; the current folder by default.
        sources: the manifest's table that references are drawn from; `images` by default.
        shared: another store, from which conditions made alike are taken over.

    Returns:
        Counts, and the images that could not be read although the manifest holds them.

    Raises:
        StoreError: the store holds a condition made otherwise.
        InputError: two encoders share a name, one has no native geometry, or a reference cannot be had.
        DiskError: the store cannot be written.
    """
    distinct([encoder.name for encoder in encoders])
    unique = images.drop_duplicates("image_id")
    paths = dict(zip(unique["image_id"], unique["path"], strict=True))
    report = Extraction()
    grids: dict[Geometry, list[Encoder]] = {}
    for encoder in encoders:
        encoder_grid = grid_of(encoder, geometry)
        encoder.check_grid(*encoder_grid.size)
        grids.setdefault(encoder_grid, []).append(encoder)
    # What cannot work is refused before any work is done and any file is made.
    store.recover()
    tasks = []
    for whole, members in grids.items():
        references = References(
            images if sources is None else sources,
            geometry=whole,
            background=background,
            max_pixels=max_pixels,
            folder=reference_folder,
        )
        FilterBank(filters, whole.size)
        for grid, specs in _by_geometry(filters, whole, protocol).items():
            wanted: dict[Condition, Fingerprint] = {
                (encoder.name, spec): fingerprint(
                    encoder.fingerprint,
                    geometry=str(grid),
                    background=background,
                    filter=str(spec),
                    references=references.identity(spec),
                    abs_uint8=protocol.abs_uint8 and spec.transforms,
                )
                for spec in specs
                for encoder in members
            }
            if shared is not None:
                for (name, _), made_with in wanted.items():
                    store.adopt(shared, name, made_with)
            tasks.append(_Task(grid, members, wanted, plan(store, list(paths), wanted), references))
    colour = parse_colour(background)
    with store:
        for task in tasks:
            todo = task.plan
            report.saved += todo.saved
            with (
                progress.bar("embed", todo.passes, "passes") as step,
                _Pending(store, task.wanted) as pending,
            ):

                def lose(image: str, reason: str) -> None:
                    report.lost.add(image)
                    report.left_out[paths[image]] = reason

                for job in todo.jobs:
                    drawing = [
                        link for spec in job.specs for link in spec.steps if link.reference is not None
                    ]

                    def load(
                        image: str, task: _Task = task, drawing: list[Step] = drawing
                    ) -> NDArray[np.uint8]:
                        picture = decode(paths[image], background=colour, max_pixels=max_pixels)
                        if image_id(picture) != image:
                            raise ImageError("the picture has changed since it was indexed")
                        for link in drawing:  # read ahead as well
                            task.references.picture(link, image)
                        return task.grid.apply(picture)

                    for ids, pixels in _decoded(job.image_ids, load, lose, batch_size, workers):
                        for condition, rows in _fitting(task, job.conditions, ids, pixels, protocol):
                            pending.add(condition, rows)
                            report.passes += len(rows.image_id)
                            step(len(rows.image_id))
                        pending.flush_if_due()
    return report


@dataclass(frozen=True)
class _Task:
    """The conditions whose pictures go onto one grid, and what they are made with."""

    grid: Geometry
    encoders: Sequence[Encoder]
    wanted: Mapping[Condition, Fingerprint]
    plan: Plan
    references: References


def _by_geometry(
    filters: Sequence[Filter], grid: Geometry, protocol: Protocol
) -> dict[Geometry, list[Filter]]:
    """The filters by the way their pictures get onto the grid: one, but for the published code."""
    found: dict[Geometry, list[Filter]] = {}
    for spec in filters:
        # A mirrored image is an unfiltered one, and a training image of the published code.
        unfiltered = all(step.kind in ("none", "flip") for step in spec.steps)
        found.setdefault(grid.aliased if protocol.resize_mismatch and unfiltered else grid, []).append(spec)
    return found


def grid_of(encoder: Encoder, geometry: Geometry | None) -> Geometry:
    """The grid an encoder sees: the study's, or its own.

    Raises:
        InputError: no geometry is given and the encoder has none of its own.
    """
    grid = geometry or encoder.native_geometry
    if grid is None:
        raise InputError(f"encoder {encoder.name!r} has no native geometry; give one, e.g. squash:224.")
    return grid


def _decoded(
    image_ids: Sequence[str],
    load: Callable[[str], NDArray[np.uint8]],
    lose: Callable[[str, str], None],
    batch_size: int,
    workers: int,
) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """Batches of pictures on the grid, uint8 (n, h, w, 3) with n at least 1, read ahead by two batches.

    An image that `load` cannot give is handed to `lose` with the reason.
    """
    Batch = list[tuple[str, "Future[NDArray[np.uint8]]"]]

    def gather(batch: Batch) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
        ids, pictures = [], []
        for image, future in batch:
            try:
                pictures.append(future.result())
                ids.append(image)
            except ImageError as error:
                lose(image, str(error))
        if ids:
            yield ids, np.stack(pictures)

    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        ahead: deque[Batch] = deque()
        try:
            for start in range(0, len(image_ids), batch_size):
                batch = image_ids[start : start + batch_size]
                ahead.append([(image, pool.submit(load, image)) for image in batch])
                if len(ahead) > 2:
                    yield from gather(ahead.popleft())
            while ahead:
                yield from gather(ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _fitting(
    task: _Task,
    conditions: Sequence[Condition],
    ids: list[str],
    pixels: NDArray[np.uint8],
    protocol: Protocol,
) -> Iterator[tuple[Condition, Rows]]:
    """Conditions of one batch, in smaller ones where the memory does not do; nothing is computed twice.

    Raises:
        EncoderError: there is no room for a single image.
    """
    start = 0
    while start < len(ids):
        part = slice(start, start + min(largest(task.encoders), len(ids)))
        done: set[Condition] = set()
        try:
            for condition, rows in _embedded(task, conditions, ids[part], pixels[part], protocol):
                done.add(condition)
                yield condition, rows
        except Exception as error:
            if not out_of_memory(error):
                raise
            halve(task.encoders, len(ids[part]), error)
        else:
            settle(task.encoders)
        if rest := [condition for condition in conditions if condition not in done]:
            yield from _fitting(task, rest, ids[part], pixels[part], protocol)
        start = part.stop


def _embedded(
    task: _Task,
    conditions: Sequence[Condition],
    ids: list[str],
    pixels: NDArray[np.uint8],
    protocol: Protocol,
) -> Iterator[tuple[Condition, Rows]]:
    """Conditions of one batch, the filters outermost so that each runs once."""
    device = task.encoders[0].device
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous().float() / 255
    bank = FilterBank(
        list(dict.fromkeys(spec for _, spec in conditions)),
        (images.shape[2], images.shape[3]),
        device=device,
        references=task.references,
        abs_uint8=protocol.abs_uint8,
    )
    wanted = set(conditions)
    for done in bank.measured(images, ids):
        shares = done.clipped_share.cpu().numpy(), done.ac_removed.float().cpu().numpy()
        for encoder in task.encoders:
            if (encoder.name, done.filter) in wanted:
                # Copied: a class token is a view that would keep every other token while rows wait.
                vectors = encoder.embed(done.images).cpu().numpy().copy()
                yield (encoder.name, done.filter), Rows(np.array(ids, dtype=object), vectors, *shares)


class _Pending:
    """Rows waiting to be written; whatever stops the run, finished rows reach the store."""

    def __init__(self, store: EmbeddingStore, wanted: Mapping[Condition, Fingerprint]) -> None:
        self._store = store
        self._wanted = wanted
        self._clear()

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, condition: Condition, rows: Rows) -> None:
        self._store.jot(condition[0], self._wanted[condition], rows)
        self._rows.setdefault(condition, []).append(rows)
        self._bytes += rows.embedding.nbytes

    def flush_if_due(self) -> None:
        if self._bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        for condition, parts in self._rows.items():
            columns = (
                np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__dataclass_fields__
            )
            self._store.write(condition[0], self._wanted[condition], Rows(*columns))
        self._store.settle()
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[Condition, list[Rows]] = {}
        self._bytes = 0
        self._since = time.monotonic()
