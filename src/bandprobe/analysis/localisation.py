"""Which band of frequencies a probe uses: its AUROC with one band kept alone, and with one taken out.

Two facts hold for any encoder and any probe. Images of which a band is kept that is the same in fakes and reals give an
AUROC of one half; and so do images of which the only band that differs is taken out. What a probe uses is therefore
located as the shortest run of bands such that every band-pass apart from it, and every band-stop that takes it whole,
leaves nothing. A band-stop elsewhere may well cost AUROC: a probe also needs the bands that it compares with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from bandprobe.analysis.band_bank import (
    CONDITIONS,
    PASSED,
    PASSES,
    RANDOM,
    STOPPED,
    STOPS,
    Floats,
    Mask,
    Ring,
)
from bandprobe.analysis.band_fit import LEVEL, Evidence, Fit, located
from bandprobe.errors import InputError
from bandprobe.metrics.cells import fake_mask, per_image
from bandprobe.metrics.resampling import Resamples

RESAMPLES = 500
PERMUTATIONS = 1999

_CONTROLS = 3  # band-stops elsewhere that each band-stop is set against


@dataclass(frozen=True)
class UsedBand:
    """A band that a probe uses.

    Attributes:
        centre_nyq: a fraction of Nyquist, the median over resamples.
        low_nyq: the 2.5 % quantile of the band's lower edge over resamples of the images.
        high_nyq: the 97.5 % quantile of its upper edge.
        strength: share of the AUROC above one half that is there with this band alone, or gone without it,
            whichever is more; in [0, 1].
        p_value: the smallest among the filters that touch it, corrected for all that were tried.
    """

    centre_nyq: float
    low_nyq: float
    high_nyq: float
    strength: float
    p_value: float


@dataclass(frozen=True)
class TriedBand:
    """What one filter of the bank did.

    Attributes:
        ring: the filter and its frequencies.
        kind: `pass`, `stop`, or `random` for a control.
        auroc: under the filter.
        fall: AUROC lost to it.
        control_fall: of a stop, the mean AUROC lost to the three band-stops elsewhere that take the nearest
            amount of energy; NaN for others.
        ac_removed: share of the energy outside DC that it takes.
        p_value: of a pass that keeps more than one half, or of a stop that costs more than its controls, corrected
            for all that were tried; NaN for a control.
    """

    ring: Ring
    kind: str
    auroc: float
    fall: float
    control_fall: float
    ac_removed: float
    p_value: float


@dataclass(frozen=True)
class Localisation:
    """What a probe uses on one test set.

    Attributes:
        auroc: under `identity`.
        used: the bands claimed, the strongest first.
        tried: every filter of the bank but `identity`.
    """

    auroc: float
    used: tuple[UsedBand, ...]
    tried: tuple[TriedBand, ...]


def localise(
    logits: Mapping[str, npt.ArrayLike],
    labels: npt.ArrayLike,
    removed: Mapping[str, float],
    resamples: Resamples,
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
) -> Localisation:
    """The bands that a probe uses to tell fakes from reals.

    *Is there any?* Each band-pass is asked whether its AUROC is above one half, and each band-stop whether it costs
    more than band-stops elsewhere that take as much energy (`control_fall`; random rings are among them). Labels are
    permuted, the same way under all filters, and a statistic counts against the largest of all in each permutation
    (Westfall & Young's single step): if fakes and reals are alike, any band at all is claimed in 5 % of cases.

    *Where?* For each run of neighbouring bands, what should be one half if the probe used that run alone (passes
    apart from it, stops that take it whole) is added up in squared standard deviations, plus four for each
    band; the least sum wins. What separates a tenth as much as the best, in standard deviations of a normal score,
    counts as one half, so that no trace is followed only because images are many. A run with a band inside that
    surely separates little is two bands, if both are significant; then each is located by passes alone.

    *How surely?* The same again on every bootstrap resample of the images, paired over filters. What should be one
    half is resampled about one half as far as the images allow (its distance z from it, in standard deviations,
    shrunk by 1 - 1 / z^2), since resampling about the estimate would count the noise twice.

    Args:
        logits: of the test images under every filter of `band_bank.CONDITIONS`, by spec, each (n,).
        labels: 0 real, 1 fake, (n,).
        removed: mean share of AC energy that each band-stop takes, by spec.
        resamples: of this test set.
        rng: draws the permutations.
        permutations: how many; the smallest p-value is 1 / (permutations + 1).

    Returns:
        The bands claimed at 5 %, and what every filter did. Whether the probe is good enough to be asked is the
        caller's to decide.

    Raises:
        InputError: a filter of the bank is missing, one class only, a NaN.
        ShapeError: the arrays differ in length.

    Source:
        Westfall & Young 1993, *Resampling-Based Multiple Testing*, for the correction.
    """
    if missing := [spec for spec in CONDITIONS if spec not in logits]:
        raise InputError(
            f"logits must hold every filter of the preset 'bands'; {len(missing)} are missing, e.g. {missing[0]!r}. "
            "Test the probe under that preset."
        )
    fake = fake_mask(labels)
    scores = np.stack([per_image("logits", logits[spec], fake.size) for spec in CONDITIONS])
    energy = np.array([removed.get(ring.filter, np.nan) for ring in (*STOPS, *RANDOM)])
    controls = _controls(energy)
    p_values = _corrected(scores, fake, controls, rng, permutations)
    seen = Evidence.of(scores, fake, resamples)
    used = [_described(seen, fit, p_values) for fit in located(seen, p_values)]
    whole, auroc = seen.auroc[0], seen.auroc[1:]
    fall = whole - auroc
    falls = np.full(len(auroc), np.nan)
    falls[STOPPED] = controls @ fall[len(PASSES) :]
    kinds = ["pass"] * len(PASSES) + ["stop"] * len(STOPS) + ["random"] * len(RANDOM)
    shares = [removed.get(ring.filter, np.nan) for ring in _RINGS]
    each = np.append(p_values, np.full(len(RANDOM), np.nan))
    tried = [
        TriedBand(*row)
        for row in zip(
            _RINGS, kinds, *(map(float, c) for c in (auroc, fall, falls, shares, each)), strict=True
        )
    ]
    claimed = sorted((band for band in used if band.p_value <= LEVEL), key=lambda band: -band.strength)
    return Localisation(float(whole), tuple(claimed), tuple(tried))


_RINGS = (*PASSES, *STOPS, *RANDOM)
_TESTED = (*PASSES, *STOPS)


# --- is there any? ----------------------------------------------------------------------------------


def _controls(energy: Floats) -> Floats:
    """For each stop the weights of its controls among stops and random stops, shape (stops, stops + random)."""
    rings = (*STOPS, *RANDOM)
    logs = np.log(np.maximum(np.where(np.isnan(energy), 0.0, energy), 1e-9))
    weights = np.zeros((len(STOPS), len(rings)))
    for row, stop in enumerate(STOPS):
        elsewhere = [at for at, ring in enumerate(rings) if ring.apart(stop)]
        nearest = sorted(elsewhere, key=lambda at, row=row: abs(logs[at] - logs[row]))[:_CONTROLS]  # type: ignore[misc]
        weights[row, nearest] = 1 / len(nearest)
    return weights


def _corrected(
    scores: Floats, fake: Mask, controls: Floats, rng: np.random.Generator, permutations: int
) -> Floats:
    """P-values of passes and stops, one-sided, corrected by the largest statistic of each permutation."""
    contrasts = np.zeros((len(_TESTED), len(scores) - 1))
    contrasts[PASSED, PASSED] = np.eye(len(PASSES))
    contrasts[STOPPED, len(PASSES) :] = controls
    contrasts[STOPPED, STOPPED] -= np.eye(len(STOPS))
    ranks = rankdata(scores[1:], axis=1)
    # Sums of these over the fakes are, up to a factor, AUROCs less one half and differences of AUROCs.
    values = contrasts @ (ranks - ranks.mean(1, keepdims=True))
    spread = values.std(1, keepdims=True)
    values = np.divide(values, spread, out=np.zeros_like(values), where=spread > 1e-9 * fake.size)
    observed = values[:, fake].sum(1)
    as_large = np.zeros(len(values), np.int64)
    block = max(1, 4_000_000 // fake.size)
    for begin in range(0, permutations, block):
        rows = min(block, permutations - begin)
        drawn = rng.permuted(np.tile(fake, (rows, 1)), axis=1)
        largest = (values @ drawn.T.astype(np.float64)).max(0)
        as_large += (largest[:, None] >= observed - 1e-9).sum(0)
    found: Floats = (1 + as_large) / (1 + permutations)
    return found


# --- in words ---------------------------------------------------------------------------------------


def _described(seen: Evidence, fit: Fit, p_values: Floats) -> UsedBand:
    low, high = (np.array([getattr(run, name) for run in fit.resampled]) for name in ("low_nyq", "high_nyq"))
    ends = min(fit.run.low_nyq, np.quantile(low, 0.025)), max(fit.run.high_nyq, np.quantile(high, 0.975))
    touching = [number for number, ring in enumerate(_TESTED) if not ring.apart(fit.run)]
    return UsedBand(
        centre_nyq=float(np.median((low + high) / 2)),
        low_nyq=float(ends[0]),
        high_nyq=float(ends[1]),
        strength=_strength(seen, fit.run),
        p_value=float(p_values[touching].min()),
    )


def _strength(seen: Evidence, run: Ring) -> float:
    """See `UsedBand`. The bands and stops asked have their middle in the run, or hold it."""
    whole, auroc = seen.auroc[0] - 0.5, seen.auroc[1:]

    def best(rings: Sequence[Ring], values: Floats) -> float:
        own = [
            float(value)
            for ring, value in zip(rings, values, strict=True)
            if run.within(ring) or run.low_nyq <= (ring.low_nyq + ring.high_nyq) / 2 <= run.high_nyq
        ]
        return max(own, default=0.0)

    kept = best(PASSES, auroc[PASSED] - 0.5)
    lost = best(STOPS, seen.auroc[0] - auroc[STOPPED])
    return float(np.clip(max(kept, lost) / whole, 0, 1)) if whole > 0 else 0.0
