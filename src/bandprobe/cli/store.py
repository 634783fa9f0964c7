"""Looking after an embedding store: `store verify`."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import Json, Quiet, show
from bandprobe.cli.pages import Command, Group
from bandprobe.errors import InputError, StoreError

app = typer.Typer(
    cls=Group, help="Look after an embedding store.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _root() -> None:
    """Look after an embedding store."""


@app.command(cls=Command)
def verify(
    store: Annotated[
        str,
        typer.Argument(help="The embedding store, or a run's folder.", metavar="DIR", show_default=False),
    ],
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Set damaged parts aside: what they held is made anew next time."),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every part with its checksums, and name the damaged ones.

    The exit code is 2 where any are left.

    Examples:
        bandprobe store verify runs/photos
        bandprobe store verify embeddings --repair
    """
    from bandprobe.store import EmbeddingStore, is_sealed
    from bandprobe.store.bucket import place

    root = place(f"{store}/store" if Path(store, "run.json").is_file() else store)
    held = EmbeddingStore(root)
    with progress.quiet(quiet):
        recovered = held.recover() if repair else 0
        parts = held.parts()
        if not parts:
            raise InputError(f"no embeddings in {str(root)!r}; `bandprobe embed` makes them.")
        with progress.bar("verify", len(parts), "parts") as step:
            damaged = {str(part): reason for part, reason in held.verify(step)}
        aside = {name: str(held.set_aside(place(name))) for name in damaged} if repair else {}
        if aside and isinstance(root, Path):
            _unfinish(root.parent / "run.json")
    old = sum(not is_sealed(part) for part in parts)
    if json:
        show({"store": str(root), "parts": len(parts), "without_own_checksum": old, "recovered_rows": recovered,
              "damaged": damaged, "set_aside": aside})  # fmt: skip
    else:
        for name, reason in damaged.items():
            typer.echo(f"{name}: {reason}" + (f"; now {aside[name]}" if name in aside else ""))
        if recovered:
            typer.echo(f"{recovered} rows of a process that was killed recovered")
        if old:
            typer.echo(
                f"{old} of {len(parts)} parts are an earlier version's: their pages have checksums, the rest of "
                "the file has none"
            )
        if aside:
            typer.echo(
                f"{len(aside)} of {len(parts)} parts set aside; the `bandprobe embed` or `study` that made them, "
                "run again, makes what they held anew"
            )
        elif not damaged:
            typer.echo(f"{len(held.conditions())} conditions, {len(parts)} parts, every one whole")
    if damaged and not repair:
        raise StoreError(
            f"{len(damaged)} of {len(parts)} parts are damaged; `bandprobe store verify {quote(str(root))} --repair` "
            "sets them aside, to be made anew."
        )


def _unfinish(record: Path) -> None:
    """A run whose store lacks something is not finished: `study` shall not say that there is nothing to do."""
    from bandprobe.files import write_json

    try:
        content = jsonlib.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    write_json(record, {**content, "finished": None})
