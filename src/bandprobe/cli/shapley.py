"""`shapley`: what each band of frequencies adds."""

from __future__ import annotations

from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.asked_probes import BandEdges, Probes, asked_probes
from bandprobe.cli.options import (
    Background,
    Data,
    Device,
    EmbeddingBatch,
    Json,
    Layout,
    Limit,
    Out,
    Quiet,
    Seed,
    Store,
    Workers,
    listed,
    show,
)


def shapley(
    data: Data,
    probes: Probes,
    store: Store,
    out: Out,
    bands: BandEdges = None,
    samples: Annotated[
        int, typer.Option(min=2, help="At most so many test images of each source.", metavar="N")
    ] = 200,
    orders: Annotated[
        int, typer.Option(min=4, help="Orders drawn of more than ten bands.", metavar="N")
    ] = 64,
    layout: Layout = "auto",
    background: Background = "white",
    device: Device = "auto",
    batch_size: EmbeddingBatch = None,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Divide what a probe is worth among bands of frequencies: Shapley values.

    Test images are embedded with every coalition of bands kept alone, 64 of the usual six, into the store; what lies
    there already is not computed again. Writes shapley.csv (AUROC, and the mean logit of reals and of fakes, with
    intervals over images) and figures. Of more than ten bands, orders are drawn in place of all coalitions.

    Examples:
        bandprobe shapley photos/ --probes runs/photos/probes --store embeddings --out shapley
        bandprobe shapley photos/ --probes probe.safetensors --store embeddings --bands 0,0.15,0.5,1 --out three
    """
    from bandprobe.analysis.band_shapley import Game, band_shapley
    from bandprobe.analysis.coalitions import Bands
    from bandprobe.analysis.sources import drawn_sources
    from bandprobe.errors import InputError
    from bandprobe.extract import extract
    from bandprobe.files import check_output, write_whole
    from bandprobe.images import build
    from bandprobe.report.band_grid import shapley_groups, write_figures
    from bandprobe.store import EmbeddingStore

    check_output(out)
    with progress.quiet(quiet):
        models, files, grid = asked_probes(probes, device=device)
        if not files:
            raise InputError("no probe was trained on unfiltered images; train one with --filter none.")
        game = Game.of(Bands.parse(bands, grid.size), count=orders, seed=seed)
        manifest = build(data, layout=layout, background=background, limit=limit, workers=workers, seed=seed)
        drawn = drawn_sources(manifest.table, samples, seed, "shapley")
        if not drawn:
            raise InputError(
                "no image stands in the test split; index the data with a test split, or with splits made."
            )
        kept = {image for source in drawn for image in source.image_id}
        rows = manifest.table["image_id"].isin(kept) & (manifest.table["split"] == "test")
        table = manifest.table[rows].reset_index(drop=True)
        held = EmbeddingStore(store, {file.encoder: file.source for file in files})
        filled = extract(
            held,
            table,
            models,
            list(game.filters.values()),
            geometry=grid,
            background=background,
            batch_size=batch_size,
            workers=workers or 1,
        )
        table = table[~table["path"].isin(filled.left_out)]
        found = band_shapley(held, table, files, game, seed=seed)
        path = out / "shapley.csv"
        write_whole(path, found.to_csv(index=False, lineterminator="\n").encode())
        figures = [str(figure) for figure in write_figures(shapley_groups(found), out)]
    left_out = (
        dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True)) | filled.left_out
    )
    if json:
        show({"shapley": str(path), "rows": len(found), "passes": filled.passes, "saved": filled.saved,
              "figures": figures, "left_out": left_out})  # fmt: skip
    else:
        typer.echo("\n".join([f"{len(found):,} rows in {path}", *figures]))
    raise typer.Exit(listed(left_out))
