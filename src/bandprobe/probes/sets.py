"""Training sets: which images a probe learns from, and what each weighs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.errors import InputError, did_you_mean


def training_sets(manifest: pd.DataFrame, train_on: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The training and validation images of each probe.

    Args:
        manifest: columns image_id, label, generator, family, dataset, split.
        train_on: `each` (a probe for every generator), `families` (one for every family, named
            `family:gan` and so on), `all`, or the names of generators or of such sets.

    Returns:
        For each set its rows of splits train and val: the fakes of its generators and the reals of those
        fakes' data sets, sorted by image id, each picture once. Generators first, then families, then all.

    Raises:
        InputError: a name that is no generator or set of this manifest, or no set at all has training fakes.
    """
    rows = manifest[manifest["split"].isin(["train", "val"])]
    trained = rows[(rows["label"] == 1) & (rows["split"] == "train")]
    families = dict(sorted(zip(trained["generator"], trained["family"], strict=True)))
    members = {name: [name] for name in families}
    for family in dict.fromkeys(families.values()):
        members[f"family:{family}"] = [name for name, its in families.items() if its == family]
    members["all"] = list(families)
    named = {
        "each": list(families),
        "families": [name for name in members if name.startswith("family:")],
        "all": ["all"],
    }
    wanted: list[str] = []
    for name in train_on:
        if name not in named and name not in members:
            near = did_you_mean(name, [*named, *members])
            raise InputError(
                f"train_on has no set {name!r}; expected each, families, all, or a generator.{near}"
            )
        wanted += named.get(name, [name])
    if not families:
        raise InputError("no generator has training images; check the manifest's splits.")
    sets = {}
    for name in (name for name in members if name in wanted):
        fakes = (rows["label"] == 1) & rows["generator"].isin(members[name])
        reals = (rows["label"] == 0) & rows["dataset"].isin(rows.loc[fakes, "dataset"])
        chosen = rows[fakes | reals].sort_values(["image_id", "dataset", "generator"], kind="stable")
        sets[name] = chosen.drop_duplicates("image_id").reset_index(drop=True)
    return sets


def family_of(name: str, rows: pd.DataFrame) -> str:
    """The family of a training set's fakes; `all` for the set of all generators."""
    fakes = rows[(rows["family"] != "real") & (rows["split"] == "train")]
    return "all" if name == "all" else str(fakes["family"].min())


def validated_on(rows: pd.DataFrame, manifest: pd.DataFrame, generator: str) -> pd.DataFrame:
    """A training set whose validation images are those of one generator and of its data set's reals.

    Args:
        rows: of one set, see `training_sets`.
        manifest: where the generator's validation images stand.
        generator: whose; upper and lower case are one.

    Raises:
        InputError: the manifest has no such validation fakes, or no reals beside them.
    """
    val = manifest[manifest["split"] == "val"]
    fakes = val[(val["label"] == 1) & (val["generator"].str.casefold() == generator.casefold())]
    reals = val[(val["label"] == 0) & val["dataset"].isin(fakes["dataset"])]
    for part, what in ((fakes, f"image of {generator}"), (reals, f"real image beside {generator}'s")):
        if part.empty:
            raise InputError(
                f"adm_validation: the validation split has no {what}; add {generator} to the data or turn "
                "the switch off."
            )
    chosen = pd.concat([rows[rows["split"] == "train"], fakes, reals])
    chosen = chosen.sort_values(["image_id", "dataset", "generator"], kind="stable")
    return chosen.drop_duplicates("image_id").reset_index(drop=True)


def bootstrapped(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A training set whose training images are redrawn with replacement, class by class and data set by data set.

    Validation images stay as they are.
    """
    groups = rows[rows["split"] == "train"].groupby(["dataset", "label"], sort=True).indices
    at = np.flatnonzero(rows["split"] == "train")
    drawn = [at[rng.choice(places, len(places))] for _, places in sorted(groups.items())]
    chosen = np.sort(np.concatenate([*drawn, np.flatnonzero(rows["split"] != "train")]))
    return rows.iloc[chosen].reset_index(drop=True)


def balanced_weights(label: NDArray[np.int8], dataset: NDArray[np.object_]) -> NDArray[np.float64]:
    """Sample weights that make reals and fakes count alike within each data set.

    `n_d / (2 n_dc)` for a sample of class c in data set d: scikit-learn's `class_weight="balanced"`, taken
    data set by data set, so that a pooled set cannot tell the classes by the data set they come from.

    Args:
        label: (n,), 0 real, 1 fake.
        dataset: (n,), names.

    Returns:
        float64 (n,), summing to n. A data set with one class alone keeps weight 1.
    """
    weights = np.ones(len(label))
    for name in np.unique(dataset.astype(str)):
        inside = dataset == name
        for value in (0, 1):
            members = inside & (label == value)
            if 0 < members.sum() < inside.sum():
                weights[members] = inside.sum() / (2 * members.sum())
    return weights
