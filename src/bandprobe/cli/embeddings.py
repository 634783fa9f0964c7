"""What has to do with embeddings: `embed`, `train`, `evaluate`, `score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandprobe import progress
from bandprobe.cli.options import (
    Actors,
    Address,
    Background,
    BatchSize,
    Compile,
    Data,
    Device,
    EmbeddingBatch,
    EncoderNames,
    Engine,
    FilterSpecs,
    Geometry,
    Json,
    Layout,
    Limit,
    Out,
    Outside,
    Precision,
    Quiet,
    Seed,
    Store,
    Strict,
    Workers,
    listed,
    show,
)
from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.probes import ProbeFile
    from bandprobe.probes.network_settings import Settings
    from bandprobe.store import EmbeddingStore
    from bandprobe.store.bucket import Place

ManifestFile = Annotated[
    Path | None,
    typer.Option(help="The manifest; by default the one `embed` left beside the store.", metavar="FILE"),
]


def beside(store: Place) -> Path:
    """Where `embed` leaves the manifest of a store: beside it, so that the store holds embeddings alone.

    That of a store on object storage lies in the current folder.
    """
    name = f"{store.name}.manifest.parquet"
    return store.with_name(name) if isinstance(store, Path) else Path(name)


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
    protocol: Annotated[
        str, typer.Option(help="corrected, thesis, or switches joined by commas.", metavar="WORDS")
    ] = "corrected",
    batch_size: EmbeddingBatch = None,
    compiled: Compile = False,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    outside: Outside = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill the embedding store; only what is missing is computed.

    Examples: bandprobe embed photos/ --encoder dinov2-small --filter none --filter thesis --store embeddings
    bandprobe embed photos/ --encoder dinov2-small --filter fda:0.01:reference=Real jpeg:75 --store embeddings
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
    names = encoders.expand_names([name for text in encoder for name in text.split(",")])
    grid = None if geometry == "native" else Grid.parse(geometry)
    references = [encoders.resolve(name) for name in names]
    encoders.distinct([reference.name for reference in references])
    if grid is not None:
        for spec in specs:
            check(spec, grid.size)
    cluster = Cluster.asked(engine, address, device=device, actors=actors)
    if cluster is not None:
        cluster.ready()
    if not is_remote(str(store)):
        check_output(store)
    held = EmbeddingStore(store, {r.name: name for r, name in zip(references, names, strict=True)})
    place, threads = beside(held.root), workers or cores()
    with progress.quiet(quiet):
        tables = [name for name in names if encoders.resolve(name).kind == "table"]
        looked_up = [encoders.load_table(name) for name in tables]
        computed = [name for name in names if name not in tables]
        loaded = encoders.load_all(
            computed,
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


def train(
    out: Out,
    store: Annotated[
        str | None, typer.Option(help="The embedding store.", metavar="DIR", show_default=False)
    ] = None,
    manifest: ManifestFile = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Which encoders; all of the store by default.", metavar="NAME")
    ] = None,
    train_on: Annotated[
        list[str] | None,
        typer.Option(
            help="each, families, all, or a generator's name (repeatable); all three by default, end to end "
            "all.",
            metavar="SET",
        ),
    ] = None,
    train_filter: Annotated[
        list[str], typer.Option(help="Filters to train under (repeatable).", metavar="SPEC")
    ] = ["none"],  # noqa: B006 - Typer copies it
    head: Annotated[
        str, typer.Option(help="linear, mlp, or attention (for encoders NAME#tokens).", metavar="HEAD")
    ] = "linear",
    loss: Annotated[str, typer.Option(help="bce, focal, supcon or triplet.", metavar="LOSS")] = "bce",
    protocol: Annotated[
        str, typer.Option(help="corrected, thesis, or switches joined by commas.", metavar="PROTOCOL")
    ] = "corrected",
    replicate: Annotated[
        int, typer.Option(min=0, help="The K-th bootstrap resample of the training images.", metavar="K")
    ] = 0,
    end_to_end: Annotated[
        list[str] | None,
        typer.Option(help="Train on these images instead of a store (repeatable).", metavar="DATA"),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="End to end: a filter that training images go through with probability P, one half by "
            "default (repeatable).",
            metavar="SPEC[@P]",
        ),
    ] = None,
    unfreeze: Annotated[
        bool, typer.Option("--unfreeze", help="End to end: train the encoder's weights too.")
    ] = False,
    precision: Annotated[str, typer.Option(help="End to end: 32, 16-mixed or bf16-mixed.")] = "32",
    epochs: Annotated[int, typer.Option(min=1, help="End to end: at most so many.", metavar="N")] = 20,
    patience: Annotated[
        int, typer.Option(min=1, help="End to end: epochs without a gain before it stops.", metavar="N")
    ] = 3,
    batch_size: Annotated[int, typer.Option(min=2, help="End to end: images a batch.", metavar="N")] = 64,
    geometry: Geometry = "squash:224",
    layout: Layout = "auto",
    background: Background = "white",
    limit: Limit = None,
    device: Device = "auto",
    workers: Workers = None,
    seed: Seed = 0,
    outside: Outside = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit probes, one safetensors file each: on stored embeddings, or end to end on images.

    Example: bandprobe train --store embeddings --head mlp --loss focal --out probes

    Example: bandprobe train --end-to-end photos --encoder dinov2-small --augment flip --augment jpeg:75@0.3
    --augment random-lowpass:30..150px --out probes
    """
    from bandprobe import probes
    from bandprobe.analysis.relabelling import relabelled
    from bandprobe.files import output_folder
    from bandprobe.filters import expand
    from bandprobe.machine import cores
    from bandprobe.protocol import Protocol
    from bandprobe.store import EmbeddingStore

    if (store is None) == (end_to_end is None):
        raise InputError("train takes --store (embeddings) or --end-to-end (images); give one of them.")
    only_images = {"--augment": augment, "--unfreeze": unfreeze, "--limit": limit}
    if end_to_end is None and (given := [name for name, value in only_images.items() if value]):
        raise InputError(f"{given[0]} is for training on images; give them with --end-to-end.")
    switches = Protocol.parse(protocol)
    sets = [name for text in train_on or [] for name in text.split(",")]
    with progress.quiet(quiet):
        if store is not None:
            held = EmbeddingStore(store)
            sources = _sources(held, encoder)
            finished = {name: source for name, source in sources.items() if _is_detector(source)}
            table = _embedded(held, manifest)
            trained = probes.finished(held, finished, output_folder(out)) if finished else []
            probed = {name: source for name, source in sources.items() if name not in finished}
            trained += (
                []
                if finished and not probed
                else probes.train(
                    held,
                    table,
                    probed,
                    sets or ["each", "families", "all"],
                    [str(spec) for spec in expand(train_filter)],
                    out,
                    seed=seed,
                    workers=workers or cores(),
                    head=head,
                    loss=loss,
                    protocol=switches,
                    replicate=replicate,
                    relabel=relabelled(table) if switches.fda_relabel else None,
                    device=device,
                )
            )
        else:
            from bandprobe.images import build
            from bandprobe.probes.network_settings import Settings

            if encoder is None or train_filter != ["none"] or replicate or switches.on:
                raise InputError(
                    "--end-to-end needs --encoder, and takes neither --train-filter (see --augment) nor "
                    "--protocol nor --replicate."
                )
            images = build(
                end_to_end or [],
                layout=layout,
                background=background,
                limit=limit,
                workers=workers,
                seed=seed,
                outside=outside,
            )
            trained = _end_to_end(
                images.table,
                [name for text in encoder for name in text.split(",")],
                sets or ["all"],
                out,
                Settings(head, loss, tuple(augment or ()), unfreeze, precision, epochs, patience, batch_size),
                geometry=geometry,
                background=background,
                device=device,
                seed=seed,
                workers=workers or cores(),
            )
    if json:
        facts, fitted = ("encoder", "trained_on", "train_filter"), ("C", "threshold", "validation")
        show(
            [
                {name: getattr(file, name) for name in facts}
                | {name: getattr(file.probe, name, None) for name in fitted}
                for file in trained
            ]
        )
    else:
        typer.echo(f"{len(trained)} probes in {out}")


