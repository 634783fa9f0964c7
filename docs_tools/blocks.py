"""The code blocks of the pages."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)(?P<info>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_NOT_RUN = re.compile(r"^\s*<!-- not run: (.+) -->\s*$")
_EXIT = re.compile(r"^\s*<!-- exits with ([123]) -->\s*$")
_DESK = re.compile(r"^<!-- desk: ([\w ,]+) -->$", re.MULTILINE)
_INCLUDE = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
_REST = re.compile(r"^<!-- the rest is not run: (.+) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: the file it stands in.
        line: that of the opening fence, from 1.
        language: the word behind the fence.
        text: what stands between the fences.
        title: the file that the block is the content of, or "".
        not_run: why it cannot be run, in words, or "".
        exit_code: what its last command ends with.
        output: what the page says that it prints (a `text` block right behind it), or None.
        output_line: the line of that block's opening fence.
    """

    page: Path
    line: int
    language: str
    text: str
    title: str = ""
    not_run: str = ""
    exit_code: int = 0
    output: str | None = None
    output_line: int = 0

    @property
    def place(self) -> str:
        """`docs/tutorial.md:12`."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README.md and every page of docs/, in the order that they are checked in."""
    found = sorted(DOCS.rglob("*.md"))
    first = DOCS / "tutorial.md"  # what it makes, other pages begin with
    return [first, ROOT / "README.md", *(page for page in found if page != first)]


def prepared(page: Path) -> tuple[str, ...]:
    """What a page asks to find: `<!-- desk: run -->`."""
    found = _DESK.search(page.read_text(encoding="utf-8"))
    return tuple(re.split(r"[ ,]+", found[1].strip())) if found else ()


def blocks(page: Path) -> list[Block]:
    """The page's blocks, each with the output that the page shows for it."""
    found: list[Block] = []
    for block, adjoining in _fenced(page):
        if block.language == "text" and adjoining and found and found[-1].language in ("bash", "python"):
            found[-1] = replace(found[-1], output=block.text, output_line=block.line)
        else:
            found.append(block)
    return found


def _included(text: str) -> str:
    """A block's text, with the file of the repository that it includes by `--8<--`."""
    return _INCLUDE.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8").rstrip("\n"), text)


def _fenced(page: Path) -> Iterator[tuple[Block, bool]]:
    """Every fenced block, and whether nothing but blank lines stands between it and the one before."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    rest = ""
    marks: list[str] = []  # comments right above
    adjoining = False
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            if lines[number].strip():
                adjoining = False
                marks = [*marks, lines[number]] if lines[number].lstrip().startswith("<!--") else []
                if ended := _REST.match(lines[number]):
                    rest = ended[1]
            number += 1
            continue
        start = number
        closing = re.compile(rf"^ *{opening['fence']}\s*$")
        number += 1
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        if number == len(lines):
            raise ValueError(f"{page}:{start + 1}: the block is never closed")
        reasons = [reason[1] for mark in marks if (reason := _NOT_RUN.match(mark))]
        codes = [int(code[1]) for mark in marks if (code := _EXIT.match(mark))]
        title = _TITLE.search(opening["info"])
        yield (
            Block(
                page,
                start + 1,
                opening["language"],
                _included(textwrap.dedent("\n".join(lines[start + 1 : number])) + "\n"),
                title[1] if title else "",
                reasons[-1] if reasons else rest,
                codes[-1] if codes else 0,
            ),
            adjoining,
        )
        marks, adjoining = [], True
        number += 1


def commands(block: Block) -> list[str]:
    """The block's commands: continued and quoted lines joined, comments and blank lines left out."""
    found: list[str] = []
    open_quote = False
    for line in block.text.replace("\\\n", " ").splitlines():
        if open_quote:
            found[-1] += f"\n{line}"
        elif line.strip() and not line.lstrip().startswith("#"):
            found.append(line.strip())
        else:
            continue
        open_quote = not _is_whole(found[-1])
    return found


def _is_whole(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:  # a quotation that goes on in the next line
        return False
    return True
