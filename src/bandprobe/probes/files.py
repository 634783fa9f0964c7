"""Probes on disk: safetensors with JSON metadata, no pickle."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bandprobe.errors import InputError
from bandprobe.files import replacing
from bandprobe.probes.linear import LinearProbe

_ARRAYS = ("mean", "scale", "weight")
_SCALARS = ("bias", "threshold", "slope", "intercept", "C", "validation")
FORMAT = "bandprobe-linear-1"


@dataclass(frozen=True)
class ProbeFile:
    """A probe with what must be known to use it on new images."""

    probe: LinearProbe
    encoder: str  # the name in tables
    source: str  # what loads the encoder: a short name, hub id or folder
    trained_on: str
    family: str  # of the training fakes: a family, or "all"
    train_filter: str
    fingerprint: dict[str, str]  # of the embeddings it was trained on
    training: dict[str, Any]  # counts by split and class, generators, seed
    key: str = ""  # hash of everything that decides the probe, to know it again


def file_name(encoder: str, trained_on: str, train_filter: str) -> str:
    """A probe's file name, unique in a run.

    A name with signs that a file name should not have is told from its look-alikes by a hash.
    """
    parts = (encoder, trained_on, train_filter)
    plain = [re.sub(r"[^\w.+@-]+", "-", part) for part in parts]
    stem = "__".join((plain[0], plain[1], plain[2].replace(".", "-")))
    if (plain[0], plain[1]) != (encoder, trained_on.replace("family:", "family-", 1)):
        stem += f"__{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"
    return f"{stem}.safetensors"


def save(file: ProbeFile, folder: Path) -> Path:
    """Write a probe into a folder.

    Raises:
        DiskError: it cannot be written.
    """
    probe = file.probe
    facts = {
        "format": FORMAT,
        **{name: getattr(probe, name) for name in _SCALARS},
        **{
            name: getattr(file, name)
            for name in (
                "encoder",
                "source",
                "trained_on",
                "family",
                "train_filter",
                "fingerprint",
                "training",
                "key",
            )
        },
    }
    # safetensors' metadata is text: each value stands as JSON.
    metadata = {name: json.dumps(value, sort_keys=True) for name, value in facts.items()}
    path = folder / file_name(file.encoder, file.trained_on, file.train_filter)
    arrays = {name: np.ascontiguousarray(getattr(probe, name), np.float64) for name in _ARRAYS}
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata)
    return path


def load(path: str | Path) -> ProbeFile:
    """Read a probe.

    Raises:
        InputError: no such file, or it is no probe of this format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in _ARRAYS}
        if metadata.pop("format") != FORMAT:
            raise ValueError("another format")
        scalars = {name: metadata.pop(name) for name in _SCALARS}
        return ProbeFile(probe=LinearProbe(**arrays, **scalars), **metadata)
    except FileNotFoundError:
        raise InputError(f"no probe at {str(path)!r}; `bandprobe train` makes them.") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is no probe of format {FORMAT} ({error}); give a file of a run's probes folder."
        ) from None


def load_folder(folder: str | Path) -> list[ProbeFile]:
    """Every probe of a folder, by name.

    Raises:
        InputError: the folder holds none, or one cannot be read.
    """
    paths = sorted(Path(folder).glob("*.safetensors"))
    if not paths:
        raise InputError(f"no probe (*.safetensors) in {str(folder)!r}; `bandprobe train` makes them.")
    return [load(path) for path in paths]
