"""`attack`: how little of one band of frequencies flips a probe's decisions."""

from __future__ import annotations

from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.asked_probes import BandEdges, Probes, asked_probes
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


def attack(
    data: Data,
    probes: Probes,
    out: Out,
    bands: BandEdges = None,
    samples: Annotated[
        int, typer.Option(min=1, help="At most so many test images of each source.", metavar="N")
    ] = 16,
    budget: Annotated[
        float,
        typer.Option(
            min=0.01, help="Most that is added: root mean square, in 8-bit levels.", metavar="LEVELS"
        ),
    ] = 8.0,
    steps: Annotated[int, typer.Option(min=1, help="Passes for each image and band.", metavar="N")] = 20,
    layout: Layout = "auto",
    background: Background = "white",
    device: Device = "auto",
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Seek the least energy within each band of frequencies that flips a probe's decisions.

    Projected gradient in Fourier space on test images of every source. Writes attack.csv (the median root mean square
    that flips, the shares that the budget flips and that stay flipped in 8 bits, with intervals over images) and
    figures. Give several probes to see which is cheaper to attack, and where.

    Examples:
        bandprobe attack photos/ --probes runs/photos/probes --out attack
        bandprobe attack photos/ --probes plain.safetensors --probes robust.safetensors --budget 4 --out attack
    """
    from bandprobe.analysis.adversary import band_attacks
    from bandprobe.analysis.coalitions import Bands
    from bandprobe.analysis.grid_pictures import reader
    from bandprobe.files import check_output, write_whole
    from bandprobe.images import build
    from bandprobe.report.band_grid import attack_groups, write_figures

    check_output(out)
    with progress.quiet(quiet):
        models, files, grid = asked_probes(probes, device=device)
        divided = Bands.parse(bands, grid.size)
        table = build(
            data, layout=layout, background=background, limit=limit, workers=workers, seed=seed
        ).table
        found = band_attacks(
            models, files, table, reader(table, grid, background=background), divided,
            samples=samples, budget=budget / 255, steps=steps, seed=seed,
        )  # fmt: skip
        path = out / "attack.csv"
        write_whole(path, found.to_csv(index=False, lineterminator="\n").encode())
        figures = [str(figure) for figure in write_figures(attack_groups(found), out)]
    if json:
        show({"attack": str(path), "rows": len(found), "figures": figures})
    else:
        typer.echo("\n".join([f"{len(found):,} rows in {path}", *figures]))
