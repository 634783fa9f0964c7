"""What there is: `encoders`, `filters`."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

import typer

from bandprobe.cli.options import Json, Quiet, show
from bandprobe.columns import aligned

_FORMS = """
Also: a Hugging Face id (owner/model), a folder written by save_pretrained,
openclip:MODEL/TAG, timm:NAME.

detector:FILE.onnx        a detector of your own: images in, logits out; no
                          probe is trained
detector:MODULE:FUNCTION  the same in Python (FILE.py:FUNCTION too)
table:FILE.parquet        embeddings computed elsewhere: image_id or path,
                          filter, embedding
random:ENCODER            the same encoder with weights drawn anew;
                          random:2:ENCODER with seed 2
ENCODER#tokens            its class and patch tokens, for a head that attends
ENCODER#layer3            its class token behind the third block
A@FILTER+B                several at once, each behind a filter of its own if
                          asked; a range of the filter stands for many:
                          dinov2-giant@lowpass:5..185/5px+openclip-vit-g-14
name=ENCODER              renames one"""
_WORDS = """
CUTOFF      30px (cycles per shorter side), 0.25nyq (of Nyquist) or 0.1cpp
            (cycles per pixel)
range       lowpass:5..185/5px stands for 37 filters, jpeg:50..90/10 for 5
chain       lowpass:30px+highpass:5px, jpeg:75+lowpass:30px: one after the
            other
order=      n of a Butterworth filter (1)
width=      W of a band (20px)
dc=         keep: the mean stays (default); zero: the textbook mask
bits=8      clip and round to 8-bit levels; encoders get unclipped floats
            otherwise
reference=  an image file, or a source of the data (Real, a generator), of
            which each image draws one; write %25 %2C %3A %2B for % , : +
            in its name
split=      where references are drawn: train (default), val or test
seed=       of what is drawn for each image by its id: references, cut-offs,
            noise (0)
MASK        of inject: bandpass (default), lowpass, highpass or ideal- before
            one of them
preset      thesis: {thesis}
            claims: {claims} conditions, what the claims of the report are
            judged on
            recipes: {recipes} conditions, what `openset` and `train --recipe`
            need
            robustness: none and {degradations} conditions, eight degradations in
            five severities each; robustness-FAMILY: those of one of
            {families}
            as a link of a chain a preset stands for as many chains:
            lowpass:0.5nyq+robustness"""


def fitted(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table in columns; on a terminal too narrow for them each row as its name and, below it, the rest.

    Args:
        header: a word for each column; the first is the name's.
        rows: of the table.
    """
    lines = aligned(list(header), [list(row) for row in rows])
    columns = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    if columns is None or max(map(len, lines)) <= columns:
        return lines
    lines = []
    for name, *rest in rows:
        said = [f"{word}: {value}" for word, value in zip(header[1:], rest, strict=True) if str(value)]
        folded = textwrap.wrap("; ".join(said), max(columns - 3, 20), break_on_hyphens=False)
        lines += [str(name), *(f"  {line}" for line in folded)]
    return lines


def encoders(json: Json = False, quiet: Quiet = False) -> None:
    """List the encoders with a short name, and the other forms of a name.

    Examples:
        bandprobe encoders
        bandprobe encoders --json
    """
    from dataclasses import asdict

    from bandprobe.encoders import catalogue

    entries = [asdict(entry) for entry in catalogue()]
    if json:
        from bandprobe.encoders.training_facts import training_of

        facts = [training_of(entry) for entry in catalogue()]
        show(
            [entry | {"training": fact and asdict(fact)} for entry, fact in zip(entries, facts, strict=True)]
        )
        return
    words = {"parameters": "M params", "native_size": "native size", "gated": "access"}
    shown = [
        {words.get(key, key): value for key, value in entry.items()}
        | {"access": "on request" if entry["gated"] else ""}
        for entry in entries
    ]
    rows = [["" if value is None else value for value in row.values()] for row in shown]
    typer.echo("\n".join(fitted(list(shown[0]), rows)))
    typer.echo(_FORMS)


def filters(json: Json = False, quiet: Quiet = False) -> None:
    """List the filters: the grammar, and what each does.

    Examples:
        bandprobe filters
        bandprobe filters --json
    """
    from bandprobe.filters import KINDS, PRESETS, expand
    from bandprobe.filters.degradations import FAMILIES, PRESET

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
    typer.echo("\n".join(fitted(("filter", "keys", "gain, or what it does"), rows)))
    families = textwrap.wrap(", ".join(family.name for family in FAMILIES), 60)
    typer.echo(
        _WORDS.format(
            thesis=", ".join(PRESETS["thesis"]),
            claims=len(expand("claims")),
            recipes=len(expand("recipes")),
            degradations=len(expand(PRESET)) - 1,
            families=("\n" + 12 * " ").join(families),
        )
    )
