"""Whole studies: `demo`, `study`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.options import (
    Actors,
    Address,
    Compile,
    DryRun,
    EmbeddingBatch,
    Json,
    Limit,
    MaybeDevice,
    MaybeEngine,
    MaybeProtocol,
    MaybeSeed,
    Quiet,
    Strict,
    StudyFile,
    Workers,
    listed,
    show,
)
from bandprobe.cli.pages import IMAGES, OUTPUT

if TYPE_CHECKING:
    from bandprobe.run import Run

_TRACKERS = ("tensorboard", "mlflow", "wandb")
_FORMATS = ("html", "latex", "markdown")
_VENUES = ("cvpr", "iclr", "ieee")
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        help="Log to tensorboard, mlflow or wandb, one or several; on this machine unless their variables say "
        "otherwise.",
        metavar="NAME",
        autocompletion=completion.among(*_TRACKERS),
        rich_help_panel=OUTPUT,
    ),
]


def demo(
    out: Annotated[Path, typer.Option(help="The run's folder.", metavar="DIR")] = Path("runs/demo"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A whole study on procedural images, offline, in a few minutes.

    Examples:
        bandprobe demo
        bandprobe demo --out runs/first
    """
    from bandprobe.demo import run

    with progress.quiet(quiet):
        _finish(run(out), json)


def study(
    file: StudyFile,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/NAME by default.", metavar="DIR")
    ] = None,
    limit: Limit = None,
    seed: MaybeSeed = None,
    protocol: MaybeProtocol = None,
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
            rich_help_panel=IMAGES,
        ),
    ] = False,
    strict: Strict = False,
    device: MaybeDevice = None,
    batch_size: EmbeddingBatch = None,
    compiled: Compile = False,
    workers: Workers = None,
    engine: MaybeEngine = None,
    address: Address = None,
    actors: Actors = None,
    track: Track = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a whole study from a TOML file; stopped and started again, it goes on where it was.

    Options given here take precedence over the file. `bandprobe plan` says what a study would cost, before it is
    run.

    Examples:
        bandprobe study study.toml --out runs/bedroom
        bandprobe study study.toml --limit 200 --out runs/first
        bandprobe study study.toml --track mlflow --track tensorboard
        bandprobe study study.toml --dry-run
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
            track=track or None,
        )
        if dry_run:
            from bandprobe.cli.plan import dry_run as said

            said(chosen, file, out, json=json, quiet=quiet)
            return
        _finish(chosen.ablate(out) if ablate_protocol else chosen.run(out), json)


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN", show_default=False)],
    compare: Annotated[
        str | None,
        typer.Option(
            help="Published numbers to set beside the run's: thesis, or a CSV file of their form.",
            metavar="thesis|FILE.csv",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="html, or tables as latex or markdown, one or several; html where nothing else is asked for.",
            metavar="NAME",
            autocompletion=completion.among(*_FORMATS),
        ),
    ] = None,
    paper: Annotated[
        list[str] | None,
        typer.Option(
            help="Figures at the column widths of cvpr, iclr or ieee, one or several.",
            metavar="VENUE",
            autocompletion=completion.among(*_VENUES),
        ),
    ] = None,
    track: Track = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a run's report, tables or figures again from what it holds.

    With no option, figures and report.html. Tables go to tables/, a file each, and tables.tex or tables.md with all
    of them; figures for papers to figures/VENUE/, with their captions in captions.tex.

    Examples:
        bandprobe report runs/bedroom --compare thesis
        bandprobe report runs/bedroom --format latex --format markdown
        bandprobe report runs/bedroom --paper cvpr
        bandprobe report runs/bedroom --track mlflow
    """
    with progress.quiet(quiet):
        made = _made(run, compare, formats or [], paper or [], track or [])
    if json:
        show(
            {
                name: [str(path) for path in of] if isinstance(of, list) else str(of)
                for name, of in made.items()
            }
        )
    else:
        for of in made.values():
            typer.echo(of[0] if isinstance(of, list) else of)


def _made(
    run: Path, compare: str | None, formats: list[str], paper: list[str], track: list[str]
) -> dict[str, Path | list[Path]]:
    """Everything asked for, by name; of several files the first is the one to open."""
    _check("--format", formats, _FORMATS)
    _check("--paper", paper, _VENUES)
    if track:
        from bandprobe.trackers import require

        require(track)
    made: dict[str, Path | list[Path]] = {}
    if compare or "html" in formats or not (formats or paper or track):
        from bandprobe.report import build

        made["report"] = build(run, compare)
    for name in dict.fromkeys(formats):
        if name != "html":
            from bandprobe.report.table_files import write_tables

            made[name] = write_tables(run, [name])
    for venue in dict.fromkeys(paper):
        from bandprobe.report.paper_figures import paper_figures

        made[venue] = paper_figures(run, venue)
    if track:
        from bandprobe.errors import DiskError
        from bandprobe.trackers import log_finished

        if failed := log_finished(run, track):
            raise DiskError(f"the run is not logged to {', '.join(failed)}; the same command tries again.")
        made["tracking"] = run / "tracking"
    return made


def _check(option: str, given: list[str], known: tuple[str, ...]) -> None:
    """See that every value of an option is one of those it takes."""
    from bandprobe.errors import InputError, did_you_mean

    for name in given:
        if name not in known:
            raise InputError(f"{option} takes {', '.join(known)}; got {name!r}.{did_you_mean(name, known)}")


def _finish(run: Run, json: bool) -> None:
    code = listed(run.left_out)
    if json:
        show({"run": str(run.folder), "report": str(run.report), "left_out": run.left_out,
              "encoder_passes": run.record["encoder_passes"]})  # fmt: skip
    else:
        typer.echo(run.report)
    raise typer.Exit(code)
