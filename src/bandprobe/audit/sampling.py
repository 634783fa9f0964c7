"""Reading what the audit needs: every file's header, and the pixels of a sample."""

from __future__ import annotations

import io
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.audit.headers import Values, header_of, read_header
from bandprobe.audit.pixels import pixel_traces
from bandprobe.errors import ImageError
from bandprobe.images import decode, decode_bytes, image_id, parse_colour
from bandprobe.images.equalise import Equalise
from bandprobe.seeding import generator

_Result = TypeVar("_Result")
_BLOCK = 32  # files that a thread takes at a time: one alone is over before it is worth a hand-over


@dataclass
class Picture:
    """What is known of one sampled picture.

    Attributes:
        identity: of its pixels.
        traces: of its pixels as found; empty where it is too small for them.
        equal_header: metadata traces after equalising; None without that.
        equal_traces: traces of its pixels after equalising.
        too_small: why it could not be equalised; empty where it could.
    """

    identity: str
    traces: dict[tuple[str, str], float]
    equal_header: Values | None = None
    equal_traces: dict[tuple[str, str], float] = field(default_factory=dict)
    too_small: str = ""


def headers(paths: Sequence[str], workers: int) -> list[Values | str]:
    """Each file's metadata traces, or why it cannot be used; in order."""
    return _each(paths, header_of, "headers", workers)


def sampled(table: pd.DataFrame, samples: int, seed: int) -> pd.DataFrame:
    """At most so many images of each class of each data set, drawn by the seed; rows keep their index."""
    parts = []
    for (dataset, label), rows in table.groupby(["dataset", "label"], sort=True):
        taken = min(samples, len(rows))
        drawn = generator(seed, "audit", dataset, label).choice(len(rows), taken, replace=False)
        parts.append(rows.sort_values("path").iloc[np.sort(drawn)])
    return pd.concat(parts)


def within_limit(table: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """`sampled`, where there is a limit."""
    return table if limit is None else sampled(table, limit, seed).sort_index()


def pictures(
    paths: Sequence[str],
    sides: Sequence[int],
    equalise: Equalise | None,
    *,
    background: str,
    max_pixels: int,
    workers: int,
) -> list[Picture | str]:
    """What the pixels of each sampled picture show, or why it cannot be used; in order.

    Args:
        paths: files, or `FILE::ROW`.
        sides: of the crop that each one's traces are taken of.
        equalise: what is done to each as well.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        workers: threads.
    """
    colour = parse_colour(background)

    def look(of: tuple[str, int]) -> Picture:
        path, side = of
        rgb = decode(path, background=colour, max_pixels=max_pixels)
        found = Picture(image_id(rgb), _traces(rgb, side))
        if equalise is not None:
            try:
                stream = equalise.encode(rgb)
            except ImageError as error:
                found.too_small = str(error)
                return found
            equal = decode_bytes(stream)
            # What is handed on is pixels: their number of bytes, not that of the JPEG they went through.
            found.equal_header = read_header(io.BytesIO(stream), equal.nbytes)
            found.equal_traces = _traces(equal, side)
        return found

    return _each(list(zip(paths, sides, strict=True)), look, "pixels", workers)


def _traces(rgb: NDArray[np.uint8], side: int) -> dict[tuple[str, str], float]:
    try:
        return pixel_traces(rgb, side)
    except ImageError:
        return {}


def _each(
    items: Sequence[Any], work: Callable[[Any], _Result], label: str, workers: int
) -> list[_Result | str]:
    """The work's results in order, block by block in threads; an image error's words where it fails."""

    def do(block: Sequence[Any]) -> list[_Result | str]:
        found: list[_Result | str] = []
        for item in block:
            try:
                found.append(work(item))
            except ImageError as error:
                found.append(str(error))
        return found

    def blocks() -> Iterator[Sequence[Any]]:
        for start in range(0, len(items), _BLOCK):
            yield items[start : start + _BLOCK]

    results: list[_Result | str] = []
    waiting: deque[Future[list[_Result | str]]] = deque()
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(workers) as pool,
        progress.bar(label, len(items)) as step,
    ):
        warnings.filterwarnings(
            "ignore", module=r"PIL\."
        )  # what is wrong with a file is said where it is listed

        def take() -> None:
            done = waiting.popleft().result()
            results.extend(done)
            step(len(done))

        try:
            for block in blocks():
                waiting.append(pool.submit(do, block))
                if len(waiting) > 4 * workers:
                    take()
            while waiting:
                take()
        finally:
            pool.shutdown(cancel_futures=True)
    return results
