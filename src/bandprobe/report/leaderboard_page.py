"""The leaderboard as a page: one table a world, to be sorted by any column, and what goes with which trait."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from bandprobe.analysis.leaderboard import STATISTICS, TRAITS, UNKNOWN
from bandprobe.report.page_tables import Table, table

_LABELS = {one.name: one.label for one in STATISTICS}
_TRAIT_LABELS = {trait.name: trait.label for trait in TRAITS}


@dataclass(frozen=True)
class Value:
    """A cell: its text, what it is sorted by, its interval, and a note on it."""

    text: str
    key: str
    interval: str = ""
    note: str = ""
    number: bool = False
    unknown: bool = False


@dataclass(frozen=True)
class World:
    """The rows that compare with each other: encoders on the same images, seen alike."""

    anchor: str
    title: str
    about: str
    rows: list[tuple[str, list[Value]]]
    associations: Table | None


@dataclass(frozen=True)
class LeaderboardPage:
    """What the template is filled with."""

    title: str
    columns: list[tuple[str, str]]
    worlds: list[World]
    meanings: list[tuple[str, str]]
    sources: list[tuple[str, str]]


def leaderboard_page(board: pd.DataFrame, associations: pd.DataFrame) -> str:
    """The whole HTML file as text.

    Args:
        board: rows of `analysis.leaderboard`.
        associations: of `analysis.trait_association`.
    """
    worlds = []
    for number, ((world, datasets), rows) in enumerate(board.groupby(["world", "datasets"], sort=False), 1):
        mine = associations[associations["world"] == world]
        worlds.append(
            World(
                anchor=f"world-{number}",
                title=f"{datasets} ({world})",
                about=_about(rows),
                rows=[(str(row["encoder"]), _cells(row)) for _, row in rows.iterrows()],
                associations=_association_table(mine),
            )
        )
    sources = board[["encoder", "traits_source"]].drop_duplicates()
    page = LeaderboardPage(
        title="Which encoder trait decides",
        columns=[
            *((one.name, one.label) for one in STATISTICS),
            *((trait.name, trait.label) for trait in TRAITS),
            ("n_test", "test images"),
            ("run", "run"),
        ],
        worlds=worlds,
        meanings=[(one.label, one.meaning) for one in STATISTICS],
        sources=[(str(name), str(source)) for name, source in sources.itertuples(index=False)],
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard.html.j2").render(page=page)


def _about(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return (
        f"{int(first['n_images']):,} images, {int(first['n_test']):,} of them for tests, {int(first['n_generators'])} "
        f"generators; geometry {first['geometry']}, protocol {first['protocol']}"
        + (f", equalised by {first['equalise']}" if first["equalise"] not in ("", "none") else "")
        + "."
    )


def _cells(row: pd.Series) -> list[Value]:
    cells = [_statistic(row, one.name) for one in STATISTICS]
    for trait in TRAITS:
        text = str(row[trait.name])
        number = pd.to_numeric(text, errors="coerce") if trait.numeric else np.nan
        shown = (
            f"{number:,.3g}"
            if np.isfinite(number) and number < 1
            else f"{number:,.0f}"
            if np.isfinite(number)
            else text
        )
        key = f"{number:.9g}" if np.isfinite(number) else "" if trait.numeric else text
        cells.append(Value(shown, key, number=trait.numeric, unknown=text == UNKNOWN))
    cells.append(Value(f"{int(row['n_test']):,}", str(int(row["n_test"])), number=True))
    cells.append(
        Value(
            str(row["run"]),
            str(row["run"]),
            f"bandprobe {row['version']}",
            f"fingerprint {row['fingerprint']}",
        )
    )
    return cells


def _statistic(row: pd.Series, name: str) -> Value:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    note = str(row[f"{name}_note"])
    if not np.isfinite(value):
        return Value("–", "", note=note, number=True)
    mark = {"at most": "≤ ", "at least": "≥ "}.get(note.partition(",")[0], "")
    return Value(
        f"{mark}{_signed(value)}", f"{value:.9g}", f"[{_signed(low)}, {_signed(high)}]", note, number=True
    )


def _signed(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _association_table(rows: pd.DataFrame) -> Table | None:
    """The associations that have a value; those that were not to be had are in traits.csv."""
    known = rows[rows["value"].notna()]
    if known.empty:
        return None
    lines = [
        [
            _trait_label(str(row["trait"])), _LABELS[str(row["statistic"])], str(row["measure"]),
            _signed(float(row["value"])), _p(row["p_value"]), _p(row["q_value"]), str(int(row["n"])),
            str(row["note"] if isinstance(row["note"], str) and row["note"] else row["method"]),
        ]
        for _, row in known.iterrows()
    ]  # fmt: skip
    return table(
        "Traits against statistics, over the encoders of this table",
        ["trait", "statistic", "measure", "value", "p", "q", "encoders", "how"],
        lines,
        heads=1,
    )


def _trait_label(text: str) -> str:
    name, _, level = text.partition(" = ")
    return _TRAIT_LABELS[name] + (f" = {level}" if level else "")


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "0.001" if value > 0.0005 else f"{value:.1g}"
