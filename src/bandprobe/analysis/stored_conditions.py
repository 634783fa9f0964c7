"""Which encoders, filters and images of a store an analysis looks at."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bandprobe.errors import InputError, did_you_mean
from bandprobe.filters import expand, parse
from bandprobe.store import EmbeddingStore


def stored_encoders(store: EmbeddingStore, names: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Encoders of a store with the filters held of each, in canonical print.

    Args:
        store: holds embeddings.
        names: which encoders; all by default.

    Raises:
        InputError: the store is empty, or has no encoder of that name.
    """
    held: dict[str, list[str]] = {}
    for encoder, spec in store.conditions():
        held.setdefault(encoder, []).append(spec)
    if not held:
        raise InputError(f"no embeddings in {str(store.root)!r}; `bandprobe embed` makes them.")
    for name in names or ():
        if name not in held:
            raise InputError(
                f"the store {str(store.root)!r} holds no embeddings of {name!r}.{did_you_mean(name, held)} It "
                f"holds {', '.join(held)}."
            )
    return held if names is None else {name: held[name] for name in names}


def shared_filters(held: dict[str, list[str]], filters: Sequence[str] | None = None) -> list[str]:
    """The filters that all encoders are looked at under, as canonical specs.

    Args:
        held: from `stored_encoders`.
        filters: specs, ranges or presets; all that every encoder has by default.

    Raises:
        InputError: there is none, or one is not held of every encoder.
    """
    first = next(iter(held.values()))
    common = sorted((spec for spec in first if all(spec in specs for specs in held.values())), key=_order)
    wanted = common if filters is None else [str(spec) for spec in expand(filters)]
    absent = [spec for spec in wanted if spec not in common]
    if absent or not wanted:
        which = f"{absent[0]!r} is not stored" if absent else "no filter is stored"
        raise InputError(
            f"{which} for all of {', '.join(held)}; embed every encoder with the same filters, or name the "
            f"encoders. Stored for all: {', '.join(common) or 'nothing'}."
        )
    return wanted


def _order(spec: str) -> tuple[bool, str, float, str]:
    """Those without a cut-off first, then sweep by sweep, cut-offs rising."""
    known = parse(spec)
    if known.cutoff is None:
        return False, "" if spec == "none" else known.kind, 0.0, spec
    return True, known.sweep, known.cutoff.value, spec


def with_embeddings(
    manifest: pd.DataFrame, store: EmbeddingStore, encoders: Sequence[str], filters: Sequence[str]
) -> pd.DataFrame:
    """The rows of a manifest whose images are stored for every encoder under every filter.

    Raises:
        InputError: there is none.
        StoreError: a part of the store is damaged.
    """
    common = set(manifest["image_id"])
    for encoder in encoders:
        for spec in filters:
            made = store.fingerprint(encoder, spec)
            common &= store.present(encoder, made) if made else set()
    if not common:
        raise InputError(
            f"no image of the manifest has embeddings of {', '.join(encoders)} under all of "
            f"{', '.join(filters)}; give the manifest that belongs to the store, or fewer filters."
        )
    return manifest[manifest["image_id"].isin(common)]
