"""Test sets: a generator's test fakes beside the test reals of their own data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.errors import InputError


@dataclass(frozen=True)
class TestSet:
    """A generator's test fakes and the test reals of their own data set."""

    generator: str
    family: str
    dataset: str
    image_id: NDArray[np.object_]  # (n,), sorted
    label: NDArray[np.int8]  # (n,)

    __test__ = False  # not a test, whatever its name


def test_sets(manifest: pd.DataFrame) -> list[TestSet]:
    """The test set of every generator, by data set and name.

    Raises:
        InputError: no generator has test images, or one's data set has no real test image.
    """
    rows = manifest[manifest["split"] == "test"]
    found = []
    for (dataset, generator), fakes in rows[rows["label"] == 1].groupby(["dataset", "generator"], sort=True):
        reals = rows[(rows["label"] == 0) & (rows["dataset"] == dataset)]
        if reals.empty:
            raise InputError(
                f"the test split of data set {dataset!r} has no real image to test {generator!r} against; "
                "add some or leave the generator out."
            )
        both = pd.concat([reals, fakes]).drop_duplicates("image_id").sort_values("image_id", kind="stable")
        ids, labels = both["image_id"].to_numpy(object), both["label"].to_numpy("int8")
        found.append(TestSet(str(generator), str(fakes["family"].iloc[0]), str(dataset), ids, labels))
    if not found:
        raise InputError("no generator has test images; check the manifest's splits.")
    return found


test_sets.__test__ = False  # type: ignore[attr-defined]
