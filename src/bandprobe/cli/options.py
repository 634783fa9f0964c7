"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bandprobe.columns import shown

Data = Annotated[
    list[str],
    typer.Argument(
        help="Folders, tar, CSV or Parquet files, a manifest, NAME=FOLDER roots; also URLs, e.g. s3://.",
        show_default=False,
    ),
]
FilterSpecs = Annotated[
    list[str],
    typer.Option("--filter", help="A filter spec, range or preset, or several.", metavar="SPEC"),
]
EncoderNames = Annotated[
    list[str],
    typer.Option("--encoder", help="A short name, Hugging Face id or folder, or several.", metavar="NAME"),
]
Layout = Annotated[
    str, typer.Option(help="auto, ricker, forensynths, genimage, folders, table or roots.", metavar="LAYOUT")
]
Geometry = Annotated[str, typer.Option(help="The grid all encoders share, or native.", metavar="squash:N")]
Background = Annotated[str, typer.Option(help="What transparent pixels lie on.", metavar="COLOUR")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="At most so many images of each generator and split.", metavar="N")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="fp32, fp16 or bf16.")]
EmbeddingBatch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images a batch; by default 32, on an accelerator as many as make it fastest.",
        metavar="N",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the encoders first: a minute once, then 5 to 10 % faster; needs a C++ compiler.",
    ),
]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="Where the encoders run: local, or ray.")]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray's cluster: auto, HOST:PORT or ray://HOST:PORT; this machine's cores by default.",
        metavar="ADDRESS",
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Ray's workers that hold encoders; one for each GPU, or else core, by default.",
        metavar="N",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images a batch.", metavar="N")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Threads and processes; every core by default.", metavar="N")
]
Seed = Annotated[int, typer.Option(min=0, help="Decides every random draw.", metavar="N")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where an image stands under both labels.")]
Outside = Annotated[bool, typer.Option("--outside", help="Let a table name images outside its own folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")]
Store = Annotated[
    str,
    typer.Option(
        help="The embedding store, also on S3: s3://bucket/path.", metavar="DIR", show_default=False
    ),
]
Out = Annotated[Path, typer.Option(help="The folder to write to.", metavar="DIR", show_default=False)]


def show(content: Any) -> None:
    """Print JSON to standard output."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # What is no UTF-8 text in a file's name stands as JSON's own escape.
    typer.echo(text.encode("utf-8", "backslashreplace").decode())


def listed(left_out: dict[str, str]) -> int:
    """Name the images left out on standard error; the exit code that says so."""
    if left_out:
        typer.echo(f"{len(left_out)} image{'s' if len(left_out) > 1 else ''} left out:", err=True)
    for path, reason in left_out.items():
        typer.echo(f"  {shown(path)}: {shown(reason)}", err=True)
    return 1 if left_out else 0
