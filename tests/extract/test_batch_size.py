"""The batch size that is found by trying."""

from __future__ import annotations

import pytest
import torch

from bandprobe import encoders
from bandprobe.extract.memory import fastest, suitable


def test_doubling_goes_on_as_long_as_it_pays() -> None:
    tried = []

    def seconds(n: int) -> float:
        tried.append(n)
        return 1.0 + max(0, n - 64) / 64  # as many a second from 128 on as at 64

    assert fastest(seconds) == 64
    assert tried == [16, 32, 64, 128]


def test_it_ends_where_memory_does() -> None:
    def seconds(n: int) -> float:
        if n > 256:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return 1.0

    assert fastest(seconds) == 256
    assert fastest(lambda n: 1.0) == 1024


def test_other_errors_are_raised() -> None:
    with pytest.raises(ValueError, match="broken"):
        fastest(lambda n: (_ for _ in ()).throw(ValueError("broken")))


def test_a_processor_takes_the_same_batch_every_time() -> None:
    assert suitable([encoders.load("spectral")], (32, 32)) == 32
