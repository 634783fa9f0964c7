"""A compiled forward pass gives the plain one's vectors, for any batch, in any thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from bandprobe import encoders
from bandprobe.encoders.compiled import Compiled

needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile needs a C++ compiler, and there is none on this machine",
)


@needs_a_compiler
def test_compiled_vectors_are_the_plain_ones() -> None:
    plain, compiled = encoders.load("micro-dino"), encoders.load("micro-dino", compiled=True)
    assert compiled.fingerprint == plain.fingerprint
    images = torch.rand((5, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    wanted = plain.embed(images)
    scale = float(wanted.abs().max())
    whole = compiled.embed(images)
    assert type(compiled._forward) is Compiled
    assert compiled._forward._compiled is not None
    torch.testing.assert_close(whole, wanted, atol=1e-6 * scale, rtol=0)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(whole, wanted), torch.ones(5), atol=1e-6, rtol=0
    )
    # A smaller batch is filled up, and gives what the rows of the whole one gave.
    torch.testing.assert_close(compiled.embed(images[:2]), whole[:2], atol=0, rtol=0)
    assert len(compiled._forward._sizes) == 1


class Calls:
    """Stands for PyTorch's compiler: the function as it is, and the sizes it was called with."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sizes: list[int] = []
        self.error = error

    def __call__(self, forward: Callable[[torch.Tensor], torch.Tensor], *, dynamic: bool) -> object:
        assert not dynamic

        def run(pixels: torch.Tensor) -> torch.Tensor:
            if self.error:
                raise self.error
            self.sizes.append(len(pixels))
            return forward(pixels)

        return run


def mean(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.mean((2, 3))


def test_batches_are_filled_up_to_the_largest_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    monkeypatch.setattr(torch, "compile", calls)
    forward = Compiled(mean, "any")
    for n in (4, 2, 4, 7, 1):
        pixels = torch.rand(n, 3, 8, 8)
        torch.testing.assert_close(forward(pixels), mean(pixels))
    assert calls.sizes == [4, 4, 4, 7, 7]
    forward(torch.rand(2, 3, 6, 6))  # another grid is another program
    assert calls.sizes[-1] == 2


def test_two_threads_compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    monkeypatch.setattr(torch, "compile", calls)
    forward = Compiled(mean, "any")
    with ThreadPoolExecutor(4) as pool:
        for pixels in [torch.rand(3, 3, 8, 8) for _ in range(8)]:
            torch.testing.assert_close(pool.submit(forward, pixels).result(), mean(pixels))
    assert calls.sizes == [3] * 8


def test_without_a_compiler_the_pass_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "compile", Calls(RuntimeError("no C++ compiler\nand much more")))
    forward, pixels = Compiled(mean, "any"), torch.rand(3, 3, 8, 8)
    for _ in range(2):
        torch.testing.assert_close(forward(pixels), mean(pixels))
    assert capsys.readouterr().err == "any could not be compiled and runs as it is: no C++ compiler\n"


def test_a_lack_of_memory_is_the_callers_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(RuntimeError("CUDA out of memory"))
    monkeypatch.setattr(torch, "compile", calls)
    forward = Compiled(mean, "any")
    with pytest.raises(RuntimeError, match="out of memory"):
        forward(torch.rand(3, 3, 8, 8))
    calls.error = None
    assert len(forward(torch.rand(2, 3, 8, 8))) == 2
    assert calls.sizes == [2]


def test_encoders_without_weights_are_left_as_they_are() -> None:
    assert type(encoders.load("spectral", compiled=True)._forward) is not Compiled
