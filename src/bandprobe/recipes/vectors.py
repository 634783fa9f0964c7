"""The embeddings that recipes are made of: every condition asked for, in memory, row by image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import StoreError
from bandprobe.store import EmbeddingStore

Condition = tuple[str, str]  # an encoder and a canonical filter spec
Vectors32 = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """Embeddings of images under conditions.

    Attributes:
        ids: (n,), sorted, each once.
        held: for each condition (n, dim), a row for each id.
    """

    ids: NDArray[np.object_]
    held: dict[Condition, Vectors32] = field(repr=False)

    @classmethod
    def read(cls, store: EmbeddingStore, conditions: Iterable[Condition], ids: Iterable[str]) -> Vectors:
        """Take them from a store.

        Raises:
            StoreError: a condition, or one of the images under it, is not stored.
        """
        wanted = list(dict.fromkeys(conditions))
        check_stored(store, wanted)
        names = np.array(sorted(set(ids)), dtype=object)
        return cls(names, {one: store.read(*one, list(names)).embedding for one in wanted})

    def at(self, condition: Condition, ids: NDArray[np.object_]) -> NDArray[np.float64]:
        """Embeddings of some images, in their order, (n, dim)."""
        return self.held[condition][np.searchsorted(self.ids, ids)].astype(np.float64)


def missing(store: EmbeddingStore, conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions of which a store holds nothing."""
    held = set(store.conditions())
    return [one for one in conditions if one not in held]


def check_stored(store: EmbeddingStore, conditions: Sequence[Condition]) -> None:
    """See that a store holds something of every condition.

    Raises:
        StoreError: it does not; the message has the command that makes what is missing of the first encoder.
    """
    lacking = missing(store, conditions)
    if lacking:
        encoder = lacking[0][0]
        filters = " ".join(spec for name, spec in lacking if name == encoder)
        raise StoreError(
            f"the store {str(store.root)!r} lacks {encoder!r} under {filters}; make them with `bandprobe embed DATA "
            f"--encoder {store.source(encoder)} --filter {filters} --store {store.root}`, or name recipes that do "
            "without."
        )
