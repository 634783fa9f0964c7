"""The measures that figures show, how they are printed, and which PD@x% the data allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

PD_METRICS = ("pd@1%", "pd@5%", "pd@10%")  # strictest first


@dataclass(frozen=True)
class Measure:
    """One detection metric as shown.

    Attributes:
        name: as in the column `metric`.
        label: for titles and axes.
        floor: lower end of the colour scale; the upper end is 1.
        percent: printed as a percentage with one decimal, else with three decimals.
    """

    name: str
    label: str
    floor: float
    percent: bool

    @property
    def heading(self) -> str:
        """The label as the first word of a title."""
        return self.label[:1].upper() + self.label[1:]

    def text(self, value: float) -> str:
        """`value` as printed in cells and tables; an en dash for a blank."""
        if not np.isfinite(value):
            return "–"
        return f"{100 * value:.1f}" if self.percent else f"{value:.3f}"


AUROC = Measure("auroc", "AUROC", 0.5, percent=False)
ACCURACY = Measure("accuracy", "accuracy", 0.5, percent=True)


def pd_measure(name: str) -> Measure:
    """Probability of detection at a false-alarm rate, e.g. `pd@1%`."""
    return Measure(name, name.upper(), 0.0, percent=True)


def choose_pd(results: pd.DataFrame, asked: str = "auto") -> tuple[Measure | None, str]:
    """The PD@x% to show: the one with the fewest blank cells, the strictest among equals, unless one is asked for.

    Args:
        results: the tidy table of a run.
        asked: `1%`, `5%` or `10%`, taken where it is not blank everywhere; or `auto`.

    Returns:
        The measure, or None when every cell of all three is blank or absent, and a sentence for the
        reader where it is not PD@1% in full (else an empty string).
    """
    rows = results[results["metric"].isin(PD_METRICS)]
    if rows.empty:
        return None, "The results hold no probability of detection (PD@x%)."
    blank = rows["value"].isna().groupby(rows["metric"]).agg(["sum", "size"])
    usable = [name for name in PD_METRICS if name in blank.index and blank["sum"][name] < blank["size"][name]]
    because = _reasons(rows)
    if not usable:
        return None, f"PD@1%, PD@5% and PD@10% are blank everywhere{because}"
    if (named := f"pd@{asked}") in usable:
        return pd_measure(named), ""
    chosen = min(usable, key=lambda name: (blank["sum"][name] / blank["size"][name], PD_METRICS.index(name)))
    label = chosen.upper()
    if chosen != PD_METRICS[0]:
        shown = f"{label} is shown in place of PD@1%, which is blank for some or all test sets{because}"
        return pd_measure(chosen), shown
    if blank["sum"][chosen]:
        return pd_measure(chosen), f"{label} is blank for some test sets{because}"
    return pd_measure(chosen), ""


def _reasons(rows: pd.DataFrame) -> str:
    blank = rows[rows["value"].isna()]
    given = [
        reason for name in PD_METRICS for reason in blank.loc[blank["metric"] == name, "reason"].unique()
    ]
    distinct = [str(reason) for reason in dict.fromkeys(given) if reason]
    return f": {'; '.join(distinct[:3])}." if distinct else "; the results give no reason."
