"""Spaces in which distances between images are taken: embeddings, and what probes give for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.analysis.sources import Source
from bandprobe.errors import InputError
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore, comparable, difference

POOLED = ("all", "external")  # probes that every source meets


@dataclass(frozen=True)
class Space:
    """Embeddings as they are, or through a probe's head up to its last layer."""

    name: str  # `embedding` or `logit`
    file: ProbeFile | None = None

    @property
    def trained_on(self) -> str:
        """What the probe was trained on; empty for embeddings."""
        return "" if self.file is None else self.file.trained_on

    def view(self, embedding: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Embeddings (n, dim) in this space, (n, k); for a linear probe the logit, k = 1."""
        return embedding if self.file is None else self.file.probe.outputs(embedding)

    def meets(self, source: Source) -> bool:
        """Whether a source is looked at here: a probe meets its own generator, a pooled one everything."""
        return self.file is None or self.trained_on in (*POOLED, source.name)


def spaces(store: EmbeddingStore, encoder: str, probes: Sequence[ProbeFile]) -> list[Space]:
    """The embeddings of an encoder, and the outputs of its probes that were trained on unfiltered images.

    Replicates of a probe are passed over.

    Raises:
        InputError: a probe was trained on embeddings made otherwise than the store's.
    """
    stored = store.fingerprint(encoder, "none") or {}
    found = [Space("embedding")]
    for file in probes:
        if file.encoder != encoder or file.train_filter != "none" or file.replicate:
            continue
        # An imported probe does not know what it was trained on.
        wrong = difference(comparable(stored), comparable(file.fingerprint)) if file.fingerprint else ""
        if wrong:
            raise InputError(
                f"probe {file.trained_on!r} of {encoder!r} was trained on embeddings made otherwise than "
                f"the store's ({wrong}); train it again on this store."
            )
        found.append(Space("logit", file))
    return found
