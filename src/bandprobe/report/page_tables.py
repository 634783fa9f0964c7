"""Data frames as the page's tables: words, intervals and alignment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.report.arrangement import Arrangement, family_label, sort_families, training_label
from bandprobe.report.run_directory import Run
from bandprobe.report.summary import interval_text, px_text
from bandprobe.report.sweeps import describe_sweep

_NUMBER = re.compile(r"–|[+-]?[\d,.]+( %)?")
_LISTED = 50  # images left out that the page names; the rest stand in left-out.csv


@dataclass(frozen=True)
class Cell:
    """One table cell: its text, and whether it heads its row."""

    text: str
    head: bool = False


@dataclass(frozen=True)
class Table:
    """A table as shown: caption, column heads, rows of cells, and the columns to align as numbers."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    numbers: frozenset[int] = frozenset()


def table(caption: str, columns: list[str], rows: list[list[str]], heads: int = 1) -> Table:
    """A table whose first `heads` cells of each row are row heads."""
    numbers = frozenset(
        i for i in range(heads, len(columns)) if rows and all(_NUMBER.fullmatch(row[i]) for row in rows)
    )
    cells = [[Cell(text, i < heads) for i, text in enumerate(row)] for row in rows]
    return Table(caption, columns, cells, numbers)


def transfer_view(transfer: pd.DataFrame, encoder: str, label: str, percent: bool) -> Table:
    """Unfiltered transfer of one encoder, `value [low, high]`, tested on by trained on."""
    rows = transfer[transfer["encoder"] == encoder]
    tests, training = list(rows["tested_on"].unique()), list(rows["trained_on"].unique())
    cells = {(row["tested_on"], row["trained_on"]): interval_text(row, percent) for _, row in rows.iterrows()}
    return table(
        f"{label} on unfiltered images, with 95 % intervals{' (per cent)' if percent else ''}",
        ["tested on \\ trained on", *map(training_label, training)],
        [[test, *(cells.get((test, name), "–") for name in training)] for test in tests],
    )


def family_view(families: pd.DataFrame, label: str, percent: bool, encoders: list[str]) -> Table:
    """Family averages: pairs as rows, encoders as columns."""
    words = {"own": ", own generator", "within": ", other generators", "across": ""}
    pairs = families[["relation", "family_from", "family_to"]].drop_duplicates()
    rank = {
        name: i
        for i, name in enumerate(["*", *sort_families({*pairs["family_from"], *pairs["family_to"]} - {"*"})])
    }
    ordered = sorted(
        pairs.itertuples(index=False, name=None),
        key=lambda pair: (pair[1] != "*", list(words).index(pair[0]), rank[pair[1]], rank[pair[2]]),
    )
    indexed = families.set_index(["encoder", "relation", "family_from", "family_to"])
    rows = []
    for relation, start, end in ordered:
        arrow = f"{family_label(start)} → {family_label(end)}{words[relation]}"
        if start == "*":
            arrow = {"own": "own generator", "within": "same family", "across": "other families"}[
                relation
            ] + ", all"
        keys = [(encoder, relation, start, end) for encoder in encoders]
        found = [indexed.loc[[key]].iloc[0] if key in indexed.index else None for key in keys]
        cells = ["–" if row is None else interval_text(row, percent) for row in found]
        counts = max(int(row["n_cells"]) for row in found if row is not None)
        rows.append([arrow, str(counts), *cells])
    return table(
        f"Mean {label} by family, unfiltered, probes of one generator{' (per cent)' if percent else ''}",
        ["trained on → tested on", "cells", *encoders],
        rows,
    )


def cutoff_view(cutoffs: pd.DataFrame, encoder: str, arrangement: Arrangement) -> Table | None:
    """The cut-offs that keep 95 %, training sets as rows; None when the encoder has none."""
    mine = cutoffs[cutoffs["encoder"] == encoder]
    if mine.empty:
        return None
    kinds = list(mine[["sweep", "view"]].drop_duplicates().itertuples(index=False, name=None))
    indexed = mine.set_index(["trained_on", "sweep", "view"])
    rows = []
    for name in arrangement.training:
        if name not in set(mine["trained_on"]):
            continue
        cells = [
            _cutoff_cell(indexed.loc[(name, *kind)]) if (name, *kind) in indexed.index else "–"
            for kind in kinds
        ]
        rows.append([training_label(name), *cells])
    control = "identity" if (mine["control"] == "identity").all() else "identity (or unfiltered) "
    return table(
        f"Smallest cut-off that keeps 95 % of the {control.strip()} AUROC on the probe's own generators",
        ["trained on", *(f"{describe_sweep(sweep)}, {view}" for sweep, view in kinds)],
        rows,
    )


def energy_view(energy: pd.DataFrame) -> Table | None:
    """Share of AC energy removed; None when nothing was measured."""
    if energy.empty:
        return None
    datasets = list(energy.columns[4:])
    rows = [
        [
            str(row["filter"]), f"{row['cutoff_px']:g}", _number(row["cutoff_nyq"], ".3f"), str(row["zone"]),
            *(f"{100 * row[d]:.2f} %" if np.isfinite(row[d]) else "–" for d in datasets),
        ]
        for _, row in energy.iterrows()
    ]  # fmt: skip
    heads = [f"AC energy removed: {d}" if len(datasets) > 1 else "AC energy removed" for d in datasets]
    return table(
        "Share of the images' AC energy that each filter removes (low: below 0.15 of Nyquist, middle: to "
        "0.5, high: above)",
        ["filter", "px", "fraction of Nyquist", "zone of the cut-off", *heads],
        rows,
    )


