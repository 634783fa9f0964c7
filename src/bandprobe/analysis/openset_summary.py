"""Which recipes are better than the plain probe on generators that they have not seen, over all that were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bandprobe import seeding
from bandprobe.analysis.hierarchy import FEWEST
from bandprobe.analysis.openset_cells import Cell
from bandprobe.metrics.multiplicity import benjamini_hochberg
from bandprobe.metrics.sign_flips import sign_flip_p

COLUMNS = (
    "encoder", "recipe", "protocol", "metric", "n_generators", "value", "plain", "difference", "low", "high", "wins",
    "losses", "p_value", "q_value", "verdict", "reason",
)  # fmt: skip
BETTER, WORSE, UNDECIDED, BASELINE = "better", "worse", "undecided", "baseline"
LEVEL = 0.05
_DECIMALS = 9
_WORDS = {
    "auroc": "AUROC",
    "generator": "generators left out one by one",
    "family": "families left out one by one",
}

Floats = NDArray[np.float64]


def summary(cells: Sequence[Cell], *, replicates: int, seed: int = 0) -> pd.DataFrame:
    """Mean differences over the left-out generators, with everything that is left to chance in their intervals.

    The interval is Student's around the mean difference, `d ± t sqrt(V + T)`. V is the variance of the mean when
    generators and their test images are resampled, reals once for a data set, enlarged by n / (n - 1); T that of the
    mean over trainings on resampled images. The degrees of freedom are Welch and Satterthwaite's. p flips the signs of
    the generators' differences; q is Benjamini and Hochberg's over all encoders and recipes of a protocol and metric.
    A recipe is `better` where q is at most 5 % and the interval lies above zero, `worse` where it lies below, and else
    `undecided`; so it is with fewer than five generators.

    Args:
        cells: every recipe on every left-out test set.
        replicates: trainings on resampled images.
        seed: of the draws.

    Returns:
        A table with `COLUMNS`. `wins` and `losses` count generators; the plain probe's own rows say `baseline`.

    Source:
        Nested resampling: Davison & Hinkley 1997, section 3.8. Degrees of freedom: Satterthwaite 1946.
    """
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.protocol, cell.metric, cell.encoder, cell.recipe), []).append(cell)
    rows = [_row(*key, members, replicates, seed) for key, members in groups.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for _, places in table.groupby(["protocol", "metric"]).indices.items():
        table.loc[places, "q_value"] = benjamini_hochberg(table.loc[places, "p_value"].to_numpy(float))
    judged = [_verdict(row, replicates) for row in table.to_dict("records")]
    table["verdict"], table["reason"] = zip(*judged, strict=True) if judged else ([], [])
    for name in ("value", "plain", "difference", "low", "high", "p_value", "q_value"):
        table[name] = table[name].astype("float64").round(_DECIMALS) + 0.0
    return table


def mean_interval(
    resampled: Floats, retrained: Floats, draw: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a mean difference over generators.

    Args:
        resampled: (generators, 1 + resamples), differences on the images as they are and in resamples.
        retrained: (generators, replicates), differences after trainings on resampled images.
        draw: resamples the generators.
        level: coverage.

    Returns:
        Low and high; NaN with fewer than two generators.
    """
    n, size = resampled.shape[0], resampled.shape[1] - 1
    if n < 2:
        return float("nan"), float("nan")
    counts = draw.multinomial(n, np.full(n, 1 / n), size=size)
    spread = float(((counts / n) * resampled[:, 1:].T).sum(1).var() * n / (n - 1))
    training = float(retrained.mean(0).var(ddof=1)) if retrained.shape[1] > 1 else 0.0
    total = spread + training
    shares = spread**2 / (n - 1) + (training**2 / (retrained.shape[1] - 1) if training else 0.0)
    freedom = total**2 / shares if shares else n - 1
    reach = float(stats.t.ppf(0.5 + level / 2, freedom)) * np.sqrt(total)
    middle = float(resampled[:, 0].mean())
    return float(max(middle - reach, -1.0)), float(min(middle + reach, 1.0))


def _row(
    protocol: str, metric: str, encoder: str, recipe: str, cells: Sequence[Cell], replicates: int, seed: int
) -> dict[str, Any]:
    resampled = np.stack([cell.resampled for cell in cells])
    own = resampled[:, 0]
    found: dict[str, Any] = {
        "encoder": encoder,
        "recipe": recipe,
        "protocol": protocol,
        "metric": metric,
        "n_generators": len(cells),
        "value": float(np.mean([cell.value for cell in cells])),
        "plain": float(np.mean([cell.plain for cell in cells])),
        **dict.fromkeys(("difference", "low", "high", "p_value", "q_value"), np.nan),
        "wins": int((own > 0).sum()),
        "losses": int((own < 0).sum()),
        "verdict": "",
        "reason": "",
    }
    if recipe != "plain" and not np.isnan(own).any():
        retrained = np.stack([cell.retrained for cell in cells]) if replicates else np.empty((len(cells), 0))
        # The same generators are drawn for every encoder, recipe and metric.
        low, high = mean_interval(
            resampled, retrained, seeding.generator(seed, "openset", "generators", protocol)
        )
        p = sign_flip_p(own, seeding.generator(seed, "openset", "signs", protocol))
        found |= {"difference": float(own.mean()), "low": low, "high": high, "p_value": p}
    return found


def _verdict(row: Mapping[Any, Any], replicates: int) -> tuple[str, str]:
    n = row["n_generators"]
    counts = f"better on {row['wins']} and worse on {row['losses']} of {n} generators"
    if replicates < 2:
        counts += "; the interval knows one training alone"
    if row["recipe"] == "plain":
        return BASELINE, ""
    doubt = ""
    if np.isnan(row["difference"]):
        doubt, counts = "too few real test images for this metric", ""
    elif n < FEWEST:
        doubt = "fewer than five generators"
    elif row["q_value"] > LEVEL:
        doubt = f"q {row['q_value']:.3f}"
    elif row["low"] <= 0 <= row["high"]:
        doubt = "the interval holds zero"
    if doubt:
        return UNDECIDED, "; ".join(filter(None, (doubt, counts)))
    return (BETTER if row["low"] > 0 else WORSE), counts


def sentences(table: pd.DataFrame) -> list[str]:
    """What the study says, a sentence for each protocol and metric: which recipes are better, or that none is.

    Args:
        table: of `summary`.
    """
    said = []
    for (protocol, metric), rows in table.groupby(["protocol", "metric"], sort=False):
        tried = rows[rows["verdict"] != BASELINE]
        if tried.empty:
            continue
        name = _WORDS.get(str(metric), str(metric).upper())
        better = tried[tried["verdict"] == BETTER].sort_values("difference", ascending=False, kind="stable")
        worse = tried[tried["verdict"] == WORSE].sort_values("difference", kind="stable")
        parts = [
            "better than the plain probe: " + "; ".join(map(_said, better.to_dict("records")))
            if len(better)
            else "no recipe is better than the plain probe"
        ]
        if len(worse):
            parts.append("worse: " + "; ".join(map(_said, worse.to_dict("records"))))
        undecided = len(tried) - len(better) - len(worse)
        if undecided:
            parts.append(f"undecided: {undecided} of {len(tried)}")
        said.append(f"{name}, {_WORDS[str(protocol)]}: {'. '.join(_capital(parts))}.")
    return said


def _capital(parts: list[str]) -> list[str]:
    return [parts[0], *(part[:1].upper() + part[1:] for part in parts[1:])]


def _said(row: Mapping[Any, Any]) -> str:
    ends = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{row['recipe']} on {row['encoder']} {ends}"
