"""Run the commands and write the page: `python -m docs_tools.findings [--quick] [--out DIR]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from docs_tools.blocks import DOCS, ROOT
from docs_tools.findings import steps
from docs_tools.findings.page import FIGURES, page
from docs_tools.findings.words import IMAGES
from docs_tools.pictures import small


def main(
    out: Annotated[Path, typer.Option(help="Where the runs go.", metavar="DIR")] = Path("runs/findings"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Few images, and the page beside the runs: to see that all works.")
    ] = False,
) -> None:
    """Write docs/findings.md and its pictures. What an earlier call has run is kept."""
    folder = out.resolve()
    steps.run(folder, steps.QUICK if quick else steps.WHOLE, typer.echo)
    docs = folder / "docs" if quick else DOCS
    (docs / IMAGES).mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        with Image.open(folder / f"{figure}.png") as picture:
            (docs / IMAGES / f"{name}.png").write_bytes(small(picture))
    (docs / "findings.md").write_text(page(folder), encoding="utf-8")
    typer.echo(str((docs / "findings.md").relative_to(ROOT) if docs == DOCS else docs / "findings.md"))


if __name__ == "__main__":
    typer.run(main)
