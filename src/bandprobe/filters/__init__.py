"""Frequency filters: specs, masks and the bank that applies them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bandprobe.filters.spec import KINDS, PRESETS, Cutoff, Filter, Step, expand, parse

if TYPE_CHECKING:
    from bandprobe.filters.bank import FilterBank, ac_energy, clipped_share, quantise
    from bandprobe.filters.masks import check, distance, gain

__all__ = [
    "KINDS", "PRESETS", "Cutoff", "Filter", "FilterBank", "Step", "ac_energy", "check", "clipped_share", "distance",
    "expand", "gain", "parse", "quantise",
]  # fmt: skip

# What needs torch is imported on first use, so that specs can be read without it.
_HEAVY = {
    **dict.fromkeys(("FilterBank", "ac_energy", "clipped_share", "quantise"), "bandprobe.filters.bank"),
    **dict.fromkeys(("check", "distance", "gain"), "bandprobe.filters.masks"),
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
