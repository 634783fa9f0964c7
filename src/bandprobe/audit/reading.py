"""An audit's table in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bandprobe.audit.pixels import PIXELS
from bandprobe.audit.words import ALL_METADATA, ALL_PIXELS

LEVEL = 0.95
MARGIN = 0.02
FOUND = ("auroc_found", "low_found", "high_found")


def reading(table: pd.DataFrame, equalise: str = "") -> list[str]:
    """How to read an audit, and what it found: a sentence a line.

    Args:
        table: as `Audit.table`, or as read from `audit.csv`.
        equalise: the recipe, where pictures were equalised.
    """
    warned = has_warning(table)
    lines = [
        f"The intervals hold for all traces at once ({100 * LEVEL:.0f} %); a warning stands where one lies above "
        f"{0.5 + MARGIN:g}."
    ]
    if equalise:
        lines.append(f"Equalised by {equalise}: {_remains(table)}.")
    if not warned.any():
        judged = table["auroc"].notna()
        nothing = "No trace tells fakes from reals." if judged.any() else "There are too few images to judge."
        return [*lines, nothing]
    if (warned & table["trace"].isin((*PIXELS, ALL_PIXELS))).any():
        lines.append("What differs in pixels may be content, or a generator's own making, and no confound.")
    return lines + warnings(table)


def warnings(table: pd.DataFrame) -> list[str]:
    """A sentence for each warning, data set by data set, the surest first."""
    rows = table[has_warning(table)]
    ordered = rows.sort_values("low", ascending=False, kind="stable").sort_values("dataset", kind="stable")
    return [f"{row['dataset']}: {row['warning']} ({interval(row)})." for _, row in ordered.iterrows()]


def has_warning(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows have words of warning; read from a file, the others' are NaN."""
    return table["warning"].notna() & (table["warning"] != "")


def interval(row: pd.Series[float], names: Sequence[str] = ("auroc", "low", "high")) -> str:
    """`AUROC 0.912 [0.874, 0.940]`."""
    value, low, high = (row[name] for name in names)
    return f"AUROC {value:.3f} [{low:.3f}, {high:.3f}]"


def _remains(table: pd.DataFrame) -> str:
    """What all traces of a kind together come down to."""
    parts = []
    for name in (ALL_METADATA, ALL_PIXELS):
        for _, row in table[(table["trace"] == name) & table["auroc"].notna()].iterrows():
            was = f"from {row[FOUND[0]]:.3f} to " if FOUND[0] in row and pd.notna(row[FOUND[0]]) else ""
            parts.append(f"{row['dataset']}, {name}, {was}{interval(row)}")
    return "; ".join(parts) or "too few images to judge"
