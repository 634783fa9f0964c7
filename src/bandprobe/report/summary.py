"""The first screen of the report: what was asked, the headline numbers, and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.protocol import Protocol
from bandprobe.report.arrangement import Arrangement, family_label, of_one_generator, sort_families
from bandprobe.report.run_directory import Run
from bandprobe.report.sweeps import describe_sweep, sweeps_in, with_sweep

SMALL_TEST = 100
FAMILY_NEEDS = 5


@dataclass(frozen=True)
class Headline:
    """One encoder's line on the first screen; texts ready to print.

    Attributes:
        encoder: its name.
        own, within, across: mean AUROC with its interval, or why there is none.
        pd_own, pd_across: the same of PD@x%; empty where there is none.
        reliance, information: the low-pass cut-off that keeps 95 % of the identity AUROC.
    """

    encoder: str
    own: str
    within: str
    across: str
    pd_own: str
    pd_across: str
    reliance: str
    information: str


def headlines(
    results: pd.DataFrame,
    families: pd.DataFrame,
    cutoffs: pd.DataFrame,
    detection: pd.DataFrame | None = None,
) -> list[Headline]:
    """One headline per encoder, from `family_table` (AUROC), `cutoff_table`, and `family_table` (PD@x%)."""
    lines = []
    for encoder in results["encoder"].unique():
        texts = _averages(families, encoder, ("own", "within", "across"))
        if detection is None:
            detected = dict.fromkeys(("pd_own", "pd_across"), "")
        else:
            found = _averages(detection, encoder, ("own", "across"), percent=True)
            detected = {f"pd_{name}": text for name, text in found.items()}
        if not (families["encoder"] == encoder).any():
            texts["across"] = _external_text(results[results["encoder"] == encoder]) or texts["across"]
        mine = cutoffs[(cutoffs["encoder"] == encoder) & of_one_generator(cutoffs)]
        views = {view: _cutoff_text(mine[mine["view"] == view]) for view in ("reliance", "information")}
        lines.append(Headline(str(encoder), **texts, **detected, **views))
    return lines


def _averages(
    families: pd.DataFrame, encoder: str, relations: Sequence[str], percent: bool = False
) -> dict[str, str]:
    """An encoder's averages over all families, as text."""
    rows = families[(families["encoder"] == encoder) & (families["family_from"] == "*")]
    means = {str(row["relation"]): interval_text(row, percent) for _, row in rows.iterrows()}
    return {name: means.get(name, "no such pair") for name in relations}


def interval_text(row: pd.Series[Any], percent: bool = False) -> str:
    """`0.873 [0.840, 0.901]`, or per cent with one decimal; an en dash for a blank."""
    if not np.isfinite(row["value"]):
        return "–"
    value, low, high = (
        f"{100 * row[n]:.1f}" if percent else f"{row[n]:.3f}" for n in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]" if np.isfinite(row["low"]) and np.isfinite(row["high"]) else value


def _external_text(rows: pd.DataFrame) -> str:
    """Mean AUROC of a detector that was trained elsewhere; empty where there is none."""
    rows = rows[(rows["trained_on"] == "external") & (rows["metric"] == "auroc") & (rows["filter"] == "none")]
    if rows.empty:
        return ""
    return f"{interval_text(rows[['value', 'low', 'high']].mean())} on all, trained elsewhere"


def question(run: Run, arrangement: Arrangement) -> str:
    """One paragraph: what was trained, tested, and filtered how."""
    results = run.results
    encoders = results["encoder"].nunique()
    datasets = results["dataset"].nunique()
    filters = with_sweep(results.drop_duplicates("filter"))
    sweeps = [
        f"{filters.loc[filters['sweep'] == sweep, 'cutoff_px'].nunique()} {describe_sweep(sweep)} cut-offs"
        for sweep in sweeps_in(results)
    ]
    under = f", unfiltered and under {_list(sweeps)}" if sweeps else ", unfiltered"
    return (
        f"Probes on the frozen embeddings of {_count(encoders, 'encoder')} learned to tell real images from "
        f"generated ones on {_count(len(arrangement.training), 'training set')}, and were tested on "
        f"{_count(len(arrangement.tests), 'generator')} from {_count(datasets, 'dataset')}{under}. "
        + ("Which frequencies do they use, and do they" if sweeps else "Do they")
        + " hold on generators they have never seen?"
    )


