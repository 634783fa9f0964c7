"""What has to do with images alone: `index`, `filter`, `encoders`, `filters`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import (
    Background,
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
from bandprobe.columns import aligned
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
        typer.Argument(help="Folders, CSV or Parquet files, or NAME=FOLDER roots.", show_default=False),
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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find the layout of a data set; print and save the mapping found.

    Examples: bandprobe index lsun_bedroom/
    bandprobe index --real photos/ --fake ProGAN=fakes/progan/
    """
    from bandprobe.files import output_folder
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
    output_folder(out.parent)
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
        typer.echo(f"\nwritten: {out}")
    raise typer.Exit(listed(left_out))


def filter_images(
    images: Annotated[list[Path], typer.Argument(help="Image files or folders.", show_default=False)],
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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write filtered images, 8-bit PNG, with an index.csv that maps each to its source and spec.

    Examples: bandprobe filter photo.png --filter lowpass:30px --filter highpass:0.25nyq --out filtered --show
    bandprobe filter fake.png --filter fda:0.01:reference=photo.png --out adapted
    """
    from bandprobe.analysis.filtering import write_filtered
    from bandprobe.cli.options import show as show_json
    from bandprobe.filters import expand
    from bandprobe.images import build
    from bandprobe.machine import cores

    specs = expand(filter)
    with progress.quiet(quiet):
        table = build(data, background=background, workers=cores(), outside=outside).table if data else None
        done = write_filtered(
            images, specs, out, size=size, show=show, background=background, limit=limit, table=table
        )
    if json:
        show_json({"index": str(out / "index.csv"), "written": done.written, "left_out": done.left_out})
    else:
        typer.echo(f"{done.written} images written; {out / 'index.csv'} says which is which")
    raise typer.Exit(listed(done.left_out))


def encoders(json: Json = False) -> None:
    """The encoders with a short name; any Hugging Face id or folder works too."""
    from dataclasses import asdict

    from bandprobe.encoders import catalogue

    entries = [asdict(entry) for entry in catalogue()]
    if json:
        show(entries)
        return
    words = {"parameters": "M params", "gated": "access"}
    shown = [
        {words.get(key, key): value for key, value in entry.items()}
        | {"access": "on request" if entry["gated"] else ""}
        for entry in entries
    ]
    typer.echo(
        "\n".join(aligned(list(shown[0]), [["" if v is None else v for v in row.values()] for row in shown]))
    )
    typer.echo(
        "\nAlso: a Hugging Face id (owner/model), a folder written by save_pretrained, openclip:MODEL/TAG, "
        "timm:NAME."
        "\ndetector:FILE.onnx       a detector of your own, images in, logits out; no probe is trained"
        "\ndetector:MODULE:FUNCTION the same in Python (FILE.py:FUNCTION too)"
        "\ntable:FILE.parquet       embeddings computed elsewhere: image_id or path, filter, embedding"
        "\nrandom:ENCODER           the same encoder with weights drawn anew; random:2:ENCODER with seed 2"
        "\nENCODER#tokens           its class and patch tokens, for a head that attends to them"
        "\nA@FILTER+B               several at once, each behind a filter of its own if asked; a range of the "
        "filter\n                         stands for many: dinov2-giant@lowpass:5..185/5px+openclip-vit-g-14"
        "\nname=ENCODER renames one."
    )


def filters(json: Json = False) -> None:
    """The filter grammar and what each filter does."""
    from bandprobe.filters import KINDS, PRESETS, expand

    if json:
        show(
            {
                "kinds": [
                    {
                        "name": kind.name,
                        "argument": kind.argument,
                        "cutoff": kind.cutoff,
                        "keys": list(kind.keys),
                        "gain": kind.gain,
                        "example": kind.example,
                    }
                    for kind in KINDS.values()
                ],
                "presets": {name: [str(f) for f in expand(name)] for name in PRESETS},
            }
        )
        return
    rows = [
        (
            kind.name + (f":{kind.argument}" if kind.argument else ""),
            " ".join(f"{key}=" for key in kind.keys),
            kind.gain,
        )
        for kind in KINDS.values()
    ]
    typer.echo("KIND[:ARGUMENT][:key=value...]\n")
    typer.echo("\n".join(aligned(("filter", "keys", "gain, or what it does"), rows)))
    typer.echo(
        "\nCUTOFF  30px (cycles per shorter side), 0.25nyq (of Nyquist) or 0.1cpp (cycles per pixel)"
        "\nrange   lowpass:5..185/5px stands for 37 filters, jpeg:50..90/10 for 5"
        "\nchain   lowpass:30px+highpass:5px, jpeg:75+lowpass:30px: one after the other"
        "\norder=  n of a Butterworth filter (1)         width=  W of a band (20px)"
        "\ndc=     keep: the mean stays (default); zero: the textbook mask"
        "\nbits=8  clip and round to 8-bit levels; encoders get unclipped floats otherwise"
        "\nreference=  an image file, or a source of the data (Real, a generator), of which each image draws one;"
        "\n        write %25 %2C %3A %2B for % , : + in its name"
        "\nsplit=  where references are drawn: train (default), val or test"
        "\nseed=   of what is drawn for each image by its id: references, cut-offs, noise (0)"
        "\nMASK    of inject: bandpass (default), lowpass, highpass or ideal- before one of them"
        f"\npreset  thesis: {', '.join(PRESETS['thesis'])}"
        f"\n        claims: {len(expand('claims'))} conditions, what the claims of the report are judged on"
    )
