"""What degradations cost, and whether ranks survive them, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bandprobe.analysis.rank_stability import ALL
from bandprobe.filters.degradations import REFERENCE, SEVERITIES
from bandprobe.report.arrangement import training_label
from bandprobe.report.page_tables import Table, table
from bandprobe.report.robustness_figures import arm_text, probes_label
from bandprobe.report.run_directory import Run

NOTE = (
    "Each kind of degradation in up to five severities, on pictures that already lie on the study’s grid: the blocks "
    "of a JPEG are 8 px of that grid, and a factor or a sigma refers to it. A fall is that from the same pictures "
    "without the degradation (after a filter: with the filter alone), paired; intervals come from resamples of the "
    "{resampled}."
)
_RANKED = {"encoders": "encoders", "detectors": "encoders and probes together"}


def degraded(run: Run) -> pd.DataFrame:
    """The rows of a run's `robustness_means.csv` that are degradations; none where there is no such table."""
    if "robustness_means" not in run.analyses:
        return pd.DataFrame(columns=["before", "degradation", "severity", "filter"])
    means = run.analyses["robustness_means"]
    return means[means["degradation"] != REFERENCE]


def note(means: pd.DataFrame) -> str:
    """What a reader must know of the section.

    Args:
        means: rows of `robustness_means.csv`.
    """
    # Of a mean over few generators less is resampled than of one over many: the longer words are of the latter.
    return NOTE.format(resampled=max(map(str, means["resampled"]), key=len))


def fall_tables(means: pd.DataFrame, metric: str = "auroc") -> Iterator[tuple[tuple[str, str, str], Table]]:
    """The falls of each encoder's sets of probes, with intervals, and the key of each: encoder, train filter, before.

    Args:
        means: rows of `robustness_means.csv`.
        metric: of which.
    """
    rows = means[means["metric"] == metric]
    keys = rows[["encoder", "train_filter", "before"]].drop_duplicates()
    for encoder, train_filter, before in keys.itertuples(index=False, name=None):
        mine = rows[
            (rows["encoder"] == encoder) & (rows["train_filter"] == train_filter) & (rows["before"] == before)
        ]
        body = []
        for name, of in mine.groupby("probes", sort=False):
            cells = {(row["degradation"], int(row["severity"])): row for _, row in of.iterrows()}
            plain = f"{cells[REFERENCE, 0]['value']:.3f}"
            for family in dict.fromkeys(of["degradation"]):
                if family != REFERENCE:
                    falls = [_fall(cells.get((family, severity))) for severity in SEVERITIES]
                    body.append([probes_label(str(name)), str(family), plain, *falls])
        caption = (
            f"Fall of mean {metric.upper()} under degradations by severity, with 95 % intervals: "
            f"{encoder}{arm_text(train_filter, before)}"
        )
        columns = ["probes", "degradation", f"{metric.upper()} without", *map(str, SEVERITIES)]
        yield (str(encoder), str(train_filter), str(before)), table(caption, columns, body, heads=2)


def rank_summary(ranks: pd.DataFrame) -> Table:
    """How far each ranking survives all degradations together.

    Args:
        ranks: rows of `robustness_ranks.csv`.
    """
    together = ranks[ranks["degradation"] == ALL]
    return table(
        "Do ranks survive? Kendall’s tau of the ranking by mean AUROC with that without degradations, mean over "
        "degradations and severities; its interval is what the pairs leave open that the images do not decide",
        ["ranking of", "items", "tau", "of a repetition", "pairs kept", "pairs turned", "winner without",
         "winner kept"],
        [
            [
                _ranking(row), str(int(row["items"])), _tau(row), _number(row["tau_repeat"]),
                *(_share(row[name], row["pairs"]) for name in ("pairs_kept", "pairs_turned")),
                _winner(row["winner"]), f"{100 * row['kept']:.0f} %",
            ]
            for _, row in together.iterrows()
        ],
    )  # fmt: skip


def rank_table(ranks: pd.DataFrame) -> Table:
    """The same for each family of degradations, and the winner at the highest severity."""
    body = []
    for _, row in ranks[ranks["severity"].isna() & (ranks["degradation"] != ALL)].iterrows():
        worst = _strongest(ranks, row)
        body.append(
            [
                _ranking(row), str(row["degradation"]), _tau(row), _number(row["rho"]),
                *(_share(row[name], row["pairs"]) for name in ("pairs_kept", "pairs_turned")),
                f"{100 * row['kept']:.0f} %", _winner(worst["winner_there"]),
                str(worst["verdict"]),
            ]
        )  # fmt: skip
    return table(
        "Ranks by degradation, means over its severities; the last two columns are those of its highest severity",
        ["ranking of", "degradation", "tau", "rho", "pairs kept", "pairs turned", "winner kept", "winner there",
         "the winner is"],
        body,
        heads=2,
    )  # fmt: skip


def _strongest(ranks: pd.DataFrame, row: pd.Series[Any]) -> Mapping[str, Any]:
    """The row of the same ranking and degradation at the highest severity."""
    keys = ("ranked", "encoder", "train_filter", "before", "degradation")
    same = np.logical_and.reduce([ranks[name] == row[name] for name in keys])
    found = ranks[same & ranks["severity"].notna()].sort_values("severity", kind="stable").iloc[-1]
    return dict(found)


def _ranking(row: pd.Series[Any]) -> str:
    what = _RANKED.get(str(row["ranked"])) or f"probes of {row['encoder']}"
    return f"{what}{arm_text(str(row['train_filter']), str(row['before']))}"


def _winner(name: str) -> str:
    encoder, colon, probe = str(name).partition(": ")
    return f"{encoder}: {training_label(probe)}" if colon else training_label(encoder)


def _share(part: float, whole: float) -> str:
    return f"{int(part)} of {int(whole)}"


def _tau(row: pd.Series[Any]) -> str:
    return _interval(row["tau"], row["tau_low"], row["tau_high"], 2)


def _fall(row: pd.Series[Any] | None) -> str:
    return "–" if row is None else _interval(row["fall"], row["fall_low"], row["fall_high"], 3)


def _interval(value: float, low: float, high: float, decimals: int) -> str:
    if not np.isfinite(value):
        return "–"
    shown = [f"{number:.{decimals}f}".replace("-", "−") for number in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"
