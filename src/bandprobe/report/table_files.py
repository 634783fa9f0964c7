"""A run's tables as files, for papers and for READMEs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bandprobe.errors import InputError
from bandprobe.files import write_whole
from bandprobe.report import latex, markdown
from bandprobe.report.printed_tables import printed_tables
from bandprobe.report.run_directory import read_run

FORMATS = ("latex", "markdown")
ALL = "tables"  # the file that shows all tables


def write_tables(run_dir: Path, formats: Sequence[str]) -> list[Path]:
    """Write a run's tables to its folder `tables/`, a file each, and one file that shows them all.

    Args:
        run_dir: a run directory with `results.parquet`.
        formats: `latex` (`.tex`, and `tables.tex`, a whole document) or `markdown` (`.md`, and `tables.md`).

    Returns:
        The paths, of each format first that of the file that shows all.

    Raises:
        InputError: an unknown format, or results that are missing or damaged.
        DiskError: a file cannot be written.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise InputError(f"tables are written as {' or '.join(FORMATS)}; got {unknown[0]!r}.")
    folder = Path(run_dir) / "tables"
    tables = printed_tables(read_run(Path(run_dir)))
    names = [one.name for one in tables]
    paths = []
    for wanted in dict.fromkeys(formats):
        if wanted == "latex":
            ending, mark = ".tex", latex.MARK
            texts = [latex.latex_page(names)]
            texts += [latex.latex_table(one, f"bandprobe-{one.name}") for one in tables]
        else:
            ending, mark = ".md", markdown.MARK
            texts = [f"{mark}\n\n{markdown.markdown_page(tables)}"]
            texts += [f"{mark}\n\n{markdown.markdown_table(one)}" for one in tables]
        written = [
            write_whole(folder / f"{name}{ending}", text.encode("utf-8", "backslashreplace"))
            for name, text in zip([ALL, *names], texts, strict=True)
        ]
        _remove_stale(folder, ending, mark, written)
        paths += written
    return paths


def _remove_stale(folder: Path, ending: str, mark: str, kept: Sequence[Path]) -> None:
    """Remove tables of an earlier report that this one does not have, and no other file."""
    for path in set(folder.glob(f"*{ending}")) - set(kept):
        with path.open("rb") as file:
            ours = file.read(len(mark)) == mark.encode()
        if ours:
            path.unlink()
