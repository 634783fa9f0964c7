"""Which tables a paper or a README gets of a run: the page's own, and the best of each row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bandprobe.report import tables
from bandprobe.report.arrangement import Arrangement, arrange
from bandprobe.report.claims_table import claim_lines
from bandprobe.report.figures import metric_slug
from bandprobe.report.measures import ACCURACY, AUROC, choose_pd
from bandprobe.report.mmd_figures import prepared
from bandprobe.report.mmd_heatmap import SIGNIFICANT
from bandprobe.report.page_tables import (
    Table,
    count_view,
    cutoff_view,
    family_view,
    table,
    transfer_view,
)
from bandprobe.report.robustness_view import fall_tables, rank_summary, rank_table
from bandprobe.report.run_directory import Run
from bandprobe.report.slugs import unique_slugs

INTERVAL = re.compile(r"([+−-]?[\d.]+) \[([+−-]?[\d.]+), ([+−-]?[\d.]+)\]")
"""`value [low, high]`, as tables print it."""


@dataclass(frozen=True)
class PrintedTable:
    """A table to be written to a file.

    Attributes:
        name: of the file, without ending.
        table: what it holds.
        compared: whether the cells of a row may be compared, so that its best is marked.
    """

    name: str
    table: Table
    compared: bool = False

    @property
    def best(self) -> frozenset[tuple[int, int]]:
        """Row and column of the cells that are the best of their row beyond what intervals leave open.

        A cell is when its interval begins above the end of every other one in the row.
        """
        found = set()
        for i, row in enumerate(self.table.rows if self.compared else ()):
            ends = {}
            for j, cell in enumerate(row):
                if not cell.head and (match := INTERVAL.fullmatch(cell.text)):
                    ends[j] = [float(part.replace("−", "-")) for part in match.groups()]
            if len(ends) > 1:
                top = max(ends, key=lambda j: ends[j][0])
                if all(ends[top][1] > high for j, (_, _, high) in ends.items() if j != top):
                    found.add((i, top))
        return frozenset(found)


def printed_tables(run: Run) -> list[PrintedTable]:
    """Transfer grids, families, cut-offs, claims, MMD and counts, those that the run has.

    Args:
        run: of `read_run`.
    """
    results, arrangement = run.results, arrange(run.results)
    asked = str(((run.record.get("config") or {}).get("analysis") or {}).get("pd", "auto"))
    pd_measure = choose_pd(results, asked)[0]
    encoders = [str(name) for name in results["encoder"].unique()]
    slugs = unique_slugs(encoders)
    found = []
    for measure in (AUROC, ACCURACY, *([pd_measure] if pd_measure else [])):
        transfer = tables.transfer_table(results, measure.name, arrangement)
        for encoder in encoders:
            view = transfer_view(transfer, encoder, measure.heading, measure.percent)
            view = _captioned(view, f"{view.caption}: {encoder}")
            found.append(PrintedTable(f"transfer-{metric_slug(measure)}-{slugs[encoder]}", view, True))
        families = tables.family_table(results, measure.name)
        if len(families):
            view = family_view(families, measure.label, measure.percent, encoders)
            found.append(PrintedTable(f"families-{metric_slug(measure)}", view, True))
    found += _cutoffs(results, encoders, arrangement)
    if "claims" in run.analyses:
        found.append(PrintedTable("claims", _claims(run.analyses["claims"])))
    if "mmd" in run.analyses:
        found += _distances(run.analyses["mmd"])
    found += _robustness(run)
    found.append(PrintedTable("counts", count_view(tables.count_table(results, run.record))))
    return [one for one in found if one.table.rows]


def _captioned(view: Table, caption: str) -> Table:
    return Table(caption, view.columns, view.rows, view.numbers)


def _cutoffs(results: pd.DataFrame, encoders: list[str], arrangement: Arrangement) -> Iterator[PrintedTable]:
    cutoffs = tables.cutoff_table(results, arrangement)
    slugs = unique_slugs(encoders)
    for encoder in encoders:
        view = cutoff_view(cutoffs, encoder, arrangement)
        if view is not None:
            yield PrintedTable(f"cutoffs-{slugs[encoder]}", _captioned(view, f"{view.caption}: {encoder}"))


def _robustness(run: Run) -> Iterator[PrintedTable]:
    """What degradations cost each encoder, and whether ranks survive them."""
    if "robustness_means" in run.analyses:
        falls = dict(fall_tables(run.analyses["robustness_means"]))
        slugs = unique_slugs([" ".join(key) for key in falls])
        for key, view in falls.items():
            yield PrintedTable(f"robustness-{slugs[' '.join(key)]}", view)
    if "robustness_ranks" in run.analyses:
        ranks = run.analyses["robustness_ranks"]
        yield PrintedTable("robustness-ranks", rank_summary(ranks))
        yield PrintedTable("robustness-ranks-by-degradation", rank_table(ranks))


def _claims(claims: pd.DataFrame) -> Table:
    """Every claim as it is put; its variants stay in claims.csv."""
    return table(
        "The claims as they are put, with 95 % intervals",
        ["claim", "statistic", "encoders", "value", "margin", "verdict"],
        [
            [line.claim, line.statistic, line.encoders or "–", line.value, line.margin or "–", line.verdict]
            for line in claim_lines(claims)
        ],
        heads=3,
    )


def _distances(mmd: pd.DataFrame) -> Iterator[PrintedTable]:
    """MMD² of unfiltered fakes and reals in embedding space, and under how many filters they still differ."""
    rows = prepared(mmd)
    rows = rows[
        (rows["experiment"] == "fake_vs_real") & (rows["space"] == "embedding") & rows["mmd2"].notna()
    ]
    encoders = list(dict.fromkeys(rows["encoder"]))
    if not encoders:
        return
    body = []
    for label, of in rows.groupby("label", sort=False):
        cells = []
        for encoder in encoders:
            mine = of[of["encoder"] == encoder]
            plain = mine[mine["filter"] == "none"]
            value, q = (float(plain[name].iloc[0]) if len(plain) else np.nan for name in ("mmd2", "q_value"))
            number = f"{value:.3f}".replace("-", "−") if np.isfinite(value) else "–"
            cells += [
                number,
                f"{q:.3f}" if np.isfinite(q) else "–",
                f"{int((mine['q_value'] < SIGNIFICANT).sum())} of {len(mine)}" if len(mine) else "–",
            ]
        body.append([str(label), *cells])
    columns = [
        f"{encoder}: {what}"
        for encoder in encoders
        for what in ("MMD²", "q", f"filters with q < {SIGNIFICANT:g}")
    ]
    caption = (
        "Squared MMD between fakes and reals, unfiltered, in embedding space; q after Benjamini-Hochberg; and "
        "under how many of all filters they differ"
    )
    yield PrintedTable("mmd", table(caption, ["generator", *columns], body))
