"""The audit as the page shows it, above the results: what gives the label away besides the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bandprobe.audit.reading import FOUND, has_warning, reading
from bandprobe.audit.words import ALL_METADATA, ALL_PIXELS
from bandprobe.report.page_tables import Table, table

_SHOWN = ("auroc", "low", "high")


def audit_view(audit: pd.DataFrame, equalise: str = "") -> tuple[Table, list[str]]:
    """The audit's table, and its sentences.

    Args:
        audit: the rows of `audit.csv`.
        equalise: the recipe that pictures were equalised by; empty without one.

    Returns:
        The table: for each data set all metadata and all pixel traces together, and every single trace with a
        warning, before equalising or after; and the sentences to stand above it.
    """
    equalised = FOUND[0] in audit
    shown = audit[audit["trace"].isin((ALL_METADATA, ALL_PIXELS)) | has_warning(audit)]
    if equalised:
        shown = audit[audit.index.isin(shown.index) | (audit[FOUND[1]] > audit["high"])]
    rows = [
        [
            str(row["dataset"]),
            str(row["trace"]),
            *([_cell(row, FOUND)] if equalised else []),
            _cell(row, _SHOWN),
            str(row["warning"] if isinstance(row["warning"], str) and row["warning"] else "–"),
        ]
        for _, row in shown.iterrows()
    ]
    values = ["as found", "equalised"] if equalised else ["AUROC"]
    found = table(
        "How well fakes are told from reals without what the picture shows: AUROC, with intervals that hold for "
        "all traces at once; single traces are listed where they tell, all stand in audit.csv",
        ["dataset", "trace", *values, "what differs"],
        rows,
        heads=2,
    )
    return found, reading(audit, equalise)


def _cell(row: pd.Series[Any], names: Sequence[str]) -> str:
    value, low, high = (row[name] for name in names)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]" if pd.notna(value) else "–"
