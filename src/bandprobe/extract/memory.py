"""How many images go through an encoder at once: found out where memory runs out, and kept for the run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch

from bandprobe import progress
from bandprobe.encoders import Encoder
from bandprobe.errors import EncoderError

_largest: WeakKeyDictionary[Encoder, int] = WeakKeyDictionary()
_unsaid: WeakKeyDictionary[Encoder, int] = WeakKeyDictionary()  # what did not fit, while halving goes on


def largest(encoders: Sequence[Encoder]) -> int:
    """The largest batch that these encoders are given, as far as is known."""
    return min(_largest.get(encoder, sys.maxsize) for encoder in encoders)


def halve(encoders: Sequence[Encoder], n: int, error: Exception) -> None:
    """From now on, half of a batch that did not fit.

    Args:
        encoders: those that share batches.
        n: images in the batch.
        error: what was raised.

    Raises:
        EncoderError: it was a single image.
    """
    device = encoders[0].device
    if n == 1:
        names = ", ".join(encoder.name for encoder in encoders)
        raise EncoderError(
            f"not enough memory on {device} for {names}, even for one image at a time; try --precision fp16, a smaller "
            "encoder or geometry, or another --device."
        ) from error
    for encoder in encoders:
        _largest[encoder] = n // 2
        _unsaid.setdefault(encoder, n)
    if device.type == "cuda":
        torch.cuda.empty_cache()


def settle(encoders: Sequence[Encoder]) -> None:
    """Say, once, what a batch that fits was halved from."""
    first = max(_unsaid.pop(encoder, 0) for encoder in encoders)
    if first:
        progress.say(
            f"not enough memory on {encoders[0].device} for {first} images a batch: going on with "
            f"{largest(encoders)} (the same results; --batch-size says where to start)."
        )
