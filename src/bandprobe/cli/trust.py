"""The tool on data whose truth is known: `selftest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bandprobe import progress
from bandprobe.cli import completion
from bandprobe.cli.options import Json, Quiet, Seed, show
from bandprobe.columns import aligned

if TYPE_CHECKING:
    import pandas as pd

    from bandprobe.selftest import BandRecovery, Statistics

_QUICK, _FULL = (12, 60), (200, 1000)  # planted artefacts that count, and nulls
_ATTRIBUTED = {
    False: 8,
    True: 100,
}  # planted artefacts of which gradient, Shapley values and attack are asked
_TITLES = {
    "coverage": "Coverage of 95 % intervals in per cent, lowest to highest over the true values",
    "levels": "Rejections at 5 % where there is no difference, in per cent",
    "families": "Verdicts about five generators of each family, in per cent",
}
_PASSED = (
    "A share passes unless its own 95 % interval, which few draws leave wide, lies outside 92 to 98 % (coverage),\n"
    "above 6.5 % (rejections) or above 5 % (wrong verdicts), and nothing explains why.\nOutside for sure:"
)


def selftest(
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help=f"{_FULL[0]} planted artefacts, {_FULL[1]:,} nulls and 2,000 draws of every test set.",
        ),
    ] = False,
    only: Annotated[
        Literal["bands", "attribution", "statistics"] | None,
        typer.Option(help="One part alone: bands, attribution or statistics.", metavar="PART"),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Whose probes are asked; it runs on the CPU, on images of 64 px.",
            metavar="NAME",
            autocompletion=completion.encoders,
        ),
    ] = "spectral",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write tables of every case, null, interval, test and verdict.", metavar="DIR"
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """See whether the tool finds what was planted, and whether its intervals hold.

    bands: artefacts of known frequencies in photographs, and none. attribution: whether gradients, Shapley values and
    attacks point at such artefacts. statistics: intervals, tests and verdicts about
    families on simulated test sets whose truth is known. Exit code 0 when all is as it should be, 1 when something
    is not.

    Examples:
        bandprobe selftest
        bandprobe selftest --only statistics
        bandprobe selftest --full --out trust
    """
    from bandprobe.files import output_folder
    from bandprobe.run import write_table
    from bandprobe.selftest import attribution, bands, statistics

    folder = output_folder(out) if out is not None else None
    cases, nulls = _FULL if full else _QUICK
    passed = True
    tables: dict[str, pd.DataFrame] = {}
    said: list[str] = []
    content: dict[str, Any] = {}
    with progress.quiet(quiet):
        if only in (None, "bands"):
            found = bands(cases, nulls, encoder=encoder, seed=seed)
            passed &= found.passed
            tables |= {"bands-planted": found.cases, "bands-nulls": found.nulls}
            content["bands"] = _bands_content(found)
            said += _bands_lines(found)
        if only in (None, "attribution"):
            pointed = attribution(_ATTRIBUTED[full], encoder=encoder, seed=seed)
            passed &= pointed.passed
            tables["attribution"] = pointed.cases
            shares = {way: {"n": n, "of": of} for way, (n, of) in pointed.shares.items()}
            content["attribution"] = {"passed": pointed.passed, "shares": shares}
            said += [*([""] if said else []), *pointed.lines()]
        if only in (None, "statistics"):
            held = statistics(full, seed=seed)
            passed &= held.passed
            parts = {"coverage": held.coverage, "levels": held.levels, "families": held.families}
            tables |= parts
            content["statistics"] = {"passed": held.passed} | {
                name: _records(table) for name, table in parts.items()
            }
            said += [*([""] if said else []), *_statistics_lines(held)]
    if folder is not None:
        for name, table in tables.items():
            write_table(table, folder / f"{name}.csv")
    if json:
        show(content)
    else:
        typer.echo("\n".join([*said, "", "passed" if passed else "failed"]))
    raise typer.Exit(0 if passed else 1)


def _bands_content(found: BandRecovery) -> dict[str, Any]:
    shares = {name: {"n": n, "of": of} for name, (n, of) in found.shares.items()}
    return {"passed": found.passed, "shares": shares, "kinds": _records(found.summary)}


def _bands_lines(found: BandRecovery) -> list[str]:
    rows = [
        (
            *(row[name] for name in ("encoder", "kind", "cases", "counted")),
            *("" if row["counted"] == 0 else f"{row[name]:.2f}" for name in ("located", "covered")),
            row["note"],
        )
        for row in found.summary.to_dict("records")
    ]
    header = ("encoder", "artefact", "cases", "AUROC >= 0.8", "located", "covered", "")
    return [*aligned(header, rows), "", *found.lines()]


def _statistics_lines(held: Statistics) -> list[str]:
    lines = []
    for name, table in held.short().items():
        lines += [_TITLES[name], *aligned(list(table.columns), table.to_numpy().tolist()), ""]
    return [*lines, _PASSED, *(held.remarks() or ["nothing"])]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows fit for JSON, which knows no NaN."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
