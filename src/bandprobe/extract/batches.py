"""One batch of pictures to its rows under every condition: uploaded once, one FFT, one pass an encoder and filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import local
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe.encoders import Encoder
from bandprobe.encoders.layers import embed_together
from bandprobe.extract.memory import halve, largest, settle
from bandprobe.extract.plan import Condition
from bandprobe.filters import FilterBank, References
from bandprobe.machine import out_of_memory
from bandprobe.store import Rows

_of_this_thread = local()


class Embedded(NamedTuple):
    """Rows under one condition, and the forward passes they took: none where they came with those before."""

    condition: Condition
    rows: Rows
    passes: int


def embedded(
    encoders: Sequence[Encoder],
    conditions: Sequence[Condition],
    ids: Sequence[str],
    pixels: NDArray[np.uint8],
    *,
    references: References | None,
    abs_uint8: bool,
) -> Iterator[Embedded]:
    """The rows of a batch, one condition after the other; in smaller batches where the memory does not do.

    Args:
        encoders: on one device, their names distinct.
        conditions: encoders' names and filters.
        ids: the images'.
        pixels: uint8, shape (n, h, w, 3), on the encoders' grid.
        references: what gives the references of `fda` and `inject`.
        abs_uint8: filter as the published code does.

    Yields:
        Rows of some of the images under a condition: over all that is yielded, each pair of an image and a
        condition comes once.

    Raises:
        EncoderError: there is no room for a single image.
    """
    start = 0
    while start < len(ids):
        part = slice(start, start + min(largest(encoders), len(ids)))
        done: set[Condition] = set()
        try:
            with _stream(encoders[0].device):
                bank = _bank(encoders, conditions, pixels, references, abs_uint8)
                for found in _rows(encoders, conditions, ids[part], pixels[part], bank):
                    done.add(found.condition)
                    yield found
        except Exception as error:
            if not out_of_memory(error):
                raise
            halve(encoders, len(ids[part]), error)
        else:
            settle(encoders)
        if rest := [condition for condition in conditions if condition not in done]:
            yield from embedded(
                encoders, rest, ids[part], pixels[part], references=references, abs_uint8=abs_uint8
            )
        start = part.stop


def _bank(
    encoders: Sequence[Encoder],
    conditions: Sequence[Condition],
    pixels: NDArray[np.uint8],
    references: References | None,
    abs_uint8: bool,
) -> FilterBank:
    """The conditions' filters, each once."""
    return FilterBank(
        list(dict.fromkeys(spec for _, spec in conditions)),
        (pixels.shape[1], pixels.shape[2]),
        device=encoders[0].device,
        references=references,
        abs_uint8=abs_uint8,
    )


def _rows(
    encoders: Sequence[Encoder],
    conditions: Sequence[Condition],
    ids: Sequence[str],
    pixels: NDArray[np.uint8],
    bank: FilterBank,
) -> Iterator[Embedded]:
    """Conditions of one batch, the filters outermost so that each runs once."""
    images = _uploaded(pixels, encoders[0].device).permute(0, 3, 1, 2).contiguous().float() / 255
    wanted, named = set(conditions), np.array(ids, dtype=object)
    for done in bank.measured(images, ids):
        shares = done.clipped_share.cpu().numpy(), done.ac_removed.float().cpu().numpy()
        asked = [encoder for encoder in encoders if (encoder.name, done.filter) in wanted]
        for served in embed_together(asked, done.images):
            # All of a pass before any is handed on: what memory cannot hold is done again as a whole.
            vectors = [(encoder.name, found.cpu().numpy()) for encoder, found in served]
            for place, (name, values) in enumerate(vectors):
                rows = Rows(named, values, *shares)
                yield Embedded((name, done.filter), rows, 0 if place else len(named))


def _uploaded(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Bytes on the device: a quarter of what floats are, and past a GPU's copying engine from pinned memory."""
    there = torch.from_numpy(pixels)
    return there.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else there.to(device)


def _stream(device: torch.device) -> AbstractContextManager[object]:
    """On a GPU this thread's own queue of work, so that waiting for its results waits for no other thread's."""
    if device.type != "cuda":
        return nullcontext()
    if not hasattr(_of_this_thread, "stream"):
        _of_this_thread.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream: AbstractContextManager[object] = torch.cuda.stream(_of_this_thread.stream)
    return stream
