"""Recipes for better detectors on generators that they have not seen: `openset`."""

from __future__ import annotations

from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import Json, Out, Quiet, Seed, Store, StoredEncoders, Workers, show
from bandprobe.columns import aligned

_HEADER = ("left out", "metric", "encoder", "recipe", "mean", "gain", "95 %", "wins", "q", "verdict")


def openset(
    store: Store,
    out: Out,
    encoder: StoredEncoders = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="Which recipes, one or several; all by default. `train --help` names them.",
            metavar="NAME",
            autocompletion=completion.among(*completion.RECIPES),
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="What is left out: generator, family; both by default.",
            metavar="WHAT",
            autocompletion=completion.among("generator", "family"),
        ),
    ] = None,
    replicates: Annotated[
        int,
        typer.Option(
            min=0, help="Train everything so often again, on resamples of the training images.", metavar="K"
        ),
    ] = 4,
    manifest: ManifestFile = None,
    workers: Workers = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hold recipes for better detectors against the plain probe on generators left out of training.

    Needs the embeddings of `embed --filter recipes`. Whatever a recipe chooses, it chooses on other generators.

    Examples:
        bandprobe openset --store embeddings --out openset
        bandprobe openset --store embeddings --recipe leace bands --by generator --out openset
    """
    from bandprobe.analysis.openset import openset as run
    from bandprobe.analysis.openset_summary import sentences
    from bandprobe.files import check_output
    from bandprobe.machine import cores
    from bandprobe.report.openset_figures import openset_group, openset_lines
    from bandprobe.run import write_table
    from bandprobe.store import EmbeddingStore

    def listed(given: list[str] | None) -> list[str] | None:
        return [text for part in given for text in part.split(",")] if given else None

    check_output(out)
    held = EmbeddingStore(store)
    with progress.quiet(quiet):
        found = run(
            held,
            embedded(held, manifest),
            encoders=listed(encoder),
            recipes=listed(recipe),
            by=listed(by),
            replicates=replicates,
            seed=seed,
            workers=workers or cores(),
        )
        write_table(found.rows, out / "openset.csv")
        write_table(found.summary, out / "openset_summary.csv")
        figures = [str(one.write(out)) for one in openset_group(found.rows, found.summary).figures]
    said = sentences(found.summary)
    if json:
        show(
            {
                "openset": str(out / "openset.csv"),
                "summary": str(out / "openset_summary.csv"),
                "figures": figures,
                "said": said,
            }
        )
        return
    lines = [*aligned(_HEADER, openset_lines(found.summary)), "", *said, ""]
    typer.echo("\n".join([*lines, str(out / "openset.csv"), str(out / "openset_summary.csv"), *figures]))
