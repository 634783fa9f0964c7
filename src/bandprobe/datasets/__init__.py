"""The small world that ships with the package, procedural photographs, and public data sets to download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bandprobe.datasets.micro import ImageSet, micro
from bandprobe.datasets.photographs import photograph

if TYPE_CHECKING:
    from bandprobe.datasets.fetching import fetch

__all__ = ["ImageSet", "fetch", "micro", "photograph"]


def __getattr__(name: str) -> Any:
    if name == "fetch":  # brings an HTTP library with it
        from bandprobe.datasets.fetching import fetch

        return fetch
    raise AttributeError(f"module 'bandprobe.datasets' has no attribute {name!r}")
