"""What every fuzz test runs under: no parser may take more memory than this, or go on for ever."""

from __future__ import annotations

import faulthandler
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = 2 * 2**30  # bytes of address space, beyond what the process has mapped before
HANGS = 1800  # seconds of a test, after which the run ends with the place where it hangs


@pytest.fixture(autouse=True)
def limited_time() -> Iterator[None]:
    faulthandler.dump_traceback_later(HANGS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def limited_memory() -> Iterator[None]:
    """Beyond it, an allocation fails, and with it the test."""
    if not sys.platform.startswith("linux"):
        yield
        return
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
