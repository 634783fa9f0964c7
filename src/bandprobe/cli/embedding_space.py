"""What the space of embeddings looks like: `entropy`, `project`."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.embed import embed
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import (
    Background,
    BatchSize,
    Device,
    Geometry,
    Json,
    Layout,
    Limit,
    Outside,
    Precision,
    Quiet,
    Seed,
    Store,
    StoredEncoders,
    Strict,
    Workers,
    show,
)
from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.report.figures import FigureGroup
    from bandprobe.store import EmbeddingStore

_CUTOFFS = ("0.05", "0.1", "0.15", "0.25", "0.5")
FILTERS = ["none", "identity", *(f"{kind}:{at}nyq" for kind in ("lowpass", "highpass") for at in _CUTOFFS)]

MaybeData = Annotated[
    list[str] | None,
    typer.Argument(
        help="What to embed first, as for `embed`; without it the store is read as it is.",
        metavar="DATA",
        show_default=False,
    ),
]


def entropy(
    store: Store,
    data: MaybeData = None,
    encoder: StoredEncoders = None,
    filter: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(
            "--filter",
            help="Filters, or several. With DATA the identity and each low-pass's high-pass come by themselves; "
            "default: low- and high-pass at five cut-offs. Without: all that every encoder has.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.", metavar="DIR")] = Path("entropy"),
    twin: Annotated[
        bool, typer.Option("--twin/--no-twin", help="Put each encoder with random weights beside it.")
    ] = True,
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="The images' own spectral entropy as well.")
    ] = True,
    samples: Annotated[
        int, typer.Option(min=1, help="At most so many images of each source.", metavar="N")
    ] = 1000,
    k: Annotated[int, typer.Option("--k", min=1, help="Neighbour of the kNN entropy.", metavar="K")] = 5,
    mutual_k: Annotated[int, typer.Option(min=1, help="Neighbours of the mutual kNN.", metavar="K")] = 10,
    manifest: ManifestFile = None,
    geometry: Geometry = "squash:224",
    layout: Layout = "auto",
    background: Background = "white",
    device: Device = "auto",
    precision: Precision = "fp32",
    batch_size: BatchSize = 32,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    outside: Outside = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the entropy of embeddings, and how low frequencies correspond to high.

    Examples:
        bandprobe entropy --store embeddings --out entropy
        bandprobe entropy photos/ --encoder dinov2-small --store embeddings --filter lowpass:0.25nyq
    """
    from bandprobe.analysis.entropy import entropy as measure
    from bandprobe.encoders import twin as twin_name
    from bandprobe.files import check_output
    from bandprobe.machine import cores
    from bandprobe.report.entropy_figures import entropy_groups
    from bandprobe.store import EmbeddingStore

    check_output(out)
    code, threads = 0, workers or cores()
    asked = [text for part in encoder or () for text in part.split(",")]
    specs = filter
    if data:
        if not asked:
            raise InputError("no encoder is given to embed the data with; name one with --encoder.")
        twins = [name for one in asked if twin and (name := twin_name(one, seed))]
        asked, specs = list(dict.fromkeys([*asked, *twins])), _with_counterparts(filter or FILTERS)
        # The table's summary has standard output to itself.
        with contextlib.redirect_stdout(io.StringIO() if quiet else sys.stderr):
            try:
                embed(
                    data, asked, store, specs, geometry=geometry, layout=layout, background=background,
                    device=device, precision=precision, batch_size=batch_size, limit=limit, workers=threads,
                    seed=seed, strict=strict, outside=outside, quiet=quiet,
                )  # fmt: skip
            except typer.Exit as done:
                code = done.exit_code
    held = EmbeddingStore(store)
    names = _stored(held, asked, twin)
    with progress.quiet(quiet):
        rows = embedded(held, manifest)
        table = measure(
            held, rows, encoders=names, filters=specs, images=rows if images else None, samples=samples, k=k,
            mutual_k=mutual_k, seed=seed, workers=threads,
        )  # fmt: skip
        fakes = rows[rows["label"] == 1]
        family_of = dict(zip(fakes["generator"], fakes["family"], strict=True))
        figures = _written(table, out / "entropy.csv", entropy_groups(table, family_of))
    if json:
        show({"entropy": str(out / "entropy.csv"), "rows": len(table), "figures": figures})
    else:
        typer.echo("\n".join([f"{len(table):,} rows in {out / 'entropy.csv'}", *figures]))
    raise typer.Exit(code)


