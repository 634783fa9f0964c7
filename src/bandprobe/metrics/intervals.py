"""Intervals in closed form: Wilson for proportions, DeLong for AUROC, and for values of known variance on the logit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from bandprobe.errors import InputError
from bandprobe.metrics.cells import Floats, Mask, fake_mask, per_image

_BLOCK = 1_000_000  # scores handled at a time: some 100 MB of work space


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's score interval for a proportion.

    Args:
        successes: how often it happened, in [0, n]; any shape, need not be whole.
        n: out of how many, broadcast against `successes`; 0 gives [0, 1].
        level: coverage, in (0, 1).

    Returns:
        Low and high end, float64 of the broadcast shape, in [0, 1].

    Raises:
        InputError: a count outside [0, n], or a level outside (0, 1).

    Source:
        Wilson 1927, *Probable inference, the law of succession, and statistical inference*.
    """
    count, total = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    if not np.all((count >= 0) & (count <= total)):
        raise InputError(f"successes must lie between 0 and n; got {successes!r} out of {n!r}.")
    z = normal_quantile(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = count / total
        centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
        # At the ends the formula gives 0 and 1, but for rounding.
        low = np.where(count == 0, 0.0, np.maximum(centre - half, 0.0))
        high = np.where(count == total, 1.0, np.minimum(centre + half, 1.0))
    return np.where(total == 0, 0.0, low), np.where(total == 0, 1.0, high)


def normal_quantile(level: float) -> float:
    """Half-width of a central normal interval in standard deviations, 1.96 for 0.95."""
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, e.g. 0.95; got {level}.")
    return float(special.ndtri(0.5 + level / 2))


def on_logit(
    value: Floats, variance: Floats, m: npt.ArrayLike, level: float = 0.95, *, freedom: float | None = None
) -> tuple[Floats, Floats]:
    """An interval symmetric on the logit scale: `expit(logit(v) ± z s / (v (1 - v)))`.

    It stays in [0, 1] and is longer towards the middle, as values near their end ask for. Where the variance
    is zero or does not exist, or the value is 0 or 1, it says nothing: then it is Wilson's for v m of m.

    Args:
        value: in [0, 1], shape (k,).
        variance: of the value, shape (k,).
        m: how many images stand behind a value at its end, broadcast against `value`.
        level: coverage, in (0, 1).
        freedom: degrees of freedom of the variance, for Student's quantile; the normal's by default.

    Returns:
        Low and high end, shape (k,).

    Source:
        Pepe 2003, *The Statistical Evaluation of Medical Tests*, section 5.2, for AUROC; Boyd, Eng & Page 2013,
        *Area under the precision-recall curve: point estimates and confidence intervals*.
    """
    z = normal_quantile(level)
    reach = z if freedom is None else float(special.stdtrit(freedom, 0.5 + level / 2))
    many = np.broadcast_to(np.asarray(m, np.float64), np.shape(value))
    low, high = wilson(value * many, many, level)
    sound = (variance > 0) & (value > 0) & (value < 1)
    inside, spread = value[sound], np.sqrt(variance[sound])
    half = reach * spread / (inside * (1 - inside))
    low[sound] = special.expit(special.logit(inside) - half)
    high[sound] = special.expit(special.logit(inside) + half)
    return low, high


def effective_wilson(
    value: Floats, variance: Floats, m: npt.ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's interval at the effective sample size `v (1 - v) / variance`.

    That is the number of images with which a plain proportion would have this variance; where there is
    none (variance zero, value 0 or 1), it is m.

    Args:
        value: in [0, 1], shape (k,).
        variance: of the value, shape (k,).
        m: how many images stand behind a value at its end, broadcast against `value`.
        level: coverage, in (0, 1).

    Returns:
        Low and high end, shape (k,).

    Source:
        Kott & Carr 1997, *Developing an estimation strategy for a pesticide data program*; Dean & Pagano 2015,
        *Evaluating confidence interval methods for binomial proportions in clustered surveys*.
    """
    sound = (variance > 0) & (value > 0) & (value < 1)
    size = np.array(np.broadcast_to(np.asarray(m, np.float64), np.shape(value)))
    size[sound] = value[sound] * (1 - value[sound]) / variance[sound]
    return wilson(value * size, size, level)


class DeLong(NamedTuple):
    """AUROC with its DeLong variance and interval; floats, or arrays of shape (k,)."""

    value: Floats
    variance: Floats
    low: Floats
    high: Floats


class PairedDeLong(NamedTuple):
    """Difference of two AUROCs on the same images, its interval and two-sided p."""

    difference: float
    variance: float
    low: float
    high: float
    p_value: float


def delong(labels: npt.ArrayLike, scores: npt.ArrayLike, level: float = 0.95) -> DeLong:
    """AUROC with DeLong's variance and an interval on the logit scale.

    The interval is `expit(logit(A) ± z sqrt(V) / (A (1 - A)))`, which stays in [0, 1] and covers
    better near 1 than A ± z sqrt(V). Where V is zero or does not exist (A = 0 or 1, all scores equal, a
    class of one image) it says nothing; then the interval is Wilson's for A m successes out of
    m = min(n_real, n_fake), e.g. 36 of 36 for a perfect separation of 36 reals from 100 fakes.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: shape (n,), or (k, n) for k conditions on the same images; higher is more fake.
        level: coverage, in (0, 1).

    Returns:
        Value, variance, low and high; shape (k,), or numbers for one condition. The variance is NaN
        where a class has one image.

    Raises:
        InputError: one class only, or a NaN.
        ShapeError: scores and labels differ in length.

    Source:
        DeLong, DeLong & Clarke-Pearson 1988; midranks after Sun & Xu 2014, O(n log n).
    """
    fake, rows = _rows(labels, scores)
    value, variance = np.empty(len(rows)), np.empty(len(rows))
    block = max(1, _BLOCK // fake.size)
    for begin in range(0, len(rows), block):
        these = slice(begin, begin + block)
        value[these], by_fake, by_real = _components(fake, rows[these])
        variance[these] = _variance(by_fake) + _variance(by_real)
    low, high = on_logit(value, variance, int(min(fake.sum(), (~fake).sum())), level)
    shape = np.shape(scores)[:-1]
    return DeLong(*(part.reshape(shape)[()] for part in (value, variance, low, high)))


def delong_covariance(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Floats, Floats]:
    """AUROCs of many conditions on the same images, and their covariance.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: shape (k, n), higher is more fake.

    Returns:
        AUROCs, shape (k,), and their covariance matrix, shape (k, k); NaN where a class has one image.

    Raises:
        InputError: one class only, or a NaN.
        ShapeError: scores is not (k, n).
    """
    fake, rows = _rows(labels, scores)
    value, by_fake, by_real = _components(fake, rows)
    return value, _covariance(by_fake) + _covariance(by_real)


def delong_paired(
    labels: npt.ArrayLike, scores_a: npt.ArrayLike, scores_b: npt.ArrayLike, level: float = 0.95
) -> PairedDeLong:
    """Difference of two detectors' AUROCs on the same images, a minus b.

    Interval and p-value are normal with DeLong's variance of the difference. Where one detector's own
    variance is zero or does not exist, as when it separates perfectly, that variance is too small:
    then the interval is put together from the two separate ones (`delong`) by Newcombe's square-and-add
    rule without correlation, and p is the one that agrees with this interval.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores_a: shape (n,), higher is more fake.
        scores_b: shape (n,), of the same images.
        level: coverage, in (0, 1).

    Returns:
        Difference, its variance, low, high (within [-1, 1]) and the two-sided p-value.

    Raises:
        InputError: one class only, or a NaN.
        ShapeError: scores and labels differ in length.

    Source:
        DeLong, DeLong & Clarke-Pearson 1988; Newcombe 1998, method 10, for the exception.
    """
    n = np.size(labels)
    pair = np.stack([per_image("scores_a", scores_a, n), per_image("scores_b", scores_b, n)])
    value, covariance = delong_covariance(labels, pair)
    difference = float(value[0] - value[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    z = normal_quantile(level)
    own = np.diag(covariance)
    if np.all(own > 0):
        variance = max(variance, 0.0)  # equal rankings leave rounding
        below = above = z * float(np.sqrt(variance))
    else:
        each = delong(labels, pair, level)
        below = float(np.hypot(each.value[0] - each.low[0], each.high[1] - each.value[1]))
        above = float(np.hypot(each.high[0] - each.value[0], each.value[1] - each.low[1]))
    reach = below if difference > 0 else above  # the side that faces zero
    with np.errstate(divide="ignore"):
        p_value = 1.0 if difference == 0 else float(2 * special.ndtr(-z * np.divide(abs(difference), reach)))
    return PairedDeLong(
        difference, variance, max(difference - below, -1.0), min(difference + above, 1.0), p_value
    )


def _rows(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Mask, Floats]:
    fake = fake_mask(labels)
    several = np.ndim(scores) == 2
    return fake, np.atleast_2d(per_image("scores", scores, fake.size, rows=several))


def _components(fake: Mask, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """AUROCs (k,) and structural components: for each fake the share of reals below it, for each real
    the share of fakes above it, ties one half; shapes (k, n_fake) and (k, n_real)."""
    n_fake, n_real = int(fake.sum()), int((~fake).sum())
    order = np.argsort(scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    new = np.ones(ranked.shape, dtype=bool)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=new[:, 1:])
    place = np.arange(fake.size)
    start = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    last = np.roll(new, -1, axis=1)  # the first place always starts a run, so the last always ends one
    end = np.minimum.accumulate(np.where(last, place + 1, fake.size)[:, ::-1], axis=1)[:, ::-1]
    real_below = np.zeros((len(scores), fake.size + 1), dtype=np.int64)
    np.cumsum(~fake[order], axis=1, out=real_below[:, 1:])
    at_start = np.take_along_axis(real_below, start, axis=1)
    at_end = np.take_along_axis(real_below, end, axis=1)
    doubled_reals = at_start + at_end  # reals below plus reals at or below
    doubled_fakes = (start - at_start) + (end - at_end)
    share = np.empty(scores.shape)
    np.put_along_axis(
        share,
        order,
        np.where(fake[order], doubled_reals / (2 * n_real), 1 - doubled_fakes / (2 * n_fake)),
        axis=1,
    )
    by_fake, by_real = share[:, fake], share[:, ~fake]
    counted = np.where(fake[order], doubled_reals, 0).sum(axis=1)
    return counted / (2 * n_real * n_fake), by_fake, by_real


def _variance(components: Floats) -> Floats:
    """Variance of the components' mean, shape (k,)."""
    n = components.shape[1]
    if n == 1:
        return np.full(len(components), np.nan)
    constant = np.ptp(components, axis=1) == 0  # exactly zero, where rounding would leave 1e-33
    return np.where(constant, 0.0, components.var(axis=1, ddof=1) / n)


def _covariance(components: Floats) -> Floats:
    k, n = components.shape
    if n == 1:
        return np.full((k, k), np.nan)
    centred = components - components.mean(axis=1, keepdims=True)
    centred[np.ptp(components, axis=1) == 0] = 0
    return np.asarray(centred @ centred.T / ((n - 1) * n))
