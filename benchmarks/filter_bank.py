"""The filter bank on the thesis's sweep, against other ways to the same filtered images."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from bandprobe.extract.lanes import in_lanes
from bandprobe.filters import Filter, FilterBank, expand, gain
from bandprobe.seeding import generator
from side_by_side import THREADS, Row, check_equal, device, ratio, times

_TOLERANCE = 1e-5
_UNIT = "ms per image and radius"

Batches = Iterator[NDArray[Any]]


def rows(*, images: int = 32, side: int = 224, rounds: int = 7, sweep: str = "thesis") -> list[Row]:
    """Our bank against the thesis's way and against three other ways.

    Args:
        images: RGB float32 images in the batch.
        side: their height and width in pixels.
        rounds: how often each side runs.
        sweep: the filters, single steps; the thesis's are 38 cut-offs and the identity.

    Raises:
        ArithmeticError: a side's filtered images are more than 1e-5 from ours.
    """
    pixels = generator(0, "filter bank").random((images, 3, side, side), dtype=np.float32)
    specs = expand([sweep])
    sides = ways(specs, pixels)
    ours = next(iter(sides))
    for name, way in sides.items():
        for mine, theirs in zip(sides[ours](), way(), strict=True):
            check_equal(name, mine, theirs, _TOLERANCE)
    timed = {name: _drained(way) for name, way in sides.items()} | {ours: in_parts(specs, pixels)}
    taken = times(timed, rounds)
    each = 1000 / (images * len(specs))
    return [
        Row(
            name=name,
            ratio=ratio(taken[ours], taken[name]),
            target=6.0 if number == 0 else 1.0,
            ours=statistics.median(taken[ours]) * each,
            other=statistics.median(taken[name]) * each,
            unit=_UNIT,
            device=device(),
        )
        for number, name in enumerate(list(sides)[1:])
    ]


def ways(specs: list[Filter], pixels: NDArray[np.float32]) -> dict[str, Callable[[], Batches]]:
    """Each way as a function that yields the filtered batch of one filter after the other, ours first.

    Masks are made here, in the layout each way needs, so that only transforms are timed.
    """
    shape = (pixels.shape[2], pixels.shape[3])
    tensor = torch.from_numpy(pixels)
    bank = FilterBank(specs, shape)
    double = [np.fft.fftshift(gain(spec.steps[0], shape)) for spec in specs]
    single = [mask.astype(np.float32) for mask in double]
    whole = [np.fft.ifftshift(mask) for mask in single]
    half = [np.ascontiguousarray(mask[:, : shape[1] // 2 + 1]) for mask in whole]
    torch_whole, torch_half = ([torch.from_numpy(mask) for mask in masks] for masks in (whole, half))

    def ours() -> Batches:
        for _, filtered in bank(tensor):
            yield filtered.numpy()

    def numpy_each_radius(images: NDArray[Any], masks: list[NDArray[Any]]) -> Batches:
        with ThreadPoolExecutor(THREADS) as pool:
            for mask in masks:
                filtered = np.empty_like(images)

                def one(image: int, mask: NDArray[Any] = mask, to: NDArray[Any] = filtered) -> None:
                    for channel in range(3):
                        spectrum = np.fft.fftshift(np.fft.fft2(images[image, channel]))
                        to[image, channel] = np.fft.ifft2(np.fft.ifftshift(spectrum * mask)).real

                list(pool.map(one, range(len(images))))
                yield filtered

    def torch_each_radius() -> Batches:
        for mask in torch_whole:
            yield torch.fft.ifft2(torch.fft.fft2(tensor) * mask).real.contiguous().numpy()

    def torch_shared() -> Batches:
        spectra = torch.fft.rfft2(tensor)
        for mask in torch_half:
            yield torch.fft.irfft2(spectra * mask, s=shape).numpy()

    def scipy_shared() -> Batches:
        spectra = scipy.fft.rfft2(pixels, workers=THREADS)
        for mask in half:
            yield scipy.fft.irfft2(spectra * mask, s=shape, workers=THREADS)

    return {
        "ours": ours,
        "filter bank": lambda: numpy_each_radius(pixels.astype(np.float64), double),
        "filter bank / the same in single precision": lambda: numpy_each_radius(pixels, single),
        "filter bank / PyTorch, complex FFT per radius": torch_each_radius,
        "filter bank / PyTorch, one shared real FFT": torch_shared,
        "filter bank / SciPy, one shared real FFT": scipy_shared,
    }


def in_parts(specs: list[Filter], pixels: NDArray[np.float32]) -> Callable[[], object]:
    """Our bank as `embed` runs it: a part of the batch for each thread, which keeps nothing of a filter."""
    tensor = torch.from_numpy(pixels)
    bank = FilterBank(specs, (pixels.shape[2], pixels.shape[3]))
    count = torch.get_num_threads()
    parts = torch.split(tensor, -(-len(tensor) // count))

    def work(part: torch.Tensor) -> tuple[()]:
        deque(bank(part), maxlen=0)
        return ()

    return lambda: deque(in_lanes(work, parts, count), maxlen=0)


def _drained(way: Callable[[], Batches]) -> Callable[[], object]:
    return lambda: deque(way(), maxlen=0)
