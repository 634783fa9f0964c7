"""Packages that the base install does without: those of an extra, and torchvision."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from typing import Any

from bandprobe.encoders.checkpoint import one_line
from bandprobe.errors import EncoderError


def import_extra(package: str, extra: str) -> Any:
    """A package that an extra of bandprobe installs.

    Raises:
        EncoderError: it is not installed, or its import fails.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise EncoderError(
            f"{extra}: needs the package {package}, which is not installed. Run pip install "
            f'"bandprobe[{extra}]".'
        ) from error
    except Exception as error:
        raise EncoderError(
            f"{extra}: {package} is installed but cannot be imported: {one_line(error)}. Reinstall it with a "
            "torchvision that fits torch."
        ) from error


@functools.cache
def hide_broken_torchvision() -> None:
    """Let transformers go without a torchvision that cannot be imported.

    transformers imports torchvision wherever it is installed; one built for another torch then takes
    every model down with it, and no encoder here needs it.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception:
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's way to say: not there
        try:
            from transformers.utils import import_utils

            for known in (import_utils.is_torchvision_available, import_utils.is_torchvision_v2_available):
                known.cache_clear()
                known()
        finally:
            del sys.modules["torchvision"]
