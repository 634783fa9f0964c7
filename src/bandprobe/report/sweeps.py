"""Sweeps: the filters of a run that differ in their cut-off alone, and the two ways to show one."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd

View = Literal["reliance", "information"]
VIEWS: tuple[View, View] = ("reliance", "information")
CONTROLS = ("none", "identity")

# `:30px` is a cut-off; `:width=20px` is a key and `:5..30px` a range, so neither matches.
_CUTOFF = re.compile(r":\d+(?:\.\d+)?(?:px|nyq|cpp)(?=[:+]|$)")


def sweep_of(spec: str) -> str | None:
    """The canonical filter spec without its first cut-off, or None when it has none.

    `lowpass:0.25nyq:order=2` gives `lowpass:order=2`: two filters belong to one sweep when this
    name is equal.
    """
    name, found = _CUTOFF.subn("", spec, count=1)
    return name if found else None


def kind_of(sweep: str) -> str:
    """The filter kind a sweep begins with: `ideal-lowpass:bits=8` gives `ideal-lowpass`."""
    return re.split(r"[:+]", sweep, maxsplit=1)[0]


def is_lowpass(sweep: str) -> bool:
    """Whether a larger cut-off keeps more of the image (a Butterworth or ideal low-pass, unchained)."""
    return kind_of(sweep) in {"lowpass", "ideal-lowpass"} and "+" not in sweep


def describe_sweep(sweep: str) -> str:
    """The sweep in words: `lowpass:order=2` gives `low-pass (order=2)`."""
    kind, _, keys = sweep.partition(":")
    words = re.sub(r"(low|high|band)(pass|stop)", r"\1-\2", kind).replace("ideal-", "ideal ")
    return f"{words} ({keys.replace(':', ', ')})" if keys else words


def with_sweep(results: pd.DataFrame) -> pd.DataFrame:
    """`results` with a column `sweep`: the sweep's name, or an empty string."""
    names = {spec: sweep_of(spec) or "" for spec in results["filter"].unique()}
    usable = results["cutoff_px"] > 0
    return results.assign(sweep=results["filter"].map(names).where(usable, "").astype(str))


def sweeps_in(results: pd.DataFrame) -> list[str]:
    """Sweeps with at least two cut-offs: `lowpass`, other low-pass ones, the rest as they appear."""
    marked = with_sweep(results)
    counts = marked[marked["sweep"] != ""].groupby("sweep", sort=False)["cutoff_px"].nunique()
    names = [str(name) for name, count in counts.items() if count >= 2]
    return sorted(names, key=lambda name: (not is_lowpass(name), name != "lowpass"))


def sweep_rows(results: pd.DataFrame, sweep: str, view: View) -> pd.DataFrame:
    """The rows of one sweep and its controls in one view, with column `sweep` (empty for controls).

    The control of a sweep in 8 bits, or behind another filter such as `jpeg:75`, is the identity in its
    place, where the run has it; either is called `identity` in the result.
    """
    rows = with_sweep(select_view(results, view))
    before, plus, mask = sweep.rpartition("+")
    wanted = [
        f"{before}{plus}identity{':bits=8' if ':bits=8' in mask else ''}", f"{before}{plus}identity", before
    ]  # fmt: skip
    present = set(rows["filter"])
    control = next((name for name in wanted if name in present), "identity")
    rows = rows[(rows["sweep"] == sweep) | rows["filter"].isin(("none", control))]
    return rows.assign(filter=rows["filter"].replace({control: "identity"}))


def select_view(results: pd.DataFrame, view: View) -> pd.DataFrame:
    """Rows of one view.

    `reliance` keeps the probes trained on unfiltered images (what they use); `information` those
    trained and tested under the same filter (what is there).
    """
    if view == "reliance":
        return results[results["train_filter"] == "none"]
    return results[results["train_filter"] == results["filter"]]
