"""What each mask of a study does: to the mean spectrum of every source, and to a picture of each family."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bandprobe.analysis import small_pictures
from bandprobe.analysis.small_pictures import Picture
from bandprobe.analysis.sources import Source, drawn_sources
from bandprobe.errors import InputError
from bandprobe.files import replacing
from bandprobe.filters import Filter, FilterBank, distance, expand, gain
from bandprobe.images import MAX_PIXELS, Geometry, parse_colour
from bandprobe.metrics import luma
from bandprobe.metrics.grey import LEVELS

SAMPLES = 48  # images of a source: enough for a mean on a log axis, and read in seconds
PICTURE_COLUMNS = ("dataset", "generator", "image_id", "filter")
_FAMILIES = 5  # pictures at most, the real one among them
_FILTERS = 80  # at most; of more, as many of each sweep
SIDE = 128  # of a picture's centre, pixel for pixel: made smaller, it would lose the very frequencies it is to show
_QUALITIES = (85, 70, 55, 40)
_BUDGET = 620_000  # bytes of all pictures

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RadiusSpectra:
    """Mean spectra on the study's grid, and what its masks leave of them.

    Attributes:
        frequency_nyq: of the rings, (r,), fractions of Nyquist; DC first.
        filters: canonical specs of the masks, (k,).
        cutoff_px: their cut-offs, (k,), cycles per shorter side.
        cutoff_nyq: the same, (k,), fractions of Nyquist.
        gain: of each mask in each ring, (k, r).
        datasets: of each source, (s,).
        generators: its name, (s,); `Real` for reals.
        n: images of each source, (s,).
        density: mean power per ring, (s, r), squared intensity in [-1, 1] (ortho FFT).
        left: share of each source's energy outside DC that each mask leaves, (s, k), corners of the spectrum included.
        side: of the grey centre crop of the grid, pixels.
    """

    frequency_nyq: Floats
    filters: tuple[str, ...]
    cutoff_px: Floats
    cutoff_nyq: Floats
    gain: Floats
    datasets: tuple[str, ...]
    generators: tuple[str, ...]
    n: NDArray[np.int64]
    density: Floats
    left: Floats
    side: int

    def save(self, path: Path) -> None:
        """Write an npz with an array for each attribute.

        Raises:
            DiskError: it cannot be written.
        """
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items()}
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: Path) -> RadiusSpectra:
        """What `save` wrote.

        Raises:
            InputError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                held = {name: arrays[name] for name in cls.__dataclass_fields__}
            texts = {
                name: tuple(map(str, held[name].tolist())) for name in ("filters", "datasets", "generators")
            }
            numbers: dict[str, Any] = {
                name: held[name].astype(np.float64) for name in held if name not in texts
            }
            found = cls(**(numbers | texts | {"n": held["n"].astype(np.int64), "side": int(held["side"])}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} cannot be read ({' '.join(str(error).split())[:120]}): delete it or run the study again."
            ) from error
        rings, masks, sources = len(found.frequency_nyq), len(found.filters), len(found.generators)
        shapes = {"cutoff_px": (masks,), "cutoff_nyq": (masks,), "gain": (masks, rings), "n": (sources,),
                  "density": (sources, rings), "left": (sources, masks)}  # fmt: skip
        wrong = [name for name, shape in shapes.items() if getattr(found, name).shape != shape]
        if wrong or len(found.datasets) != sources:
            raise InputError(
                f"{path} holds arrays that do not fit together: delete it or run the study again."
            )
        return found


