"""Analyses: the transfer grid, spectra and filtered images."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandprobe.analysis.filtering import write_filtered
    from bandprobe.analysis.source_spectra import SourceSpectra
    from bandprobe.analysis.spectrum import spectra
    from bandprobe.analysis.test_set import test_sets
    from bandprobe.analysis.transfer import evaluate

# Each on first use: filtering needs torch, the others do not.
_HOMES = {
    "write_filtered": "filtering",
    "SourceSpectra": "source_spectra",
    "spectra": "spectrum",
    "evaluate": "transfer",
    "test_sets": "test_set",
}

__all__ = ["SourceSpectra", "evaluate", "spectra", "test_sets", "write_filtered"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"bandprobe.analysis.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
