"""Intervals for Brier score and expected calibration error, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from bandprobe.metrics.cells import Floats, Mask
from bandprobe.metrics.intervals import normal_quantile, on_logit, wilson
from bandprobe.metrics.replication import bin_shares

_PSEUDO = 0.25  # images of the worst and of the best error, added for the upper and for the lower end
_STEPS = 50  # halvings
_FAR = 12.0  # standard errors


def brier_interval(fake: Mask, probabilities: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """The interval of k conditions' Brier score, classes sampled apart.

    On the logit scale, with the variance of a stratified mean and Student's quantile. A good probe's score
    rests on a few images that it gets wrong, and a sample that happens to hold none of them has a tiny
    variance: so the upper end adds a quarter of an image with error 1, and the lower end one with error 0.

    Args:
        fake: (n,); one class will do.
        probabilities: (k, n), of being fake.
        level: coverage, in (0, 1).

    Returns:
        Low and high end, shape (k,); Wilson's where all errors are 0 or 1.

    Source:
        Pseudo-observations as in Agresti & Coull 1998, *Approximate is better than "exact"*; the logit as for
        `intervals.on_logit`.
    """
    n, classes = fake.size, [mask for mask in (fake, ~fake) if mask.any()]
    smaller = int(min(mask.sum() for mask in classes))
    errors = (probabilities - fake) ** 2
    value = errors.mean(axis=1)
    variance = np.zeros(len(value))
    for mask in classes:
        count = int(mask.sum())
        if count > 1:
            variance += count * errors[:, mask].var(axis=1, ddof=1) / n**2
    variance[np.all([np.ptp(errors[:, mask], axis=1) == 0 for mask in classes], axis=0)] = (
        0  # but for rounding
    )
    more = np.where(variance > 0, _PSEUDO / n**2, 0.0)
    freedom = max(n - len(classes), 1)
    low = on_logit(value * (1 - more * n), variance + more, smaller, level, freedom=freedom)[0]
    high = on_logit(value + (1 - value) * more * n, variance + more, smaller, level, freedom=freedom)[1]
    return low, high


def ece_interval(fake: Mask, probabilities: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """The interval of k conditions' expected calibration error.

    ECE is a sum of absolute gaps, one a bin, and noise makes absolute gaps larger: the value lies above the
    truth, and a resample's above the value. Here each bin's gap is normal around an unknown one, so the sum
    has the mean of folded normals, and a variance in which bins of one sign keep their covariance. The unknown
    gaps lie on a path through the observed ones: each drawn towards 0 by a number of its standard errors, not
    past it, or away from it. The ends are the ECEs on that path under which the value observed stands at
    its 97.5 % and at its 2.5 % point.

    Bins without a wrong label seem to have no spread. For the lower end, which says whether a probe may be
    calibrated, a bin has at least the variance of labels drawn with the probabilities given.

    Args:
        fake: (n,), both classes there.
        probabilities: (k, n), of being fake.
        level: coverage, in (0, 1).

    Returns:
        Low and high end, shape (k,); low is 0 where a calibrated probe might show such a value; the open side is
        Wilson's where the value is 0 or 1.

    Source:
        Test inversion along a path: Davison & Hinkley 1997, *Bootstrap Methods and their Application*, chapter 5.
        Folded normal: Leone, Nelson & Nottingham 1961. The bias: Kumar, Liang & Ma 2019 (arXiv:1909.10155).
    """
    z = normal_quantile(level)
    bins = [_Bins.of(fake, row) for row in probabilities]
    gaps = np.stack([one.gaps for one in bins])
    covariance, floor = np.stack([one.covariance for one in bins]), np.stack([one.floor for one in bins])
    own = np.diagonal(covariance, axis1=1, axis2=2)
    low = _end(gaps, covariance, np.sqrt((own + np.maximum(own, floor)) / 2), z)
    high = _end(gaps, covariance, np.sqrt(own), -z)
    # Where no gap shows at all, its standard error is as small and says nothing.
    value, smaller = np.abs(gaps).sum(axis=1), int(min(fake.sum(), (~fake).sum()))
    least, most = wilson(np.array([smaller, 0]), smaller, level)
    low, high = np.where(value == 1, least[0], low), np.where(value == 0, most[1], high)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


class _Bins(NamedTuple):
    """Each bin's part of the signed gap (bins,), its covariance, and the variance it has if calibrated (bins,)."""

    gaps: Floats
    covariance: Floats
    floor: Floats

    @classmethod
    def of(cls, fake: Mask, probabilities: Floats) -> _Bins:
        shares = bin_shares(probabilities)
        each = shares * (probabilities - fake) / fake.size
        covariance = np.zeros((len(shares), len(shares)))
        for mask in (fake, ~fake):
            part, count = each[:, mask], int(mask.sum())
            if count > 1:
                centred = part - part.mean(axis=1, keepdims=True)
                covariance += centred @ centred.T * count / (count - 1)
        labels = probabilities * (1 - probabilities)
        total, of_bin = labels.sum(), shares @ labels
        # The number of fakes is given, which takes a bin's share of it from its variance.
        known = of_bin**2 / total if total > 0 else 0.0
        floor = np.maximum(shares**2 @ labels - known, 0) / fake.size**2
        return cls(each.sum(axis=1), covariance, floor)


def _end(gaps: Floats, covariance: Floats, deviation: Floats, z: float) -> Floats:
    """The ECE on the path whose mean plus z standard deviations is the observed one, (k,)."""
    size = np.abs(gaps)
    value = size.sum(axis=1)
    scale = np.maximum(deviation, 1e-12)
    sign = np.where(gaps < 0, -1.0, 1.0)
    joint = covariance * sign[:, :, None] * sign[:, None, :]
    place = np.arange(gaps.shape[1])
    joint[:, place, place] = 0

    def moments(drawn: Floats) -> tuple[Floats, Floats]:
        gap = np.maximum(size - drawn[:, None] * scale, 0)
        ratio = gap / scale
        leaning = special.erf(ratio / np.sqrt(2))  # mean sign of a bin's gap
        mean = scale * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * leaning
        variance = np.maximum(gap**2 + scale**2 - mean**2, 0).sum(axis=1)
        # To first order the covariance of absolute values is that of the values times their mean signs.
        variance += np.einsum("kab,ka,kb->k", joint, leaning, leaning)
        return gap.sum(axis=1), mean.sum(axis=1) + z * np.sqrt(np.maximum(variance, 0))

    inner, outer = (size / scale).max(axis=1), np.full(len(gaps), -_FAR)
    for _ in range(_STEPS):
        middle = (inner + outer) / 2
        above = moments(middle)[1] > value
        outer, inner = np.where(above, middle, outer), np.where(above, inner, middle)
    return moments(inner)[0]
