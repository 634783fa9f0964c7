"""Whole studies: `demo`, `study`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bandprobe import progress
from bandprobe.cli.options import Actors, Address, Compile, EmbeddingBatch, Json, Quiet, Strict, listed, show

if TYPE_CHECKING:
    from bandprobe.run import Run


def demo(
    out: Annotated[Path, typer.Option(help="The run's folder.", metavar="DIR")] = Path("runs/demo"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A whole study on procedural images, offline, in a few minutes."""
    from bandprobe.demo import run

    with progress.quiet(quiet):
        _finish(run(out), json)


def study(
    file: Annotated[Path, typer.Argument(help="The study file (TOML).", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/NAME by default.", metavar="DIR")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"] | None, typer.Option(help="Where the work is done: local, or ray.")
    ] = None,
    address: Address = None,
    actors: Actors = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many images of each generator and split.", metavar="N"),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    batch_size: EmbeddingBatch = None,
    compiled: Compile = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads and processes.", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Decides every random draw.", metavar="N")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="corrected, thesis, or switches of the published protocol, joined by commas.",
            metavar="WORDS",
        ),
    ] = None,
    ablate_protocol: Annotated[
        bool,
        typer.Option(
            "--ablate-protocol", help="Run once more with each switch, and say how far each number moves."
        ),
    ] = False,
    equalise: Annotated[
        bool,
        typer.Option(
            "--equalise",
            help="Give all pictures one crop, one size and one JPEG quality first ([data] equalise says which).",
        ),
    ] = False,
    strict: Strict = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A whole study from a TOML file; stopped and started again, it goes on where it was.

    Options given here take precedence over the file. Example: bandprobe study study.toml --out runs/bedroom
    """
    from bandprobe.study import Study

    with progress.quiet(quiet):
        chosen = Study.from_toml(file)
        chosen = chosen.with_options(
            equalise=(chosen.config.data.equalise or "auto") if equalise else None,
            limit=limit,
            device=device,
            batch_size=batch_size,
            compile=compiled or None,
            workers=workers,
            engine=engine,
            address=address,
            actors=actors,
            seed=seed,
            strict=strict or None,
            protocol=protocol,
        )
        _finish(chosen.ablate(out) if ablate_protocol else chosen.run(out), json)


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.", show_default=False)],
    compare: Annotated[
        str | None,
        typer.Option(
            help="Published numbers to set beside the run's: thesis, or a CSV file of their form.",
            metavar="thesis|FILE.csv",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rebuild a run's figures and report.html from what it holds.

    Example: bandprobe report runs/bedroom --compare thesis
    """
    from bandprobe.report import build

    with progress.quiet(quiet):
        page = build(run, compare)
    if json:
        show({"report": str(page)})
    else:
        typer.echo(page)


def _finish(run: Run, json: bool) -> None:
    code = listed(run.left_out)
    if json:
        show({"run": str(run.folder), "report": str(run.report), "left_out": run.left_out,
              "encoder_passes": run.record["encoder_passes"]})  # fmt: skip
    else:
        typer.echo(run.report)
    raise typer.Exit(code)
