"""How much room embeddings fill, and how an image's power spreads over frequencies: entropies, in nats."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft, linalg, special

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.grey import Images, checked_grey
from bandprobe.metrics.jackknife import Estimate, Floats, from_groups, from_influence
from bandprobe.metrics.neighbours import Places, distances, enough, left_out, nearest, reach, remaining
from bandprobe.metrics.radial import power_of, ring_average

K = 5
DIMENSIONS = 32

_BLOCK = 150_000  # pixels transformed at a time
_RANK = 1e-6  # of the largest singular value: below lies the rounding of 32-bit embeddings


class EffectiveRank(NamedTuple):
    """An effective rank with its interval, and the influence of each image on its logarithm, (n,)."""

    value: float
    low: float
    high: float
    influence: Floats


def effective_rank(X: npt.ArrayLike) -> EffectiveRank:
    """In how many directions embeddings spread: exp of the entropy of their normalised singular values.

    It grows with the number of images: compare it at equal n.

    Args:
        X: embeddings, shape (n, d), n at least 3; centred here.

    Returns:
        The effective rank, from 1 to min(n - 1, d), with the interval of the infinitesimal jackknife on
        the log scale, which is that of the effective rank expected at this n.

    Raises:
        ShapeError: X is not (n, d), or not finite.
        InputError: fewer than three images, or all embeddings equal.

    Source:
        Roy & Vetterli 2007, *The effective rank*; Garrido et al. 2023 (RankMe, arXiv:2210.02885), which
        does not centre.
    """
    left, singular = _principal(embeddings(X, 3))
    share = singular / singular.sum()
    entropy = float(special.entr(share).sum())
    # An image j of weight w adds w c_ij^2 to the square of singular value i, c_ij = s_i U_ji being its
    # coordinate: d s_i / d w = s_i U_ji^2 / 2, less what the weights' sum takes from all alike.
    slope = -share * (np.log(share) + entropy)
    influence = len(left) * (left**2 @ slope) / 2
    log = from_influence(entropy, influence)
    value, low, high = (float(np.exp(end)) for end in log)
    return EffectiveRank(value, low, high, influence)


def effective_rank_ratio(rank: EffectiveRank, reference: EffectiveRank) -> Estimate:
    """Effective rank as a share of that of the same images under another condition, with its interval.

    Args:
        rank: of some images.
        reference: of the same images in the same order.

    Returns:
        The ratio; its interval is that of the paired difference of logarithms.
    """
    difference = float(np.log(rank.value / reference.value))
    log = from_influence(difference, rank.influence - reference.influence)
    return Estimate(*(float(np.exp(end)) for end in log))


class Neighbourhood(NamedTuple):
    """What the k-nearest-neighbour entropy of embeddings is worked out from."""

    places: Places  # (n, reach), nearest first
    log_volume: Floats  # (n, reach): log volume of the ball that ends at each neighbour
    k: int

    def entropy(self, stays: npt.NDArray[np.bool_] | None = None) -> float:
        """In nats, of all images or of those that stay."""
        if stays is None:
            n, reached = len(self.places), self.log_volume[:, self.k - 1]
        else:
            rows = np.flatnonzero(stays)
            last = remaining(self.places[rows], stays, self.k)[:, -1]
            n, reached = len(rows), self.log_volume[rows, last]
        return float(special.digamma(n) - special.digamma(self.k) + reached.mean())


def neighbourhood(
    X: npt.ArrayLike, k: int = K, *, dimensions: int = DIMENSIONS, sphere: bool = True
) -> Neighbourhood:
    """The balls around embeddings that reach to their nearest neighbours, after PCA. See `knn_entropy`."""
    checked = embeddings(X, 3)
    enough(len(checked), k)
    left, singular = _principal(checked)
    kept = min(dimensions, len(singular))
    points = left[:, :kept] * singular[:kept]
    if sphere:
        if kept < 2:
            raise InputError(
                "X must spread in two directions or more to lie on a sphere; its embeddings are collinear."
            )
        length = np.linalg.norm(points, axis=1, keepdims=True)
        if not length.all():
            raise InputError("X holds an embedding that equals the mean and has no place on a sphere.")
        points = points / length
    places = nearest(points, reach(len(points), k))
    apart = distances(points, places)
    if not apart[:, k - 1].all():
        raise InputError(
            f"X holds more than {k} equal embeddings, whose neighbour distance is 0 and entropy has no value; "
            "leave repeated images out."
        )
    with np.errstate(divide="ignore"):  # a nearer neighbour than the k-th may be a copy
        volume = log_cap_area(apart, kept - 1) if sphere else _log_ball(apart, kept)
    return Neighbourhood(places, volume, k)


def knn_entropy(
    X: npt.ArrayLike, k: int = K, *, dimensions: int = DIMENSIONS, sphere: bool = True
) -> Estimate:
    """Differential entropy of embeddings by the distance to their k-th nearest neighbour, in nats.

    Embeddings are centred, turned to their first principal components and brought to length 1. With 32
    components they then lie on the sphere S^31, which has 31 dimensions, and the entropy is that of a
    density on this surface: at most its log area, -8.89 nats for 32 components, where it is uniform. The
    ball around an embedding is a cap of the sphere; its area stands where the formula has the volume of
    a flat ball, which at the distances between a thousand points in 31 dimensions is up to a hundred
    times too large. `psi(n) - psi(k) + mean(log area)` is then free of bias for a uniform density.

    Args:
        X: embeddings, shape (n, d), n at least k + 2.
        k: which neighbour.
        dimensions: principal components kept, at most the rank.
        sphere: False leaves lengths as they are; balls are then flat and of `dimensions` dimensions.

    Returns:
        The entropy with its delete-a-group jackknife interval, principal components kept.

    Raises:
        ShapeError: X is not (n, d), or not finite.
        InputError: fewer images than neighbours, embeddings that are equal or lie on a line.

    Source:
        Kozachenko & Leonenko 1987; Kraskov et al. 2004 (arXiv:cond-mat/0305641), eq. 20.
    """
    found = neighbourhood(X, k, dimensions=dimensions, sphere=sphere)
    return from_groups(found.entropy(), [found.entropy(stays) for _, stays in left_out(len(found.places))])


def knn_entropy_change(found: Neighbourhood, reference: Neighbourhood) -> Estimate:
    """Entropy of some images less that of the same images under another condition, with its interval.

    Args:
        found: from `neighbourhood`, of the images.
        reference: of the same images in the same order.

    Returns:
        The difference in nats; its interval leaves the same images out of both.
    """
    without = [found.entropy(s) - reference.entropy(s) for _, s in left_out(len(found.places))]
    return from_groups(found.entropy() - reference.entropy(), without)


def log_cap_area(chord: npt.ArrayLike, sphere: int) -> Floats:
    """Log area of the cap of the unit sphere that a straight-line distance from its middle reaches.

    Args:
        chord: distances, in [0, 2].
        sphere: dimension D of the sphere: S^D lies in D + 1 dimensions.

    Source:
        Li 2011, *Concise formulas for the area and volume of a hyperspherical cap*.
    """
    distance = np.asarray(chord, dtype=np.float64)
    square = distance**2 * (1 - distance**2 / 4)  # sin^2 of the angle
    half = sphere / 2
    whole = np.log(2) + (half + 0.5) * np.log(np.pi) - special.gammaln(half + 0.5)
    with np.errstate(divide="ignore"):
        below = np.log(special.betainc(half, 0.5, np.clip(square, 0, 1)) / 2)
        # The first term of its series: the function itself falls below the smallest float.
        tiny = half * np.log(square) - np.log(half) - special.betaln(half, 0.5) - np.log(2)
    upper = np.log1p(-np.exp(below))  # beyond the equator
    share = np.where(distance**2 > 2, upper, np.where(square < 1e-12, tiny, below))
    return np.asarray(whole + share)


class SpectralEntropy(NamedTuple):
    """Shannon entropies of images' normalised power spectra, in nats; NaN where there is no power.

    By the chain rule `whole = across + sum(share * ring)`, share being a ring's share of the power.
    """

    ring: Floats  # (n, size // 2 + 1): over the frequencies of each ring; column 0, DC alone, is 0
    across: Floats  # (n,): over the rings, DC left out
    whole: Floats  # (n,): over all frequencies of those rings


def spectral_entropy(images: Images) -> SpectralEntropy:
    """How evenly an image's power spreads over its frequencies, ring by ring and altogether.

    The rings are those of `radial_power`: `round(D)` around DC, up to Nyquist. In each, power is divided by
    the ring's sum and its Shannon entropy taken: at most the log of the number of frequencies, reached by
    power that is the same in every direction, and low where a few peaks, such as those of up-sampling, hold
    most of it. Across the rings it is taken of their sums.

    Args:
        images: grey, shape (n, size, size), size even; scale and offset do not matter.

    Raises:
        ShapeError: images is not (n, size, size) with even size.
    """
    checked = checked_grey(images)
    size = checked.shape[1]
    average, count = ring_average(size, "dc"), _ring_counts(size)
    step = max(1, _BLOCK // size**2)
    parts = []
    for begin in range(0, len(checked), step):
        power = power_of(fft.rfft2(checked[begin : begin + step], norm="ortho")).reshape(-1, average.shape[1])
        sums = count * (average @ power.T).T
        # sum p log p with p = power / ring's sum, from sums alone.
        inner = count * (average @ special.xlogy(power, power).T).T
        parts.append((sums, inner))
    sums, inner = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ring = np.log(sums) - inner / sums
        ring[:, 0] = 0.0
        total = sums[:, 1:].sum(axis=1)
        share = sums[:, 1:] / total[:, None]
        across = special.entr(share).sum(axis=1)
        whole = np.log(total) - inner[:, 1:].sum(axis=1) / total
    flat = total <= 1e-20 * np.maximum(sums[:, 0], 1e-300)  # what the FFT's rounding leaves of a flat image
    for values in (ring[:, 1:], across, whole):
        values[flat] = np.nan
    return SpectralEntropy(np.maximum(ring, 0), across, whole)


def embeddings(X: npt.ArrayLike, least: int) -> Floats:
    """`X` as finite float64 of shape (n, d), n at least `least`.

    Raises:
        ShapeError: another shape, or a value that is not finite.
        InputError: fewer images.
    """
    array = np.asarray(X, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ShapeError(f"X must have shape (n, d), one embedding a row; got {array.shape}.")
    if not np.isfinite(array).all():
        raise ShapeError("X must be finite; got NaN or infinity. Leave the damaged embeddings out.")
    if len(array) < least:
        raise InputError(f"X must hold {least} images or more; got {len(array)}.")
    return array


def _principal(X: Floats) -> tuple[Floats, Floats]:
    """Left singular vectors (n, r) and singular values (r,), largest first, of the centred embeddings.

    Raises:
        InputError: all embeddings are equal.
    """
    centred = X - X.mean(axis=0)
    scale = np.abs(centred).max()
    if scale <= 1e-12 * np.abs(X).max():
        raise InputError("X holds the same embedding for every image; there is no spread to measure.")
    centred /= scale
    # From the smaller of the two squares of X: three times as fast as its singular values directly.
    wide = centred.shape[1] > len(centred)
    squares, vectors = linalg.eigh(centred @ centred.T if wide else centred.T @ centred, driver="evd")
    kept = squares > squares[-1] * _RANK**2
    singular, vectors = np.sqrt(squares[kept][::-1]), vectors[:, kept][:, ::-1]
    return (vectors if wide else centred @ vectors / singular), singular * scale


@lru_cache(maxsize=8)
def _ring_counts(size: int) -> npt.NDArray[np.int64]:
    """Frequencies of the full spectrum in each ring, (size // 2 + 1,)."""
    signed = np.rint(np.fft.fftfreq(size) * size)
    ring = np.rint(np.hypot(signed[:, None], signed)).astype(np.int64)
    return np.bincount(ring.ravel())[: size // 2 + 1]


def _log_ball(radius: Floats, dimensions: int) -> Floats:
    half = dimensions / 2
    return np.asarray(half * np.log(np.pi) - special.gammaln(half + 1) + dimensions * np.log(radius))
