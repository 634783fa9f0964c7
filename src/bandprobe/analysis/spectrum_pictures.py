"""Which pictures the spectra of a source are taken from."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image

from bandprobe.errors import InputError, did_you_mean
from bandprobe.images import build, embedded, family_of, find
from bandprobe.images.containment import check_contained
from bandprobe.images.places import regular
from bandprobe.seeding import generator

Source = tuple[str, str]  # data set and generator; reals are the generator `Real`

LARGEST = 256  # side of a crop whose size is not given
_HEADERS = 64  # files whose headers a thread reads at a time
_SMALLER = 0.05  # share of images that may be too small for a crop whose size is not given


def found_pictures(
    data: Sequence[str],
    *,
    layout: str = "auto",
    background: str = "white",
    workers: int | None = None,
    outside: bool = False,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The pictures of some data, none of them opened; those of a manifest as it lists them.

    Args:
        data: folders, tables, a manifest, or `NAME=FOLDER`.
        layout: see `bandprobe.images.find`.
        background: under transparent pixels; a manifest of another background is made anew.
        workers: threads.
        outside: whether tables may name images outside their own folder.

    Returns:
        A table with the columns path, label, generator, family, dataset and split, and of a manifest
        image_id, width and height as well; and path and reason of pictures that cannot be used.

    Raises:
        InputError: data that do not exist or fit no layout, or a table that names an image outside.
        DiskError: a folder cannot be read.
    """
    found = find(data, layout)
    if not outside:
        check_contained(found)
    if found.manifests:
        manifest = build(data, layout=layout, background=background, workers=workers, outside=outside)
        lost = manifest.left_out
        return manifest.table, dict(zip(lost["path"], lost["reason"], strict=True))
    rows = [
        (
            path,
            group.label,
            group.generator,
            group.family or family_of(group.generator),
            group.dataset,
            group.split,
        )
        for group in found.groups
        for path in group.paths
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "generator", "family", "dataset", "split"])
    table = table.drop_duplicates(["path", "label", "generator", "dataset"])
    return table.sort_values(["dataset", "label", "generator", "path"], kind="stable", ignore_index=True), {}


def choose(table: pd.DataFrame, names: Sequence[str] | None = None) -> list[Source]:
    """The sources asked for, in that order.

    Args:
        table: columns dataset and generator.
        names: generators, `Real` among them, or `DATASET/GENERATOR`; a generator of several data sets is
            taken from each. None: all, in the order of the table.

    Raises:
        InputError: a name that is no source; the nearest one is named.
    """
    known = list(dict.fromkeys(zip(table["dataset"], table["generator"], strict=True)))
    chosen: dict[Source, None] = {}
    for name in known if names is None else names:
        matches = [source for source in known if name in (source, source[1], "/".join(source))]
        if not matches:
            every = list(dict.fromkeys([*(of for _, of in known), *("/".join(source) for source in known)]))
            raise InputError(
                f"source must be one of {', '.join(every)}; got {name!r}.{did_you_mean(str(name), every)}"
            )
        chosen.update(dict.fromkeys(matches))
    if not chosen:
        raise InputError("source names no source; give a generator or Real.")
    return list(chosen)


def draw(
    table: pd.DataFrame, sources: Iterable[Source], *, limit: int | None = None, seed: int = 0
) -> dict[Source, list[str]]:
    """The paths of each source in a random order that the seed decides.

    Args:
        table: columns path, dataset and generator, and perhaps image_id (by which the pictures are sorted
            before they are drawn, else by path) and split.
        sources: data sets and generators.
        limit: at most so many of each source and split.
        seed: of the order.
    """
    drawn = {}
    by = "image_id" if "image_id" in table else "path"
    for dataset, name in sources:
        rows = table[(table["dataset"] == dataset) & (table["generator"] == name)].sort_values(by)
        rows = rows.iloc[generator(seed, "spectra", dataset, name).permutation(len(rows))]
        if limit is not None:
            rows = rows.groupby("split", sort=False).head(limit) if "split" in rows else rows.head(limit)
        drawn[dataset, name] = list(dict.fromkeys(map(str, rows["path"])))
    return drawn


def fitting(
    drawn: Mapping[Source, list[str]],
    samples: int,
    size: int | None,
    shorter: Callable[[Sequence[str]], list[int]],
) -> tuple[int, dict[Source, list[str]]]:
    """The crop's side, and equally many pictures of each source of a data set that hold it.

    Args:
        drawn: paths of each source in the order they are taken.
        samples: at most so many of each.
        size: side of the crop; None for the largest even one, up to 256, that 95 % of the first `samples`
            hold.
        shorter: the shorter side of each picture.

    Raises:
        InputError: the size is odd or too small, or a source has no picture that holds it.
    """
    if size is None:
        first = sorted(side for paths in drawn.values() for side in shorter(paths[:samples]))
        size = min(LARGEST, first[int(_SMALLER * (len(first) - 1))] // 2 * 2)
    if size < 4 or size % 2:
        raise InputError(f"the crop's size must be even and at least 4; got {size}.")
    fit: dict[Source, list[str]] = {}
    for source, paths in drawn.items():
        kept: list[str] = []
        begin = 0
        while len(kept) < samples and begin < len(paths):
            part = paths[begin : begin + samples - len(kept)]
            kept += [path for path, side in zip(part, shorter(part), strict=True) if side >= size]
            begin += len(part)
        if not kept:
            raise InputError(
                f"no image of {'/'.join(source)} holds a crop of {size} px; give a smaller size."
            )
        fit[source] = kept
    return size, equal_numbers(fit)


def equal_numbers(paths: Mapping[Source, list[str]]) -> dict[Source, list[str]]:
    """The first of each source, as many as the smallest source of its data set has."""
    counts: dict[str, int] = {}
    for (dataset, _), of in paths.items():
        counts[dataset] = min(len(of), counts.get(dataset, len(of)))
    return {source: of[: counts[source[0]]] for source, of in paths.items()}


def side_reader(table: pd.DataFrame, pool: ThreadPoolExecutor) -> Callable[[Sequence[str]], list[int]]:
    """A function that tells pictures' shorter sides: from the table's width and height, else from the files."""
    if {"width", "height"} <= set(table):
        shorter = table[["width", "height"]].min(axis=1)
        known = dict(zip(table["path"], map(int, shorter), strict=True))
        return lambda paths: [known[path] for path in paths]
    read: dict[str, int] = {}

    def sides(paths: Sequence[str]) -> list[int]:
        new = [path for path in paths if path not in read]
        blocks = [new[begin : begin + _HEADERS] for begin in range(0, len(new), _HEADERS)]
        for block, found in zip(
            blocks, pool.map(lambda paths: [*map(_shorter_side, paths)], blocks), strict=True
        ):
            read.update(zip(block, found, strict=True))
        return [read[path] for path in paths]

    return sides


def _shorter_side(path: str) -> int:
    """From the header alone; of a picture that has none, more than any size: decoding it tells what is wrong."""
    place = embedded.locate(path)
    try:
        with Image.open(io.BytesIO(embedded.read(*place)) if place else regular(Path(path))) as image:
            return min(image.size)
    except Exception:  # a damaged header leads to anything
        return sys.maxsize
