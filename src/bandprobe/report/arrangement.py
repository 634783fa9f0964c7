"""The one order of generators, training sets and families that every figure and table keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FAMILIES = ("gan", "diffusion", "autoregressive", "other")
POOLED = "pooled"
_WORDS = {"gan": "GAN"}
_SHORT = {"diffusion": "diff.", "autoregressive": "AR"}


@dataclass(frozen=True)
class Arrangement:
    """Test sets and training sets in reading order, each with its family.

    Attributes:
        tests: test sets (values of `results.test`), by family.
        test_family: the family of each test set.
        training: training sets: generators by family, then `all`, then the pooled families.
        training_family: the family of each training set; `"pooled"` for pooled ones.
        own: for each training set the test sets whose generators it was trained on.
    """

    tests: tuple[str, ...]
    test_family: dict[str, str]
    training: tuple[str, ...]
    training_family: dict[str, str]
    own: dict[str, tuple[str, ...]]


def arrange(results: pd.DataFrame) -> Arrangement:
    """Order everything in `results`: by family, then dataset, then first appearance."""
    tests = results[["test", "tested_on", "dataset", "family_to"]].drop_duplicates("test")
    trained = results[["trained_on", "family_from"]].drop_duplicates("trained_on")
    family_of = dict(zip(tests["tested_on"], tests["family_to"], strict=True))
    place = {name: i for i, name in enumerate(tests["dataset"].drop_duplicates())}
    families = sort_families([*tests["family_to"], *trained["family_from"]])
    rank = {family: i for i, family in enumerate(families)}

    rows = sorted(
        zip(tests["test"], tests["family_to"], tests["dataset"], strict=True),
        key=lambda row: (rank[row[1]], place[row[2]]),
    )
    test_family = {test: family for test, family, _ in rows}
    dataset_rank = {name: place[d] for name, d in zip(tests["tested_on"], tests["dataset"], strict=True)}

    training_family: dict[str, str] = {}
    for name, family in zip(trained["trained_on"], trained["family_from"], strict=True):
        training_family[name] = POOLED if is_pooled(name) else family_of.get(name, family)

    def order(name: str) -> tuple[int, int, int]:
        if not is_pooled(name):
            return (0, rank.get(training_family[name], len(rank)), dataset_rank.get(name, len(place)))
        if name == "all":
            return (1, 0, 0)
        return (2, rank.get(name.removeprefix("family:"), len(rank)), 0)

    training = sorted(training_family, key=order)
    members = list(zip(tests["test"], tests["tested_on"], tests["family_to"], strict=True))
    own = {
        name: tuple(test for test, generator, family in members if _is_own(name, generator, family))
        for name in training
    }
    return Arrangement(tuple(test_family), test_family, tuple(training), training_family, own)


def is_pooled(trained_on: str) -> bool:
    """Whether a training set pools generators (`all`, `family:...`) or lies outside the study."""
    return trained_on in {"all", "external"} or trained_on.startswith("family:")


def of_one_generator(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows come from probes trained on a single generator."""
    return np.array([not is_pooled(name) for name in rows["trained_on"]], dtype=bool)


def own_generators(rows: pd.DataFrame, arrangement: Arrangement) -> npt.NDArray[np.bool_]:
    """Which rows test a probe on a generator that it was trained on."""
    own = {(name, test) for name, tests in arrangement.own.items() for test in tests}
    pairs = zip(rows["trained_on"], rows["test"], strict=True)
    return np.array([pair in own for pair in pairs], dtype=bool)


def sort_families(names: Iterable[str]) -> list[str]:
    """Distinct families: the known ones in their fixed order, then others by name."""
    known = {family: i for i, family in enumerate(FAMILIES)}
    return sorted(set(names), key=lambda name: (known.get(name, len(known)), name))


def family_label(family: str, short: bool = False) -> str:
    """A family as a reader writes it; `short` for narrow places."""
    if short and family in _SHORT:
        return _SHORT[family]
    return _WORDS.get(family, family or "no family")


def training_label(trained_on: str) -> str:
    """A training set as a reader writes it: `family:gan` gives `all GAN`."""
    if trained_on.startswith("family:"):
        return f"all {family_label(trained_on.removeprefix('family:'))}"
    return trained_on


def runs_of(labels: Iterable[str]) -> list[tuple[str, int, int]]:
    """Runs of equal neighbours as (label, first index, last index)."""
    runs: list[tuple[str, int, int]] = []
    for i, label in enumerate(labels):
        if runs and runs[-1][0] == label:
            runs[-1] = (label, runs[-1][1], i)
        else:
            runs.append((label, i, i))
    return runs


def _is_own(trained_on: str, generator: str, family: str) -> bool:
    return trained_on == "all" or trained_on in {generator, f"family:{family}"}
