"""Sources: the reals and each generator of a data set, with the test images drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import seeding

REAL = "Real"


@dataclass(frozen=True)
class Source:
    """The reals or a generator's fakes in one data set."""

    name: str  # `Real` for reals
    family: str  # empty for reals
    dataset: str
    image_id: NDArray[np.object_]  # (n,), sorted

    @property
    def is_real(self) -> bool:
        """Whether these are the reals."""
        return self.name == REAL


def drawn_sources(manifest: pd.DataFrame, samples: int, seed: int, purpose: str) -> list[Source]:
    """Every source of the test split, with at most so many of its images.

    Args:
        manifest: columns image_id, label, generator, family, dataset, split.
        samples: images of each source at most.
        seed: the study's.
        purpose: names the draw: analyses with one purpose get the same images.

    Returns:
        The sources by data set, reals first within one.
    """
    rows = manifest[manifest["split"] == "test"]
    found = []
    for (dataset, label, generator), its in rows.groupby(["dataset", "label", "generator"], sort=True):
        ids = np.array(sorted(set(its["image_id"])), dtype=object)
        name = REAL if label == 0 else str(generator)
        if len(ids) > samples:
            draw = seeding.generator(seed, purpose, dataset, name)
            ids = ids[np.sort(draw.choice(len(ids), samples, replace=False))]
        found.append(Source(name, "" if label == 0 else str(its["family"].iloc[0]), str(dataset), ids))
    return found
