"""Frozen image encoders: images in [0, 1] to one vector each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bandprobe.encoders.catalogue import Entry
from bandprobe.encoders.compound_names import anchored, expand_names
from bandprobe.encoders.names import Reference, display_name, distinct, resolve, twin
from bandprobe.encoders.registry import catalogue, load, load_again, load_all, load_table

if TYPE_CHECKING:
    from bandprobe.encoders.layers import with_layers
    from bandprobe.encoders.protocol import Encoder
    from bandprobe.encoders.table import Table

__all__ = [
    "Encoder", "Entry", "Reference", "Table", "anchored", "catalogue", "display_name", "distinct", "expand_names",
    "load", "load_again", "load_all", "load_table", "resolve", "twin", "with_layers",
]  # fmt: skip

# What brings torch or NumPy, which names and the catalogue do without, is imported on first use.
_HEAVY = {
    "Encoder": "bandprobe.encoders.protocol",
    "Table": "bandprobe.encoders.table",
    "with_layers": "bandprobe.encoders.layers",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
