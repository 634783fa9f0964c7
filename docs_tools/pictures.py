"""The pictures of docs/how-to/read-the-figures.md, from a run of `make demo`: `python -m docs_tools.pictures RUN`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from docs_tools.blocks import DOCS, ROOT

FOLDER = DOCS / "images" / "figures"
# What each is called on the page, and the figure of the run that it is.
FIGURES = {
    "grid": "heatmap-micro-clip-auroc",
    "reliance": "curves-micro-clip-auroc-lowpass-reliance",
    "information": "curves-micro-clip-auroc-lowpass-information",
    "bands": "bands-micro-clip",
    "mmd": "mmd-micro-clip-fake-vs-real-lowpass-curve",
    "mmd-table": "mmd-micro-clip-fake-vs-real-lowpass-heatmap",
    "entropy": "entropy-lowpass",
    "rings": "entropy-rings-micro",
    "coherent": "spectrum-micro-coherent",
    "density": "spectrum-micro-density",
}
_WIDTH = 1000  # the site shows at most 700 px, on a dense screen more
_LARGEST = 150_000  # bytes


def small(picture: Image.Image) -> bytes:
    """A picture as a PNG of at most 150 kB: narrower, and in as many colours as fit."""
    image = picture.convert("RGB")
    image.thumbnail((_WIDTH, 4 * _WIDTH), Image.Resampling.LANCZOS)
    for colours in (256, 128, 64, 32, 16):
        file = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        if file.tell() <= _LARGEST:
            return file.getvalue()
    raise ValueError(f"a picture of {image.size} does not fit into {_LARGEST:,} bytes")


def main(run: Annotated[Path, typer.Argument(metavar="RUN")]) -> None:
    """Write the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        with Image.open(run / "figures" / f"{figure}.png") as picture:
            content = small(picture)
        path = FOLDER / f"{name}.png"
        path.write_bytes(content)
        typer.echo(f"{path.relative_to(ROOT)}: {len(content):,} bytes")


if __name__ == "__main__":
    typer.run(main)
