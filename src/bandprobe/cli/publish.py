"""`publish`: a probe as a Hugging Face model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe.cli.options import Json, Out, Quiet, show


def publish(
    probe: Annotated[
        Path, typer.Argument(help="A probe's safetensors file.", metavar="PROBE", show_default=False)
    ],
    out: Out,
    run: Annotated[
        Path | None,
        typer.Option(
            help="The run whose results the card shows; by default the one that the probe lies in.",
            metavar="DIR",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called; by default like the folder.", metavar="NAME")
    ] = None,
    licence: Annotated[
        str,
        typer.Option(
            "--licence", "--license", help="Of the probe, in the Hub's words, e.g. apache-2.0.", metavar="ID"
        ),
    ] = "",
    data_licence: Annotated[
        str, typer.Option(help="Of the training images, in your own words.", metavar="TEXT")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a probe as a Hugging Face model folder with a model card.

    The card says how far the probe carries, what it lives on and where it fails, from its run's results.
    `bandprobe score --probe FOLDER` takes the folder, and the model's id once it is on the Hub. Nothing is uploaded.

    Examples:
        bandprobe publish runs/photos/probes/dinov2-small__all__none.safetensors --out my-detector --licence mit
        bandprobe score picture.jpg --probe my-detector
        hf upload OWNER/my-detector my-detector
    """
    from dataclasses import asdict

    from bandprobe import progress
    from bandprobe.report.publication import publish as write

    with progress.quiet(quiet):
        done = write(probe, out, run=run, name=name, licence=licence, data_licence=data_licence)
        for note in done.notes:
            progress.say(f"note: {note}")
    if json:
        show(asdict(done))
        return
    typer.echo(f"{done.folder}: {', '.join(done.files)}")
    typer.echo(
        f"next: read {Path(done.folder) / 'README.md'}, then bandprobe score PICTURE --probe {done.folder}"
    )
