"""Filling the store on this machine: decode once, one FFT, one pass an encoder and condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.encoders import Encoder, distinct
from bandprobe.errors import ImageError, InputError
from bandprobe.extract.batches import embedded
from bandprobe.extract.lanes import in_lanes, lanes
from bandprobe.extract.memory import suitable
from bandprobe.extract.pending import Pending
from bandprobe.extract.plan import Condition, Job, Plan, plan
from bandprobe.filters import Filter, FilterBank, References
from bandprobe.images import MAX_PIXELS, Geometry, decode, image_id, parse_colour
from bandprobe.protocol import CORRECTED, Protocol
from bandprobe.store import EmbeddingStore, Fingerprint, Rows, fingerprint


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
    batch_size: int | None = None,
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
        batch_size: images a forward pass on an accelerator, by default as many as make it fastest; on a
            processor, 32 by default, they are shared out among torch's threads. Vectors do not depend on it
            beyond rounding.
        workers: threads that decode for an accelerator. A processor's are the encoders'.
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

    def lose(image: str, reason: str) -> None:
        report.lost.add(image)
        report.left_out[paths[image]] = reason

    with store:
        for task in tasks:
            report.saved += task.plan.saved
            device = task.encoders[0].device
            count = lanes(device)
            size = batch_size or suitable(task.encoders, task.grid.size)

            def work(batch: Job, task: _Task = task) -> Iterator[tuple[Condition, Rows]]:
                drawing = [link for spec in batch.specs for link in spec.steps if link.reference is not None]

                def load(image: str) -> NDArray[np.uint8]:
                    picture = decode(paths[image], background=colour, max_pixels=max_pixels)
                    if image_id(picture) != image:
                        raise ImageError("the picture has changed since it was indexed")
                    for link in drawing:  # an image whose reference cannot be had is left out
                        task.references.picture(link, image)
                    return task.grid.apply(picture)

                ids, pictures = _read(batch.image_ids, load, lose, pool)
                if ids:
                    yield from embedded(
                        task.encoders,
                        batch.conditions,
                        ids,
                        np.stack(pictures),
                        references=task.references,
                        abs_uint8=protocol.abs_uint8,
                    )

            with (
                # A processor's threads are the encoders': each reads its own batch's files.
                nullcontext() if device.type == "cpu" else ThreadPoolExecutor(max(1, workers)) as pool,
                progress.bar("embed", task.plan.passes, "passes") as step,
                Pending(store, task.wanted) as pending,
            ):
                batches = task.plan.batches(math.ceil(size / count) if device.type == "cpu" else size)
                for place, (condition, rows) in in_lanes(work, batches, count):
                    pending.add(condition, place, rows)
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


def _read(
    image_ids: Sequence[str],
    load: Callable[[str], NDArray[np.uint8]],
    lose: Callable[[str, str], None],
    pool: ThreadPoolExecutor | None,
) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """A batch's pictures with their ids, read by a pool where there is one; what `load` cannot give goes to `lose`."""

    def attempt(image: str) -> NDArray[np.uint8] | ImageError:
        try:
            return load(image)
        except ImageError as error:
            return error

    ids, pictures = [], []
    for image, picture in zip(image_ids, (pool.map if pool else map)(attempt, image_ids), strict=True):
        if isinstance(picture, ImageError):
            lose(image, str(picture))
        else:
            ids.append(image)
            pictures.append(picture)
    return ids, pictures
