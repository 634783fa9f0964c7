"""`embed`: images in, stored embeddings out."""

from __future__ import annotations

from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.manifests import beside
from bandprobe.cli.options import (
    Actors,
    Address,
    Background,
    Compile,
    Data,
    Device,
    DryRun,
    EmbeddingBatch,
    EncoderNames,
    Engine,
    FilterSpecs,
    Geometry,
    Json,
    Layout,
    Limit,
    Outside,
    Precision,
    ProtocolWords,
    Quiet,
    Seed,
    Store,
    Strict,
    Workers,
    listed,
    show,
)


def embed(
    data: Data,
    encoder: EncoderNames,
    store: Store,
    filter: FilterSpecs = ["none"],  # noqa: A002, B006 - Typer copies it
    geometry: Geometry = "squash:224",
    layout: Layout = "auto",
    background: Background = "white",
    engine: Engine = "local",
    address: Address = None,
    actors: Actors = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    layers: Annotated[
        str,
        typer.Option(
            help="Behind which blocks a vector is kept too: all, or numbers such as 1,4,12; no further passes.",
            metavar="all|N,N",
        ),
    ] = "",
    protocol: ProtocolWords = "corrected",
    batch_size: EmbeddingBatch = None,
    compiled: Compile = False,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    outside: Outside = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill the embedding store; only what is missing is computed.

    Examples:
        bandprobe embed photos/ --encoder dinov2-small --filter none thesis --store embeddings
        bandprobe embed photos/ --encoder dinov2-small --filter thesis --store embeddings --dry-run
        bandprobe embed photos/ --encoder dinov2-small --layers all --filter thesis --store embeddings
        bandprobe embed photos/ --encoder spectral --filter fda:0.01:reference=Real jpeg:75 --store embeddings
    """
    from bandprobe import encoders
    from bandprobe.cluster import Cluster
    from bandprobe.extract import extract, import_table
    from bandprobe.files import check_output
    from bandprobe.filters import check, expand
    from bandprobe.images import Geometry as Grid
    from bandprobe.images import Manifest, build
    from bandprobe.machine import cores
    from bandprobe.protocol import Protocol
    from bandprobe.remote import is_remote
    from bandprobe.store import EmbeddingStore

    switches = Protocol.parse(protocol)
    specs = expand(filter)
    names = _names(encoder, layers)
    grid = None if geometry == "native" else Grid.parse(geometry)
    references = [encoders.resolve(name) for name in names]
    encoders.distinct([reference.name for reference in references])
    if grid is not None:
        for spec in specs:
            check(spec, grid.size)
    cluster = Cluster.asked(engine, address, device=device, actors=actors)
    if cluster is not None and not dry_run:
        cluster.ready()
    if not is_remote(str(store)):
        check_output(store)
    held = EmbeddingStore(store, {r.name: name for r, name in zip(references, names, strict=True)})
    place, threads = beside(held.root), workers or cores()
    with progress.quiet(quiet):
        tables = [name for name in names if encoders.resolve(name).kind == "table"]
        looked_up = [] if dry_run else [encoders.load_table(name) for name in tables]
        computed = [name for name in names if name not in tables]
        loaded = encoders.load_all(
            [] if dry_run else computed,
            device="cpu" if cluster else device,
            precision=precision,
            protocol=switches,
            compiled=compiled,
        )
        manifest = build(
            data,
            layout=layout,
            background=background,
            limit=limit,
            workers=threads,
            seed=seed,
            strict=strict,
            outside=outside,
            previous=place if place.exists() else None,
        )
        if dry_run:
            from bandprobe.cli.dry_run import embedding

            loads = [reference.name for reference in references]
            embedding(
                held,
                place,
                loads,
                list(map(str, specs)),
                manifest.table["image_id"],
                wholes={reference.name: reference.whole.name for reference in references},
                json=json,
            )
            raise typer.Exit(
                listed(dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True)))
            )
        done = extract(
            held,
            manifest.table,
            loaded,
            specs,
            geometry=grid,
            background=background,
            batch_size=batch_size,
            workers=threads,
            protocol=switches,
            cluster=cluster,
        )
        kept = manifest.without(done.left_out)
        wanted, own_grid = [str(spec) for spec in specs], "squash:224" if grid is None else geometry
        for one in looked_up:
            import_table(held, one, kept.table, wanted, geometry=own_grid, background=background)
        # The store may hold other data sets as well, of another process too: they stay known.
        with held.alone():
            (kept.joined(Manifest.load(place)) if place.exists() else kept).save(place)
    left_out = {
        **dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True)),
        **done.left_out,
    }
    if json:
        show({"store": str(store), "manifest": str(place), "passes": done.passes, "saved": done.saved,
              "left_out": left_out})  # fmt: skip
    else:
        typer.echo(f"{done.passes:,} encoder passes done, {done.saved:,} saved by the store {store}")
    raise typer.Exit(listed(left_out))


def _names(given: list[str], layers: str) -> list[str]:
    """The encoders asked for, ranges in their own filters and layers spelt out."""
    from bandprobe import encoders

    names = encoders.expand_names([name for text in given for name in text.split(",")])
    if not layers:
        return names
    from bandprobe.encoders.layers import parse_layers

    return encoders.with_layers(names, parse_layers(layers))
