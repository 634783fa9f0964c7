"""Who is left out in turn: each generator, or each family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bandprobe import progress
from bandprobe.analysis.test_set import TestSet, test_sets
from bandprobe.errors import InputError, did_you_mean

PROTOCOLS = ("generator", "family")


@dataclass(frozen=True)
class Fold:
    """Who is left out together, and the test sets of their fakes."""

    protocol: str
    left_out: str
    generators: tuple[str, ...]
    tests: tuple[TestSet, ...]


def folds_of(manifest: pd.DataFrame, by: Sequence[str] | None, generators: int = 1) -> list[Fold]:
    """Who is left out in turn.

    Args:
        manifest: the images.
        by: protocols; both by default, where there are two families.
        generators: how many must be left to train on.

    Raises:
        InputError: an unknown protocol, or too few generators or families.
    """
    asked = list(dict.fromkeys(PROTOCOLS if by is None else by))
    for protocol in asked:
        if protocol not in PROTOCOLS:
            near = did_you_mean(protocol, PROTOCOLS)
            raise InputError(f"what is left out must be generator or family; got {protocol!r}.{near}")
    fakes = manifest[manifest["label"] == 1]
    families: dict[str, str] = dict(zip(fakes["generator"], fakes["family"], strict=True))
    trained = set(fakes.loc[fakes["split"] == "train", "generator"])
    if len(trained) < generators + 1:
        why = " (a recipe chooses on the others)" if generators > 1 else ""
        raise InputError(
            f"leaving a generator out needs at least {generators + 1} generators with training images{why}; the "
            f"manifest has {len(trained)} ({', '.join(sorted(trained)) or 'none'}). Add some, or name other recipes."
        )
    tests = test_sets(manifest)
    tested = {one.generator for one in tests}
    groups: list[tuple[str, str, list[str]]] = []
    if "generator" in asked:
        groups += [("generator", name, [name]) for name in sorted(tested)]
    if "family" in asked:
        found = sorted({family for name, family in families.items() if name in tested})
        members = {family: [name for name, its in families.items() if its == family] for family in found}
        left = [family for family in found if len(trained - set(members[family])) >= generators]
        if len(found) < 2 or not left:
            if by is not None:
                raise InputError(
                    f"leaving a family out needs two families, and {generators} or more generators outside of one; "
                    f"the manifest has {', '.join(found)}. Name more with `index`, or leave generators out."
                )
            progress.say("no family is left out: the manifest has too few.")
        elif len(left) < len(found):
            few = ", ".join(sorted(set(found) - set(left)))
            progress.say(f"{few} is not left out as a family: too few generators would be left to train on.")
        groups += [("family", family, members[family]) for family in left if len(found) > 1]
    return [
        Fold(protocol, name, tuple(members), tuple(one for one in tests if one.generator in members))
        for protocol, name, members in groups
    ]
