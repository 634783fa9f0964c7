"""The tool on data whose truth is known."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandprobe.selftest.artefacts import Artefact, plant, recompressed
    from bandprobe.selftest.band_attribution import BandAttribution, attribution
    from bandprobe.selftest.band_recovery import BandRecovery, bands
    from bandprobe.selftest.intervals_and_tests import Statistics, statistics

_HOMES = {
    "Artefact": "artefacts",
    "plant": "artefacts",
    "recompressed": "artefacts",
    "BandAttribution": "band_attribution",
    "attribution": "band_attribution",
    "BandRecovery": "band_recovery",
    "bands": "band_recovery",
    "Statistics": "intervals_and_tests",
    "statistics": "intervals_and_tests",
}

__all__ = [
    "Artefact",
    "BandAttribution",
    "BandRecovery",
    "Statistics",
    "attribution",
    "bands",
    "plant",
    "recompressed",
    "statistics",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"bandprobe.selftest.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
