"""bandprobe: which frequencies does a deepfake detector live on, and will it hold on new generators?

Everything heavy is imported on first use, so that `import bandprobe` and `bandprobe --help` are quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bandprobe._version import __version__

if TYPE_CHECKING:
    from bandprobe import datasets, encoders, errors, filters, images, metrics, probes, store
    from bandprobe.detect import Detector
    from bandprobe.run import Run
    from bandprobe.study import Study

_ROOMS = ("datasets", "encoders", "errors", "filters", "images", "metrics", "probes", "store")
_NAMES = {"Detector": "bandprobe.detect", "Study": "bandprobe.study", "Run": "bandprobe.run"}

__all__ = [
    "Detector",
    "Run",
    "Study",
    "__version__",
    "datasets",
    "encoders",
    "errors",
    "filters",
    "images",
    "metrics",
    "probes",
    "store",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"bandprobe.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'bandprobe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
