"""`train`: probes on stored embeddings, or end to end on images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.manifests import ManifestFile, embedded
from bandprobe.cli.options import (
    Background,
    Device,
    DryRun,
    Geometry,
    Json,
    Layout,
    Limit,
    Out,
    Outside,
    ProtocolWords,
    Quiet,
    Seed,
    StoredEncoders,
    Workers,
    show,
)
from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.probes import ProbeFile
    from bandprobe.probes.network_settings import Settings
    from bandprobe.store import EmbeddingStore


def train(
    out: Out,
    store: Annotated[
        str | None, typer.Option(help="The embedding store.", metavar="DIR", show_default=False)
    ] = None,
    manifest: ManifestFile = None,
    encoder: StoredEncoders = None,
    train_on: Annotated[
        list[str] | None,
        typer.Option(
            help="each, families, all, or a generator's name (repeatable); all three by default, end to end "
            "all.",
            metavar="SET",
            autocompletion=completion.among("each", "families", "all", "family:gan", "family:diffusion"),
        ),
    ] = None,
    train_filter: Annotated[
        list[str],
        typer.Option(
            help="Filters to train under, one or several.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = ["none"],  # noqa: B006 - Typer copies it
    head: Annotated[
        str,
        typer.Option(
            help="linear, mlp, or attention (for encoders NAME#tokens).",
            metavar="HEAD",
            autocompletion=completion.among(*completion.HEADS),
        ),
    ] = "linear",
    loss: Annotated[
        str,
        typer.Option(
            help="bce, focal, supcon or triplet.",
            metavar="LOSS",
            autocompletion=completion.among(*completion.LOSSES),
        ),
    ] = "bce",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A recipe for a better detector: plain, bands, radii, random-lowpass, random-bandstop, "
            "chosen-cutoff, leace, nuisance, stacked; on all generators by default. Needs the embeddings of `embed "
            "--filter recipes`.",
            metavar="NAME",
            autocompletion=completion.among(*completion.RECIPES),
        ),
    ] = None,
    protocol: ProtocolWords = "corrected",
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
            autocompletion=completion.filters,
        ),
    ] = None,
    unfreeze: Annotated[
        bool, typer.Option("--unfreeze", help="End to end: train the encoder's weights too.")
    ] = False,
    precision: Annotated[
        str, typer.Option(help="End to end: 32, 16-mixed or bf16-mixed.", metavar="TYPE")
    ] = "32",
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
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit probes: on stored embeddings, or end to end on images.

    Each is one safetensors file, which `evaluate` and `score` take.

    Examples:
        bandprobe train --store embeddings --out probes
        bandprobe train --store embeddings --head mlp --loss focal --train-on all --out probes
        bandprobe train --store embeddings --recipe leace --out probes-leace
        bandprobe train --end-to-end photos/ --encoder dinov2-small --augment flip jpeg:75@0.3
            random-lowpass:30..150px --out probes
    """
    from bandprobe import probes
    from bandprobe.analysis.relabelling import relabelled
    from bandprobe.cli.dry_run import training
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
    plain = (head, loss, train_filter) == ("linear", "bce", ["none"])
    if recipe is not None and (end_to_end or not plain or switches.on or replicate or dry_run):
        raise InputError(
            "--recipe makes linear probes on a --store by the corrected protocol; leave --end-to-end, --head, --loss, "
            "--protocol, --replicate, --train-filter and --dry-run out."
        )
    sets = [name for text in train_on or [] for name in text.split(",")]
    with progress.quiet(quiet):
        if store is not None:
            held = EmbeddingStore(store)
            sources = _sources(held, encoder)
            if recipe is not None:
                chosen = {
                    name: source for name, source in sources.items() if encoder or _stands_alone(source)
                }
                made = _by_recipe(held, embedded(held, manifest), chosen, recipe, sets, out, seed)
                _said(made, out, json=json)
                return
            finished = {name: source for name, source in sources.items() if _is_detector(source)}
            table = embedded(held, manifest)
            if dry_run:
                named = probes.training_sets(table, sets or ["each", "families", "all"])
                filters = [str(spec) for spec in expand(train_filter)]
                training(
                    [
                        *(probes.file_name(name, probes.EXTERNAL, "none") for name in finished),
                        *(
                            probes.file_name(name, one, spec, replicate)
                            for name in sources
                            if name not in finished
                            for spec in filters
                            for one in named
                        ),
                    ],
                    out,
                    json=json,
                )
                return
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
            names = [name for text in encoder for name in text.split(",")]
            if dry_run:
                from bandprobe.encoders import display_name

                named = probes.training_sets(images.table, sets or ["all"])
                files = [probes.file_name(display_name(name), one, "none") for name in names for one in named]
                training(files, out, json=json)
                return
            trained = _end_to_end(
                images.table,
                names,
                sets or ["all"],
                out,
                Settings(head, loss, tuple(augment or ()), unfreeze, precision, epochs, patience, batch_size),
                geometry=geometry,
                background=background,
                device=device,
                seed=seed,
                workers=workers or cores(),
            )
    _said(trained, out, json=json)


def _said(trained: list[ProbeFile], out: Path, *, json: bool) -> None:
    if json:
        facts, fitted = ("encoder", "trained_on", "train_filter"), ("C", "threshold", "validation")
        show(
            [
                {name: getattr(file, name) for name in facts}
                | {name: getattr(file.probe, name, None) for name in fitted}
                | {name: file.training[name] for name in ("recipe", "chosen") if name in file.training}
                for file in trained
            ]
        )
    else:
        typer.echo(f"{len(trained)} probe{'s' if len(trained) > 1 else ''} in {out}")


def _by_recipe(
    store: EmbeddingStore,
    table: pd.DataFrame,
    sources: dict[str, str],
    recipe: str,
    sets: list[str],
    out: Path,
    seed: int,
) -> list[ProbeFile]:
    from bandprobe import recipes

    return recipes.train(store, table, list(sources), recipe, sets or ["all"], out, seed=seed)


def _stands_alone(source: str) -> bool:
    """Whether a recipe takes it unasked: what others joined, and finished detectors, are no part of another."""
    from bandprobe.recipes import stands_alone

    return stands_alone(source)


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