def condition_view(conditions: pd.DataFrame) -> Table | None:
    """Filters outside the sweeps; None when there are none."""
    if conditions.empty:
        return None
    rows = [
        [str(row["filter"]), str(row["encoder"]), interval_text(row), _number(row["identity"], ".3f"),
         _number(row["change"], "+.3f")]
        for _, row in conditions.iterrows()
    ]  # fmt: skip
    return table(
        "Filters outside the sweeps: mean AUROC on the probes' own generators",
        ["filter", "encoder", "AUROC", "identity", "change"],
        rows,
    )


def comparison_view(averages: pd.DataFrame) -> Table:
    """Means over the cells that the run shares with published numbers."""
    rows = [
        [str(row["encoder"]), str(row["cells"]), f"{100 * row['ours']:.1f}", f"{100 * row['theirs']:.1f}",
         f"{100 * row['difference']:+.1f}", f"{100 * row['apart']:.1f}"]
        for _, row in averages.iterrows()
    ]  # fmt: skip
    return table(
        "Mean accuracy over the cells that both have (per cent)",
        ["encoder", "cells", "ours", "theirs", "ours less theirs", "mean absolute difference"],
        rows,
    )


def cell_comparison_view(cells: pd.DataFrame) -> Table:
    """Every shared cell."""
    rows = [
        [str(row["test"]), training_label(str(row["trained_on"])), str(row["encoder"]),
         interval_text(row.rename({"ours": "value"}), percent=True), f"{100 * row['theirs']:.1f}",
         f"{100 * row['difference']:+.1f}"]
        for _, row in cells.iterrows()
    ]  # fmt: skip
    return table(
        "Accuracy cell by cell (per cent)",
        ["tested on", "trained on", "encoder", "ours", "theirs", "difference"],
        rows,
    )


def ablation_view(ablation: pd.DataFrame) -> Table:
    """How far each switch of the protocol moves each headline number, the largest first; what stays is left out."""
    ablation = ablation[ablation["moved"] != 0]
    trusted = ablation["reason"].fillna("") == "" if "reason" in ablation else True
    moved = ((ablation["low"] > 0) | (ablation["high"] < 0)) & trusted
    ordered = ablation.assign(_still=~moved, _size=-ablation["moved"].abs())
    encoder = "encoder" in ablation
    keys = [name for name in ("switch", "encoder") if name in ablation]
    ordered = ordered.sort_values(["_still", "_size"], kind="stable").sort_values(keys, kind="stable")
    rows = [
        [
            str(row["switch"]), *([str(row["encoder"]) or "–"] if encoder else []),
            str(row["quantity"]) or str(row.get("reason", "")),
            _number(row["baseline"], ".4g"), _number(row["value"], ".4g"),
            f"{_number(row['moved'], '+.3g')} [{_number(row['low'], '+.3g')}, {_number(row['high'], '+.3g')}]"
            if np.isfinite(row["moved"]) else "–",
            "–" if not np.isfinite(row["moved"])
            else str(row.get("reason") or "") or ("no" if row["_still"] else "yes"),
        ]
        for _, row in ordered.iterrows()
    ]  # fmt: skip
    head = ["switch", *(["encoder"] if encoder else []), "quantity"]
    return table(
        "What each switch of the published protocol moves, flipped alone, with 95 % intervals; what stays stands "
        "in ablation.csv",
        [*head, "without", "with", "moved by", "beyond chance"],
        rows,
    )


def confusion_view(confusion: pd.DataFrame, encoder: str) -> Table | None:
    """Confusion matrices of unfiltered images; None where there are none."""
    rows = confusion[(confusion["encoder"] == encoder) & (confusion["filter"] == "none")]
    if "train_filter" in rows:
        rows = rows[rows["train_filter"].isin(("none", ""))]
    if rows.empty:
        return None
    return table(
        "Confusion matrices on unfiltered images, at the threshold that validation chose (fake is positive)",
        ["tested on", "trained on", "fakes found", "fakes missed", "reals called fake", "reals kept"],
        [
            [str(row["tested_on"]), training_label(str(row["trained_on"])),
             *(f"{int(row[n]):,}" for n in ("tp", "fn", "fp", "tn"))]
            for _, row in rows.iterrows()
        ],
    )  # fmt: skip


def count_view(counts: pd.DataFrame) -> Table:
    """Images by dataset, source and split."""
    splits = list(counts.columns[3:])
    rows = [
        [str(row["generator"]), str(row["dataset"]), family_label(row["family"]) if row["family"] else "–",
         *(f"{row[split]:,}" for split in splits)]
        for _, row in counts.iterrows()
    ]  # fmt: skip
    return table("Images by source and split", ["source", "dataset", "family", *splits], rows)


def left_out_view(run: Run) -> Table | None:
    """Images left out with their reasons, the first of them."""
    if run.left_out is None or run.left_out.empty:
        return None
    listed = run.left_out.head(_LISTED)
    more = len(run.left_out) - len(listed)
    caption = "Images left out" + (f" (the first {_LISTED}; {more:,} more in left-out.csv)" if more else "")
    return table(caption, list(listed.columns), [[str(v) for v in row] for row in listed.to_numpy()], heads=0)


def _cutoff_cell(row: pd.Series[Any]) -> str:
    if row["verdict"] == "at chance":
        return f"at chance unfiltered (AUROC {row['reference']:.3f})"
    text = px_text(row["cutoff_px"], row["cutoff_nyq"])
    ends = [f"{row[n]:g}" if np.isfinite(row[n]) else "never" for n in ("cutoff_px_low", "cutoff_px_high")]
    return f"{text} [{ends[0]}, {ends[1]}]"


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"
