"""`fetch`: public data sets onto this disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandprobe.cli.options import DryRun, Json, Quiet, show

if TYPE_CHECKING:
    from bandprobe.datasets.fetching import Fetched, Report
    from bandprobe.datasets.registry import DataSet


def _known() -> list[str]:
    from bandprobe.datasets.registry import names

    return names()


def fetch(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A data set, or a registry file of your own (.toml). Without one, what there is.",
            metavar="NAME",
            show_default=False,
            autocompletion=_known,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The folder that the data set's own is made in.", metavar="DIR")
    ] = Path("data"),
    subset: Annotated[
        list[str] | None,
        typer.Option(help="A part alone, such as test (repeatable); everything by default.", metavar="NAME"),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Say what there is, or what parts NAME has, and stop.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Hash again what is there already.")] = False,
    server: Annotated[
        str | None,
        typer.Option(help="Where records are looked up instead, e.g. a mirror of zenodo.org.", metavar="URL"),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download a public data set into a layout that `index` finds.

    Files are compared with their published checksums; where there are none, the first download's are kept beside the
    data and compared from then on. Stopped and started again, it goes on where it was; what is there is left alone.

    Examples:
        bandprobe fetch
        bandprobe fetch lsun-bedroom --subset test --out data
        bandprobe fetch lsun-bedroom --subset test --verify
        bandprobe fetch our-set.toml --dry-run
    """
    from bandprobe import progress
    from bandprobe.datasets import registry
    from bandprobe.datasets.fetching import fetch as fetch_set

    if name is None or list_:
        _say_what_there_is([registry.load(each) for each in ([name] if name else registry.names())], json)
        return
    with progress.quiet(quiet):
        done = fetch_set(name, out, subsets=subset, server=server, verify=verify, dry_run=dry_run)
    if json:
        from dataclasses import asdict

        show({"dry_run": dry_run, **asdict(done)})
        return
    for report in done.parts:
        typer.echo("\n".join(_lines(report)))
    if any(report.state in ("fetched", "there") for report in done.parts):
        typer.echo("\n".join(_terms(done)))


def _lines(report: Report) -> list[str]:
    size = f"{report.files:,} file{'' if report.files == 1 else 's'}"
    size += f", {report.bytes / 10**9:,.2f} GB" if report.bytes else ", size not known"
    words = {
        "fetched": f"fetched, {size} in {report.folder}",
        "there": f"there already, {size} in {report.folder}",
        "planned": f"would download {size}, and unpack them into {report.folder}",
        "by hand": f"cannot be fetched: {report.by_hand} Into {report.folder}.",
    }
    return [f"{report.part}: {words[report.state]}", *(f"  {check}" for check in report.checks)]


def _terms(done: Fetched) -> list[str]:
    lines = [f"\nlicence: {done.licence or 'not named; ask its authors'} ({done.homepage})"]
    lines += [f"note: {note}" for note in done.notes]
    lines += ["please cite:", done.citation] if done.citation else []
    return [*lines, f"\nnext: bandprobe index {done.folder}"]


def _say_what_there_is(data_sets: list[DataSet], json: bool) -> None:
    if json:
        show([each.model_dump(exclude={"servers"}) for each in data_sets])
        return
    wide = max(len(part.name) for each in data_sets for part in each.parts)
    for each in data_sets:
        typer.echo(f"{each.name}: {each.title}")
        for part in each.parts:
            how = "by hand: " if part.by_hand else ""
            typer.echo(f"  {part.name.ljust(wide)}  {how}{part.about or part.by_hand}")
    typer.echo(
        "\nbandprobe fetch NAME --subset PART. A registry of your own is a TOML file: bandprobe fetch our-set.toml."
    )
