"""Analyses: the transfer grid, spectra, filtered images and scores of new ones."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandprobe.analysis.filtering import write_filtered
    from bandprobe.analysis.scoring import score
    from bandprobe.analysis.spectrum import SourceSpectra, spectra
    from bandprobe.analysis.transfer import evaluate, test_sets

# Each on first use: filtering and scoring need torch, the others do not.
_HOMES = {
    "write_filtered": "filtering",
    "score": "scoring",
    "SourceSpectra": "spectrum",
    "spectra": "spectrum",
    "evaluate": "transfer",
    "test_sets": "transfer",
}

__all__ = ["SourceSpectra", "evaluate", "score", "spectra", "test_sets", "write_filtered"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"bandprobe.analysis.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
