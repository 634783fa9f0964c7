"""From a logit to a verdict: threshold, prior, and the band in which no verdict is given."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from bandprobe.errors import InputError
from bandprobe.metrics.intervals import wilson
from bandprobe.probes import ProbeFile

Floats = NDArray[np.float64]

AUTO, NEVER = "auto", "none"
UNSURE = 0.05  # share of fakes below the band, and of reals above it, that `auto` allows


@dataclass(frozen=True)
class Decision:
    """How a probe's logits become verdicts. `decide` makes it.

    Attributes:
        threshold: on the logit; at or above it an image is called fake.
        low: below it an image is called real; from it to `high` there is no verdict. Both are the threshold where
            there is no such band.
        high: at or above it an image is called fake.
        shift: what is added to the log odds of the calibrated probability, for the prior.
        slope: of the calibration.
        intercept: of the calibration.
        alarms: held-out reals at or above the threshold; None where the probe does not say.
        n_real: held-out reals.
    """

    threshold: float
    low: float
    high: float
    shift: float
    slope: float
    intercept: float
    alarms: int | None = None
    n_real: int = 0

    def probability(self, logits: Floats) -> Floats:
        """That an image is generated, in [0, 1], for the prior; with none, for as many fakes as reals."""
        chance: Floats = expit(self.slope * np.asarray(logits) + self.intercept + self.shift)
        return chance

    def verdict(self, logit: float) -> str:
        """`fake`, `real`, or `abstain`."""
        if self.low <= logit < self.high:
            return "abstain"
        return "fake" if logit >= self.threshold else "real"

    @property
    def false_alarm_rate(self) -> tuple[float, float, float] | None:
        """Share of held-out reals at or above the threshold, with its 95 % interval; None where it is not known."""
        if self.alarms is None:
            return None
        low, high = wilson(self.alarms, self.n_real)
        return self.alarms / self.n_real, float(low), float(high)


def decide(
    file: ProbeFile, *, prior: float | None = None, false_alarms: float | None = None, abstain: str = AUTO
) -> Decision:
    """The decision rule of a probe.

    The threshold is the probe's own, which maximises balanced accuracy on validation; with `false_alarms` the lowest
    at which no more of the held-out reals are alarms; with `prior`, where the probability is one half. A prior moves
    the log odds by `log(p / (1 - p))`, since the calibration is that for as many fakes as reals.

    Args:
        file: the probe.
        prior: share of fakes among the images to come, in (0, 1).
        false_alarms: share of reals that may be called fake, in (0, 1).
        abstain: `auto`, `none`, or `LOW..HIGH`, probabilities between which there is no verdict. `auto` is the band of
            logits from where 5 % of the held-out fakes lie below to where 5 % of the held-out reals lie above, if in
            this order they leave one; it goes along where the threshold is moved.

    Raises:
        InputError: a share outside (0, 1), a band that is none, or a probe that lacks what is asked: held-out logits,
            or a calibration.

    Source:
        Saerens et al. 2002, *Adjusting the outputs of a classifier to new a priori probabilities*, eq. 2.4.
    """
    probe, judged = file.probe, file.probe.judged
    for name, share in (("prior", prior), ("false-alarms", false_alarms)):
        if share is not None and not 0 < share < 1:
            raise InputError(f"--{name} must be a share between 0 and 1, such as 0.01 or 1%; got {share:g}.")
    if prior is not None and probe.slope <= 0:
        raise InputError(
            f"the probe on {file.trained_on!r} has no calibration (its validation logits tell nothing), so that a "
            "prior changes nothing; leave --prior out."
        )
    shift = 0.0 if prior is None else float(logit(prior))
    threshold = probe.threshold
    if false_alarms is not None:
        if judged is None:
            raise InputError(
                "--false-alarms needs the probe's held-out logits, which this file does not hold; train the probe "
                "anew, or leave the option out."
            )
        threshold = judged.threshold_at(false_alarms)
    elif prior is not None:
        threshold = -(probe.intercept + shift) / probe.slope
    low, high = _band(file, abstain, shift, threshold)
    alarms = None if judged is None else judged.alarms(threshold)
    return Decision(
        threshold,
        low,
        high,
        shift,
        probe.slope,
        probe.intercept,
        alarms,
        0 if judged is None else judged.n_real,
    )


def _band(file: ProbeFile, abstain: str, shift: float, threshold: float) -> tuple[float, float]:
    probe, judged = file.probe, file.probe.judged
    if abstain == NEVER or (abstain == AUTO and judged is None):
        return threshold, threshold
    if abstain == AUTO and judged is not None:
        moved = threshold - probe.threshold
        low, high = judged.sure_real(UNSURE) + moved, judged.threshold_at(UNSURE) + moved
        return (min(low, threshold), max(high, threshold)) if low < high else (threshold, threshold)
    found = re.fullmatch(r"\s*([\d.eE+-]+)\s*\.\.\s*([\d.eE+-]+)\s*", abstain)
    try:
        ends = [float(text) for text in found.groups()] if found else []
    except ValueError:
        ends = []
    if len(ends) != 2 or not 0 < ends[0] < ends[1] < 1:
        raise InputError(f"--abstain must be auto, none or LOW..HIGH, such as 0.2..0.8; got {abstain!r}.")
    if probe.slope <= 0:
        raise InputError(
            f"the probe on {file.trained_on!r} has no calibration, so that --abstain {abstain} means nothing; use none."
        )
    low, high = ((float(logit(end)) - shift - probe.intercept) / probe.slope for end in ends)
    return low, high


def share(text: str, option: str) -> float:
    """A share as a number or with a per cent sign: `0.01`, `1%`.

    Raises:
        InputError: neither.
    """
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise InputError(f"{option} must be a share such as 0.01 or 1%; got {text!r}.") from None
