"""Pictures of one distribution, written so that the classes differ in one thing only."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

Pixels = np.ndarray
Writer = Callable[[Pixels, Path], Path]
SIDE = 96


@lru_cache(maxsize=256)
def picture(number: int, side: int = SIDE) -> Pixels:
    """Smooth colour with edges and fine noise: uint8, (side, side, 3)."""
    rng = np.random.default_rng(number)
    smooth = ndimage.gaussian_filter(rng.standard_normal((side, side, 3)), (5, 5, 0), mode="wrap")
    edges = ndimage.gaussian_filter(rng.standard_normal((side, side)), 8, mode="wrap") > 0
    levels = 120 + 400 * smooth + 50 * edges[..., None] + rng.normal(0, 4, (side, side, 3))
    return np.rint(levels.clip(0, 255)).astype(np.uint8)


def png(**settings: Any) -> Writer:
    def write(pixels: Pixels, stem: Path) -> Path:
        path = stem.with_suffix(".png")
        Image.fromarray(pixels).save(path, **settings)
        return path

    return write


def jpeg(quality: int = 90, **settings: Any) -> Writer:
    def write(pixels: Pixels, stem: Path) -> Path:
        path = stem.with_suffix(".jpg")
        Image.fromarray(pixels).save(path, quality=quality, **settings)
        return path

    return write


def compressed(pixels: Pixels, quality: int, subsampling: int = 2) -> Pixels:
    """What a JPEG compression leaves."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))


def after(change: Callable[[Pixels], Pixels], write: Writer) -> Writer:
    return lambda pixels, stem: write(change(pixels), stem)


def resized(side: int, kernel: Image.Resampling) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.asarray(Image.fromarray(pixels).resize((side, side), kernel))


def plant(root: Path, reals: Writer, fakes: Writer, n: int = 40, seed: int = 0) -> pd.DataFrame:
    """n pictures of each class, none of them in both, in an image folder; and their table."""
    rows = []
    for number in range(2 * n):
        label = number % 2
        folder = root / ("ProGAN" if label else "Real")
        folder.mkdir(parents=True, exist_ok=True)
        path = (fakes if label else reals)(picture(1000 * seed + number), folder / f"{number:03d}")
        rows.append((str(path), label, "set"))
    return pd.DataFrame(rows, columns=["path", "label", "dataset"])