def evaluate(
    store: Store,
    probes: Annotated[Path, typer.Option(help="The folder of probes.", metavar="DIR", show_default=False)],
    out: Out,
    manifest: ManifestFile = None,
    filter: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option("--filter", help="Test filters; all of the store by default.", metavar="SPEC"),
    ] = None,
    train_filter: Annotated[
        list[str] | None,
        typer.Option(
            help="Train filters whose probes meet every test filter; all by default.", metavar="SPEC"
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="corrected, thesis, or switches joined by commas.", metavar="WORDS")
    ] = "corrected",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The transfer grid: every probe on every generator's test images, under every filter."""
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
        table = _embedded(held, manifest)
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


def score(
    images: Annotated[list[Path], typer.Argument(help="Image files or folders.", show_default=False)],
    probe: Annotated[
        Path, typer.Option(help="A probe's safetensors file.", metavar="FILE", show_default=False)
    ],
    encoder: Annotated[
        str | None, typer.Option(help="Where the probe's encoder is now, if it has moved.", metavar="NAME")
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    workers: Workers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The probability that each image is generated, by one probe.

    Example: bandprobe score picture.jpg --probe runs/bedroom/probes/dinov2-giant__all__none.safetensors
    """
    from bandprobe.analysis.scoring import score as score_images
    from bandprobe.machine import cores

    with progress.quiet(quiet):
        done = score_images(
            images, probe, encoder=encoder, device=device, batch_size=batch_size, workers=workers or cores()
        )
    if json:
        show(done.rows)
    else:
        for row in done.rows:
            typer.echo(f"{row['probability']:.3f}  {row['verdict']:4}  {row['path']}")
    raise typer.Exit(listed(done.left_out))


def _end_to_end(
    table: pd.DataFrame,
    names: list[str],
    train_on: list[str],
    out: Path,
    settings: Settings,
    *,
    geometry: str,
    device: str,
    **options: Any,
) -> list[ProbeFile]:
    """Train on images with one encoder after the other."""
    from bandprobe import encoders
    from bandprobe.images import Geometry as Grid
    from bandprobe.probes.end_to_end import train_end_to_end

    grid = None if geometry == "native" else Grid.parse(geometry)
    trained: list[ProbeFile] = []
    for name in names:
        loaded = encoders.load(name, device=device)
        trained += train_end_to_end(table, loaded, name, train_on, out, settings, geometry=grid, **options)
    return trained


def _embedded(store: EmbeddingStore, given: Path | None) -> pd.DataFrame:
    """The manifest's table."""
    from bandprobe.images import Manifest

    path = given or beside(store.root)
    if given is None and not path.exists() and isinstance(store.root, Path):
        path = store.root.parent / "manifest.parquet"  # a run's folder
    if not path.exists():
        raise InputError(f"no manifest at {str(path)!r}; give it with --manifest.")
    return Manifest.load(path).table


def _sources(store: EmbeddingStore, given: list[str] | None) -> dict[str, str]:
    """Names in the store, with what loads each."""
    from bandprobe.encoders import resolve

    held = list(dict.fromkeys(name for name, _ in store.conditions()))
    if not held:
        raise InputError(f"no embeddings in {str(store.root)!r}; `bandprobe embed` makes them.")
    names = [text for part in given or held for text in part.split(",")] if given else held
    return {(n if n in held else resolve(n).name): store.source(n) if n in held else n for n in names}


def _is_detector(source: str) -> bool:
    """Whether what a store's vectors come from is a finished detector, as far as its name tells."""
    from bandprobe.encoders import resolve
    from bandprobe.errors import EncoderError

    try:
        return resolve(source).is_detector
    except EncoderError:  # moved since
        return "detector:" in source
