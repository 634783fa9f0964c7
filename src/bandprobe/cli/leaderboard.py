"""`leaderboard`: encoders of any number of runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandprobe import progress
from bandprobe.cli.options import Json, Out, Quiet, Seed, show


def leaderboard(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Runs' folders; also leaderboards, by their folder or CSV, to go on from.",
            metavar="RUN",
            show_default=False,
        ),
    ],
    out: Out,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Which encoder trait decides: the encoders of any set of runs in one table, as CSV and as a page.

    A row an encoder and data set: what is known of the encoder, the low-pass cut-off that keeps 95 % of AUROC,
    high-frequency dependence, GAN-to-diffusion gap and effective rank, with intervals. traits.csv has what goes
    with which trait. Runs on other images, or another geometry, stand in tables of their own.

    Examples:
        bandprobe leaderboard runs/bedroom runs/faces --out board
        bandprobe leaderboard board runs/new --out board
    """
    from bandprobe.analysis.leaderboard import leaderboard as merged
    from bandprobe.analysis.trait_association import trait_associations
    from bandprobe.files import check_output, write_whole
    from bandprobe.report.leaderboard_page import leaderboard_page
    from bandprobe.run import write_table

    check_output(out)
    with progress.quiet(quiet):
        board = merged(runs, seed=seed)
        traits = trait_associations(board, seed=seed)
        page = leaderboard_page(board, traits)
    write_table(board, out / "leaderboard.csv")
    write_table(traits, out / "traits.csv")
    path = write_whole(out / "leaderboard.html", page.encode("utf-8"))
    worlds = board["world"].nunique()
    if json:
        content = {
            "page": str(path),
            "table": str(out / "leaderboard.csv"),
            "traits": str(out / "traits.csv"),
        }
        show({**content, "encoders": board["encoder"].tolist(), "worlds": worlds})
        return
    several = f" in {worlds} worlds, which do not compare" if worlds > 1 else ""
    typer.echo(f"{len(board)} encoder{'s' if len(board) > 1 else ''}{several}: {path}")
