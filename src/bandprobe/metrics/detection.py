"""How well a score tells generated images from real ones: every metric of one cell of the transfer grid.

Fake is the positive class. A higher score means more fake; an image is called fake when its score
reaches the threshold. Everything is computed over the whole test set, tied scores are one point of
the ROC curve, and no result depends on the order of the images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bandprobe.errors import InputError, did_you_mean
from bandprobe.metrics.cells import (
    Floats,
    Integers,
    Mask,
    PDRule,
    check_rule,
    checked_probabilities,
    checked_thresholds,
    fake_mask,
    per_image,
)

PD_RATES = {"pd@10%": 0.10, "pd@5%": 0.05, "pd@1%": 0.01}
ECE_BINS = 15
METRICS = (
    "auroc", "ap", "accuracy", "balanced_accuracy", "real_accuracy", "fake_accuracy", "eer", "f1",
    "precision", "recall", "brier", "ece", *PD_RATES,
)  # fmt: skip


def evaluate(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float,
    *,
    pd_rule: PDRule = "strict",
) -> dict[str, float]:
    """Every detection metric of one test set, from one sort of its scores.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: raw logits, shape (n,), higher is more fake; no NaN.
        probabilities: calibrated probabilities of being fake, shape (n,), in [0, 1].
        threshold: an image is called fake when `score >= threshold`; on the logit.
        pd_rule: which point of the ROC curve PD@x% reads, see `probability_of_detection`.

    Returns:
        A value for each name of `METRICS`, in that order. `pd@x%` is NaN where there are too few
        reals; `blank_reason` says so in words.

    Raises:
        InputError: one class only, a NaN, a probability outside [0, 1], an unknown `pd_rule`.
        ShapeError: the arrays differ in length.

    Example:
        >>> evaluate([0, 0, 1, 1], [-2.0, 0.5, 0.1, 3.0], [0.1, 0.6, 0.5, 0.9], 0.0)["auroc"]
        0.75
    """
    fake = fake_mask(labels)
    logits = per_image("scores", scores, fake.size)
    chances = checked_probabilities(probabilities, fake.size)
    cut = float(checked_thresholds(threshold, ()))
    order = np.argsort(-logits, kind="stable")
    roc = _roc_of_sorted(fake[order], logits[order])
    # A calibrated probability usually rises with the score: then its order is known already.
    ranked = order[::-1]
    if np.any(np.diff(chances[ranked]) < 0):
        ranked = np.argsort(chances, kind="stable")
    called = logits >= cut
    values = {
        "auroc": _auroc(roc),
        "ap": _average_precision(roc),
        **decisions(
            np.count_nonzero(called & fake), np.count_nonzero(called & ~fake), roc.n_fake, roc.n_real
        ),
        "eer": _equal_error_rate(roc),
        "brier": float(np.mean((chances - fake) ** 2)),
        "ece": _ece_of_sorted(fake[ranked], chances[ranked], ECE_BINS),
        **{name: _detection_at(roc, rate, pd_rule) for name, rate in PD_RATES.items()},
    }
    return {name: float(values[name]) for name in METRICS}


def blank_reason(metric: str, n_real: int) -> str | None:
    """Why a metric is blank for so many reals, in words; None when it is not.

    Args:
        metric: a name of `METRICS`.
        n_real: real images of the test set.

    Returns:
        E.g. `"needs at least 1000 real images; has 36"`: PD@x% rests on the reals above its
        threshold, and fewer than ten of them say too little.

    Raises:
        InputError: the metric is unknown.
    """
    if metric not in METRICS:
        raise InputError(
            f"metric must be one of {', '.join(METRICS)}; got {metric!r}.{did_you_mean(metric, METRICS)}"
        )
    needed = reals_needed(PD_RATES[metric]) if metric in PD_RATES else 0
    return f"needs at least {needed} real images; has {n_real}" if n_real < needed else None


def reals_needed(rate: float) -> int:
    """Real images that PD at this false-alarm rate asks for: ten false alarms' worth, 10 / rate."""
    return round(10 / rate)


