"""Tables in Markdown, as GitHub and most wikis read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bandprobe.report.page_tables import Cell, Table
from bandprobe.report.printed_tables import INTERVAL, PrintedTable

MARK = "<!-- made by bandprobe report; changes here are lost -->"
_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~$!^])")
_PLAIN = re.compile(r"[+−–-]?[\d.,]*( %)?")


def markdown_text(text: str) -> str:
    """Words in which no sign means anything: nothing becomes markup, HTML, a link, a formula or a new cell."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return _SIGNS.sub(r"\\\1", line.replace("&", "&amp;"))


def markdown_table(printed: PrintedTable) -> str:
    """A table with its caption above it; the best of each row, where there is one, is bold."""
    view, best = printed.table, printed.best
    lines = [_line([markdown_text(name) for name in view.columns]), _line(_rule(view))]
    for i, row in enumerate(view.rows):
        lines.append(_line([_cell(cell, (i, j) in best) for j, cell in enumerate(row)]))
    said = " Bold: best of its row, its interval above every other." if best else ""
    return f"{markdown_text(view.caption)}.{said}\n\n" + "\n".join(lines) + "\n"


def markdown_page(printed: Sequence[PrintedTable]) -> str:
    """All tables below one another."""
    return "\n".join(f"## {one.name}\n\n{markdown_table(one)}" for one in printed)


def _cell(cell: Cell, best: bool) -> str:
    number = not cell.head and (INTERVAL.fullmatch(cell.text) or _PLAIN.fullmatch(cell.text))
    text = cell.text if number else markdown_text(cell.text)
    return f"**{text}**" if best else text


def _rule(view: Table) -> list[str]:
    return ["---:" if j in view.numbers else "---" for j in range(len(view.columns))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
