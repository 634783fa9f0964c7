"""A manifest in plain text: the mapping found, counts, notes and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bandprobe.columns import aligned, shown
from bandprobe.images.splits import SPLITS

_SHOWN = 50


def mapping_lines(mapping: pd.DataFrame) -> list[str]:
    """The mapping: each folder, what it was taken for, and how many images it holds."""
    words = {0: "real", 1: "fake"}
    columns = ["folder", "label", "generator", "family", "dataset", "split", "layout", "n"]
    rows = [
        [words[value] if name == "label" else value for name, value in zip(columns, row, strict=True)]
        for row in mapping[columns].itertuples(index=False)
    ]
    return aligned(columns, rows)


def count_lines(table: pd.DataFrame) -> list[str]:
    """Images in each data set, generator and split."""
    keys = ["dataset", "label", "generator", "family"]
    counts = table.groupby([*keys, "split"], sort=True).size().unstack("split", fill_value=0)
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    rows = [
        [dataset, generator, family, *map(int, row), int(sum(row))]
        for (dataset, _, generator, family), row in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    return aligned(["dataset", "generator", "family", *SPLITS, "all"], rows)


def report(table: pd.DataFrame, left_out: pd.DataFrame, mapping: pd.DataFrame, notes: Sequence[str]) -> str:
    """Everything about a manifest that a person reads before trusting it."""
    lines = ["Mapping found", *mapping_lines(mapping), "", f"Images: {len(table)}", *count_lines(table)]
    if notes:
        lines += ["", "Notes", *(f"- {shown(note)}" for note in notes)]
    if len(left_out):
        first = left_out.head(_SHOWN)
        lines += ["", f"Left out: {len(left_out)}"]
        lines += [
            f"- {shown(path)}: {shown(why)}" for path, why in zip(first["path"], first["reason"], strict=True)
        ]
        if len(left_out) > len(first):
            lines.append(f"- and {len(left_out) - len(first)} more")
    return "\n".join(lines)
