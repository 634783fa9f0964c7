"""A forward pass through PyTorch's compiler: the same sums in fewer passes over memory."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

from bandprobe import progress
from bandprobe.machine import out_of_memory


class Compiled:
    """A forward pass that is compiled at its first call, for batches of that size.

    Compiling takes from twenty seconds to minutes and is kept on disk by PyTorch. A smaller batch, such as a run's
    last, is filled up with zeros, so that nothing is compiled for it. Where the compiler does not work, for want of
    a C++ compiler above all, the pass goes on as it is, and says so once.

    Args:
        forward: (n, c, h, w) -> (n, dim), each row from its image alone.
        name: whose it is, for messages.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], name: str) -> None:
        self._plain = forward
        self._name = name
        self._compiled: Callable[[Tensor], Tensor] | None = torch.compile(forward, dynamic=False)
        self._sizes: dict[tuple[int, ...], int] = {}  # of a batch, by what else is compiled for
        self._compiling = Lock()

    def __call__(self, pixels: Tensor) -> Tensor:
        """`forward` of the pixels."""
        # PyTorch compiles for a number of threads.
        kind = (*pixels.shape[1:], torch.get_num_threads())
        if self._sizes.get(kind, 0) < len(pixels):
            with self._compiling:
                if self._sizes.get(kind, 0) < len(pixels):
                    return self._first(kind, pixels)
        if self._compiled is None:
            return self._plain(pixels)
        missing = self._sizes[kind] - len(pixels)
        whole = torch.cat([pixels, pixels.new_zeros(missing, *pixels.shape[1:])]) if missing else pixels
        return self._compiled(whole)[: len(pixels)]

    def _first(self, kind: tuple[int, ...], pixels: Tensor) -> Tensor:
        """The pass of a batch larger than any before."""
        if self._compiled is not None:
            try:
                vectors = self._compiled(pixels)
            except Exception as error:  # the compiler's own errors have no common parent
                if out_of_memory(error):
                    raise
                self._compiled = None
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                progress.say(f"{self._name} could not be compiled and runs as it is: {reason}")
            else:
                self._sizes[kind] = len(pixels)
                return vectors
        vectors = self._plain(pixels)
        self._sizes[kind] = len(pixels)
        return vectors
