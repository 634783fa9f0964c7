"""What compression, resizing, blur, noise, cropping, screenshots and sharing cost, and whether ranks survive them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bandprobe import progress
from bandprobe.analysis.rank_stability import Ranking, stability
from bandprobe.analysis.robustness_arm import ArmScores
from bandprobe.analysis.robustness_grid import Resampling, arms_of
from bandprobe.analysis.score_cells import ScoreCells
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.metrics.detection import PD_RATES, reals_needed
from bandprobe.probes import EXTERNAL

RESAMPLES = 1000
_CONDITION = ("before", "degradation", "severity", "filter")
_FALL = ("value", "low", "high", "fall", "fall_low", "fall_high")
CELLS = (
    "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", *_CONDITION,
    "metric", *_FALL, "n_real", "n_fake",
)  # fmt: skip
MEANS = ("encoder", "probes", "train_filter", *_CONDITION, "metric", *_FALL, "cells", "resampled")
RANKS = (
    "ranked", "encoder", "train_filter", *_CONDITION, "items", "tau", "tau_low", "tau_high", "tau_repeat", "rho",
    "pairs", "pairs_kept", "pairs_turned", "winner", "winner_there", "verdict", "kept", "kept_resampled", "resampled",
    "reason",
)  # fmt: skip
_DECIMALS = 9

Named = TypeVar("Named")


@dataclass(frozen=True)
class Robustness:
    """The tables of `robustness.csv`, `robustness_means.csv` and `robustness_ranks.csv`.

    Attributes:
        cells: a row for each probe, test set, condition and metric: the metric, and its fall from the same images
            without the degradation, paired.
        means: the same over generators, for each set of probes.
        ranks: how far rankings agree with those without the degradation.
    """

    cells: pd.DataFrame
    means: pd.DataFrame
    ranks: pd.DataFrame

    @property
    def files(self) -> dict[str, pd.DataFrame]:
        """The tables by the names of their files."""
        return {
            "robustness.csv": self.cells,
            "robustness_means.csv": self.means,
            "robustness_ranks.csv": self.ranks,
        }


def robustness(
    scores: Path,
    manifest: pd.DataFrame,
    *,
    without: Collection[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Robustness:
    """Hold every probe's scores under degradations against those without.

    Whatever the protocol, a metric is that of the whole test set. What a degradation after a filter is compared with
    is that filter alone, so that a fall is the degradation's own.

    * AUROC with DeLong's interval, its fall with that of `delong_paired`.
    * PD at the strictest rate of false alarms that every test set allows, with the intervals of the bootstrap.
    * Means over `own` generators of probes of one generator, over the `others` (of each test generator, the mean over
      the probes that do not know it), and of each other probe over all test generators. Their intervals come from
      resamples of the images and, in families of five or more, of the generators.
    * Ranks by mean AUROC over all test generators: of the `probes` of each encoder, of all `detectors` (encoder and
      probe), and of the `encoders` by the mean over the probes that all have.

    Args:
        scores: `scores.parquet`.
        manifest: the images; its test split is used.
        without: encoders that are left out, of rankings as well.
        seed: of the resamples.
        resamples: how many.

    Raises:
        InputError: no degradation beside what it is compared with, no test set, or a damaged file.
    """
    sets = test_sets(manifest)
    fakes = manifest[manifest["label"] == 1]
    families = dict(zip(fakes["generator"], fakes["family"], strict=True))
    drawn = Resampling(sets, seed, resamples)
    metrics = ["auroc", *_strictest(sets)]
    cells: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    scored: list[ArmScores] = []
    with ScoreCells(scores) as held:
        arms = arms_of(cell for cell in held.cells if cell.encoder not in without)
        with progress.bar("robustness", sum(len(arm.trained_on) for arm in arms), "probes") as step:
            for arm in arms:
                one = ArmScores(arm, metrics, drawn)
                for trained_on in arm.trained_on:
                    cells += one.add(trained_on, held, sets, families)
                    step()
                means += one.means()
                scored.append(one)
    _, resampled = drawn.of_generators(drawn.families)  # as rankings are by means over all of them
    ranks = [row for ranking, facts in _rankings(scored) for row in _ranked(ranking, facts, resampled)]
    return Robustness(_table(cells, CELLS), _table(means, MEANS), _table(ranks, RANKS))


def _strictest(sets: Sequence[TestSet]) -> list[str]:
    """PD at the lowest rate that all test sets have reals enough for; nothing where there is none."""
    fewest = min(int((one.label == 0).sum()) for one in sets)
    allowed = [name for name, rate in PD_RATES.items() if fewest >= reals_needed(rate)]
    return allowed[-1:]


def _rankings(scored: Sequence[ArmScores]) -> Iterator[tuple[Ranking, dict[str, Any]]]:
    """Everything that can be ranked, by train filter and what comes before the degradations."""
    together: dict[tuple[str, str], list[ArmScores]] = {}
    for one in scored:
        together.setdefault((one.arm.train_filter, one.arm.before), []).append(one)
    for (train_filter, before), members in together.items():
        about = {"train_filter": train_filter, "before": before}
        trained = [one for one in members if EXTERNAL not in one.arm.trained_on]
        common = _common([one.arm.trained_on for one in trained])
        conditions = _common([one.arm.conditions for one in trained])
        if len(trained) > 1 and common and len(conditions) > 1:
            means = [np.mean([one.auroc(name, conditions) for name in common], axis=0) for one in trained]
            names = [one.arm.encoder for one in trained]
            yield Ranking(names, np.stack(means), conditions), about | {"ranked": "encoders", "encoder": ""}
        for one in members:
            if len(one.arm.trained_on) > 1:
                scores = np.stack([one.auroc(name, one.arm.conditions) for name in one.arm.trained_on])
                ranking = Ranking(one.arm.trained_on, scores, one.arm.conditions)
                yield ranking, about | {"ranked": "probes", "encoder": one.arm.encoder}
        conditions = _common([one.arm.conditions for one in members])
        if len(members) > 1 and len(conditions) > 1:
            every = [(one, name) for one in members for name in one.arm.trained_on]
            names = [f"{one.arm.encoder}: {name}" for one, name in every]
            scores = np.stack([one.auroc(name, conditions) for one, name in every])
            yield Ranking(names, scores, conditions), about | {"ranked": "detectors", "encoder": ""}


def _common(lists: Sequence[Sequence[Named]]) -> list[Named]:
    """What all lists hold, in the first one's order."""
    return [one for one in lists[0] if all(one in held for held in lists)] if lists else []


def _ranked(ranking: Ranking, facts: dict[str, Any], resampled: str) -> Iterator[dict[str, Any]]:
    yield from (facts | row | {"resampled": resampled} for row in stability(ranking))


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(columns))
    for name in table.columns:
        if pd.api.types.is_float_dtype(table[name]):
            table[name] = table[name].round(_DECIMALS) + 0.0
    table["severity"] = table["severity"].astype("Int64")
    return table
