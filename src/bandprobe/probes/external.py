"""The probe of a detector that is finished already: its own logit, unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bandprobe.probes.files import EXTERNAL, ProbeFile, save
from bandprobe.probes.linear import LinearProbe
from bandprobe.store import EmbeddingStore, Fingerprint, comparable


def finished(store: EmbeddingStore, sources: Mapping[str, str], folder: Path) -> list[ProbeFile]:
    """The probe of every detector in a store, saved like any other.

    Args:
        store: holds the detectors' logits.
        sources: their names, with what loads each.
        folder: where the files go.

    Raises:
        StoreError: a part is damaged.
        DiskError: a file cannot be written.
    """
    files = []
    for name, source in sources.items():
        filters = [spec for encoder, spec in store.conditions() if encoder == name]
        stored = (store.fingerprint(name, filters[0]) if filters else None) or {}
        # A detector is trained under no filter of this study, whatever it was tested under.
        files.append(external(name, source, comparable(stored) | {"filter": "none"}, folder))
    return files


def external(encoder: str, source: str, fingerprint: Fingerprint, folder: Path) -> ProbeFile:
    """A probe that hands on a detector's logit, saved like any other.

    Its threshold is the detector's own, logit 0, and its probability the logit's sigmoid: how a finished
    detector holds is asked at the point where its makers put it.

    Args:
        encoder: the detector's name in tables.
        source: what loads it.
        fingerprint: of its stored logits.
        folder: where the file goes.

    Raises:
        DiskError: it cannot be written.
    """
    one, zero = np.ones(1), np.zeros(1)
    probe = LinearProbe(
        mean=zero,
        scale=one,
        weight=one,
        bias=0.0,
        threshold=0.0,
        slope=1.0,
        intercept=0.0,
        C=None,
        validation="none",
    )
    file = ProbeFile(
        probe=probe,
        encoder=encoder,
        source=source,
        trained_on=EXTERNAL,
        family=EXTERNAL,
        train_filter="none",
        fingerprint=fingerprint,
        training={"seed": None},
    )
    save(file, folder)
    return file
