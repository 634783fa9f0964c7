"""`evaluate`: the transfer grid of stored embeddings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import Json, Out, ProtocolWords, Quiet, Seed, Store, show
from bandprobe.errors import InputError


def evaluate(
    store: Store,
    probes: Annotated[Path, typer.Option(help="The folder of probes.", metavar="DIR", show_default=False)],
    out: Out,
    manifest: ManifestFile = None,
    filter: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(
            "--filter",
            help="Test filters, one or several; all of the store by default.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = None,
    train_filter: Annotated[
        list[str] | None,
        typer.Option(
            help="Train filters whose probes meet every test filter; all by default.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = None,
    protocol: ProtocolWords = "corrected",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Test every probe on every generator under every filter: the transfer grid.

    Examples:
        bandprobe evaluate --store embeddings --probes probes --out runs/steps
        bandprobe evaluate --store embeddings --probes probes --filter none lowpass:30px --out runs/steps
    """
    from bandprobe.analysis import evaluate as transfer_grid
    from bandprobe.analysis.relabelling import relabelled
    from bandprobe.files import output_folder
    from bandprobe.filters import expand
    from bandprobe.probes import load_folder
    from bandprobe.protocol import Protocol
    from bandprobe.run import write_results
    from bandprobe.store import EmbeddingStore

    switches = Protocol.parse(protocol)
    folder, held, tested = output_folder(out), EmbeddingStore(store), load_folder(probes)
    names = {probe.encoder for probe in tested}
    told_apart = Counter((probe.encoder, probe.trained_on, probe.train_filter) for probe in tested)
    if alike := [key for key, n in told_apart.items() if n > 1]:
        encoder, trained_on, spec = alike[0]
        raise InputError(
            f"{str(probes)!r} holds {told_apart[alike[0]]} probes of {encoder!r} trained on {trained_on!r} under "
            f"{spec!r}, which the grid could not tell apart; give the probes of each recipe a folder of their own."
        )
    stored = [spec for encoder, spec in held.conditions() if encoder in names]
    if absent := sorted(names - {encoder for encoder, _ in held.conditions()}):
        there = ", ".join(dict.fromkeys(encoder for encoder, _ in held.conditions())) or "nothing"
        raise InputError(
            f"the store {str(store)!r} holds no embeddings of {absent[0]!r}, which a probe of {str(probes)!r} was "
            f"trained on (it holds {there}); make them with `bandprobe embed`."
        )
    specs = [str(spec) for spec in expand(filter or list(dict.fromkeys(stored)))]
    everywhere = (
        [str(spec) for spec in expand(train_filter)]
        if train_filter
        else sorted(p.train_filter for p in tested)
    )
    with progress.quiet(quiet):
        table = embedded(held, manifest)
        results = transfer_grid(
            held,
            table,
            tested,
            specs,
            everywhere=everywhere,
            scores=folder / "scores.parquet",
            confusion=folder / "confusion.csv",
            seed=seed,
            protocol=switches,
            relabel=relabelled(table) if switches.fda_relabel else None,
        )
        write_results(results, folder)
    if json:
        show({"results": str(folder / "results.csv"), "rows": len(results)})
    else:
        typer.echo(
            f"{len(results):,} rows in {folder / 'results.csv'}; `bandprobe report {folder}` draws them"
        )
