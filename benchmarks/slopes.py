"""How the cost of each stage grows: the exponent b of cost ~ size^b, from sizes that are doubled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def cost(work: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of several runs, in seconds: what else the machine does can only add to it."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The least-squares slope of log(seconds) over log(sizes)."""
    x: NDArray[np.float64] = np.log(np.asarray(sizes, dtype=np.float64))
    y = np.log(np.asarray(seconds, dtype=np.float64))
    return float(np.polyfit(x, y, 1)[0])
