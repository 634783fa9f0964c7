"""`import-probe`: others' probes as probe files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe.cli import completion
from bandprobe.cli.options import Json, Out, Quiet, show


def import_probe(
    file: Annotated[
        Path,
        typer.Argument(
            help="Weights in the format of UniversalFakeDetect's fc_weights.pth.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    out: Out,
    encoder: Annotated[
        str,
        typer.Option(
            help="The encoder whose embeddings the probe takes.",
            metavar="NAME",
            autocompletion=completion.encoders,
        ),
    ] = "clip-vit-l-14",
    threshold: Annotated[
        float, typer.Option(help="On the logit; 0 is a probability of one half.", metavar="LOGIT")
    ] = 0.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn a published linear probe into a probe file.

    `score` and `evaluate` take it.

    Examples:
        bandprobe import-probe fc_weights.pth --out probes
    """
    from bandprobe import progress
    from bandprobe.files import output_folder
    from bandprobe.probes import published, save

    with progress.quiet(quiet):
        probe = published.read(file, encoder=encoder, threshold=threshold)
        path = save(probe, output_folder(out))
    if json:
        show(
            {
                "probe": str(path),
                "encoder": probe.encoder,
                "dim": len(probe.probe.mean),
                "threshold": threshold,
            }
        )
    else:
        typer.echo(f"{path}: {len(probe.probe.mean)} values of {probe.encoder}, threshold {threshold:g}")
