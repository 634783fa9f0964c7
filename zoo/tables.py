"""Tables as files, and as the tables of a page in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bandprobe.errors import InputError
from bandprobe.files import write_whole


def write_table(stem: Path, rows: pd.DataFrame, **beside: object) -> None:
    """Write `stem.csv`, and `stem.json` with the same rows under `rows` and all else beside them."""
    write_whole(stem.with_suffix(".csv"), rows.to_csv(index=False).encode())
    records = json.loads(rows.to_json(orient="records", double_precision=12))
    content = json.dumps({**beside, "rows": records}, indent=1, ensure_ascii=False)
    write_whole(stem.with_suffix(".json"), (content + "\n").encode())


def read_table(stem: Path) -> tuple[pd.DataFrame, dict[str, object]]:
    """The rows of a table that `write_table` wrote, and what is beside them.

    Raises:
        InputError: it is not there.
    """
    path = stem.with_suffix(".json")
    if not path.exists():
        raise InputError(f"no table {path}. Write it first: python -m zoo.judge {stem.name}")
    content = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(content.pop("rows")), content


def interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """`0.98 [0.93, 1.03]`."""
    shown = [f"{each:.{digits}f}".replace("-", "−") for each in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown, the first column to the left and the others to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def fill(page: str, parts: Mapping[str, str]) -> str:
    """The page with each part between its marks, `<!-- NAME -->` and `<!-- /NAME -->`.

    Raises:
        InputError: the page has no such marks.
    """
    for name, part in parts.items():
        marks = f"(<!-- {re.escape(name)} -->).*?(<!-- /{re.escape(name)} -->)"
        pieces = re.split(marks, page, maxsplit=1, flags=re.DOTALL)
        if len(pieces) == 1:
            raise InputError(f"the page has no place for {name!r}: <!-- {name} --> and <!-- /{name} -->.")
        before, opening, closing, behind = pieces
        page = f"{before}{opening}\n{part}\n{closing}{behind}"
    return page
