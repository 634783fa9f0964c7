"""What has to do with embeddings: `embed`, `train`, `evaluate`, `score`, `store verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import (
    Background,
    BatchSize,
    Data,
    Device,
    EncoderNames,
    FilterSpecs,
    Geometry,
    Json,
    Layout,
    Limit,
    Out,
    Precision,
    Quiet,
    Seed,
    Store,
    Strict,
    Workers,
    listed,
    show,
)
from bandprobe.cli.studies import Engine
from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.store import EmbeddingStore

ManifestFile = Annotated[
    Path | None,
    typer.Option(help="The manifest; by default the one `embed` left beside the store.", metavar="FILE"),
]


def beside(store: Path) -> Path:
    """Where `embed` leaves the manifest of a store: beside it, so that the store holds embeddings alone."""
    return store.with_name(f"{store.name}.manifest.parquet")


def embed(
    data: Data,
    encoder: EncoderNames,
    store: Store,
    filter: FilterSpecs = ["none"],  # noqa: A002, B006 - Typer copies it
    geometry: Geometry = "squash:224",
    layout: Layout = "auto",
    background: Background = "white",
    engine: Annotated[Engine, typer.Option(help="Where the encoders run.")] = Engine.local,
    device: Device = "auto",
    precision: Precision = "fp32",
    batch_size: BatchSize = 32,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill the embedding store; only what is missing is computed.

    Example: bandprobe embed photos/ --encoder dinov2-small --filter none --filter thesis --store embeddings
    """
    from bandprobe import encoders
    from bandprobe.extract import extract
    from bandprobe.files import check_output
    from bandprobe.filters import check, expand
    from bandprobe.images import Geometry as Grid
    from bandprobe.images import Manifest, build
    from bandprobe.machine import cores
    from bandprobe.store import EmbeddingStore

    specs, names = expand(filter), [name for text in encoder for name in text.split(",")]
    grid = None if geometry == "native" else Grid.parse(geometry)
    references = [encoders.resolve(name) for name in names]
    encoders.distinct([reference.name for reference in references])
    if grid is not None:
        for spec in specs:
            check(spec, grid.size)
    check_output(store)
    held = EmbeddingStore(store, {r.name: name for r, name in zip(references, names, strict=True)})
    place, threads = beside(store), workers or cores()
    with progress.quiet(quiet):
        loaded = [encoders.load(name, device=device, precision=precision) for name in names]
        manifest = build(
            data,
            layout=layout,
            background=background,
            limit=limit,
            workers=threads,
            seed=seed,
            strict=strict,
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
        )
        kept = manifest.without(done.left_out)
        # The store may hold other data sets as well: they stay known.
        (kept.joined(Manifest.load(place)) if place.exists() else kept).save(place)
    left_out = {
        **dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True)),
        **done.left_out,
    }
    if json:
        show({"store": str(store), "manifest": str(beside(store)), "passes": done.passes, "saved": done.saved,
              "left_out": left_out})  # fmt: skip
    else:
        typer.echo(f"{done.passes:,} encoder passes done, {done.saved:,} saved by the store {store}")
    raise typer.Exit(listed(left_out))


def train(
    store: Store,
    out: Out,
    manifest: ManifestFile = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Which encoders; all of the store by default.", metavar="NAME")
    ] = None,
    train_on: Annotated[
        list[str],
        typer.Option(help="each, families, all, or a generator's name (repeatable).", metavar="SET"),
    ] = ["each", "families", "all"],  # noqa: B006 - Typer copies it
    train_filter: Annotated[
        list[str], typer.Option(help="Filters to train under (repeatable).", metavar="SPEC")
    ] = ["none"],  # noqa: B006 - Typer copies it
    workers: Workers = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit probes on stored embeddings, one safetensors file each."""
    from bandprobe import probes
    from bandprobe.filters import expand
    from bandprobe.machine import cores
    from bandprobe.store import EmbeddingStore

    held = EmbeddingStore(store)
    sources = _sources(held, encoder)
    with progress.quiet(quiet):
        trained = probes.train(
            held,
            _embedded(held, manifest),
            sources,
            [name for text in train_on for name in text.split(",")],
            [str(spec) for spec in expand(train_filter)],
            out,
            seed=seed,
            workers=workers or cores(),
        )
    if json:
        facts = ("encoder", "trained_on", "train_filter")
        fitted = ("C", "threshold", "validation")
        show([{n: getattr(p, n) for n in facts} | {n: getattr(p.probe, n) for n in fitted} for p in trained])
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
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The transfer grid: every probe on every generator's test images, under every filter."""
    from bandprobe.analysis import evaluate as transfer_grid
    from bandprobe.files import output_folder
    from bandprobe.filters import expand
    from bandprobe.probes import load_folder
    from bandprobe.run import write_results
    from bandprobe.store import EmbeddingStore

    folder, held, tested = output_folder(out), EmbeddingStore(store), load_folder(probes)
    names = {probe.encoder for probe in tested}
    stored = [spec for encoder, spec in held.conditions() if encoder in names]
    specs = [str(spec) for spec in expand(filter or list(dict.fromkeys(stored)))]
    everywhere = (
        [str(spec) for spec in expand(train_filter)]
        if train_filter
        else sorted(p.train_filter for p in tested)
    )
    with progress.quiet(quiet):
        results = transfer_grid(
            held,
            _embedded(held, manifest),
            tested,
            specs,
            everywhere=everywhere,
            scores=folder / "scores.parquet",
            seed=seed,
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


def verify(store: Annotated[Path, typer.Argument(help="The embedding store.", show_default=False)]) -> None:
    """Read every part with its checksums and name the damaged ones."""
    from bandprobe.store import EmbeddingStore

    held = EmbeddingStore(store)
    if not held.conditions():
        raise InputError(f"no embeddings in {str(store)!r}; `bandprobe embed` makes them.")
    damaged = dict(held.verify())
    for path, reason in damaged.items():
        typer.echo(f"{path}: {reason}")
    if damaged:
        raise InputError(f"{len(damaged)} damaged parts; remove those files and run `bandprobe embed` again.")
    typer.echo(f"{len(held.conditions())} conditions, every part whole")


def _embedded(store: EmbeddingStore, given: Path | None) -> pd.DataFrame:
    """The manifest's table."""
    from bandprobe.images import Manifest

    path = given or beside(store.root)
    if given is None and not path.exists():
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
