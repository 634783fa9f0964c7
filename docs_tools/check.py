"""Run what the pages show: `python -m docs_tools.check [--parse] [--update] [PAGE...]`.

Every `bash` block is run, command after command, and every `python` block, page by page in a folder of its own with
small data on it. `toml` and `json` blocks are parsed. What needs a GPU, a network, large data or hours carries
`<!-- not run: needs ... -->` above it and is parsed all the same: its commands and options exist. Where a `text` block
follows, it is what was printed. Notebooks are run, and print what their pages show.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from docs_tools import notebooks
from docs_tools.blocks import DOCS, ROOT, Block, blocks, pages, prepared
from docs_tools.desk import lay_out
from docs_tools.parsing import SHOWN, parse
from docs_tools.running import Page, run_page

_TUTORIAL = DOCS / "tutorial.md"
# Pages whose commands a test of the package runs, on data of their own form.
IN_TESTS = {DOCS / "thesis.md": ROOT / "tests" / "test_thesis_commands.py"}


def main(
    given: Annotated[list[Path] | None, typer.Argument(metavar="PAGE", help="All pages by default.")] = None,
    parse_only: Annotated[bool, typer.Option("--parse", help="Parse blocks and run none.")] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Write what was printed into the pages where it differs.")
    ] = False,
    tutorial: Annotated[
        Path | None,
        typer.Option(
            help="Where the tutorial is run, and kept; a finished one is not run again.", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Check the pages' code blocks, and the notebooks."""
    chosen = [path.resolve() for path in given or []]
    every = [page for page in pages() if page not in notebooks.pages()]
    asked = [page for page in every if not chosen or page in chosen]
    if parse_only:
        count = 0
        for block in (block for page in asked for block in blocks(page)):
            parse(block)
            count += block.language not in SHOWN
        typer.echo(f"{count} blocks parsed on {len(asked)} pages")
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    begun = time.perf_counter()
    done: list[Page] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="docs-") as temporary:
        folder = Path(temporary).resolve()
        first = tutorial.resolve() if tutorial else folder / "tutorial"
        finished = (first / "runs" / "first" / "report.html").is_file()
        if any("run" in prepared(page) for page in asked) and _TUTORIAL not in asked:
            asked = [_TUTORIAL, *asked]
        for path in asked:
            if path in IN_TESTS:
                page = in_tests(path)
            elif path == _TUTORIAL and finished:
                continue
            else:
                desk = first if path == _TUTORIAL else folder / path.relative_to(ROOT).with_suffix("")
                desk.mkdir(parents=True)
                if path != _TUTORIAL and any(_runs(block) for block in blocks(path)):
                    lay_out(desk, run=first if "run" in prepared(path) else None)
                page = run_page(path, desk, compare=not update)
                if update:
                    write_outputs(page)
            done.append(page)
            typer.echo(_line(page))
            for failure in page.failures:
                typer.echo(f"  {failure}", err=True)
            failures += page.failures
        for source in notebooks.sources() if not chosen else []:
            started = time.perf_counter()
            wrong = notebooks.check(source, update=update)
            typer.echo(f"{source.relative_to(ROOT)}: {time.perf_counter() - started:.0f} s")
            for failure in wrong:
                typer.echo(f"  {failure}", err=True)
            failures += wrong
    typer.echo(
        f"{sum(page.ran for page in done)} blocks run, {sum(page.parsed for page in done)} parsed, "
        f"{sum(page.not_run for page in done)} parsed and not run for the reason beside them, on {len(done)} pages, "
        f"in {time.perf_counter() - begun:.0f} s; {len(failures)} failures"
    )
    raise typer.Exit(1 if failures else 0)


def _runs(block: Block) -> bool:
    return block.language in ("bash", "python") and not block.not_run


def in_tests(path: Path) -> Page:
    """A page whose commands a test runs: its blocks count as run."""
    page = Page(path)
    for block in blocks(path):
        parse(block)
        page.ran += _runs(block)
        page.not_run += bool(block.not_run)
    return page


def _line(page: Page) -> str:
    where = (
        f"by {IN_TESTS[page.path].relative_to(ROOT)}" if page.path in IN_TESTS else f"{page.seconds:.0f} s"
    )
    return f"{page.path.relative_to(ROOT)}: {page.ran} run, {page.parsed} parsed, {page.not_run} not run, {where}"


def write_outputs(page: Page) -> None:
    """Put what was printed into the page, but for outputs that leave lines out."""
    lines = page.path.read_text(encoding="utf-8").splitlines()
    for line, printed in sorted(page.printed.items(), reverse=True):
        closing = next(n for n in range(line, len(lines)) if lines[n].strip() == "```")
        if "..." not in (text.strip() for text in lines[line:closing]):
            lines[line:closing] = [text.rstrip() for text in printed.strip("\n").splitlines()]
    page.path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
