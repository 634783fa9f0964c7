"""From images, encoders and filters to a full store, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bandprobe.encoders import Encoder
from bandprobe.extract import local
from bandprobe.extract.task import Extraction, tasks
from bandprobe.filters import Filter
from bandprobe.images import MAX_PIXELS, Geometry
from bandprobe.protocol import CORRECTED, Protocol
from bandprobe.store import EmbeddingStore

if TYPE_CHECKING:
    from bandprobe.cluster import Cluster


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
    shared: str | Path | None = None,
    cluster: Cluster | None = None,
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
        cluster: where to do it; on this machine by default. Its workers load the encoders again.

    Returns:
        Counts, and the images that could not be read although the manifest holds them.

    Raises:
        StoreError: the store holds a condition made otherwise.
        InputError: two encoders share a name, one has no native geometry, or a reference cannot be had; the
            cluster is not there, or cannot do it.
        DiskError: the store cannot be written.
    """
    asked = tasks(
        store,
        images,
        encoders,
        filters,
        geometry=geometry,
        background=background,
        max_pixels=max_pixels,
        protocol=protocol,
        reference_folder=reference_folder,
        sources=sources,
        shared=shared,
    )
    report = Extraction()
    with store:
        for task in asked:
            report.saved += task.plan.saved
            if cluster is None:
                local.fill(task, store, report, batch_size=batch_size, workers=workers)
            elif task.plan.passes:
                from bandprobe.extract import on_ray

                on_ray.fill(task, store, report, cluster, batch_size=batch_size)
    return report
