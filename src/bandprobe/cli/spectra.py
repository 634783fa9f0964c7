"""Spectra of a data set: `spectrum`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.options import (
    Background,
    Data,
    Json,
    Layout,
    Limit,
    Out,
    Outside,
    Quiet,
    Seed,
    Workers,
    listed,
    show,
)
from bandprobe.errors import InputError


def spectrum(
    data: Data,
    out: Out,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="fft, fft_hp, dct (transforms), density (radial), coherent, magnitude, power, std (what is "
            "taken of each transform over the images), or several. Default: density, and fft_hp as magnitude "
            "and coherent.",
            metavar="KIND",
            autocompletion=completion.among(*completion.SPECTRA),
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="A generator, Real, or DATASET/GENERATOR, or several; drawn in this order. All by default.",
            metavar="NAME",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="Names shown: one for each --source, or NAME=SHOWN, or several.", metavar="[NAME=]SHOWN"
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log/--linear", help="Scale of the figures.")] = True,
    vmin: Annotated[
        float | None,
        typer.Option(help="Lower end of the scale; 1e-5 by default, 0 if linear.", metavar="VALUE"),
    ] = None,
    vmax: Annotated[
        float | None,
        typer.Option(help="Upper end of the scale; by default 1e-1, of a density 1e3.", metavar="VALUE"),
    ] = None,
    difference: Annotated[
        bool,
        typer.Option("--difference", help="Draw generator / real - 1 in two dimensions as well."),
    ] = False,
    rings: Annotated[
        Literal["dc", "ricker"],
        typer.Option(
            help="Rings of the density: dc, around DC, or ricker, as in Ricker et al. 2022.", metavar="NAME"
        ),
    ] = "dc",
    width: Annotated[
        str,
        typer.Option(help="Width of the figures: page (7 in), column (3.4 in) or inches.", metavar="WIDTH"),
    ] = "page",
    filter: Annotated[  # noqa: A002 - the option's name
        str,
        typer.Option(
            help="A filter applied to the colour images on their own grid before; not rounded to 8 bits unless "
            "it says so.",
            metavar="SPEC",
            autocompletion=completion.filters,
        ),
    ] = "none",
    layout: Layout = "auto",
    size: Annotated[
        int | None,
        typer.Option(min=4, help="Side of the centre crop; what all images hold by default.", metavar="N"),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=2, help="At most so many images of each source.", metavar="N")
    ] = 1000,
    background: Background = "white",
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    outside: Outside = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw the spectra of every source, by radius and in two dimensions.

    Opens only the images that it takes: equally many of each source of a data set.

    Examples:
        bandprobe spectrum photos/ --out spectra
        bandprobe spectrum photos/ --out spectra --kind density fft_hp --difference
        bandprobe spectrum lsun_bedroom/test --out spectra --kind fft_hp --source Real,ProGAN,StyleGAN
            --vmin 1e-5 --vmax 1e-1
    """
    from bandprobe.analysis import spectra
    from bandprobe.analysis.spectrum_pictures import found_pictures
    from bandprobe.files import output_folder
    from bandprobe.images import REAL
    from bandprobe.machine import cores
    from bandprobe.metrics.spectrum_kinds import Kinds
    from bandprobe.report import spectra_figures
    from bandprobe.report.spectrum_figures import SpectrumView

    kinds, threads = Kinds.parse(kind), workers or cores()
    chosen = _parts(source)
    if difference and chosen and REAL not in map(_generator, chosen):
        raise InputError(f"--difference divides by the reals; add --source {REAL}.")
    view = SpectrumView(
        log=log,
        vmin=vmin,
        vmax=vmax,
        width=_inches(width),
        labels=_labels(_parts(labels), chosen),
        difference=difference,
        as_given=bool(chosen),
    )
    folder = output_folder(out)
    with progress.quiet(quiet):
        table, left_out = found_pictures(
            data, layout=layout, background=background, workers=threads, outside=outside
        )
        found = spectra(
            table,
            kinds=kind,
            sources=chosen or None,
            size=size,
            samples=samples,
            limit=limit,
            rings=rings,
            filter=filter,
            background=background,
            seed=seed,
            workers=threads,
        )
        found.save(folder / "spectra.npz")
        fakes = table[table["label"] == 1]
        family_of = dict(zip(fakes["generator"], fakes["family"], strict=True))
        figures = spectra_figures(folder, family_of, kinds, view)
    left_out |= found.left_out
    if json:
        show({"spectra": str(folder / "spectra.npz"), "figures": [str(path) for path in figures],
              "size": found.size, "filter": found.filter, "n": found.counts, "slopes": found.slopes,
              "left_out": left_out})  # fmt: skip
    else:
        for path in figures:
            typer.echo(path)
    raise typer.Exit(listed(left_out))


def _parts(given: Sequence[str] | None) -> list[str]:
    """Values of an option given several times, or joined by commas."""
    return [part.strip() for text in given or [] for part in text.split(",") if part.strip()]


def _labels(labels: Sequence[str], sources: Sequence[str]) -> dict[str, str]:
    """The name shown for each generator.

    Raises:
        InputError: names without `=` that are not one for each source.
    """
    if any("=" in text for text in labels):
        pairs = [text.partition("=") for text in labels]
        for name, equals, shown in pairs:
            if not (name and equals and shown):
                raise InputError(f"--labels must all be NAME=SHOWN, or none; got {name + equals + shown!r}.")
        found = {_generator(name): shown for name, _, shown in pairs}
    else:
        if labels and len(labels) != len(sources):
            raise InputError(
                f"--labels must be one for each --source, or NAME=SHOWN; got {len(labels)} for {len(sources)}."
            )
        found = {_generator(name): shown for name, shown in zip(sources, labels, strict=bool(labels))}
    if len(set(found.values())) < len(found):
        raise InputError(f"--labels must differ; got {', '.join(found.values())}.")
    return found


def _generator(source: str) -> str:
    return source.rpartition("/")[2]


def _inches(width: str) -> float:
    from bandprobe.report.spectrum_figures import COLUMN
    from bandprobe.report.style import WIDTH

    named = {"page": WIDTH, "column": COLUMN}
    try:
        return named[width] if width in named else float(width)
    except ValueError:
        raise InputError(f"--width must be page, column or a number of inches; got {width!r}.") from None
