"""Random weights: the library's own initialisation from a seed, for an encoder's untrained twin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from bandprobe.seeding import generator


@contextlib.contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Within the block models built on the CPU draw their weights from `seed`; torch's own stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(generator(seed, "random weights").integers(2**32)))
        yield
