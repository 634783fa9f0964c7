"""Two or more ways to the same numbers, timed in turns in one process."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe.machine import cores

THREADS = min(2, cores())


@dataclass(frozen=True)
class Row:
    """One comparison. A ratio above 1 says that ours is the faster side, whatever the unit."""

    name: str
    ratio: float  # median over the rounds of the two sides' ratio in one round
    target: float
    ours: float  # medians, in `unit`
    other: float
    unit: str
    device: str


def times(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds that each side took in each round, every other round in the opposite order.

    What else the machine does then falls on all sides alike. The caller has run every side once.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            sides[name]()
            taken[name].append(time.perf_counter() - start)
    return taken


def ratio(ours: list[float], other: list[float]) -> float:
    """How many times faster ours is: the median over rounds."""
    return statistics.median(b / a for a, b in zip(ours, other, strict=True))


def check_equal(name: str, ours: NDArray[np.float32], other: NDArray[np.float32], tolerance: float) -> None:
    """Refuse to time sides that compute different things.

    Raises:
        ArithmeticError: an element differs by more than `tolerance`.
    """
    if ours.shape != other.shape:
        raise ArithmeticError(f"{name}: shapes must be equal; got {ours.shape} and {other.shape}.")
    apart = float(np.abs(ours - other).max())
    if not apart <= tolerance:
        raise ArithmeticError(f"{name}: the sides must agree to {tolerance:g}; they are {apart:.2g} apart.")


def device() -> str:
    """The processor by its name, and how many threads PyTorch uses."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads"
