"""Filtered images as files, with the masks and spectra behind them."""

from __future__ import annotations

import contextlib
import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from bandprobe import progress
from bandprobe.errors import BandprobeError, ImageError, InputError
from bandprobe.files import output_folder, quoting, replacing
from bandprobe.filters import Filter, FilterBank, References
from bandprobe.filters.adaptation import window
from bandprobe.filters.masks import gain
from bandprobe.images import Geometry, decode, image_id, parse_colour
from bandprobe.images.pictures import picture_files, stem_of

_LONGEST_STEM = 100  # bytes
_COLUMNS = ("file", "source", "filter", "height", "width", "clipped_share", "ac_removed")


@dataclass
class Written:
    """What was written, and what was left out with its reason."""

    written: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def write_filtered(
    paths: Sequence[Path],
    filters: Sequence[Filter],
    out: Path,
    *,
    size: str = "native",
    show: bool = False,
    background: str = "white",
    limit: int | None = None,
    table: pd.DataFrame | None = None,
) -> Written:
    """Write every image under every filter as 8-bit PNG, `<stem>__<slug>.png`, and an `index.csv`.

    Args:
        paths: image files, or folders of them.
        filters: what to apply.
        out: the folder to fill.
        size: `native`, each image on its own grid, or a side: squashed to a square first.
        show: also write, in `show/`, the mask of each filter and the log spectra of each image.
        background: what transparent pixels lie on.
        limit: at most so many images.
        table: a manifest's table, for filters that draw references from a source by its name.

    Returns:
        How many were written, and the images that could not be read.

    Raises:
        InputError: no image, a size that is none, a reference that cannot be had, or nothing that could be
            read.
        FilterError: a filter removes everything on an image's grid.
        DiskError: a file cannot be written.
    """
    grid = _grid(size)
    files = picture_files(paths)[:limit]
    folder = output_folder(out)
    shown = output_folder(folder / "show") if show else None
    colour = parse_colour(background)
    done = Written()
    rows: list[dict[str, object]] = []
    names: set[str] = set()
    references: dict[tuple[int, int], References] = {}
    made: list[Path] = []
    with progress.bar("filter", len(files)) as step, _removed_on_failure(made), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata
        for path in files:
            try:
                picture = decode(path, background=colour)
            except ImageError as error:
                done.left_out[str(path)] = str(error)
                step()
                continue
            ids = [image_id(picture)]
            picture = grid.apply(picture) if grid else picture
            images = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
            shape = (images.shape[2], images.shape[3])
            stem = _unique(_short(stem_of(path)), names)
            if shape not in references:  # images of one size mostly come together
                references = {
                    shape: References(table, geometry=Geometry.squash(*shape), background=background)
                }
            bank = FilterBank(filters, shape, references=references[shape])
            for result in bank.measured(images, ids):
                name = f"{stem}__{result.filter.slug}"
                made.append(_write_image(folder / f"{name}.png", _levels(result.images)))
                rows.append(
                    {
                        "file": f"{name}.png",
                        "source": str(path),
                        "filter": str(result.filter),
                        "height": shape[0],
                        "width": shape[1],
                        "clipped_share": round(float(result.clipped_share), 6),
                        "ac_removed": round(float(result.ac_removed), 6),
                    }
                )
                if shown:
                    made.append(_write_image(shown / f"{name}__spectrum.png", _log_spectrum(result.images)))
                    height_width = f"{shape[0]}x{shape[1]}"
                    path_of_mask = shown / f"mask__{result.filter.slug}__{height_width}.png"
                    mask = _mask(result.filter, shape)
                    if mask is not None and not path_of_mask.exists():
                        made.append(_write_image(path_of_mask, mask))
            done.written += len(filters)
            step()
    if not rows:
        first, reason = next(iter(done.left_out.items()))
        raise InputError(f"none of {len(files)} images could be read; the first, {first!r}: {reason}.")
    with (
        replacing(folder / "index.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(
            file, _COLUMNS, lineterminator="\n", quoting=quoting(row["source"] for row in rows)
        )
        writer.writeheader()
        writer.writerows(rows)
    return done


def planned(paths: Sequence[Path], filters: Sequence[Filter]) -> list[str]:
    """The names of the files that `write_filtered` makes of images that can all be read."""
    names: set[str] = set()
    stems = [_unique(_short(stem_of(path)), names) for path in paths]
    return [f"{stem}__{spec.slug}.png" for stem in stems for spec in filters]


def _grid(size: str) -> Geometry | None:
    if size == "native":
        return None
    if not size.isascii() or not size.isdigit() or int(size) < 2:
        raise InputError(f"size must be native or a side in pixels, e.g. 224; got {size!r}.")
    return Geometry.squash(int(size))


def _short(stem: str) -> str:
    """A stem that leaves a filter's name room in a file name, which may have 255 bytes."""
    return stem.encode()[:_LONGEST_STEM].decode(errors="ignore")


def _unique(stem: str, taken: set[str]) -> str:
    """`stem`, numbered where another image of the same name came before."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name


def _levels(images: torch.Tensor) -> NDArray[np.uint8]:
    """The first image as 8-bit RGB, clipped and rounded."""
    levels: NDArray[np.uint8] = (images[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return levels


def _log_spectrum(images: torch.Tensor) -> NDArray[np.uint8]:
    """log10 of the power of the first image's mean over colours, DC in the centre, seven decades to white."""
    grey = images[0].mean(0).double()
    power = torch.fft.fftshift(torch.fft.fft2(grey, norm="ortho").abs() ** 2)
    decades = torch.log10(power.clamp_min(1e-12)).clamp(-5, 2)
    levels: NDArray[np.uint8] = ((decades + 5) / 7 * 255).round().to(torch.uint8).numpy()
    return levels


def _mask(spec: Filter, shape: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The gain, or the part taken from a reference, DC in the centre, 0 black and 1 white.

    None where there is none, or where it is another for each image.
    """
    step = spec.steps[0]
    mask = np.ones(shape)
    if all(step.is_mask or step.kind == "none" for step in spec.steps):
        for step in spec.steps:
            mask = mask * gain(step, shape)
    elif len(spec.steps) == 1 and step.kind == "inject":
        mask = gain(step.injected, shape)
    elif len(spec.steps) == 1 and step.kind == "fda":
        low = window(shape, step.number or 0.0)
        mask = np.zeros(shape)
        mask[np.ix_(low.rows, low.columns)] = 1
    else:
        return None
    levels: NDArray[np.uint8] = np.rint(np.fft.fftshift(mask) * 255).astype(np.uint8)
    return levels


def _write_image(path: Path, levels: NDArray[np.uint8]) -> Path:
    with replacing(path) as temporary:
        Image.fromarray(levels).save(temporary)
    return path


@contextlib.contextmanager
def _removed_on_failure(made: list[Path]) -> Iterator[None]:
    """Where a later image fails, those written before it would stand without an index."""
    try:
        yield
    except BandprobeError:
        for path in made:
            path.unlink(missing_ok=True)
        raise
