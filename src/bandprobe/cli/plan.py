"""What a study costs before anything is spent: `plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import Json, Quiet, show
from bandprobe.errors import InputError


def plan(
    file: Annotated[Path, typer.Argument(help="The study file (TOML).", show_default=False)],
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
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many images of each generator and split.", metavar="N"),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="Project onto so many GPUs.", metavar="N")] = 1,
    gpu: Annotated[
        str | None,
        typer.Option(help="Of which kind: t4, v100, a10, a100, l4, l40s, h100, h200 ...", metavar="NAME"),
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
    device: Annotated[str | None, typer.Option(help="Calibrate on: auto, cpu, cuda, cuda:N or mps.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads and processes.", metavar="N")] = None,
    calibrate: Annotated[
        bool, typer.Option(help="Time a few batches of each encoder here, at most 10 seconds each.")
    ] = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What a study will do and cost, before it is run: passes, operations, bytes, hours here and on GPUs.

    Example: bandprobe plan study.toml --gpus 8 --gpu a100 --usd-per-gpu-hour 2
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
