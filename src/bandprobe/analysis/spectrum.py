"""Mean spectra of every source of a data set, from equal numbers of images."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import tee
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import parallel, progress
from bandprobe.analysis.source_spectra import SourceSpectra, Sums
from bandprobe.analysis.spectrum_pictures import Source, choose, draw, equal_numbers, fitting, side_reader
from bandprobe.errors import ImageError, InputError
from bandprobe.filters import Filter, parse
from bandprobe.images import MAX_PIXELS, REAL, decode, image_id, parse_colour
from bandprobe.images.decode import Colour
from bandprobe.metrics import luma
from bandprobe.metrics.grey import Images, crop, grey_of
from bandprobe.metrics.radial import Rings
from bandprobe.metrics.spectrum_kinds import Kinds

SAMPLES = 1000
_BLOCK = 8  # images that a thread takes at a time; their sums are joined in order, whoever made them


def spectra(
    manifest: pd.DataFrame,
    *,
    kinds: Iterable[str] | None = None,
    sources: Sequence[str] | None = None,
    size: int | None = None,
    samples: int = SAMPLES,
    limit: int | None = None,
    rings: Rings = "dc",
    filter: Filter | str = "none",  # noqa: A002 - the option's name
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
    workers: int = 2,
) -> SourceSpectra:
    """Spectra of grey centre crops of every source, in memory that does not grow with their number.

    Within a data set every source gives the same number of images. One that cannot be decoded is left
    out, and every other source gives one less. The sums do not depend on the number of threads.

    Args:
        manifest: columns path, generator and dataset. Without image_id, pictures are told apart as they are
            decoded: copies within a source count once, and one that is taken from the reals and from a
            generator is left out of both. Without width and height, these are read from the files.
        kinds: which spectra; see `Kinds.parse`. By default radial density, and the high-pass residual's
            FFT (`fft_hp`) in every statistic.
        sources: which, in this order: generators, `Real`, or `DATASET/GENERATOR`; all by default.
        size: side of the crop, even; by default the largest, up to 256, that 95 % of the images hold.
        samples: at most so many images of each source, drawn at random.
        limit: at most so many images of each source and split.
        rings: of the density: `dc` or `ricker`; see `radial_power`.
        filter: applied to the colour image on its own grid before the grey crop is taken. Filtered images
            are not rounded to 8 bits unless the filter says so, so that `identity` differs from `none` by
            the rounding of the luma.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        seed: which images are drawn.
        workers: threads.

    Returns:
        The spectra.

    Raises:
        InputError: an unknown kind or source, an odd size, or a source without an image that large.
        FilterError: the filter cannot be parsed, or makes no sense on an image's grid.
    """
    asked, colour = Kinds.parse(kinds), parse_colour(background)
    spec = parse(filter) if isinstance(filter, str) else filter
    for name, number in (("samples", samples), ("workers", workers), ("limit", limit)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be 1 or more; got {number}.")
    drawn = draw(manifest, choose(manifest, sources), limit=limit, seed=seed)
    hashed = "image_id" not in manifest
    threads = _one_torch_thread() if spec.kind != "none" else contextlib.nullcontext()
    with threads, ThreadPoolExecutor(workers) as pool:
        side, taken = fitting(drawn, samples, size, side_reader(manifest, pool))

        gather = _Gather(side, asked, rings, spec, colour, max_pixels, hashed)
        found = {source: Sums(side, asked, rings) for source in taken}
        ids: dict[Source, dict[str, str]] = {source: {} for source in taken}
        left_out: dict[str, str] = {}
        with progress.bar("spectra", sum(map(len, taken.values()))) as step:
            for (source, paths), (sums, of, reasons) in _in_order(pool, gather, _blocks(taken), 2 * workers):
                found[source].merge(sums)
                ids[source].update(of)
                left_out.update(reasons)
                step(len(paths))
        if hashed and spec.kind == "none":
            whole = partial(decode, background=colour, max_pixels=max_pixels)
            ids = _identified(ids, lambda paths: pool.map(lambda path: image_id(whole(path)), paths))
        # A manifest tells copies apart already.
        twice, reasons = _repeats(ids) if hashed else ({source: set() for source in ids}, {})
        left_out.update(reasons)
        kept = {source: [path for path in of if path not in twice[source]] for source, of in ids.items()}
        for source, paths in kept.items():
            if not paths:
                cause = next((f": {left_out[path]}" for path in taken[source] if path in left_out), "")
                raise InputError(f"no image of {'/'.join(source)} can be used{cause}.")
        last = {source: set(paths) for source, paths in equal_numbers(kept).items()}
        surplus = {source: [path for path in of if path not in last[source]] for source, of in ids.items()}
        for (source, _), (sums, _, _) in _in_order(pool, gather, _blocks(surplus), 2 * workers):
            found[source].remove(sums)
    return SourceSpectra(side, found, asked, rings, str(spec), left_out)


@dataclass(frozen=True)
class _Gather:
    """What a block of pictures adds; of crops of `side`, their copies told apart by `hashed` where nobody has."""

    side: int
    kinds: Kinds
    rings: Rings
    spec: Filter
    background: Colour
    max_pixels: int
    hashed: bool

    def __call__(self, paths: Sequence[str]) -> tuple[Sums, dict[str, str], dict[str, str]]:
        """The sums, the identities of the pictures in them, and why the others are left out."""
        pictures: list[Any] = []
        ids: dict[str, str] = {}
        reasons: dict[str, str] = {}
        for path in paths:
            try:
                picture, ids[path] = self._load(path)
                pictures.append(picture)
            except ImageError as error:
                reasons[path] = str(error)
        sums = Sums(self.side, self.kinds, self.rings)
        if pictures:
            sums.add(np.stack(pictures))
        return sums, ids, reasons

    def _load(self, path: str) -> tuple[Images, str]:
        rgb = decode(path, background=self.background, max_pixels=self.max_pixels)
        if min(rgb.shape[:2]) < self.side:
            raise ImageError(f"smaller than the crop of {self.side} px")
        if self.spec.kind != "none":
            return _filtered(rgb, self.spec, self.side), image_id(rgb) if self.hashed else path
        grey = luma(rgb, self.side)
        # A third of the picture's bytes. What two pictures share is looked at again in `_identified`.
        return grey, hashlib.sha256(grey.data).hexdigest() if self.hashed else path


def _filtered(rgb: NDArray[np.uint8], spec: Filter, size: int) -> NDArray[np.float32]:
    images = np.moveaxis(rgb, 2, 0)[None].astype(np.float32) / 255
    grey: NDArray[np.float32] = grey_of(spec(images))[0]
    height, width = grey.shape
    if min(height, width) < size:
        raise ImageError(f"smaller than the crop of {size} px after {spec}")
    return grey[crop(height, width, size)]


def _blocks(paths: Mapping[Source, Sequence[str]]) -> Iterator[tuple[Source, Sequence[str]]]:
    for source, of in paths.items():
        for begin in range(0, len(of), _BLOCK):
            yield source, of[begin : begin + _BLOCK]


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Sequence[str]], Any],
    blocks: Iterable[tuple[Source, Sequence[str]]],
    ahead: int,
) -> Iterator[tuple[tuple[Source, Sequence[str]], Any]]:
    """Each block and what became of it, in the order given, with at most so many under way."""

    def in_threads(work: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        waiting: deque[Future[Any]] = deque()
        for call in calls:
            waiting.append(pool.submit(work, *call))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()

    done, begun = tee(blocks)
    yield from zip(done, parallel.each(work, ((paths,) for _, paths in begun), in_threads), strict=True)


def _identified(
    crops: Mapping[Source, Mapping[str, str]], identities: Callable[[Sequence[str]], Iterable[str]]
) -> dict[Source, dict[str, str]]:
    """What tells pictures apart: their identities where grey crops are alike, else the crops."""
    count = Counter(crop for of in crops.values() for crop in of.values())
    alike = list(dict.fromkeys(path for of in crops.values() for path in of if count[of[path]] > 1))
    known = dict(zip(alike, identities(alike), strict=True))
    return {
        source: {path: known.get(path, crop) for path, crop in of.items()} for source, of in crops.items()
    }


def _repeats(ids: Mapping[Source, Mapping[str, str]]) -> tuple[dict[Source, set[str]], dict[str, str]]:
    """Paths that must not count, by source; and of those that stand under both labels, the reason."""
    twice: dict[Source, set[str]] = {source: set() for source in ids}
    under: dict[tuple[str, str], dict[bool, str]] = {}  # data set and picture: real or not, and a path
    for (dataset, name), of in ids.items():
        seen = set()
        for path, identity in of.items():
            under.setdefault((dataset, identity), {}).setdefault(name == REAL, path)
            if identity in seen:
                twice[dataset, name].add(path)
            seen.add(identity)
    reasons = {}
    for (dataset, name), of in ids.items():
        for path, identity in of.items():
            other = under[dataset, identity].get(name != REAL)
            if other is not None:
                twice[dataset, name].add(path)
                words = ("real", "fake") if name == REAL else ("fake", "real")
                reasons[path] = f"the same image is {words[0]} here and {words[1]} in {other}"
    return twice, reasons


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Filters run in this module's threads, one image in each: threads of PyTorch's own would only wait."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