def warnings(run: Run, families: pd.DataFrame, pd_sentence: str) -> list[str]:
    """What a reader must know before the numbers, most serious first."""
    record, results = run.record, run.results
    given = record.get("warnings") or []
    found = [given] if isinstance(given, str) else [str(text) for text in given]
    if is_native(record):
        found.append(
            "Every encoder kept its own preprocessing (geometry = native): the same cut-off in px is a "
            "different frequency of the picture for each of them, so no cut-off is compared across encoders."
        )
    protocol = str(record.get("protocol") or "corrected")
    if protocol != "corrected":
        switches = Protocol.parse(protocol).on
        found.append(
            f"Protocol {protocol}: the study did on purpose what the published code did otherwise "
            f"({_list(list(switches))}), so its numbers are not this report's usual ones."
        )
    if not (results["filter"] == "identity").any() and sweeps_in(results):
        found.append(
            "The run has no identity condition: filtered images are compared with unfiltered ones, and part "
            "of any difference may come from the filter's path and not from the frequencies removed."
        )
    sizes = results.drop_duplicates("test")
    small = sizes[(sizes["n_real"] < SMALL_TEST) | (sizes["n_fake"] < SMALL_TEST)]
    if len(small):
        names = [
            f"{test} ({real:.0f} real, {fake:.0f} generated)"
            for test, real, fake in zip(small["test"], small["n_real"], small["n_fake"], strict=True)
        ]
        found.append(f"Small test sets, so wide intervals: {_list(names)}.")
    if pd_sentence:
        found.append(pd_sentence)
    per_family = results.drop_duplicates("tested_on")["family_to"].value_counts()
    few = [
        f"{family_label(f)} ({per_family[f]})"
        for f in sort_families(per_family.index)
        if per_family[f] < FAMILY_NEEDS
    ]
    if few:
        found.append(
            f"Fewer than five generators in {_list(few)}: averages hold for these generators and decide "
            "nothing about the family."
        )
    mixed = families[(families["family_from"] == "*") & (families["relation"] != "own")]
    if len(mixed) and mixed["n_across_datasets"].sum():
        share = int(mixed["n_across_datasets"].sum()), int(mixed["n_cells"].sum())
        found.append(
            f"{share[0]} of {share[1]} transfer cells train and test on different datasets: there the "
            "content of the images changes together with the generator."
        )
    left_out = record.get("left_out") or (0 if run.left_out is None else len(run.left_out))
    if left_out:
        found.append(f"{_count(int(left_out), 'image')} left out; the reasons are listed under Data.")
    return found


def is_native(record: Mapping[str, Any]) -> bool:
    """Whether every encoder kept its own crop and resize, so that cut-offs do not compare."""
    return str(record.get("geometry", "")).startswith("native")


def px_text(px: float, nyq: float) -> str:
    """`30 px (0.27 Nyquist)`; `never` where there is none."""
    if not np.isfinite(px):
        return "never"
    return f"{px:g} px ({nyq:.2f} Nyquist)" if np.isfinite(nyq) else f"{px:g} px"


def _cutoff_text(rows: pd.DataFrame) -> str:
    """Median over training generators of the first low-pass sweep, with the range."""
    if rows.empty:
        return "not measured"
    rows = rows[rows["sweep"] == rows["sweep"].iloc[0]]
    usable = rows[rows["verdict"] != "at chance"]
    if usable.empty:
        return "at chance already unfiltered"
    # A probe that never keeps 95 % stands above every cut-off of the sweep.
    ordered = usable.assign(_rank=usable["cutoff_px"].fillna(np.inf)).sort_values("_rank", kind="stable")
    middle = ordered.iloc[(len(ordered) - 1) // 2]
    text = px_text(middle["cutoff_px"], middle["cutoff_nyq"])
    ends = [
        f"{r:g}" if np.isfinite(r) else "never" for r in (ordered["_rank"].iloc[0], ordered["_rank"].iloc[-1])
    ]
    if ends[0] != ends[1]:
        text += f"; {ends[0]} to {ends[1]} over {len(ordered)} generators"
    left = len(rows) - len(usable)
    return f"{text}; {left} at chance left out" if left else text


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
