"""`run.json`: what a run was made from, how, and with what."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe._version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.config import Config
    from bandprobe.encoders import Encoder, Reference, Table
    from bandprobe.images import Manifest

_LIBRARIES = ("torch", "transformers", "scikit-learn", "numpy", "pillow", "pyarrow")
_IMAGES = ["image_id", "label", "generator", "family", "dataset", "split"]


def describe(
    settings: Config, manifest: Manifest, encoders: Sequence[tuple[str, Encoder | Table]], **more: Any
) -> dict[str, Any]:
    """The record of a run.

    Args:
        settings: the study's.
        manifest: the images used.
        encoders: each with the name the study gives it.
        more: what only the run knows: passes, timings, warnings, ...
    """
    columns = ["dataset", "generator", "family", "split"]
    counts = manifest.table.groupby(columns, sort=True).size().rename("n").reset_index()
    data = settings.data
    return {
        "versions": {
            "bandprobe": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "seed": settings.run.seed,
        "precision": settings.run.precision,
        "protocol": settings.run.protocol,
        "geometry": settings.encoders.geometry,
        "config": settings.model_dump(mode="json"),
        "data": {
            "roots": data.sources or [*data.reals, *(data.fakes or {}).values()],
            "n_images": len(manifest.table),
            "counts": counts.to_dict("records"),
            "notes": list(manifest.notes),
        },
        "encoders": [
            {"name": encoder.name, "source": source, "dim": encoder.dim, **encoder.fingerprint}
            for source, encoder in encoders
        ],
        **more,
    }


def inputs(
    settings: Config, references: Sequence[Reference], files: Sequence[Path], images: pd.DataFrame
) -> str:
    """A hash of everything a run is made from, found without loading an encoder.

    Args:
        settings: the study's.
        references: its encoders.
        files: further files that decide the outcome, such as reference images.
        images: the manifest's table.
    """
    weights = [
        [reference.name, reference.kind, reference.target, _stats(reference.files)]
        for reference in references
    ]
    chosen = settings.model_dump(
        mode="json", exclude={"run": {"workers", "engine", "address", "actors", "store", "track"}}
    )
    facts = [__version__, chosen, weights, _stats(files), _IMAGES]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(images[_IMAGES].to_csv(index=False).encode())
    return digest.hexdigest()


def finished(folder: Path, key: str, needed: Sequence[str]) -> Mapping[str, Any] | None:
    """The record of the run that lies in a folder, when it is whole and was made from the same inputs."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((folder / name).is_file() for name in needed)
    return record if whole and record.get("finished") == key else None


def _stats(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, size and time of the files that are there."""
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
