"""Small pictures for a page: read as they were indexed, encoded as WebP, kept beside a run's tables."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from bandprobe.errors import ImageError
from bandprobe.files import replacing
from bandprobe.images import decode, image_id
from bandprobe.images.decode import Colour

LARGEST = 100_000  # bytes of one small picture; a file with a larger one was not written here

Picture = NDArray[np.uint8]


def reader(
    background: Colour, max_pixels: int, allowed: Callable[[str], bool] = lambda path: True
) -> Callable[[tuple[str, str]], Picture | None]:
    """A function that reads the picture of an image id and path; None where it is no longer there or has changed.

    Args:
        background: what transparent pixels lie on.
        max_pixels: a picture's largest width times height.
        allowed: which paths may be read at all.
    """

    def read(image: tuple[str, str]) -> Picture | None:
        identity, path = image
        if not allowed(path):
            return None
        try:
            rgb = decode(path, background=background, max_pixels=max_pixels)
        except ImageError:
            return None
        return rgb if image_id(rgb) == identity else None

    return read


def each(work: Callable[[Any], Any], items: Iterable[Any], workers: int) -> list[Any]:
    """What a function says of every item, in order, on several threads."""
    with ThreadPoolExecutor(max(workers, 1), thread_name_prefix="pictures") as pool:
        return list(pool.map(work, items))


def webp(rgb: Picture, quality: int) -> bytes:
    """A picture as lossy WebP.

    Args:
        rgb: uint8, shape (h, w, 3).
        quality: 0 to 100.
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="WEBP", quality=quality, method=4)
    return buffer.getvalue()


def thumbnail(rgb: Picture, side: int) -> Picture:
    """A picture whose longer side is `side` pixels at most; a smaller one stays as it is."""
    image = Image.fromarray(rgb)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def save(path: Path, pictures: pd.DataFrame) -> None:
    """Write texts and the column `webp` (bytes) as Parquet, whole or not at all.

    Raises:
        DiskError: it cannot be written.
    """
    fields = [(name, pa.binary() if name == "webp" else pa.string()) for name in pictures.columns]
    table = pa.Table.from_pandas(pictures, schema=pa.schema(fields), preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="none")  # WebP is compressed


def load(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """What `save` wrote, less what is no WebP picture; without a row where there is no such file.

    Args:
        path: the file.
        columns: texts that it must have.
    """
    wanted = [*columns, "webp"]
    try:
        found: pd.DataFrame = pq.read_table(path, columns=wanted).to_pandas()
    except (OSError, ValueError, pa.ArrowException):  # missing, damaged, or without a column
        return pd.DataFrame(columns=wanted)
    whole: pd.DataFrame = found[[*map(_is_webp, found["webp"])]].reset_index(drop=True)
    return whole


def _is_webp(data: object) -> bool:
    return isinstance(data, bytes) and len(data) <= LARGEST and data[:4] == b"RIFF" and data[8:12] == b"WEBP"
