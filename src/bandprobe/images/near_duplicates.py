"""Pictures that are copies of one another but for a crop, a flip, recompression, resizing or brightness.

Candidates come from perceptual hashes; each is verified by aligning one picture with the other. Pictures that are
linked, directly or through others, are a group and belong on one side of every split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.images.alignment import COARSE, FINE, aligned
from bandprobe.images.hash_candidates import WINDOWS, Candidates, candidates
from bandprobe.images.perceptual_hash import FLIPS, lattice
from bandprobe.images.thumbnails import Grey

ALIKE = 0.8  # correlation of the aligned detail from which on two pictures are one
COLUMNS = ("image_id", "within", "correlation", "flip", "top", "bottom", "left", "right")

_HOPEFUL = 0.5  # coarse correlation from which on a finer look is worth it
_BATCH = 256  # candidates aligned at a time
_FLIP_NAMES = ("", "left-right", "upside-down", "half-turn")

Integers = NDArray[np.intp]


def near_duplicates(thumbnails: Mapping[str, Grey], *, alike: float = ALIKE) -> pd.DataFrame:
    """Links between pictures that are copies of one another.

    Found are copies with up to 20 % cut off each side's length, flipped or not, recompressed, resized, brightened
    or darkened. One of the two must hold the other: two crops that only overlap are linked through the whole, where
    that is there. Turned or slanted copies are not looked for.

    Args:
        thumbnails: image id to grey pixels, see `thumbnails.thumbnail`. Order does not matter.
        alike: correlation of the aligned detail from which on two pictures are one, in (0, 1).

    Returns:
        A row for each link, sorted: image_id, the picture it lies `within`, the correlation, the flip (empty,
        `left-right`, `upside-down` or `half-turn`), and the shares cut off at top, bottom, left and right. A group has
        as many links as join it, not one for every pair.

    Raises:
        InputError: `alike` lies outside (0, 1).
    """
    if not 0 < alike < 1:
        raise InputError(f"alike must lie between 0 and 1, e.g. {ALIKE}; got {alike}.")
    ids = sorted(thumbnails)
    rows: list[tuple[object, ...]] = []
    if ids:
        greys = np.stack([thumbnails[image] for image in ids])
        found, group = candidates(greys), _Groups(len(ids))
        for at, correlation, margins in _verified(greys, found, group, alike):
            outer, inner = int(found.outer[at]), int(found.inner[at])
            if group.join(outer, inner):
                cut = np.clip(margins, 0, 1).tolist()
                rows.append((ids[inner], ids[outer], correlation, _FLIP_NAMES[found.flip[at]], *cut))
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS)).round(4)


def leaders(links: pd.DataFrame) -> dict[str, str]:
    """For each picture of a group the one that stands for it: the smallest image id of the group.

    Args:
        links: columns image_id and within, as `near_duplicates` gives them.
    """
    ids = sorted({*links["image_id"], *links["within"]})
    place = {image: number for number, image in enumerate(ids)}
    group = _Groups(len(ids))
    for first, second in zip(links["image_id"], links["within"], strict=True):
        group.join(place[first], place[second])
    return {image: ids[group.root(number)] for image, number in place.items()}


class _Groups:
    """Union-find; a group's root is its smallest number."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, first: int, second: int) -> bool:
        """Make two groups one; whether they were two."""
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low
        return low != high


def _verified(
    greys: Grey, found: Candidates, group: _Groups, alike: float
) -> Iterator[tuple[int, float, NDArray[np.float32]]]:
    """The candidates that are one picture, with correlation and margins; those in one group already are passed over."""
    with progress.bar("verify", len(found.rank), "pairs") as step:
        for rank in range(WINDOWS):
            ranked = np.flatnonzero(found.rank == rank)
            for start in range(0, len(ranked), _BATCH):
                batch = ranked[start : start + _BATCH].tolist()
                apart = [at for at in batch if group.root(found.outer[at]) != group.root(found.inner[at])]
                yield from _one_picture(greys, found, np.array(apart, np.intp), alike)
                step(len(batch))


def _one_picture(
    greys: Grey, found: Candidates, chosen: Integers, alike: float
) -> Iterator[tuple[int, float, NDArray[np.float32]]]:
    """Of some candidates those that are, after a coarse look at all and a fine one at what it leaves."""
    margins = lattice().margins[found.window[chosen]]
    correlation = np.empty(0, np.float32)
    for look, least in ((COARSE, min(_HOPEFUL, alike)), (FINE, alike)):
        if not len(chosen):
            return
        second = greys[found.inner[chosen]]
        for number, (upside_down, left_to_right) in enumerate(FLIPS):
            those = found.flip[chosen] == number
            second[those] = second[those][:, :: -1 if upside_down else 1, :: -1 if left_to_right else 1]
        margins, correlation = aligned(greys[found.outer[chosen]], second, margins, look)
        kept = correlation >= least
        chosen, margins, correlation = chosen[kept], margins[kept], correlation[kept]
    yield from zip(chosen.tolist(), correlation.tolist(), margins, strict=True)
