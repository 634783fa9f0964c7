"""What the page says of detectors: recipes, degradations, attacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bandprobe.analysis.openset_summary import BASELINE, sentences
from docs_tools.findings.steps import ATTACKED_ENCODER, ENCODERS, WHOLE
from docs_tools.findings.words import interval, least, most, picture, points, read, table

_STRONGEST = 5  # severity
_FALL = "fall fall_low fall_high"


def recipes(out: Path) -> str:
    """The open-set protocol over all recipes."""
    summary = read(out / "openset" / "openset_summary.csv")
    tried = summary[(summary["verdict"] != BASELINE) & (summary["protocol"] == "generator")]
    metrics = list(dict.fromkeys(tried["metric"]))
    reals = int(read(out / "openset" / "openset.csv")["n_real"].min())
    body = []
    for (encoder, recipe), mine in tried.groupby(["encoder", "recipe"], sort=False):
        cells = {row["metric"]: row for row in mine.to_dict("records")}
        gains = [
            f"{interval(cells[name], 'difference low high', '+')} {cells[name]['verdict']} "
            f"({cells[name]['wins']}:{cells[name]['losses']})"
            for name in metrics
        ]
        body.append([str(encoder), str(recipe), *gains])
    return f"""
## Which recipe makes a better detector

Gain over the plain probe on generators that training has not seen, {int(tried["n_generators"].max())} left out in turn;
intervals over generators, images and {WHOLE.replicates} more trainings on resampled images. In brackets: generators on
which the recipe is better and worse. PD is at the strictest rate of false alarms that {reals} test reals allow.

{table(["encoder", "recipe", *(name.upper() for name in metrics)], body)}

{points(sentences(summary))}

{picture("openset", "Gain of every recipe over the plain probe, each generator left out")}
"""


def robustness(out: Path) -> str:
    """What degradations cost, alone and behind a low-pass, and whether ranks survive."""
    means = read(out / "robustness" / "robustness_means.csv")
    means = means[
        (means["metric"] == "auroc") & (means["probes"] == "all") & (means["severity"] == _STRONGEST)
    ]
    alone = means[means["before"] == "none"]
    families = list(dict.fromkeys(alone["degradation"]))
    body, said = [], []
    for encoder in ENCODERS:
        mine = alone[alone["encoder"] == encoder].set_index("degradation")
        body.append([encoder, *(interval(mine.loc[family], _FALL) for family in families)])
        worst, mildest = most(mine, "fall"), least(mine, "fall")
        said.append(
            f"*{encoder}*: AUROC without degradation is {worst['value'] + worst['fall']:.3f}; most of it goes "
            f"with {worst['degradation']}, {interval(worst, _FALL)}, least with {mildest['degradation']}, "
            f"{interval(mildest, _FALL)}."
        )
    for row in means[means["before"] != "none"].to_dict("records"):
        same = (alone["encoder"] == row["encoder"]) & (alone["degradation"] == row["degradation"])
        said.append(
            f"*{row['encoder']}*, {row['degradation']} behind {row['before']}: {interval(row, _FALL)}; "
            f"alone: {interval(alone[same].iloc[0], _FALL)}."
        )
    ranks = read(out / "robustness" / "robustness_ranks.csv")
    over_all = ranks[(ranks["degradation"] == "all") & (ranks["before"] == "none")]
    said += [_ranked(row) for row in over_all.to_dict("records")]
    return f"""
## What degradations cost

Fall of AUROC of the probe trained on all generators, at severity {_STRONGEST} of 5; paired, intervals over
{alone["resampled"].iloc[0]}.

{table(["encoder", *families], body)}

{points(said)}

{picture("robustness", "Fall of AUROC by degradation and severity on micro-clip")}
"""


def _ranked(row: Mapping[Any, Any]) -> str:
    who = f"probes of *{row['encoder']}*" if row["ranked"] == "probes" else str(row["ranked"])
    return (
        f"Ranks of {row['items']:.0f} {who}: the mean of Kendall's tau to the ranking without degradations is "
        f"{row['tau']:.2f}, where resamples of the same images have {row['tau_repeat']:.2f}; {row['winner']}, first "
        f"there, is first under {row['kept']:.0%} of the degradations."
    )


def attack(out: Path) -> str:
    """What it costs to flip decisions within one band, plain probe and recipes."""
    rows = read(out / "attack" / "attack.csv")
    rms = rows[rows["measure"] == "rms"]
    rms = rms.assign(recipe=rms["trained_on"].str.extract(r"\((.+)\)$")[0].fillna("plain"))
    bands = list(dict.fromkeys(rms["band"]))
    plain = rms[rms["recipe"] == "plain"].set_index(["source", "band"])["value"]
    body, said = [], []
    for recipe, mine in rms.groupby("recipe", sort=False):
        medians = mine.groupby("band", sort=False)["value"].median()
        body.append([str(recipe), *(_levels(float(medians[band])) for band in bands)])
        if recipe == "plain":
            said.append(
                f"*plain*: cheapest in {medians.idxmin()} of Nyquist, {_levels(float(medians.min()))} levels."
            )
            continue
        values = mine.set_index(["source", "band"])["value"]
        there = plain.reindex(values.index)
        signs = (values > there).astype(int) - (values < there).astype(int)
        by_source = signs.groupby(level=0).sum()
        up, down = int((by_source > 0).sum()), int((by_source < 0).sum())
        p = float(stats.binomtest(up, up + down).pvalue) if up + down else 1.0
        said.append(
            f"*{recipe}*: in most bands dearer to attack than the plain probe on {up} sources, cheaper on {down} "
            f"(sign test over sources, p = {p:.3f})."
        )
    return f"""
## Which bands are cheap to attack

The least root mean square, in 8-bit levels, within one band that flips the decision of a probe on {ATTACKED_ENCODER}:
median over sources of the median over images, `> budget` where most images withstand.

{table(["recipe", *bands], body)}

{points(said)}

{picture("attack", "What it costs to flip decisions, by recipe and band")}
"""


def _levels(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "> budget"
