"""What a busy reader sees first: what was asked on what, the numbers, and what to beware of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bandprobe.analysis.sources import REAL
from bandprobe.audit.reading import has_warning, warnings
from bandprobe.audit.words import ALL_METADATA, ALL_PIXELS
from bandprobe.report.arrangement import Arrangement, family_label, sort_families
from bandprobe.report.run_directory import Run
from bandprobe.report.summary import Headline, interval_text
from bandprobe.report.sweeps import CONTROLS, describe_sweep, sweeps_in, with_sweep

_ROWS = 5  # encoders on the first screen
_AUDITED, _CAUTIONS = 2, 3  # warnings there: of the audit, and in all
_INTERVAL = re.compile(r"(.+?) (\[[^\]]+\])(.*)", re.DOTALL)


@dataclass(frozen=True)
class Number:
    """A value as text, and its interval in brackets; empty where there is none."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Summary:
    """The first screen.

    Attributes:
        facts: what the run is about: name and value.
        holds: whether probes hold on families they were not trained on, in a sentence.
        columns: of the headline numbers, after the encoder.
        rows: an encoder each, with its numbers.
        more: encoders left to the table further down.
        cautions: what to beware of: the audit's surest warnings, then the run's.
        left: how many cautions are left to the sections further down.
    """

    facts: list[tuple[str, str]]
    holds: str
    columns: list[str]
    rows: list[tuple[str, list[Number]]]
    more: int
    cautions: list[str]
    left: int


def summary(
    run: Run,
    arrangement: Arrangement,
    lines: Sequence[Headline],
    families: pd.DataFrame,
    detection: str,
    audit: Sequence[str],
    traces: int,
    cautions: Sequence[str],
) -> Summary:
    """The first screen of a run.

    Args:
        run: the run.
        arrangement: its order of generators.
        lines: of `headlines`.
        families: `family_table` of AUROC.
        detection: what PD@x% is called; empty where there is none.
        audit: the audit's warnings of all traces of a kind together, the surest first.
        traces: how many warnings of single traces there are besides.
        cautions: of `warnings`.
    """
    columns = ["own generator", "other families", *([f"{detection}, other families"] if detection else [])]
    rows = [
        (
            line.encoder,
            [_number(text) for text in (line.own, line.across, *([line.pd_across] if detection else []))],
        )
        for line in lines[:_ROWS]
    ]
    shown = [*audit[:_AUDITED], *cautions][:_CAUTIONS]
    return Summary(
        facts=_facts(run, arrangement),
        holds=_holds(families),
        columns=columns,
        rows=rows,
        more=max(len(lines) - _ROWS, 0),
        cautions=shown,
        left=len(audit) + traces + len(cautions) - len(shown),
    )


def audit_cautions(audit: pd.DataFrame | None) -> tuple[int, list[str]]:
    """How many warnings of single traces an audit has, and those of all traces of a kind together."""
    if audit is None:
        return 0, []
    together = audit["trace"].isin((ALL_METADATA, ALL_PIXELS))
    return int((has_warning(audit) & ~together).sum()), warnings(audit[together])


def _facts(run: Run, arrangement: Arrangement) -> list[tuple[str, str]]:
    """On what: images, generators, encoders, filters and probes, in a few words each."""
    results = run.results
    families = [arrangement.test_family[test] for test in arrangement.tests]
    per_family = [f"{families.count(f)} {family_label(f)}" for f in sort_families(families)]
    specs = [str(spec) for spec in results["filter"].unique()]
    swept = with_sweep(results.drop_duplicates("filter"))
    sweeps = [
        f"{swept.loc[swept['sweep'] == sweep, 'cutoff_px'].nunique()} {describe_sweep(sweep)}"
        for sweep in sweeps_in(results)
    ]
    in_sweeps = int(swept["sweep"].isin(sweeps_in(results)).sum())
    others = len([spec for spec in specs if spec not in CONTROLS]) - in_sweeps
    filters = [
        *sweeps[:2],
        *([f"{others} {'other' if others == 1 else 'others'}"] if others > 0 else []),
        *(s for s in CONTROLS if s in specs),
    ]
    names = [str(name) for name in results["encoder"].unique()]
    return [
        ("Images", _images(run)),
        ("Generators", f"{len(families)}: {', '.join(per_family)}"),
        ("Encoders", ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")),
        ("Filters", ", ".join(filters)),
        ("Probes", f"{len(arrangement.training):,} training sets, each encoder"),
    ]


def _images(run: Run) -> str:
    """`3,250: 500 real, 2,750 generated`; of the test sets alone where the record does not say."""
    data = run.record.get("data")
    rows = data.get("counts") if isinstance(data, Mapping) else None
    counted = [
        (str(row.get("generator")), row["n"])
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping) and isinstance(row.get("n"), int)
    ]
    real, total = sum(n for name, n in counted if name == REAL), sum(n for _, n in counted)
    if total:
        return f"{total:,}: {real:,} real, {total - real:,} generated"
    sets = run.results.drop_duplicates("test")
    real, fake = sets.groupby("dataset")["n_real"].max().sum(), sets["n_fake"].sum()
    return f"{real:,.0f} real, {fake:,.0f} generated for test"


def _holds(families: pd.DataFrame) -> str:
    """Whether probes hold on other families: a sentence on the encoder that does best there, with its interval."""
    rows = families[(families["family_from"] == "*") & families["value"].notna()]
    across = rows[rows["relation"] == "across"].sort_values("value", ascending=False, kind="stable")
    if across.empty:
        return "No probe of one generator met a family it was not trained on: this run cannot say."
    there = across.iloc[0]
    encoder = str(there["encoder"])
    best = f"AUROC {interval_text(there)} for {encoder}{', the best here' if len(across) > 1 else ''}"
    if not np.isfinite(there["low"]) or there["low"] <= 0.5:
        return f"Not on generators of other families: there, {best}, cannot be told from chance (0.5)."
    own = rows[(rows["relation"] == "own") & (rows["encoder"] == encoder)]
    if own.empty:
        return f"On generators of other families: {best}."
    home = own.iloc[0]
    reach = f"its probes reach {interval_text(home)} on the generators they were trained on"
    if there["high"] < home["low"]:
        return f"In part: on generators of other families, {best}; {reach}."
    return f"As far as these generators tell: on other families, {best}; {reach}, and the intervals meet."


def _number(text: str) -> Number:
    """A value apart from its interval, as `interval_text` joins them."""
    found = _INTERVAL.fullmatch(text)
    return Number(found[1] + found[3], found[2]) if found else Number(text)
