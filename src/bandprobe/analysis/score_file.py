"""What every probe says of every test image under every filter, as a Parquet file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.files import replacing
from bandprobe.probes import ProbeFile

Floats = NDArray[np.float64]


class ScoreFile:
    """`scores.parquet`: a row for each image and cell, whole or not at all.

    Columns: image_id, encoder, trained_on, train_filter, filter, logit, probability, and `output`, the
    vector that the head gives before its last layer (of a linear probe the logit alone).

    Args:
        path: where to write; None writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        name = pa.dictionary(pa.int32(), pa.string())
        texts = [(column, name) for column in ("encoder", "trained_on", "train_filter", "filter")]
        numbers = [("logit", pa.float64()), ("probability", pa.float64())]
        self._schema = pa.schema(
            [("image_id", pa.string()), *texts, *numbers, ("output", pa.list_(pa.float32()))]
        )
        self._stack = contextlib.ExitStack()
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is written."""
        return self._path is not None

    def __enter__(self) -> ScoreFile:
        if self._path is not None:
            temporary = self._stack.enter_context(replacing(self._path))
            self._writer = self._stack.enter_context(
                pq.ParquetWriter(temporary, self._schema, compression="zstd")
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(
        self,
        ids: NDArray[np.object_],
        probe: ProbeFile,
        spec: str,
        outputs: NDArray[np.float32],
        logits: Floats,
        chances: Floats,
    ) -> None:
        """Write one cell's rows.

        Args:
            ids: of the images, (n,).
            probe: what was asked.
            spec: the test filter.
            outputs: what the head gives before its last layer, (n, size).
            logits: what the probe says, (n,).
            chances: the same as calibrated probabilities, (n,).
        """
        if self._writer is None:
            return
        constant = pa.array(np.zeros(len(ids), np.int32))
        texts = [
            pa.DictionaryArray.from_arrays(constant, pa.array([text]))
            for text in (probe.encoder, probe.trained_on, probe.train_filter, spec)
        ]
        starts = pa.array(np.arange(len(ids) + 1, dtype=np.int32) * outputs.shape[1])
        listed = pa.ListArray.from_arrays(starts, pa.array(outputs.ravel()))
        columns = [pa.array(ids.tolist(), pa.string()), *texts, pa.array(logits), pa.array(chances), listed]
        self._writer.write_table(pa.table(columns, schema=self._schema))
