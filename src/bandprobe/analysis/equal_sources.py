"""Equal numbers of test images from every source and from sources pooled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bandprobe import seeding
from bandprobe.analysis.sources import REAL, Source, drawn_sources
from bandprobe.errors import InputError

ALL = "all"
FAMILY = "family:"
_PURPOSE = "entropy"


def equal_sources(manifest: pd.DataFrame, samples: int, seed: int, least: int) -> list[Source]:
    """Every source of the test split and their pools, with the same number of images each.

    Args:
        manifest: columns image_id, label, generator, family, dataset, split.
        samples: images of each at most; fewer where a source has fewer.
        seed: the study's.
        least: sources with fewer images do not lower the number for the others.

    Returns:
        By data set its reals and generators; then the pools: `Real` (of several data sets), `family:...`,
        and `all`, whose data set is empty where they span several. Images are sorted by id. What has
        fewer than `least` images is there with those it has.

    Raises:
        InputError: no source has `least` images, or there is no test image.
    """
    single = drawn_sources(manifest, len(manifest), seed, _PURPOSE)
    if not single:
        raise InputError("the test split holds no image; check the manifest's splits.")
    counts = [len(source.image_id) for source in single]
    enough = [count for count in counts if count >= least]
    if not enough:
        raise InputError(
            f"fewer images than neighbours need: every source must have {least} test images or more, and the "
            f"largest has {max(counts)}; embed more images."
        )
    n = min(samples, *enough)
    single = drawn_sources(manifest, n, seed, _PURPOSE)
    reals = [source for source in single if source.is_real]
    fakes = [source for source in single if not source.is_real]
    pools = [(REAL, "", reals)] if len({source.dataset for source in single}) > 1 else []
    pools += [
        (f"{FAMILY}{family}", family, [source for source in fakes if source.family == family])
        for family in sorted({source.family for source in fakes})
    ]
    pools.append((ALL, "", single))
    return [*single, *(_pool(*pool, n, seed) for pool in pools if pool[2])]


def sampled(manifest: pd.DataFrame, samples: int, seed: int, least: int) -> pd.DataFrame:
    """The rows that `equal_sources` draws: all that an encoder needs to have seen."""
    drawn = [source.image_id for source in equal_sources(manifest, samples, seed, least)]
    return manifest[manifest["image_id"].isin(np.concatenate(drawn))]


def _pool(name: str, family: str, members: Sequence[Source], n: int, seed: int) -> Source:
    """At most n images of sources that count alike."""
    ids = np.array(sorted(set().union(*(source.image_id for source in members))), dtype=object)
    datasets = {source.dataset for source in members}
    if len(ids) > n:
        draw = seeding.generator(seed, _PURPOSE, "pool", name)
        ids = ids[np.sort(draw.choice(len(ids), n, replace=False))]
    return Source(name, family, datasets.pop() if len(datasets) == 1 else "", ids)
