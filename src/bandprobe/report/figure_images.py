"""Figures as images inside the page: palette PNGs, small enough that the page stays one light file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bandprobe.report.style import DPI

BUDGET = 8_000_000  # characters of all images together; the page stays below 10 MB
_SMALLEST = 0.3
_SHOWN_DPI = 123  # CSS pixels per inch of a figure: 7 inches take 861 px, and 7 points read as on paper


@dataclass(frozen=True)
class EmbeddedImage:
    """A PNG as a `data:` address, with the size in CSS pixels at which the page shows it."""

    address: str
    width: int
    height: int


def embed_images(paths: Sequence[Path], budget: int = BUDGET) -> list[EmbeddedImage]:
    """Encode figures for the page, all scaled down alike as far as the budget asks.

    Args:
        paths: PNG files.
        budget: characters that all addresses may take together.

    Returns:
        One image per path, in order. Below 0.3 of the original size nothing is shrunk further.
    """
    scale = 1.0
    while True:
        images = [_encode(path, scale) for path in paths]
        taken = sum(len(image.address) for image in images)
        if taken <= budget or scale <= _SMALLEST:
            return images
        # Bytes of a figure fall more slowly than its area, hence the extra 15 %.
        scale = max(scale * (budget / taken) ** 0.5 * 0.85, _SMALLEST)


def _encode(path: Path, scale: float) -> EmbeddedImage:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    shown = tuple(round(side * _SHOWN_DPI / DPI) for side in image.size)
    if scale < 1:
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image = image.resize(size, Image.Resampling.LANCZOS)
    palette = image.quantize(colors=192, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return EmbeddedImage(f"data:image/png;base64,{text}", *shown)
