"""`layers`: what probes find behind each block of an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import Json, Out, Quiet, Seed, Store, show


def layers(
    store: Store,
    probes: Annotated[Path, typer.Option(help="The folder of probes.", metavar="DIR", show_default=False)],
    out: Out,
    manifest: ManifestFile = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Layer by layer: where in an encoder what probes live on is gained and lost.

    Writes layers.csv and figures, and says where high frequencies are lost. The store is filled by `bandprobe embed
    --layers`; a study does all of it with layers in its [encoders].

    Examples:
        bandprobe layers --store embeddings --probes probes --out layers
    """
    from bandprobe.analysis.layers import by_layer, where_lost
    from bandprobe.files import check_output
    from bandprobe.probes import load_folder
    from bandprobe.report.layer_figures import layer_groups
    from bandprobe.run import write_table
    from bandprobe.store import EmbeddingStore

    check_output(out)
    held, tested = EmbeddingStore(store), load_folder(probes)
    with progress.quiet(quiet):
        table = by_layer(held, embedded(held, manifest), tested, seed=seed)
        write_table(table, out / "layers.csv")
        figures = [figure.write(out) for group in layer_groups(table) for figure in group.figures]
    lines = where_lost(table)
    if json:
        show(
            {
                "table": str(out / "layers.csv"),
                "rows": len(table),
                "figures": list(map(str, figures)),
                "lost": lines,
            }
        )
        return
    typer.echo("\n".join([*lines, f"{len(table):,} rows in {out / 'layers.csv'}"]))
