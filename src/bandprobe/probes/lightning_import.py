"""Lightning, of the extra `train`, also where a torchvision is installed that cannot be imported."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError
from typing import Any

from bandprobe.encoders.extras import hide_broken_torchvision, import_extra


def import_lightning() -> Any:
    """The module `lightning.pytorch`.

    Raises:
        EncoderError: lightning or tensorboard is not installed, or cannot be imported.
    """
    import_extra("tensorboard", "train")
    hide_broken_torchvision()
    if "lightning.pytorch" not in sys.modules and not _imports("torchvision"):
        _without_torchvision()
    return import_extra("lightning.pytorch", "train")


def _imports(package: str) -> bool:
    try:
        importlib.import_module(package)
    except Exception:  # whatever a build for another torch fails with
        return False
    return True


def _without_torchvision() -> None:
    """Let torchmetrics, which Lightning imports, find no torchvision: it asks for its version alone."""
    checks = import_extra("lightning_utilities.core.imports", "train")
    version = checks._version

    def asked(package: str) -> str:
        if package == "torchvision":
            raise PackageNotFoundError(package)
        return str(version(package))

    checks._version = asked
    sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's way to say: not there
    try:
        import_extra("lightning.pytorch", "train")
    finally:
        del sys.modules["torchvision"]
        checks._version = version
