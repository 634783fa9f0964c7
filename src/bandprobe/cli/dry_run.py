"""What a command would do, said and not done: `--dry-run`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bandprobe.cli.options import show
from bandprobe.cli.quantities import summary
from bandprobe.columns import aligned, shown

if TYPE_CHECKING:
    from bandprobe.filters import Filter
    from bandprobe.store import EmbeddingStore

_SHOWN = 10  # files in a list


def say(content: dict[str, Any], lines: Iterable[str], files: Sequence[str], json: bool) -> None:
    """Print a dry run.

    Args:
        content: for JSON; `dry_run` and the files are added.
        lines: the same in words.
        files: what would be written.
        json: which of them is asked for.
    """
    if json:
        show({"dry_run": True, **content, "would_write": list(files)})
        return
    more = len(files) - _SHOWN
    written = [f"  {shown(name)}" for name in files[:_SHOWN]] + ([f"  and {more:,} more"] if more > 0 else [])
    typer.echo("\n".join([*lines, "would write:", *written, "nothing was written"]))


def filtering(
    images: Sequence[Path], specs: Sequence[Filter], out: Path, *, limit: int | None, json: bool
) -> None:
    """What `filter` would write, if every image can be read."""
    from bandprobe.analysis.filtering import planned
    from bandprobe.images.pictures import picture_files

    files = picture_files(images)[:limit]
    names = [str(out / name) for name in [*planned(files, specs), "index.csv"]]
    filters = [str(spec) for spec in specs]
    content = {"images": len(files), "filters": filters}
    say(content, [f"{len(files):,} images under {len(filters)} filters: {summary(filters)}"], names, json)


def embedding(
    store: EmbeddingStore,
    manifest: object,
    names: Sequence[str],
    filters: Sequence[str],
    ids: Iterable[str],
    *,
    wholes: Mapping[str, str],
    json: bool,
) -> None:
    """What `embed` would do, by what the store holds; no encoder is loaded.

    Args:
        store: to be filled.
        manifest: where the images' manifest would be written.
        names: the encoders'.
        filters: canonical specs.
        ids: the images'.
        wholes: by encoder, whose passes give its vectors.
        json: print JSON.
    """
    from bandprobe.store.parts import ids_of

    wanted = set(ids)
    missing: dict[str, dict[str, int]] = {}
    lacking: dict[tuple[str, str], set[str]] = {}
    for name in names:
        held = {spec: ids_of(sorted(store.partition(name, spec).glob("part-*.parquet"))) for spec in filters}
        missing[name] = {spec: len(wanted - there) for spec, there in held.items()}
        for spec, there in held.items():
            lacking.setdefault((wholes[name], spec), set()).update(wanted - there)
    passes = sum(map(len, lacking.values()))
    content = {
        "images": len(wanted),
        "filters": list(filters),
        "passes": passes,
        "saved": len(wanted) * len(lacking) - passes,
        "missing": missing,
    }
    rows = [
        (name, f"{sum(of.values()):,}", f"{len(wanted) * len(filters) - sum(of.values()):,}")
        for name, of in missing.items()
    ]
    lines = [
        f"{len(wanted):,} images under {len(filters)} filters: {summary(filters)}",
        *aligned(("encoder", "vectors to make", "in the store"), rows),
    ]
    say(content, lines, [str(store.root), str(manifest)] if passes else [str(manifest)], json)


def training(names: Sequence[str], out: Path, *, json: bool) -> None:
    """What `train` would fit: a file for each encoder, training set and training filter."""
    files = [str(out / name) for name in names]
    there = sum(Path(file).exists() for file in files)
    known = f"; {there} lie there and are kept where nothing has changed" if there else ""
    say({"probes": len(files), "there": there}, [f"{len(files)} probes{known}"], files, json)
