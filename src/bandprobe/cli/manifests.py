"""The manifest that goes with a store: where `embed` leaves it, and how the other commands find it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.store import EmbeddingStore
    from bandprobe.store.bucket import Place

ManifestFile = Annotated[
    Path | None,
    typer.Option(help="The manifest; by default the one `embed` left beside the store.", metavar="FILE"),
]


def beside(store: Place) -> Path:
    """Where `embed` leaves the manifest of a store: beside it, so that the store holds embeddings alone.

    That of a store on object storage lies in the current folder.
    """
    name = f"{store.name}.manifest.parquet"
    return store.with_name(name) if isinstance(store, Path) else Path(name)


def embedded(store: EmbeddingStore, given: Path | None) -> pd.DataFrame:
    """The manifest's table."""
    from bandprobe.images import Manifest

    path = given or beside(store.root)
    if given is None and not path.exists() and isinstance(store.root, Path):
        path = store.root.parent / "manifest.parquet"  # a run's folder
    if not path.exists():
        raise InputError(f"no manifest at {str(path)!r}; give it with --manifest.")
    return Manifest.load(path).table