# --- the ROC curve ---------------------------------------------------------------------------------


class Roc(NamedTuple):
    """The points of an ROC curve as counts, from the strictest threshold to the laxest.

    Point 0 calls nothing fake; then one point for each distinct score, which calls everything at or
    above it fake. `false_alarms` and `detections` are int64 of shape (points,), non-decreasing.
    """

    false_alarms: Integers
    detections: Integers

    @property
    def n_real(self) -> int:
        """Real images."""
        return int(self.false_alarms[-1])

    @property
    def n_fake(self) -> int:
        """Fake images."""
        return int(self.detections[-1])


def roc_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Roc:
    """The ROC curve, one point for each distinct score and one that calls nothing fake.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: shape (n,), higher is more fake; no NaN.

    Returns:
        The counts of false alarms and of detections at each point.

    Raises:
        InputError: one class only, or a NaN.
        ShapeError: the arrays differ in length.
    """
    fake = fake_mask(labels)
    logits = per_image("scores", scores, fake.size)
    order = np.argsort(-logits, kind="stable")
    return _roc_of_sorted(fake[order], logits[order])


def _roc_of_sorted(fake: Mask, scores: Floats) -> Roc:
    """The curve of scores in falling order."""
    ends = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)
    detections = np.concatenate([[0], np.cumsum(fake)[ends]])
    return Roc(np.concatenate([[0], ends + 1]) - detections, detections)


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a random fake scores above a random real, ties counting one half.

    The area under the ROC curve by trapezia, which is the Mann-Whitney statistic. Arguments and errors
    as for `roc_curve`; in [0, 1].
    """
    return _auroc(roc_curve(labels, scores))


def _auroc(roc: Roc) -> float:
    # Twice the area in units of one real times one fake: integers, so exact.
    doubled = np.dot(np.diff(roc.false_alarms), roc.detections[1:] + roc.detections[:-1])
    return float(doubled / (2 * roc.n_real * roc.n_fake))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Average precision: the precision at each distinct score, weighted by the recall it adds.

    No interpolation between points, as in scikit-learn. Arguments and errors as for `roc_curve`.
    """
    return _average_precision(roc_curve(labels, scores))


def _average_precision(roc: Roc) -> float:
    flagged = roc.false_alarms[1:] + roc.detections[1:]
    return float(np.dot(np.diff(roc.detections), roc.detections[1:] / flagged) / roc.n_fake)


