"""Spectral entropy of the images themselves, unfiltered ring by ring and under every mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.analysis.sources import Source
from bandprobe.errors import ImageError, InputError
from bandprobe.filters import Filter, FilterBank, parse
from bandprobe.images import MAX_PIXELS, Geometry, decode, parse_colour
from bandprobe.metrics.entropy import spectral_entropy
from bandprobe.metrics.jackknife import Estimate, from_influence

SAMPLES = 200
_BATCH = 32
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601

Floats = NDArray[np.float64]


class ImageEntropy(NamedTuple):
    """A source's mean of one measure under one filter."""

    source: Source
    filter: str
    measure: str
    estimate: Estimate
    n: int


def image_entropy(
    sources: Sequence[Source],
    paths: Mapping[str, str],
    filters: Sequence[Filter],
    geometry: Geometry,
    *,
    samples: int = SAMPLES,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    workers: int = 2,
) -> Iterator[ImageEntropy]:
    """Mean spectral entropies of every source's images, in nats, with 95 % intervals of the mean.

    `spectral_entropy` is that of the power over all frequencies but DC, up to Nyquist; of one ring it is
    given under the filter that passes this ring alone, `ideal-bandpass:<D>px:width=1px`. `radial_entropy` is
    that of the power over the rings. See `metrics.entropy.spectral_entropy`.

    Args:
        sources: equal numbers of images; of each the first `samples` by id are read.
        paths: of every image.
        filters: those whose steps are masks are applied, the others passed over; `none` and the rings come
            by themselves.
        geometry: how images get onto the grid, which must be square and of even side.
        samples: images of each source at most.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        workers: decoding threads.

    Yields:
        A row for each source, filter and measure. An image that cannot be read is left out; a source
        without one has no row.

    Raises:
        InputError: the grid is not an even square.
    """
    height, width = geometry.size
    if height != width or height % 2 or height < 4:
        raise InputError(f"images must lie on a square grid of even side for rings; got {height} x {width}.")
    masks = list(dict.fromkeys([parse("none"), *(f for f in filters if _is_mask(f))]))
    bank, colour = FilterBank(masks, geometry.size), parse_colour(background)
    rings = [f"ideal-bandpass:{ring}px:width=1px" for ring in range(1, height // 2 + 1)]

    def load(image: str) -> NDArray[np.float32] | None:
        try:
            picture = geometry.apply(decode(paths[image], background=colour, max_pixels=max_pixels))
        except ImageError:
            return None  # the run lists it where it embeds
        return np.asarray(picture @ np.array(_LUMA, np.float32) / 255, dtype=np.float32)

    wanted = sorted({image for source in sources for image in source.image_id[:samples]})
    found: dict[str, tuple[Floats, Floats]] = {}  # image -> (filters, 2), (rings,)
    with progress.bar("images", len(wanted)) as step, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            pictures = dict(zip(batch, pool.map(load, batch), strict=True))
            read = {image: grey for image, grey in pictures.items() if grey is not None}
            if read:
                grey = torch.from_numpy(np.stack(list(read.values())))[:, None]
                entropies = [spectral_entropy(done.numpy()[:, 0]) for _, done in bank(grey)]
                both = np.stack([np.stack([e.whole, e.across], axis=1) for e in entropies], axis=1)
                found.update(zip(read, zip(both, entropies[0].ring[:, 1:], strict=True), strict=True))
            step(len(batch))
    for source in sources:
        mine = [found[image] for image in source.image_id[:samples] if image in found]
        if len(mine) < 2:
            continue
        both, ring = np.stack([each[0] for each in mine]), np.stack([each[1] for each in mine])
        for at, spec in enumerate(masks):
            for column, measure in enumerate(("spectral_entropy", "radial_entropy")):
                yield ImageEntropy(source, str(spec), measure, *_mean(both[:, at, column]))
        for at, name in enumerate(rings):
            yield ImageEntropy(source, name, "spectral_entropy", *_mean(ring[:, at]))


def _is_mask(spec: Filter) -> bool:
    return all(step.is_mask for step in spec.steps)


def _mean(values: Floats) -> tuple[Estimate, int]:
    """The mean with its t interval, and of how many images: a flat one has no entropy."""
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        return Estimate(np.nan, np.nan, np.nan), len(kept)
    # The influence of an image on a mean is its distance from it.
    return from_influence(float(kept.mean()), kept), len(kept)
