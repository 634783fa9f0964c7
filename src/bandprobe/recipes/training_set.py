"""What a recipe learns from: training and validation images with their embeddings under every condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.errors import InputError
from bandprobe.probes import LinearProbe, training_sets
from bandprobe.probes.linear import HeldOut, concluded, held_out
from bandprobe.probes.validation import Examples, plan
from bandprobe.recipes.vectors import Condition, Vectors

Floats = NDArray[np.float64]


class Fitted(NamedTuple):
    """An ordinary probe, and what it says of rows that it was not fitted on."""

    probe: LinearProbe
    held_out: Floats  # in the order of the plan's judged rows


class TrainingSet:
    """The images of one training set, each row's label and generator, the folds, and their embeddings.

    Nothing here is of a generator that is left out: whatever a recipe chooses, it chooses on these rows.

    Args:
        rows: as `probes.training_sets` gives them.
        vectors: hold their embeddings.
        seed: the study's.
        name: the set's; the folds are those of an ordinary probe of that name.
        again: further names of the draw, for a resample of the training images.

    Raises:
        InputError: train lacks a class.
    """

    def __init__(
        self, rows: pd.DataFrame, vectors: Vectors, *, seed: int, name: str, again: Sequence[str] = ()
    ) -> None:
        self.rows, self._vectors = rows, vectors
        self.ids = rows["image_id"].to_numpy(object)
        self.label: NDArray[np.int8] = rows["label"].to_numpy("int8")
        self.dataset = rows["dataset"].to_numpy(object)
        self.generator = rows["generator"].to_numpy(object)
        blank = np.empty((len(rows), 0), np.float32)
        split = rows["split"].to_numpy(object)
        examples = Examples(blank, self.label, self.dataset, split, self.ids)
        try:
            self.planned = plan(examples, seeding.generator(seed, "folds", name, *again))
        except InputError as error:
            raise InputError(f"training set {name!r}: {error}") from None
        self._fitted: dict[tuple[Condition, ...], Fitted] = {}

    @property
    def generators(self) -> list[str]:
        """Whose fakes are in it."""
        return sorted(set(self.generator[self.label == 1]))

    def embedding(self, *conditions: Condition) -> Floats:
        """The rows' embeddings under conditions, joined, (n, sum of their lengths)."""
        return np.hstack([self._vectors.at(one, self.ids) for one in conditions])

    def fitted(self, *conditions: Condition) -> Fitted:
        """The ordinary probe on conditions joined, fitted once."""
        if conditions not in self._fitted:
            self._fitted[conditions] = self.fit(self.embedding(*conditions))
        return self._fitted[conditions]

    def fit(self, final: Floats, views: Sequence[Floats] | None = None, met: Floats | None = None) -> Fitted:
        """A probe on features of the rows.

        Args:
            final: (n, k), as the probe is fitted on them.
            views: for each fold the features as that fold's own model gives them; `final` by default.
            met: features of the rows as the probe will meet them, where that is another form.
        """
        seen = [final] * len(self.planned.folds) if views is None else views
        found: HeldOut = held_out(seen, self.label, self.planned, met=met)
        return Fitted(concluded(found, final, self.label, self.planned), found.logits)


def without(manifest: pd.DataFrame, generators: Iterable[str]) -> pd.DataFrame:
    """The training set of all generators but some: their fakes, and the reals of the others' data sets.

    Args:
        manifest: the images.
        generators: who is left out; none of their pictures is in the set, in any split.

    Raises:
        InputError: nobody else has training images.
    """
    left_out = (manifest["label"] == 1) & manifest["generator"].isin(list(generators))
    return training_sets(manifest[~left_out], ["all"])["all"]
