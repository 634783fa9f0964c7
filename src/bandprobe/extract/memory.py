"""How many images go through an encoder at once: found out where memory runs out, and kept for the run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import torch

from bandprobe import progress
from bandprobe.encoders import Encoder
from bandprobe.encoders.layers import embed_together
from bandprobe.errors import EncoderError
from bandprobe.machine import out_of_memory

_ON_A_PROCESSOR = 32
_SMALLEST, _LARGEST = 16, 1024  # batches that are tried

_largest: WeakKeyDictionary[Encoder, int] = WeakKeyDictionary()
_unsaid: WeakKeyDictionary[Encoder, int] = WeakKeyDictionary()  # what did not fit, while halving goes on


def suitable(encoders: Sequence[Encoder], shape: tuple[int, int]) -> int:
    """How many images a batch these encoders are best given: 32 on a processor; elsewhere it is tried out.

    Args:
        encoders: on one device.
        shape: the images' height and width.
    """
    device = encoders[0].device
    if device.type == "cpu":
        return _ON_A_PROCESSOR

    def seconds(n: int) -> float:
        images = torch.zeros((n, 3, *shape), device=device)
        for _ in range(2):  # the first makes room and picks its kernels
            _wait(device)
            start = time.perf_counter()
            for _ in embed_together(encoders, images):
                pass
            _wait(device)
            taken = time.perf_counter() - start
        return taken

    return fastest(seconds)


def fastest(seconds: Callable[[int], float]) -> int:
    """The batch behind which doubling no longer pays: a twentieth more images a second, or no room for it.

    Args:
        seconds: how long a batch of so many images takes; raises what a lack of memory raises.
    """
    best, rate, n = _SMALLEST, 0.0, _SMALLEST
    while n <= _LARGEST:
        try:
            found = n / seconds(n)
        except Exception as error:
            if not out_of_memory(error):
                raise
            break
        if found < 1.05 * rate:
            break
        best, rate, n = n, found, 2 * n
    return best


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


def _wait(device: torch.device) -> None:
    """For everything that was asked of an accelerator."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
