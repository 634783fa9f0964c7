"""Numbers in sentences and tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

IMAGES = "images/findings"


def read(path: Path) -> pd.DataFrame:
    """A table of a run; empty cells are NaN, and no other word is."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def least(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """The row with the least of a column, the first of them."""
    found = rows.reset_index().sort_values(column, kind="stable").iloc[0]
    return {str(name): value for name, value in found.items()}


def most(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """The row with the most of a column, the first of them."""
    return least(rows.assign(**{column: -rows[column]}), column) | {column: float(rows[column].max())}


def mean(values: Iterable[float]) -> str:
    """A mean with Student's interval over its members."""
    found = np.asarray(list(values), float)
    reach = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return _bracketed(found.mean(), found.mean() - reach, found.mean() + reach, "")


def interval(row: Mapping[Any, Any] | pd.Series[Any], names: str = "value low high", sign: str = "") -> str:
    """`0.912 [0.890, 0.931]`, of a row's columns; a dash where the first is not known."""
    value, low, high = (float(row[name]) for name in names.split())
    if np.isnan(value):
        return "–"
    return _bracketed(value, low, high, sign)


def _bracketed(value: float, low: float, high: float, sign: str) -> str:
    """Three decimals each, and no sign on what they round to zero."""
    value, low, high = (round(float(one), 3) + 0.0 for one in (value, low, high))
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    rows = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def points(said: Iterable[str]) -> str:
    """A list of Markdown."""
    return "\n".join(f"- {one}" for one in said)


def picture(name: str, alt: str) -> str:
    """A picture of the page."""
    return f"![{alt}]({IMAGES}/{name}.png)"