def equal_error_rate(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """The error rate where false alarms and misses are equally frequent.

    ROC points are joined by straight lines; the result is the false-alarm rate where that line meets
    FPR = 1 - TPR. It always meets it, in one place. Arguments and errors as for `roc_curve`.
    """
    return _equal_error_rate(roc_curve(labels, scores))


def _equal_error_rate(roc: Roc) -> float:
    # FPR - FNR in units of 1 / (n_real n_fake): an integer that rises from -1 to 1 times that.
    excess = roc.false_alarms * roc.n_fake + (roc.detections - roc.n_fake) * roc.n_real
    after = int(np.argmax(excess >= 0))
    step = -excess[after - 1] / (excess[after] - excess[after - 1])
    before, beyond = roc.false_alarms[after - 1], roc.false_alarms[after]
    return float((before + step * (beyond - before)) / roc.n_real)


def probability_of_detection(
    labels: npt.ArrayLike, scores: npt.ArrayLike, rate: float, rule: PDRule = "strict"
) -> float:
    """Share of fakes found while at most (or about) a share `rate` of reals is called fake.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        scores: shape (n,), higher is more fake; no NaN.
        rate: the false-alarm rate allowed, in (0, 1).
        rule: `strict` is the largest true-positive rate over thresholds whose false-alarm rate is at
            most `rate`. `nearest` is the true-positive rate at the ROC point whose false-alarm rate is
            nearest to `rate`, the first such point (strictest threshold) on ties.

    Returns:
        In [0, 1]; NaN with fewer than 10 / rate reals.

    Raises:
        InputError: one class only, a NaN, a rate outside (0, 1), an unknown rule.

    Source:
        `nearest` is the reading of Ricker et al. 2022 (arXiv:2210.14571), every ROC point kept.
    """
    if not 0 < rate < 1:
        raise InputError(f"rate must lie between 0 and 1, e.g. 0.01 for 1 %; got {rate}.")
    return _detection_at(roc_curve(labels, scores), rate, rule)


def _detection_at(roc: Roc, rate: float, rule: PDRule) -> float:
    check_rule(rule)
    if roc.n_real < reals_needed(rate):
        return float("nan")
    alarms = roc.false_alarms / roc.n_real
    if rule == "strict":
        point = np.searchsorted(alarms, rate, side="right") - 1
    else:
        point = np.argmin(np.abs(alarms - rate))
    return float(roc.detections[point] / roc.n_fake)


# --- decisions and probabilities -------------------------------------------------------------------


def decisions(detections: Any, false_alarms: Any, n_fake: int, n_real: int) -> dict[str, Any]:
    """Metrics of the decisions at one threshold, from their counts.

    Args:
        detections: fakes called fake, a number or an array.
        false_alarms: reals called fake, of the same shape.
        n_fake: fake images, at least 1.
        n_real: real images, at least 1.

    Returns:
        `accuracy`, `balanced_accuracy`, `real_accuracy`, `fake_accuracy`, `f1`, `precision` and
        `recall`, each of that shape. Precision is 0 where no image is called fake, as F1 is then.
    """
    recall = detections / n_fake
    specificity = 1 - false_alarms / n_real
    flagged = detections + false_alarms
    return {
        "accuracy": (detections + n_real - false_alarms) / (n_real + n_fake),
        "balanced_accuracy": (recall + specificity) / 2,
        "real_accuracy": specificity,
        "fake_accuracy": recall,
        "f1": 2 * detections / (flagged + n_fake),
        "precision": detections / np.maximum(flagged, 1),
        "recall": recall,
    }


def ece(labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error over bins that hold equally many images.

    Images are ranked by probability and cut into bins of consecutive ranks; the gap between mean
    probability and share of fakes is averaged over the bins, weighted by their images. Where n is not
    a multiple of `bins`, the lowest n mod `bins` bins hold one image more; fewer images than bins
    leave the rest empty. Images of one probability that a border would part are shared between the
    bins in proportion, so the order of tied images has no influence.

    Args:
        labels: 0 for real, 1 for fake, shape (n,); both must be there.
        probabilities: of being fake, shape (n,), in [0, 1].
        bins: how many, at least 1.

    Returns:
        In [0, 1]. Biased upwards: a perfectly calibrated probe shows about 0.8 / sqrt(n / bins) times
        the mean standard deviation of its labels.

    Raises:
        InputError: one class only, a probability outside [0, 1].
    """
    fake = fake_mask(labels)
    chances = checked_probabilities(probabilities, fake.size)
    order = np.argsort(chances, kind="stable")
    return _ece_of_sorted(fake[order], chances[order], bins)


def bin_edges(n: int, bins: int) -> Integers:
    """Ranks at which `bins` equal-mass bins begin and end, shape (bins + 1,)."""
    number = np.arange(bins + 1)
    return number * (n // bins) + np.minimum(number, n % bins)


def _ece_of_sorted(fake: Mask, probabilities: Floats, bins: int) -> float:
    n = fake.size
    ends = np.append(np.flatnonzero(np.diff(probabilities)), n - 1)
    gaps = np.concatenate([[0.0], np.cumsum(probabilities - fake)[ends]])
    at_edges = np.interp(bin_edges(n, bins), np.concatenate([[0], ends + 1]), gaps)
    return float(np.abs(np.diff(at_edges)).sum() / n)