def project(
    store: Store,
    encoder: StoredEncoders = None,
    filter: Annotated[  # noqa: A002 - the option's name
        list[str] | None,
        typer.Option(
            "--filter",
            help="Stored filters, or several; none by default.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="tsne (default), pca or umap, or several.",
            metavar="METHOD",
            autocompletion=completion.among("tsne", "pca", "umap"),
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="At most so many images of each source.", metavar="N")
    ] = 200,
    perplexity: Annotated[
        float | None,
        typer.Option(help="Of t-SNE; by default 30, or a third of the points.", metavar="P"),
    ] = None,
    neighbours: Annotated[
        int | None, typer.Option(help="Of UMAP; by default 15, or all.", metavar="N")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.", metavar="DIR")] = Path("projection"),
    manifest: ManifestFile = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay out the embeddings in the plane, by t-SNE, PCA or UMAP.

    Examples:
        bandprobe project --store embeddings --out projection
        bandprobe project --store embeddings --filter none lowpass:30px --method tsne pca --out projection
    """
    from bandprobe.analysis.projection import project as lay_out
    from bandprobe.files import check_output
    from bandprobe.report.projection_figures import projection_groups
    from bandprobe.store import EmbeddingStore

    check_output(out)
    held = EmbeddingStore(store)
    asked = [text for part in encoder or () for text in part.split(",")]
    names = _stored(held, asked, twins=True)
    with progress.quiet(quiet):
        done = lay_out(
            held,
            embedded(held, manifest),
            encoders=names,
            filters=filter,
            methods=[text for part in method or ["tsne"] for text in part.split(",")],
            samples=samples,
            perplexity=perplexity,
            neighbours=neighbours,
            seed=seed,
        )
        groups = projection_groups(done.table, done.notes)
        figures = _written(done.table, out / "projection.csv", groups)
    if json:
        show({"projection": str(out / "projection.csv"), "points": len(done.table), "figures": figures})
    else:
        typer.echo("\n".join([f"{len(done.table):,} points in {out / 'projection.csv'}", *figures]))


def _with_counterparts(filters: Sequence[str]) -> list[str]:
    """Filters with what they are measured against: the identity, and the high-pass of each low-pass."""
    from bandprobe.analysis.filter_pairs import opposite
    from bandprobe.filters import expand, parse

    specs = expand(filters)
    eight = any(step.bits for spec in specs for step in spec.steps)
    controls = [parse(name) for name in ("identity", *(["identity:bits=8"] if eight else []))]
    high = [found for spec in specs if (found := opposite(spec)) is not None]
    return list(dict.fromkeys(map(str, [*specs, *controls, *high])))


def _stored(store: EmbeddingStore, asked: Sequence[str], twins: bool) -> list[str] | None:
    """Names in the store; all of them where none is asked for, without twins where they are not wanted."""
    from bandprobe.analysis.stored_conditions import stored_encoders
    from bandprobe.analysis.twins import is_twin
    from bandprobe.encoders import display_name

    held = list(stored_encoders(store))
    if asked:
        return [name if name in held else display_name(name) for name in asked]
    return [name for name in held if twins or not is_twin(name, held)]


def _written(table: pd.DataFrame, path: Path, groups: Sequence[FigureGroup]) -> list[str]:
    """Write a table and its figures; the figures' paths."""
    from bandprobe.files import write_whole

    write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())
    for sentence in (text for group in groups for text in group.sentences):
        progress.say(sentence)
    return [str(figure.write(path.parent)) for group in groups for figure in group.figures]
