"""Whether a generator's images are as varied as photographs, and none of them a copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bandprobe.metrics import radial_power, wilson
from bandprobe.metrics.jackknife import Estimate, from_groups, groups
from bandprobe.metrics.neighbours import distances, nearest, reach, remaining
from zoo.fingerprints import Floats, from_resamples, grey, resamples

Number = TypeVar("Number", np.float32, np.float64)

NEIGHBOURS = 3
_SIDE = 16  # pixels of the reduced picture
_PICTURE, _RINGS = 32, 6  # dimensions of the two parts of the space
_COPY = 1 / 3


@dataclass(frozen=True)
class Space:
    """A fixed space of 38 dimensions in which images are compared, no trained network in it.

    32 are principal components of the picture reduced to 16 x 16 (its layout and colours), 6 those of the
    logarithms of its radial power (its detail). Each part has variance 1 in all, over the photographs.

    Attributes:
        picture, rings: centre, shape (d,), and components, shape (d, k), of each part.
    """

    picture: tuple[Floats, Floats]
    rings: tuple[Floats, Floats]

    @classmethod
    def fit(cls, photographs: NDArray[np.uint8]) -> Space:
        """The space of these photographs, uint8, shape (n, 64, 64, 3)."""
        return cls(
            _components(reduced(photographs).reshape(len(photographs), -1), _PICTURE),
            _components(_log_rings(photographs), _RINGS),
        )

    def of_pictures(self, small: Floats) -> Floats:
        """The first 32 coordinates, shape (n, 32), of reduced pictures, shape (n, 16, 16, 3)."""
        centre, components = self.picture
        found: Floats = (small.reshape(len(small), -1) - centre) @ components
        return found

    def __call__(self, images: NDArray[np.uint8]) -> Floats:
        """All coordinates of images, shape (n, 38)."""
        centre, components = self.rings
        return np.hstack([self.of_pictures(reduced(images)), (_log_rings(images) - centre) @ components])


def reduced(images: NDArray[np.uint8]) -> Floats:
    """Images as means over squares, in [0, 1], shape (n, 16, 16, 3)."""
    n, side = images.shape[:2]
    blocks = images.reshape(n, _SIDE, side // _SIDE, _SIDE, side // _SIDE, 3)
    small: Floats = blocks.mean((2, 4)) / 255
    return small


def precision_and_recall(fakes: Floats, reals: Floats, k: int = NEIGHBOURS) -> tuple[Estimate, Estimate]:
    """Share of fakes within the reals' reach, and of reals within the fakes'.

    A set's reach is the union of balls around its points, each as wide as the distance to the k-th nearest
    other of the set.

    Args:
        fakes, reals: shape (n, d), the same number of both, at least 100.
        k: neighbours.

    Returns:
        Precision and recall in [0, 1]; intervals of a jackknife over 50 groups of both.

    Source:
        Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric for Assessing Generative Models*.
    """
    across = np.sqrt(_squared_distances(fakes, reals))
    own = [_Neighbours.of(points, k) for points in (fakes, reals)]

    def measured(stays: NDArray[np.bool_]) -> tuple[float, float]:
        of_fakes, of_reals = (each.radii(stays, k) for each in own)
        left = across[np.ix_(stays, stays)]
        return (left <= of_reals).any(1).mean(), (left <= of_fakes[:, None]).any(0).mean()

    value, without = _jackknifed(len(fakes), measured)
    precision, recall = (
        _share(round(one * len(fakes)), len(fakes), from_groups(one, left))
        for one, left in zip(value, without, strict=True)
    )
    return precision, recall


def frechet_distance(fakes: Floats, reals: Floats) -> Estimate:
    """Fréchet distance of the Gaussians through two sets of points.

    Args:
        fakes, reals: shape (n, d), the same number of both, above d.

    Returns:
        `|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))`, with the interval of a jackknife over 50 groups of both.
        Two samples of one distribution are some d / n apart, which is why Real is measured as well.

    Source:
        Dowson & Landau 1982, *The Fréchet distance between multivariate normal distributions*.
    """

    def measured(stays: NDArray[np.bool_]) -> tuple[float]:
        return (frechet(fakes[stays], reals[stays]),)

    (value,), (without,) = _jackknifed(len(fakes), measured)
    return from_groups(value, without)


def frechet(a: Floats, b: Floats) -> float:
    """`frechet_distance` of the points as they are."""
    one, other = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    crossed = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(one) + np.trace(other) - 2 * crossed)


@dataclass(frozen=True)
class Training:
    """The photographs that a generator was trained on, as `Space` sees them turned and mirrored.

    Attributes:
        space: that they are seen in.
        orientations: shape (8, n, 32): each photograph in the eight ways a square can lie.
    """

    space: Space
    orientations: NDArray[np.float32]

    @classmethod
    def of(cls, space: Space, photographs: NDArray[np.uint8]) -> Training:
        """Of photographs, uint8, shape (n, 64, 64, 3)."""
        small = reduced(photographs)
        turned = [
            np.rot90(each, quarter, (1, 2)) for each in (small, small[:, :, ::-1]) for quarter in range(4)
        ]
        return cls(space, np.stack([space.of_pictures(each) for each in turned]).astype(np.float32))

    def two_nearest(self, images: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.int64]]:
        """Distances to the two nearest photographs, however turned, and their numbers, each shape (n, 2)."""
        points = self.space.of_pictures(reduced(images))
        squared = np.full((len(points), self.orientations.shape[1]), np.inf, np.float32)
        for orientation in self.orientations:
            np.minimum(squared, _squared_distances(points.astype(np.float32), orientation), out=squared)
        places = np.argpartition(squared, 1, axis=1)[:, :2]
        places = np.take_along_axis(places, np.take_along_axis(squared, places, 1).argsort(1), 1)
        found = np.sqrt(np.take_along_axis(squared, places, 1)).astype(np.float64)
        return found, places


def memorisation(fakes: Floats, reals: Floats, *, seed: int = 0, label: str = "") -> dict[str, Estimate]:
    """Whether samples lie nearer to the training photographs than new photographs do.

    Args:
        fakes, reals: distances to the two nearest training photographs, shape (n, 2), of samples and of
            photographs that no model has seen.
        seed, label: name the resamples.

    Returns:
        `nearest`: the median distance to the nearest, over that of the new photographs, with a bootstrap
        interval; `copies`: the share of samples that are three times nearer to one photograph than to any
        other, with Wilson's.

    Source:
        Copies: Yoon et al. 2023, *Diffusion Probabilistic Models Generalize when They Fail to Memorize*.
    """
    copies = fakes[:, 0] < _COPY * fakes[:, 1]
    return {
        "nearest": _ratio_of_medians(fakes[:, 0], reals[:, 0], seed, f"{label} nearest"),
        "copies": _share(int(copies.sum()), len(copies)),
    }


def repetition(fakes: Floats, reals: Floats, *, seed: int = 0, label: str = "") -> dict[str, Estimate]:
    """Whether samples lie nearer to each other than photographs do.

    Args:
        fakes, reals: points, shape (n, d), the same number of both.
        seed, label: name the resamples.

    Returns:
        `apart`: the median distance of a sample to its nearest other, over the photographs'; `repeats`: the
        share of samples nearer to another than 99 in 100 photographs are, 0.01 of photographs themselves.
    """
    ours, theirs = (distances(points, nearest(points, 1))[:, 0] for points in (fakes, reals))
    repeats = ours < np.quantile(theirs, 0.01)
    return {
        "apart": _ratio_of_medians(ours, theirs, seed, f"{label} apart"),
        "repeats": _share(int(repeats.sum()), len(repeats)),
    }


@dataclass(frozen=True)
class _Neighbours:
    """Each point's nearest others, enough of them that some may be left out."""

    places: NDArray[np.int64]
    distances: Floats

    @classmethod
    def of(cls, points: Floats, k: int) -> _Neighbours:
        places = nearest(points, reach(len(points), k))
        return cls(places, distances(points, places))

    def radii(self, stays: NDArray[np.bool_], k: int) -> Floats:
        """Distance of each point that stays to its k-th nearest that stays."""
        columns = remaining(self.places[stays], stays, k)
        found: Floats = np.take_along_axis(self.distances[stays], columns, 1)[:, k - 1]
        return found


