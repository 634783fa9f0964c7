"""What a study costs before anything is spent: `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.options import Json, Limit, MaybeDevice, Quiet, StudyFile, Workers, show
from bandprobe.errors import InputError

if TYPE_CHECKING:
    from bandprobe.study import Study


def plan(
    file: StudyFile,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run's folder, whose manifest and store count; runs/NAME by default.", metavar="DIR"
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Plan for so many images; the data need not be on this disk.", metavar="N"),
    ] = None,
    limit: Limit = None,
    gpus: Annotated[int, typer.Option(min=1, help="Project onto so many GPUs.", metavar="N")] = 1,
    gpu: Annotated[
        str | None,
        typer.Option(
            help="Of which kind: t4, v100, a10, a100, l4, l40s, h100, h200 ...",
            metavar="NAME",
            autocompletion=completion.among(*completion.GPUS),
        ),
    ] = None,
    tflops: Annotated[
        float | None, typer.Option(help="Or of which dense peak, in TFLOP/s.", metavar="X")
    ] = None,
    utilisation: Annotated[
        float, typer.Option(help="Share of the peak that encoders are assumed to reach.", metavar="SHARE")
    ] = 0.4,
    usd_per_gpu_hour: Annotated[
        float | None, typer.Option(min=0, help="What a GPU costs an hour.", metavar="USD")
    ] = None,
    device: MaybeDevice = None,
    workers: Workers = None,
    calibrate: Annotated[
        bool, typer.Option(help="Time a few batches of each encoder here, at most 10 seconds each.")
    ] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a study will cost: passes, bytes, hours here and on GPUs.

    Nothing is run: images are counted, operations come from the architecture, and a few batches are timed.

    Examples:
        bandprobe plan study.toml
        bandprobe plan study.toml --no-calibrate --json
        bandprobe plan study.toml --gpus 8 --gpu a100 --usd-per-gpu-hour 2
    """
    from bandprobe.study import Study
    from bandprobe.study.devices import device as named
    from bandprobe.study.devices import of_throughput
    from bandprobe.study.forecast import forecast
    from bandprobe.study.plan import Plan
    from bandprobe.study.projection import Fleet

    if not 0 < utilisation <= 1:
        raise InputError(f"--utilisation must be above 0 and at most 1; got {utilisation:g}. 0.4 is common.")
    if tflops is not None and (gpu is not None or tflops <= 0):
        what = f"not --gpu {gpu} as well" if gpu is not None else "above 0"
        raise InputError(f"--tflops {tflops:g}: give the dense peak of one GPU, {what}.")
    kind = of_throughput(tflops) if tflops is not None else named(gpu) if gpu is not None else None
    if kind is None and (gpus > 1 or usd_per_gpu_hour is not None):
        raise InputError("--gpus and --usd-per-gpu-hour need a kind of GPU: --gpu NAME, or --tflops X.")
    fleet = None if kind is None else Fleet(kind, gpus, utilisation, usd_per_gpu_hour)
    study = Study.from_toml(file).with_options(limit=limit, device=device, workers=workers)
    with progress.quiet(quiet):
        asked = Plan.of(study.config, out or Path("runs") / study.name, study.folder)
        found = forecast(asked, images=images, fleet=fleet, calibrated=calibrate)
    if json:
        show({"study": str(file), **found.content()})
        return
    from bandprobe.cli.plan_page import page

    page(found, file.name)


def dry_run(study: Study, file: Path, out: Path | None, *, json: bool, quiet: bool) -> None:
    """What `study --dry-run` prints: the study's plan, without timing anything here.

    Args:
        study: with the options of the command line.
        file: the study file.
        out: the run's folder; `runs/NAME` by default.
        json: print JSON.
        quiet: no progress.
    """
    from bandprobe.cli.dry_run import say
    from bandprobe.cli.plan_page import page
    from bandprobe.study.forecast import forecast
    from bandprobe.study.plan import Plan

    folder = out or Path("runs") / study.name
    with progress.quiet(quiet):
        found = forecast(Plan.of(study.config, folder, study.folder), calibrated=False)
    if not json:
        page(found, file.name)
    say({"study": str(file), **found.content()}, [""], [f"{folder}/"], json)
