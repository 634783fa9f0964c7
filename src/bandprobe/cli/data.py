"""What has to do with images alone: `index`, `filter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import (
    Background,
    DryRun,
    FilterSpecs,
    Json,
    Layout,
    Limit,
    Out,
    Outside,
    Quiet,
    Seed,
    Strict,
    Workers,
    listed,
    show,
)
from bandprobe.errors import InputError


def pairs(given: list[str] | None, option: str, *, bare: bool = False) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping; where `bare`, a folder alone is named by its last part."""
    found = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals and bare:
            name, value = Path(text).name, text
        if not name or not value:
            raise InputError(f"{option} must be NAME=VALUE; got {text!r}.")
        found[name] = value
    return found


def earlier(path: Path) -> Path | None:
    """The manifest that lies where one is to be written, whose unchanged files need not be opened again.

    Raises:
        InputError: another file lies there.
    """
    from bandprobe.images import Manifest

    if not path.exists():
        return None
    try:
        Manifest.load(path)
    except InputError:
        raise InputError(f"{str(path)!r} is there and is no manifest; give another --out.") from None
    return path


def index(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, tar, CSV or Parquet files, or NAME=FOLDER roots; also URLs.",
            metavar="DATA",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The manifest to write.", metavar="FILE")] = Path(
        "manifest.parquet"
    ),
    layout: Layout = "auto",
    real: Annotated[
        list[str] | None, typer.Option(help="A folder of real images (repeatable).", metavar="DIR")
    ] = None,
    fake: Annotated[
        list[str] | None, typer.Option(help="A generator's folder (repeatable).", metavar="[NAME=]DIR")
    ] = None,
    splits: Annotated[
        str, typer.Option(help="Shares of train, val and test where none are given.", metavar="A,B,C")
    ] = "0.7,0.1,0.2",
    family: Annotated[
        list[str] | None, typer.Option(help="A family of your own (repeatable).", metavar="GENERATOR=FAMILY")
    ] = None,
    background: Background = "white",
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    strict: Strict = False,
    outside: Outside = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find a data set's layout, images and duplicates; print and save what was found.

    Folders, tables, tar files and URLs are told apart by themselves. Look at the mapping before anything is
    computed: it says which folder was taken for what.

    Examples:
        bandprobe index photos/
        bandprobe index --real photos/ --fake ProGAN=fakes/progan/ --out manifest.parquet
        bandprobe index lsun_bedroom/ --layout ricker --limit 100 --json
    """
    from bandprobe.files import check_output
    from bandprobe.images import build
    from bandprobe.machine import cores

    try:
        shares = [float(part) for part in splits.split(",")]
    except ValueError:
        raise InputError(f"--splits must be three shares such as 0.7,0.1,0.2; got {splits!r}.") from None
    families: dict[str, list[str]] = {}
    for generator, name in pairs(family, "--family").items():
        families.setdefault(name, []).append(generator)
    if out.is_dir():
        raise InputError(f"--out must be a file to write, e.g. {out / 'manifest.parquet'}; got a folder.")
    check_output(out.parent)
    with progress.quiet(quiet):
        manifest = build(
            data or [],
            layout=layout,
            real=real or [],
            fakes=pairs(fake, "--fake", bare=True),
            splits=shares,
            families=families,
            background=background,
            limit=limit,
            workers=workers or cores(),
            seed=seed,
            strict=strict,
            outside=outside,
            previous=earlier(out),
        )
        if not dry_run:
            manifest.save(out)
    left_out = dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True))
    if json:
        counts = (
            manifest.table.groupby(["dataset", "generator", "family", "split"])
            .size()
            .rename("n")
            .reset_index()
        )
        found = {
            "dry_run": dry_run,
            "manifest": str(out),
            "images": len(manifest.table),
            "mapping": manifest.mapping.to_dict("records"),
            "counts": counts.to_dict("records"),
            "notes": list(manifest.notes),
            "left_out": left_out,
        }
        show(found)
    else:
        typer.echo(manifest.report())
        typer.echo(f"\n{'would be written' if dry_run else 'written'}: {out}")
    raise typer.Exit(listed(left_out))


def filter_images(
    images: Annotated[
        list[Path], typer.Argument(help="Image files or folders.", metavar="IMAGE", show_default=False)
    ],
    filter: FilterSpecs,  # noqa: A002 - the option's name
    out: Out,
    size: Annotated[
        str,
        typer.Option(
            help="native: masks on each image's own grid; N: squashed to N x N first.", metavar="SIZE"
        ),
    ] = "native",
    show: Annotated[bool, typer.Option("--show", help="Write masks and spectra as well, in show/.")] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Data whose sources can be references, as in reference=Real.", metavar="DATA"),
    ] = None,
    background: Background = "white",
    limit: Limit = None,
    outside: Outside = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write filtered images, and an index.csv that maps each to its source.

    The images are 8-bit PNG, named after their source and the filter. `bandprobe filters` has the grammar.

    Examples:
        bandprobe filter photo.png --filter lowpass:30px highpass:0.25nyq --out filtered --show
        bandprobe filter photos/ --filter lowpass:5..185/5px --out sweep --dry-run
        bandprobe filter fake.png --filter fda:0.01:reference=photo.png --out adapted
    """
    from bandprobe.analysis.filtering import write_filtered
    from bandprobe.cli.dry_run import filtering
    from bandprobe.cli.options import show as show_json
    from bandprobe.filters import expand
    from bandprobe.images import build
    from bandprobe.machine import cores

    specs = expand(filter)
    if dry_run:
        filtering(images, specs, out, limit=limit, json=json)
        return
    with progress.quiet(quiet):
        table = build(data, background=background, workers=cores(), outside=outside).table if data else None
        done = write_filtered(
            images, specs, out, size=size, show=show, background=background, limit=limit, table=table
        )
    if json:
        show_json({"index": str(out / "index.csv"), "written": done.written, "left_out": done.left_out})
    else:
        typer.echo(f"{done.written:,} images written; {out / 'index.csv'} says which is which")
    raise typer.Exit(listed(done.left_out))
