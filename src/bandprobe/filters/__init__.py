"""Filters: specs, what they do to spectra and pixels, and the bank that applies them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bandprobe.filters.kinds import KINDS, Cutoff
from bandprobe.filters.presets import PRESETS
from bandprobe.filters.spec import Filter, expand, parse
from bandprobe.filters.steps import Step

if TYPE_CHECKING:
    from bandprobe.filters.bank import FilterBank, ac_energy, clipped_share
    from bandprobe.filters.masks import check, distance, gain
    from bandprobe.filters.published import abs_uint8
    from bandprobe.filters.references import References
    from bandprobe.filters.stages import quantise

__all__ = [
    "KINDS", "PRESETS", "Cutoff", "Filter", "FilterBank", "References", "Step", "abs_uint8", "ac_energy", "check",
    "clipped_share", "distance", "expand", "gain", "parse", "quantise",
]  # fmt: skip

# What needs torch is imported on first use, so that specs can be read without it.
_HEAVY = {
    **dict.fromkeys(("FilterBank", "ac_energy", "clipped_share"), "bandprobe.filters.bank"),
    **dict.fromkeys(("check", "distance", "gain"), "bandprobe.filters.masks"),
    "References": "bandprobe.filters.references",
    "abs_uint8": "bandprobe.filters.published",
    "quantise": "bandprobe.filters.stages",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
