"""Options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bandprobe.cli import completion
from bandprobe.cli.pages import IMAGES, MACHINE, OUTPUT
from bandprobe.columns import shown

Data = Annotated[
    list[str],
    typer.Argument(
        help="Folders, tar, CSV or Parquet files, a manifest, NAME=FOLDER roots; also URLs, e.g. s3://; - for a list "
        "on standard input.",
        metavar="DATA",
        show_default=False,
    ),
]
FilterSpecs = Annotated[
    list[str],
    typer.Option(
        "--filter",
        help="A filter spec, range or preset, or several.",
        metavar="SPEC",
        autocompletion=completion.filters,
    ),
]
EncoderNames = Annotated[
    list[str],
    typer.Option(
        help="A short name, Hugging Face id or folder, or several.",
        metavar="NAME",
        autocompletion=completion.encoders,
    ),
]
StoredEncoders = Annotated[
    list[str] | None,
    typer.Option(
        help="Which encoders, one or several; all of the store by default.",
        metavar="NAME",
        autocompletion=completion.encoders,
    ),
]
_protocol = typer.Option(
    help="corrected, thesis, or switches joined by commas.",
    metavar="WORDS",
    autocompletion=completion.protocols,
)
ProtocolWords = Annotated[str, _protocol]
MaybeProtocol = Annotated[str | None, _protocol]
Layout = Annotated[
    str,
    typer.Option(
        help="auto, ricker, forensynths, genimage, folders, table or roots.",
        metavar="LAYOUT",
        autocompletion=completion.among(*completion.LAYOUTS),
        rich_help_panel=IMAGES,
    ),
]
Geometry = Annotated[
    str,
    typer.Option(
        help="The grid all encoders share, or native.",
        metavar="squash:N",
        autocompletion=completion.among("squash:224", "shortest-edge:224", "native"),
        rich_help_panel=IMAGES,
    ),
]
Background = Annotated[
    str,
    typer.Option(
        help="What transparent pixels lie on.",
        metavar="COLOUR",
        autocompletion=completion.among("white", "black", "grey"),
        rich_help_panel=IMAGES,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="At most so many images of each generator and split.",
        metavar="N",
        rich_help_panel=IMAGES,
    ),
]
_device = typer.Option(
    help="auto, cpu, cuda, cuda:N or mps.",
    metavar="NAME",
    autocompletion=completion.among("auto", "cpu", "cuda", "cuda:0", "mps"),
    rich_help_panel=MACHINE,
)
Device = Annotated[str, _device]
MaybeDevice = Annotated[str | None, _device]
Precision = Annotated[
    str,
    typer.Option(
        help="fp32, fp16 or bf16.",
        metavar="TYPE",
        autocompletion=completion.among("fp32", "fp16", "bf16"),
        rich_help_panel=MACHINE,
    ),
]
EmbeddingBatch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images a batch; by default 32, on an accelerator as many as make it fastest.",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the encoders first: a minute once, then 5 to 10 % faster; needs a C++ compiler.",
        rich_help_panel=MACHINE,
    ),
]
_engine = typer.Option(
    help="Where the work is done: local, or ray.", metavar="ENGINE", rich_help_panel=MACHINE
)
Engine = Annotated[Literal["local", "ray"], _engine]
MaybeEngine = Annotated[Literal["local", "ray"] | None, _engine]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray's cluster: auto, HOST:PORT or ray://HOST:PORT; this machine's cores by default.",
        metavar="ADDRESS",
        rich_help_panel=MACHINE,
    ),
]
Actors = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Ray's workers that hold encoders; one for each GPU, or else core, by default.",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images a batch.", metavar="N", rich_help_panel=MACHINE)]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads and processes; every core by default.",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
_seed = typer.Option(min=0, help="Decides every random draw.", metavar="N")
Seed = Annotated[int, _seed]
MaybeSeed = Annotated[int | None, _seed]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Fail where an image stands under both labels.", rich_help_panel=IMAGES),
]
Outside = Annotated[
    bool,
    typer.Option("--outside", help="Let a table name images outside its own folder.", rich_help_panel=IMAGES),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be done, and write nothing.", rich_help_panel=OUTPUT),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document instead of text.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No progress and no notes; results and errors are printed as ever.",
        rich_help_panel=OUTPUT,
    ),
]
Store = Annotated[
    str,
    typer.Option(
        help="The embedding store, also on S3: s3://bucket/path.", metavar="DIR", show_default=False
    ),
]
Out = Annotated[Path, typer.Option(help="The folder to write to.", metavar="DIR", show_default=False)]
StudyFile = Annotated[Path, typer.Argument(help="The study file (TOML).", metavar="FILE", show_default=False)]


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
