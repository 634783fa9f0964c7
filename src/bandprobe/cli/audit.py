"""What gives the label away besides the picture: `audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import (
    Background,
    Data,
    Json,
    Layout,
    Quiet,
    Seed,
    Strict,
    Workers,
    listed,
    show,
)
from bandprobe.columns import aligned
from bandprobe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.audit import Audit


def audit(
    data: Data,
    out: Annotated[Path, typer.Option(help="The table to write.", metavar="FILE")] = Path("audit.csv"),
    equalise: Annotated[
        bool,
        typer.Option(
            "--equalise", help="Also what remains once all pictures share crop, size and JPEG quality."
        ),
    ] = False,
    equalise_to: Annotated[
        str | None,
        typer.Option(
            help="The shared history: crop:SIDE, squash:SIDE or both, and jpeg:QUALITY, joined by +. By default "
            "the largest crop that 99 % hold, halved, and jpeg:75.",
            metavar="RECIPE",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1, help="Images of each class and data set whose pixels are looked at.", metavar="N"
        ),
    ] = 1000,
    layout: Layout = "auto",
    background: Background = "white",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many images of each class and data set.", metavar="N"),
    ] = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what tells fakes from reals besides the picture.

    That is file metadata, and traces of compression and of resizing. Reads every file's header, and the pixels of
    a sample.

    Examples:
        bandprobe audit photos/
        bandprobe audit photos/ --equalise --samples 500
        bandprobe audit photos/ --equalise-to crop:256+squash:224+jpeg:75 --out equalised.csv
    """
    from bandprobe.analysis.spectrum_pictures import found_pictures
    from bandprobe.audit import audit as audited
    from bandprobe.audit import within_limit
    from bandprobe.files import output_folder, write_whole
    from bandprobe.images.equalise import AUTO, Equalise
    from bandprobe.machine import cores

    recipe = equalise_to or (AUTO if equalise else None)
    if recipe not in (None, AUTO):
        Equalise.parse(recipe)
    path = out / "audit.csv" if out.is_dir() else out
    output_folder(path.parent)
    threads = workers or cores()
    with progress.quiet(quiet):
        table, left_out = found_pictures(data, layout=layout, background=background, workers=threads)
        found = audited(
            within_limit(table, limit, seed),
            equalise=recipe,
            samples=samples,
            background=background,
            seed=seed,
            workers=threads,
        )
    both = [path for path, why in (left_out | found.left_out).items() if "is real and fake" in why]
    if strict and both:
        raise InputError(f"{both[0]} stands under both labels ({len(both)} such files); keep it under one.")
    write_whole(path, found.table.to_csv(index=False, lineterminator="\n").encode())
    left_out |= found.left_out
    if json:
        rows = found.table.astype(object).where(found.table.notna(), None)
        show({"audit": str(path), "equalise": found.equalise, "rows": rows.to_dict("records"),
              "warnings": found.warnings, "notes": found.notes, "left_out": left_out})  # fmt: skip
    else:
        typer.echo("\n".join([*_lines(found), "", f"written: {path}"]))
    raise typer.Exit(listed(left_out))


def _lines(found: Audit) -> list[str]:
    """The tables data set by data set, how they are read, and the warnings."""
    from bandprobe.audit import FOUND, reading

    header = ["trace", "AUROC", "interval"]
    if found.equalise:
        header = ["trace", "AUROC as found", "interval", "equalised", "interval", ""]
    lines = []
    for dataset, rows in found.table.groupby("dataset", sort=False):
        shown = rows[(rows[[name for name in ("auroc", FOUND[0]) if name in rows]] != 0.5).any(axis=1)]
        body = []
        for _, row in shown.iterrows():
            now = [*_numbers(row, ("auroc", "low", "high")), "!" if row["warning"] else ""]
            body.append([row["trace"], *(_numbers(row, FOUND) if found.equalise else []), *now])
        lines += [str(dataset), *(aligned([*header, ""][: len(body[0])], body) if body else [])]
        lines += [f"{len(rows) - len(shown)} traces do not vary", ""] if len(shown) < len(rows) else [""]
    lines += [*found.notes, "", *reading(found.table, found.equalise)]
    return lines


def _numbers(row: pd.Series[float], names: tuple[str, ...]) -> list[str]:
    value, low, high = (row[name] for name in names)
    return [f"{value:.3f}", f"[{low:.3f}, {high:.3f}]"] if value == value else ["–", ""]  # noqa: PLR0124