def masks_of(filters: Sequence[str]) -> list[Filter]:
    """The filters that are one mask with a cut-off, by kind and cut-off; of very many, evenly chosen ones."""
    single = [spec for spec in expand(filters) if len(spec.steps) == 1]
    masks = [spec for spec in single if spec.steps[0].is_mask and spec.cutoff is not None]
    sweeps: dict[str, list[Filter]] = {}
    for spec in masks:
        sweeps.setdefault(spec.sweep, []).append(spec)
    room = max(_FILTERS // max(len(sweeps), 1), 2)
    return [
        of[number]
        for of in sweeps.values()
        for number in sorted({round(at) for at in np.linspace(0, len(of) - 1, min(room, len(of)))})
    ]


def write_radius(
    path: Path,
    manifest: pd.DataFrame,
    filters: Sequence[str],
    geometry: Geometry,
    *,
    samples: int = SAMPLES,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    abs_uint8: bool = False,
    seed: int = 0,
    workers: int = 2,
    allowed: Callable[[str], bool] = lambda path: True,
) -> None:
    """Write `RadiusSpectra`, and as Parquet of the same name what each mask makes of a few pictures.

    The pictures are a real one and one of each family's first generator, the centre of the study's grid, filtered by
    the study's own filter bank, clipped and rounded to 8 bits: unfiltered and under every mask.

    Args:
        path: of the npz.
        manifest: the images; its test split is used.
        filters: canonical specs; those that are no single mask are passed over.
        geometry: the study's grid.
        samples: at most so many images of each source.
        background: what transparent pixels lie on.
        max_pixels: a picture's largest width times height.
        abs_uint8: filter as the published code does.
        seed: which images are drawn.
        workers: threads.
        allowed: which paths may be read.

    Raises:
        InputError: no mask among the filters, or no picture that can be read.
        DiskError: a file cannot be written.
    """
    path.with_suffix(".parquet").unlink(missing_ok=True)
    masks = masks_of(filters)
    if not masks:
        raise InputError("no mask with a cut-off among the filters; add e.g. thesis to [filters] test.")
    paths = manifest.drop_duplicates("image_id").set_index("image_id")["path"]
    original = small_pictures.reader(parse_colour(background), max_pixels, allowed)

    def read(image: str) -> Picture | None:
        rgb = original((image, str(paths[image])))
        return None if rgb is None else geometry.apply(rgb)

    side = min(geometry.size) // 2 * 2
    shape = (side, side)
    ring = np.rint(distance(shape)).astype(np.int64).ravel()
    kept = ring <= side // 2
    squares = np.stack([gain(spec.steps[0], shape).ravel() ** 2 for spec in masks])
    squares[:, 0] = 0  # DC is no AC energy
    drawn, densities, left, shown = [], [], [], []
    for source in drawn_sources(manifest, samples, seed, "radius"):
        found = zip(source.image_id, small_pictures.each(read, source.image_id, workers), strict=True)
        whole = {image: picture for image, picture in found if picture is not None}
        if not whole:
            continue
        power = np.mean([_power(picture, side) for picture in whole.values()], axis=0).ravel()
        densities.append(np.bincount(ring[kept], power[kept]) / np.bincount(ring[kept]))
        left.append(squares @ power / max(power[1:].sum(), 1e-30))
        drawn.append((source, len(whole)))
        shown.append((source, *next(iter(whole.items()))))
    if not drawn:
        raise InputError("no picture of the manifest can be read where it was indexed.")
    cutoffs = [spec.cutoff for spec in masks if spec.cutoff is not None]
    RadiusSpectra(
        frequency_nyq=np.arange(side // 2 + 1) / (side / 2),
        filters=tuple(map(str, masks)),
        cutoff_px=np.array([cutoff.px(shape) for cutoff in cutoffs]),
        cutoff_nyq=np.array([cutoff.nyq(shape) for cutoff in cutoffs]),
        gain=np.stack([gain(spec.steps[0], shape)[0, : side // 2 + 1] for spec in masks]),
        datasets=tuple(source.dataset for source, _ in drawn),
        generators=tuple(source.name for source, _ in drawn),
        n=np.array([n for _, n in drawn]),
        density=np.stack(densities),
        left=np.stack(left),
        side=side,
    ).save(path)
    pictures = pd.DataFrame(
        _encoded(list(_filtered(_one_of_each_family(shown), masks, geometry, abs_uint8))),
        columns=[*PICTURE_COLUMNS, "webp"],
    )
    small_pictures.save(path.with_suffix(".parquet"), pictures)


Shown = tuple[Source, str, Picture]


def _power(rgb: Picture, side: int) -> Floats:
    """Power of the grey centre, (side, side), DC at [0, 0]."""
    grey = luma(rgb, side) / LEVELS - 1
    spectrum = np.fft.fft2(grey, norm="ortho")
    power: Floats = spectrum.real**2 + spectrum.imag**2
    return power


def _one_of_each_family(sources: Sequence[Shown]) -> list[Shown]:
    """A real picture, and one of each family's first generator; of the data sets, the first that has it."""
    chosen: dict[str, Shown] = {}
    for shown in sorted(sources, key=lambda one: not one[0].is_real):
        chosen.setdefault(shown[0].family, shown)
    return list(chosen.values())[:_FAMILIES]


def _filtered(
    shown: Sequence[Shown], masks: Sequence[Filter], geometry: Geometry, abs_uint8: bool
) -> Iterator[tuple[Source, str, str, Picture]]:
    """Every picture unfiltered, then under every mask; the centre of each, in 8 bits."""
    if not shown:
        return
    height, width = geometry.size
    rows, columns = (
        slice((length - min(length, SIDE)) // 2, (length - min(length, SIDE)) // 2 + min(length, SIDE))
        for length in (height, width)
    )
    pixels = torch.from_numpy(np.stack([picture for _, _, picture in shown]))
    images = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
    bank = FilterBank(expand(["none", *map(str, masks)]), (height, width), abs_uint8=abs_uint8)
    for spec, filtered in bank(images):
        levels = (filtered.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for (source, image, _), picture in zip(shown, levels, strict=True):
            yield source, image, str(spec), np.ascontiguousarray(picture[rows, columns])


def _encoded(pictures: Sequence[tuple[Source, str, str, Picture]]) -> list[tuple[str, str, str, str, bytes]]:
    """The pictures as WebP, all at the best quality at which they fit the budget."""
    found: list[tuple[str, str, str, str, bytes]] = []
    for quality in _QUALITIES:
        found = [
            (source.dataset, source.name, image, spec, small_pictures.webp(picture, quality))
            for source, image, spec, picture in pictures
        ]
        if sum(len(row[-1]) for row in found) <= _BUDGET:
            break
    return found
