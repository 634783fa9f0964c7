"""Embeddings that were computed elsewhere, brought into the store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bandprobe.encoders import Table
from bandprobe.store import EmbeddingStore, Rows, fingerprint

_PART = 10_000  # rows


def import_table(
    store: EmbeddingStore,
    table: Table,
    images: pd.DataFrame,
    filters: Sequence[str],
    *,
    geometry: str,
    background: str = "white",
) -> int:
    """Copy a table's vectors of some images into the store, where the store lacks them.

    What a filter did to the pictures is not known here: the shares clipped and removed are NaN.

    Args:
        store: where they go.
        table: the vectors.
        images: a manifest's table, of which `image_id` and `path` are read.
        filters: canonical specs; each must be in the table.
        geometry: the study's, by which cut-offs in px become fractions of Nyquist.
        background: the study's.

    Returns:
        How many vectors were copied.

    Raises:
        EncoderError: the table lacks a filter, or some of the images.
        StoreError: the store holds vectors of that name made otherwise.
        DiskError: the store cannot be written.
    """
    unique = images.drop_duplicates("image_id").sort_values("image_id", kind="stable")
    copied = 0
    with store:
        for spec in filters:
            made = fingerprint(table.fingerprint, geometry=geometry, background=background, filter=spec)
            lacking = unique[~unique["image_id"].isin(store.present(table.name, made))]
            vectors = table.rows(spec, lacking["image_id"].tolist(), lacking["path"].tolist())
            for start in range(0, len(lacking), _PART):
                part = slice(start, start + _PART)
                ids = lacking["image_id"].to_numpy(object)[part]
                unknown = np.full(len(ids), np.nan, np.float32)
                store.write(table.name, made, Rows(ids, vectors[part], unknown, unknown))
            copied += len(lacking)
    return copied
