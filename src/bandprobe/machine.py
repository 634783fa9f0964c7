"""What this machine offers."""

from __future__ import annotations

import os


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# What torch, its backends and onnxruntime say, lower case.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "alloc_failed",
    "failed to allocate memory",
    "bad_alloc",
)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that the memory of a processor or accelerator did not do."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        # A missing file of that name is none; neither is an interrupt.
        if not isinstance(error, OSError) and any(words in str(error).lower() for words in _NO_MEMORY):
            return True
        error = error.__cause__
    return False
