"""Mean spectra of every source of a data set, from equal numbers of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.errors import ImageError, InputError
from bandprobe.files import replacing
from bandprobe.images import MAX_PIXELS, decode, parse_colour
from bandprobe.metrics import Spectrum, ring_frequencies, to_grey

SAMPLES = 1000
_LARGEST = 256  # of a crop whose size is not given
_SMALLER = 0.05  # share of images that may be too small for a crop whose size is not given
_BATCH = 32


@dataclass(frozen=True)
class SourceSpectra:
    """Spectra by (data set, generator); reals are the generator `Real`."""

    size: int
    sources: dict[tuple[str, str], Spectrum]

    @property
    def slopes(self) -> dict[str, float]:
        """Each source's slope of log power on log frequency, 0.1 to 0.5 of Nyquist."""
        return {f"{dataset}/{name}": spectrum.slope for (dataset, name), spectrum in self.sources.items()}

    def save(self, path: Path) -> None:
        """Write an npz: `frequency_nyq`, and `<dataset>/<generator>/<what>` for each source.

        Raises:
            DiskError: it cannot be written.
        """
        arrays: dict[str, NDArray[np.float64]] = {"frequency_nyq": ring_frequencies(self.size)}
        for (dataset, name), spectrum in self.sources.items():
            shown = {
                "density": spectrum.density(),
                "density_deviation": spectrum.density_deviation,
                "fft_hp": spectrum.coherent,
                "fft_hp_floor": spectrum.floor,
                "magnitude_hp": spectrum.magnitude,
                "power_hp": spectrum.power,
                "dct": spectrum.dct,
                "n": np.array(spectrum.count),
            }
            arrays.update({f"{dataset}/{name}/{what}": array for what, array in shown.items()})
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def spectra(
    manifest: pd.DataFrame,
    *,
    size: int | None = None,
    samples: int = SAMPLES,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    workers: int = 2,
) -> SourceSpectra:
    """Spectra of grey centre crops of every source.

    Args:
        manifest: columns image_id, path, generator, dataset, width, height.
        size: side of the crop, even; by default the largest, up to 256, that 95 % of the images hold.
        samples: at most so many images of each source. Within a data set every source gives the same
            number, those first by image id, which is a random order.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        workers: decoding threads.

    Returns:
        The spectra, sources in the order of the manifest.

    Raises:
        InputError: the size is odd, or a source has no image that large.
    """
    shorter = manifest[["width", "height"]].min(axis=1)
    if size is None:
        size = min(_LARGEST, int(shorter.quantile(_SMALLER, interpolation="lower")) // 2 * 2)
    if size < 4 or size % 2:
        raise InputError(f"the crop's size must be even and at least 4; got {size}.")
    fit = manifest[shorter >= size].sort_values("image_id", kind="stable")
    counts = fit.groupby(["dataset", "generator"]).size()
    sources = list(dict.fromkeys(zip(manifest["dataset"], manifest["generator"], strict=True)))
    for source in sources:
        if source not in counts.index:
            raise InputError(
                f"no image of {'/'.join(source)} holds a crop of {size} px; give a smaller size."
            )
    found = {source: Spectrum(size) for source in sources}
    numbers = {source: min(samples, int(counts[source[0]].min())) for source in sources}
    colour = parse_colour(background)

    def load(path: str) -> NDArray[np.float32] | None:
        try:
            return to_grey(decode(path, background=colour, max_pixels=max_pixels), size)
        except ImageError:
            return None  # the run lists it where it embeds

    with progress.bar("spectra", sum(numbers.values())) as step, ThreadPoolExecutor(workers) as pool:
        for source, spectrum in found.items():
            rows = fit[(fit["dataset"] == source[0]) & (fit["generator"] == source[1])].head(numbers[source])
            for paths in _batches(rows["path"].tolist()):
                pictures = [picture for picture in pool.map(load, paths) if picture is not None]
                if pictures:
                    spectrum.add(np.stack(pictures))
                step(len(paths))
    for source, spectrum in found.items():
        if not spectrum.count:
            raise InputError(f"no image of {'/'.join(source)} can be read any more; index the data again.")
    return SourceSpectra(size, found)


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _BATCH):
        yield paths[start : start + _BATCH]
