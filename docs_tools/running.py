"""A page's blocks run one after the other, as a reader would."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docs_tools.blocks import Block, blocks, commands
from docs_tools.desk import HOME, sitting_at, stand_ins
from docs_tools.output import agrees
from docs_tools.parsing import SHOWN, parse, words

_SHELL = set("|<>;&$`")
_NAMES_ALONE = ("plan", "encoders", "filters")  # commands that load no encoder, and say what there is
_STUDY = "study.toml"  # how a TOML block without a title is called by the commands behind it


@dataclass
class Page:
    """What came of a page.

    Attributes:
        ran, parsed, not_run: how many of its blocks were run, were only parsed, and were not run because they
            need what is not here (they are parsed too).
        failures: what went wrong, each with its place.
        printed: what blocks with an output printed, by the line of that output's fence.
        seconds: how long it took.
    """

    path: Path
    ran: int = 0
    parsed: int = 0
    not_run: int = 0
    failures: list[str] = field(default_factory=list)
    printed: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_page(path: Path, desk: Path, *, compare: bool = True) -> Page:
    """Run a page's blocks on a desk that has been laid out; it stops at the first that fails.

    Args:
        path: the page.
        desk: where its commands are run.
        compare: whether what is printed must be what the page shows.
    """
    page = Page(path)
    names: dict[str, Any] = {"__name__": "__page__"}
    begun = time.perf_counter()
    with sitting_at(desk):
        for block in blocks(path):
            try:
                _one(block, page, names, desk, compare)
            except Exception as error:
                page.failures.append(f"{block.place}: {_said(error)}")
                break
    page.seconds = time.perf_counter() - begun
    return page


def _one(block: Block, page: Page, names: dict[str, Any], desk: Path, compare: bool) -> None:
    parse(block)
    if block.language in SHOWN:
        return
    if block.not_run:
        page.not_run += 1
        return
    if block.language in ("toml", "json") or block.title:
        page.parsed += 1
        title = block.title or (_STUDY if block.language == "toml" else "")
        if title:
            (desk / title).parent.mkdir(parents=True, exist_ok=True)
            (desk / title).write_text(block.text, encoding="utf-8")
        return
    if block.language == "python":
        with stand_ins(desk, block.text):
            printed = _python(block, names)
    else:
        printed = _bash(block, desk)
    page.ran += 1
    if block.output is not None:
        printed = printed.replace(str(desk), HOME)
        page.printed[block.output_line] = printed
        if compare and not agrees(block.output, printed):
            raise ValueError(f"it prints\n{printed}\nand the page shows\n{block.output}")


def _python(block: Block, names: dict[str, Any]) -> str:
    """Run Python in the page's namespace; what it printed."""
    code = compile("\n" * block.line + block.text, str(block.page), "exec")
    with _captured() as printed:
        exec(code, names)
    return printed.getvalue()


def _bash(block: Block, desk: Path) -> str:
    """Run commands, bandprobe's in this process; what they printed to standard output."""
    printed = ""
    lines = commands(block)
    for line in lines:
        expected = block.exit_code if line == lines[-1] else 0
        given = words(line)
        if given[0] == "bandprobe" and not _SHELL & set(line.partition(" #")[0]):
            code, said, errors = _bandprobe(given[1:], desk, block.text)
        else:
            code, said, errors = _shell(line)
        if code != expected:
            raise ValueError(f"`{line}` ends with {code}, not {expected}:\n{errors}{said}")
        printed += said
    return printed


def _bandprobe(arguments: list[str], desk: Path, text: str) -> tuple[int, str, str]:
    """Run one command of a block whose text is given: what a later command loads, an earlier one named."""
    from bandprobe import cli

    expanded: list[str] = []
    for word in arguments:
        found = sorted(str(path.relative_to(desk)) for path in desk.glob(word)) if "*" in word else []
        expanded += found or [word]
    errors = io.StringIO()
    study = desk / _STUDY
    named = text + (study.read_text(encoding="utf-8") if _STUDY in expanded and study.exists() else "")
    with contextlib.ExitStack() as stack:
        if expanded[0] not in _NAMES_ALONE:
            stack.enter_context(stand_ins(desk, named))
        printed = stack.enter_context(_captured())
        stack.enter_context(contextlib.redirect_stderr(errors))
        code = cli.run(expanded)
    return code, printed.getvalue(), errors.getvalue()


def _shell(line: str) -> tuple[int, str, str]:
    place = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield printed


def _said(error: Exception) -> str:
    """The error, with the block's own line where Python raised it."""
    if isinstance(error, ValueError) and not error.__cause__ and "ends with" in str(error):
        return str(error)
    lines = [
        f"line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.endswith(".md")
    ]
    return f"{', '.join([*lines, type(error).__name__])}: {error}"
