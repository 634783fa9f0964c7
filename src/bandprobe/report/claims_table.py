"""Claims as the page shows them: one line each, and below it every variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.report.page_tables import Table, table

VERDICTS = ("supported", "contradicted", "undecided")
_VARIANT = ("curve", "mask", "depth", "history")
_PLAIN = {"none", ""}


@dataclass(frozen=True)
class ClaimLine:
    """One statistic of a claim for one set of encoders.

    Attributes:
        claim: as the thesis puts it.
        statistic: what is measured.
        encoders: whose.
        value: with its interval.
        margin: beyond which the claim holds; empty where it has none.
        verdict: of `VERDICTS`.
        reason: what was compared, or why there is no verdict.
        variants: how the other variants came out.
        table: those that have a value; None where none has.
        absent: what the others lack, a sentence each.
    """

    claim: str
    statistic: str
    encoders: str
    value: str
    margin: str
    verdict: str
    reason: str
    variants: str
    table: Table | None
    absent: list[str]


def claim_lines(claims: pd.DataFrame) -> list[ClaimLine]:
    """The lines of `claims.csv`; the first row of each statistic is the claim as it is put.

    Args:
        claims: its rows; the columns of variants and encoders may be missing.
    """
    rows = claims.copy()
    for name in (*_VARIANT, "dino", "clip", "metric", "beyond"):
        if name not in rows:
            rows[name] = ""
    return [
        _line(of) for _, of in rows.groupby(["claim", "statistic", "dino", "clip"], sort=False, dropna=False)
    ]


def _line(rows: pd.DataFrame) -> ClaimLine:
    first, others = rows.iloc[0], rows.iloc[1:]
    encoders = " / ".join(name for name in (first["dino"], first["clip"]) if name)
    return ClaimLine(
        claim=str(first["claim"]),
        statistic=str(first["statistic"]),
        encoders=encoders,
        value=_value(first),
        margin=_margin(first),
        verdict=str(first["verdict"]),
        reason=str(first["reason"]),
        variants=_tally(others),
        table=_table(rows, f"{first['statistic']}{': ' if encoders else ''}{encoders}"),
        absent=_absent(rows),
    )


def _value(row: pd.Series[Any]) -> str:
    if not np.isfinite(row["value"]):
        return "–"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]".replace("-", "−")


def _margin(row: pd.Series[Any]) -> str:
    """`> 0.05`; empty where a claim has no margin."""
    if not np.isfinite(row["margin"]):
        return ""
    return f"{'<' if row['beyond'] == 'below' else '>'} {row['margin']:g}"


def _tally(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "no variant"
    counts = rows["verdict"].value_counts()
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts]
    return f"{len(rows)} variants: {', '.join(parts)}"


def _table(rows: pd.DataFrame, caption: str) -> Table | None:
    shown = rows[rows["value"].notna()]
    if shown.empty:
        return None
    names = [name for name in _VARIANT if not set(shown[name]) <= _PLAIN]
    body = [
        [*(str(row[name]) for name in names), _value(row), _margin(row), str(row["metric"]),
         str(row["verdict"]), str(row["reason"])]
        for _, row in shown.iterrows()
    ]  # fmt: skip
    columns = [*names, "value [95 % interval]", "margin", "measure", "verdict", "why, and what was compared"]
    return table(caption, columns, body, heads=min(len(names), 1))


def _absent(rows: pd.DataFrame) -> list[str]:
    """One sentence for each reason why variants have no value."""
    missing = rows[rows["value"].isna()]
    sentences = []
    for reason, of in missing.groupby("reason", sort=False):
        variants = [
            ", ".join(str(row[name]) for name in _VARIANT if row[name] not in _PLAIN)
            for _, row in of.iterrows()
        ]
        named = "; ".join(dict.fromkeys(name for name in variants if name))
        sentences.append(f"{named[:1].upper()}{named[1:]}: {reason}." if named else f"{reason}.")
    return sentences