def _jackknifed(
    n: int, measured: Callable[[NDArray[np.bool_]], tuple[float, ...]]
) -> tuple[tuple[float, ...], NDArray[np.float64]]:
    """Measures of all, and without each group, shape (measures, groups)."""
    group = groups(n)
    without = [measured(group != number) for number in range(int(group.max()) + 1)]
    return measured(np.ones(n, bool)), np.array(without).T


def _share(count: int, n: int, jackknife: Estimate | None = None) -> Estimate:
    """A proportion. Wilson's interval, widened to the jackknife's where that is given."""
    low, high = (float(end) for end in wilson(count, n))
    if jackknife is not None:
        low, high = max(0.0, min(low, jackknife.low)), min(1.0, max(high, jackknife.high))
    return Estimate(count / n, low, high)


def _ratio_of_medians(ours: Floats, theirs: Floats, seed: int, label: str) -> Estimate:
    medians = []
    for values, which in ((ours, "fakes"), (theirs, "reals")):
        order = np.argsort(values)
        counts = resamples(len(values), seed, label, which)[:, order]
        # The middle of a resample is the first value by which half of it has been counted.
        medians.append(values[order][(counts.cumsum(1) * 2 >= len(values)).argmax(1)])
    return from_resamples(medians[0] / medians[1])


def _squared_distances(a: NDArray[Number], b: NDArray[Number]) -> NDArray[Number]:
    found: NDArray[Number] = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return np.maximum(found, 0, out=found)


def _components(points: Floats, count: int) -> tuple[Floats, Floats]:
    """Centre and first principal components, scaled so that all points have variance 1 in sum."""
    centre = points.mean(0)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    kept = vectors[:, ::-1][:, :count]
    return centre, kept / np.sqrt(values[::-1][:count].sum())


def _log_rings(images: NDArray[np.uint8]) -> Floats:
    return np.log(radial_power(grey(images, images.shape[1]))[:, 1:] + 1e-8)
