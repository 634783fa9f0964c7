"""Named random streams: one study seed, and a name for each place that draws."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """A generator for one purpose, independent of every other purpose's draws.

    Args:
        seed: the study's seed.
        names: what the draws are for, e.g. `"bootstrap", "faces", "StyleGAN2"`. Equal names give
            equal draws, which is how resamples are paired across conditions.

    Returns:
        A NumPy generator (PCG64) seeded with the SHA-256 of seed and names.
    """
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
