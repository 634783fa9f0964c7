"""Frozen image encoders: images in [0, 1] to one vector each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bandprobe.encoders.catalogue import Entry
from bandprobe.encoders.registry import Reference, catalogue, display_name, distinct, load, resolve

if TYPE_CHECKING:
    from bandprobe.encoders.protocol import Encoder

__all__ = ["Encoder", "Entry", "Reference", "catalogue", "display_name", "distinct", "load", "resolve"]


def __getattr__(name: str) -> Any:
    if name == "Encoder":  # brings torch, which names and the catalogue do without
        from bandprobe.encoders.protocol import Encoder

        return Encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
