"""Embeddings on their way to the store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from operator import itemgetter

import numpy as np

from bandprobe.extract.plan import Condition
from bandprobe.store import EmbeddingStore, Fingerprint, Rows

# A part is written when this much is pending. A kill loses less: the store's journal has every finished batch.
# Every condition's part waits for the disk: with 40 of them, twice a minute takes 1 % of the time.
_FLUSH_SECONDS = 120.0
_FLUSH_BYTES = 64 * 2**20


class Pending:
    """Rows waiting to be written; whatever stops the run, finished rows reach the store.

    Args:
        store: where they go, open for writing.
        wanted: what each condition is made with.
    """

    def __init__(self, store: EmbeddingStore, wanted: Mapping[Condition, Fingerprint]) -> None:
        self._store = store
        self._wanted = wanted
        self._clear()

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, condition: Condition, place: int, rows: Rows) -> None:
        """Take one batch's rows under one condition; `place` is where the batch stands among all."""
        self._store.jot(condition[0], self._wanted[condition], rows)
        # Copied, and by this thread: a class token is a view that would keep every other token while it waits, and what
        # waits among the temporaries of another thread keeps the memory allocator from using their room again.
        kept = Rows(*(getattr(rows, name).copy() for name in Rows.__dataclass_fields__))
        self._rows.setdefault(condition, []).append((place, kept))
        self._bytes += rows.embedding.nbytes

    def flush_if_due(self) -> None:
        """Write what is pending when it is much, or old."""
        if self._bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is pending, batches in their order, whichever was done first."""
        for condition, batches in self._rows.items():
            parts = [rows for _, rows in sorted(batches, key=itemgetter(0))]
            columns = (
                np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__dataclass_fields__
            )
            self._store.write(condition[0], self._wanted[condition], Rows(*columns))
        self._store.settle()
        self._clear()

    def _clear(self) -> None:
        self._rows: dict[Condition, list[tuple[int, Rows]]] = {}
        self._bytes = 0
        self._since = time.monotonic()
