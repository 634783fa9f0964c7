"""Mean spectra of a folder of 8-bit PNG files, against SciPy's way and against decoding alone."""

from __future__ import annotations

import statistics
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from bandprobe.analysis import spectra
from bandprobe.analysis.spectrum_pictures import found_pictures
from bandprobe.images import decode
from bandprobe.metrics import Spectrum, luma
from bandprobe.seeding import generator
from side_by_side import THREADS, Row, check_equal, device, ratio, times

_TOLERANCE = 1e-6
_SOURCES = ("Real", "ProGAN")


def rows(*, images: int = 100, side: int = 256, rounds: int = 5) -> list[Row]:
    """Images a second of `fft_hp` and of a report's spectra from files to means.

    Args:
        images: PNG files of each of two sources.
        side: their height and width.
        rounds: how often each side runs.

    Raises:
        ArithmeticError: the mean `fft_hp` is more than 1e-6 from SciPy's, frequency by frequency.
    """
    with TemporaryDirectory() as name:
        folder = Path(name) / "set"
        for source in _SOURCES:
            write_images(folder / source, images, side)
        table, _ = found_pictures([str(folder)])
        paths = [Path(path) for path in table["path"]]

        def ours() -> NDArray[np.float64]:
            found = spectra(table, kinds=["fft_hp"], size=side, workers=THREADS)
            return np.stack([sums.planes["fft_hp"].coherent for sums in found.sources.values()])

        def report() -> object:
            return spectra(table, size=side, workers=THREADS)

        def scipy() -> NDArray[np.float64]:
            return np.stack([scipy_mean(sorted((folder / source).glob("*.png"))) for source in _SOURCES])

        def decoded() -> object:
            with ThreadPoolExecutor(THREADS) as pool:
                return deque(pool.map(decode, paths), maxlen=0)

        levels = np.stack([luma(decode(path), side) for path in paths[: images // 4 + 1]])

        def in_memory() -> NDArray[np.float64]:
            return Spectrum(side, spread=False).add(levels).coherent

        def scipy_in_memory() -> NDArray[np.float64]:
            return np.abs(sum(map(scipy_transform, levels)) / len(levels))

        check_equal("fft_hp", ours().astype(np.float32), scipy().astype(np.float32), _TOLERANCE)
        check_equal(
            "fft_hp in memory",
            in_memory().astype(np.float32),
            scipy_in_memory().astype(np.float32),
            _TOLERANCE,
        )
        decoded(), report()
        ways = {"ours": ours, "report": report, "scipy": scipy, "decoded": decoded}
        taken = times(ways | {"memory": in_memory, "scipy memory": scipy_in_memory}, rounds)
    handled = {way: len(levels) if "memory" in way else len(paths) for way in taken}
    rate = {way: handled[way] / statistics.median(seconds) for way, seconds in taken.items()}
    compared = [
        ("fft_hp", "ours", "scipy", 5.0),
        ("fft_hp / pictures in memory, one thread", "memory", "scipy memory", 5.0),
        ("fft_hp / decoding alone", "ours", "decoded", 0.8),
        ("density and fft_hp in every statistic / decoding alone", "report", "decoded", 0.5),
    ]
    return [
        Row(label, ratio(taken[mine], taken[other]), target, rate[mine], rate[other], "images / s", device())
        for label, mine, other, target in compared
    ]


def write_images(folder: Path, count: int, side: int) -> None:
    """PNG files of blurred noise with grain, which compress about as far as photographs."""
    folder.mkdir(parents=True)
    rng = generator(0, "spectra", folder.name)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
        picture = (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number:05d}.png")


def scipy_mean(paths: list[Path]) -> NDArray[np.float64]:
    """The same mean by `median_filter` and a complex FFT in float64, one image after the other."""
    total: NDArray[np.complex128] | None = None
    for path in paths:
        with Image.open(path) as image:
            shifted = scipy_transform(np.asarray(image.convert("L")))
        total = shifted if total is None else total + shifted
    return np.abs(np.asarray(total) / len(paths))


def scipy_transform(levels: NDArray[np.uint8]) -> NDArray[np.complex128]:
    """The residual's spectrum of one picture, in float64."""
    grey = levels.astype(np.float64) / 127.5 - 1
    return np.fft.fftshift(np.fft.fft2(grey - ndimage.median_filter(grey, size=3), norm="ortho"))
