"""`sensitivity`: which frequencies probes and embeddings depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bandprobe import progress
from bandprobe.cli.asked_probes import BandEdges, asked_probes
from bandprobe.cli.options import (
    Background,
    Data,
    Device,
    Json,
    Layout,
    Limit,
    Out,
    Quiet,
    Seed,
    Workers,
    show,
)
from bandprobe.errors import InputError


def sensitivity(
    data: Data,
    out: Out,
    probes: Annotated[
        list[Path] | None,
        typer.Option(
            help="Probe files, or folders of them (repeatable); those trained on unfiltered images are used.",
            metavar="FILE",
        ),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="Encoders whose embeddings are asked, without a probe (repeatable).", metavar="NAME"
        ),
    ] = None,
    method: Annotated[
        Literal["gradient", "perturb"],
        typer.Option(
            help="gradient: one backward pass an image; perturb: basis images are added.", metavar="NAME"
        ),
    ] = "gradient",
    samples: Annotated[
        int, typer.Option(min=1, help="At most so many test images of each source.", metavar="N")
    ] = 64,
    draws: Annotated[
        int, typer.Option(min=1, help="Random vectors for each image, for the embedding.", metavar="N")
    ] = 4,
    rings: Annotated[int, typer.Option(min=1, help="Radii that perturb tries.", metavar="N")] = 12,
    sectors: Annotated[int, typer.Option(min=1, help="Directions that perturb tries.", metavar="N")] = 6,
    agreement: Annotated[
        bool, typer.Option("--agreement/--no-agreement", help="Set perturb beside gradient on a few images.")
    ] = True,
    curvature: Annotated[
        bool,
        typer.Option("--curvature", help="Add the second order in each band, by Hessian-vector products."),
    ] = False,
    bands: BandEdges = None,
    geometry: Annotated[
        str | None,
        typer.Option(help="The grid; the probes' own by default, else squash:224.", metavar="squash:N"),
    ] = None,
    layout: Layout = "auto",
    background: Background = "white",
    device: Device = "auto",
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Map which frequencies a probe's logit, its AUROC and an encoder's vectors depend on.

    Writes sensitivity.csv (profiles over radius and direction, with intervals), sensitivity_agreement.csv (how far
    both methods agree), sensitivity.npz (the maps) and figures; with --curvature sensitivity_curvature.csv.

    Examples:
        bandprobe sensitivity photos/ --probes runs/photos/probes --out sensitivity
        bandprobe sensitivity photos/ --encoder dinov2-small --method perturb --rings 20 --out sensitivity
    """
    from bandprobe import encoders as loading
    from bandprobe.analysis.coalitions import Bands
    from bandprobe.analysis.grid_pictures import reader
    from bandprobe.analysis.sensitivity import sensitivity as measured
    from bandprobe.analysis.sensitivity import write
    from bandprobe.files import check_output
    from bandprobe.images import build
    from bandprobe.report.sensitivity_figures import write_figures

    if not probes and not encoder:
        raise InputError("nothing to ask: give probes with --probes, or encoders with --encoder.")
    check_output(out)
    with progress.quiet(quiet):
        models, files, grid = asked_probes(probes or [], geometry=geometry, device=device)
        models += loading.load_all(encoder or [], device=device)
        loading.distinct([model.name for model in models])
        divided = Bands.parse(bands, grid.size) if curvature or bands else None
        table = build(
            data, layout=layout, background=background, limit=limit, workers=workers, seed=seed
        ).table
        found = measured(
            models, files, table, reader(table, grid, background=background), method=method, agreement=agreement,
            curvature=divided, samples=samples, draws=draws, rings=rings, sectors=sectors, seed=seed,
        )  # fmt: skip
        path = out / "sensitivity.csv"
        write(found, out / "sensitivity.npz")
        figures = [str(figure) for figure in write_figures(found.profiles, found.maps, out)]
    agreed = found.agreement[["encoder", "trained_on", "quantity", "spearman"]].to_dict("records")
    if json:
        show({"sensitivity": str(path), "rows": len(found.profiles), "agreement": agreed, "figures": figures})
    else:
        typer.echo("\n".join([f"{len(found.profiles):,} rows in {path}", *figures]))
