"""Where the band lies that a probe uses: the run of bands outside which nothing is told apart."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from bandprobe.analysis.band_bank import CANDIDATES, EDGES, PASSED, PASSES, STOPPED, Floats, Mask, Ring
from bandprobe.metrics.replication import replicates
from bandprobe.metrics.resampling import Resamples

LEVEL = 0.05  # of a claim, over all bands tried of one probe on one test set

# Measured on planted artefacts, see `docs/trust.md`.
_NOTHING = 0.1  # of the best separation: what separates less counts as nothing
_PENALTY = 4.0  # squared standard deviations that one more band must explain
_GAP = 0.25  # of the lesser of two peaks: a band that surely separates less lies between two that are used


@dataclass(frozen=True)
class Evidence:
    """AUROCs under the bank's conditions.

    Attributes:
        auroc: (conditions,), `identity` first.
        resampled: the same in each resample, (resamples, conditions).
        spread: standard deviation of an AUROC where fakes and reals are alike.
        best: the largest AUROC that is told from 1.
    """

    auroc: Floats
    resampled: Floats
    spread: float
    best: float

    @classmethod
    def of(cls, scores: Floats, fake: Mask, resamples: Resamples) -> Evidence:
        """Of logits, (conditions, n), and what is fake, (n,)."""
        m, n = int(fake.sum()), int((~fake).sum())
        ranks = rankdata(scores, axis=1)
        auroc = (ranks[:, fake].sum(1) - m * (m + 1) / 2) / (m * n)
        chances, thresholds = np.zeros_like(scores), np.zeros(len(scores))
        drawn = replicates(fake, scores, chances, thresholds, resamples, metrics=["auroc"])["auroc"].T
        return cls(auroc, drawn, float(np.sqrt((m + n + 1) / (12 * m * n))), 1 - 0.5 / min(m, n))

    def separation(self, auroc: Floats) -> Floats:
        """How far apart two normal scores of one variance lie, in standard deviations, to have such an AUROC."""
        found: Floats = np.sqrt(2) * ndtri(np.clip(auroc, 0.5, self.best))
        return found

    def level(self, share: float, auroc: Floats) -> Floats:
        """The AUROC that separates a share as much."""
        found: Floats = ndtr(share * self.separation(auroc) / np.sqrt(2))
        return found


@dataclass(frozen=True)
class _Window:
    """Where a run is looked for.

    Attributes:
        ring: the frequencies.
        whole: all of them, where what is left without a run counts too.
    """

    ring: Ring
    whole: bool


@dataclass(frozen=True)
class Fit:
    """A run of bands, and the runs that resamples give in its place."""

    run: Ring
    resampled: tuple[Ring, ...]


def _costs(seen: Evidence, auroc: Floats, window: _Window) -> Floats:
    """What speaks against each run, shape (rows, runs), for AUROCs of shape (rows, conditions)."""
    inside = np.array([ring.within(window.ring) for ring in PASSES])
    passed = np.where(inside, auroc[:, 1:][:, PASSED], 0.5)
    nothing = seen.level(_NOTHING, passed.max(1, keepdims=True))
    costs = np.square(np.maximum(passed - nothing, 0) / seen.spread) @ CANDIDATES.passes
    if window.whole:
        nothing = seen.level(_NOTHING, auroc[:, :1])
        stopped = np.maximum(auroc[:, 1:][:, STOPPED] - nothing, 0) / seen.spread
        costs = costs + np.square(stopped) @ CANDIDATES.stops
    allowed = [run.within(window.ring) for run in CANDIDATES.rings]
    found: Floats = np.where(allowed, costs + _PENALTY * CANDIDATES.steps, np.inf)
    return found


def _fit(seen: Evidence, window: _Window) -> Fit:
    """The run that the images speak for least against, and the same in resamples."""
    best = int(_costs(seen, seen.auroc[None], window).argmin())
    # Everything that should be one half if this run is right, shrunk towards it by what is noise.
    void = np.zeros(len(seen.auroc), bool)
    void[1:][PASSED] = CANDIDATES.passes[:, best]
    void[1:][STOPPED] = CANDIDATES.stops[:, best]
    excess = np.maximum(seen.auroc - 0.5, 0)
    share = np.maximum(0, 1 - np.square(seen.spread / np.maximum(excess, seen.spread)))
    centre = np.where(void, 0.5 + share * excess, seen.auroc)
    drawn = _costs(seen, seen.resampled - seen.auroc + centre, window).argmin(1)
    return Fit(CANDIDATES.rings[best], tuple(CANDIDATES.rings[at] for at in drawn))


def located(seen: Evidence, p_values: Floats) -> list[Fit]:
    """One run, or several where nothing lies between them."""
    whole = _Window(Ring("", EDGES[0], EDGES[-1]), True)
    fit = _fit(seen, whole)
    cuts = _cuts(seen, fit.run, p_values)
    if not cuts:
        return [fit]
    edges = [whole.ring.low_nyq, *cuts, whole.ring.high_nyq]
    windows = [Ring("", low, high) for low, high in itertools.pairwise(edges)]
    return [_fit(seen, _Window(ring, False)) for ring in windows]


def _cuts(seen: Evidence, run: Ring, p_values: Floats) -> list[float]:
    """Radii inside a run, rising, at which it falls into bands that are each significant by themselves."""
    auroc, p = seen.auroc[1:][PASSED], p_values[PASSED]
    surely = auroc + 1.645 * seen.spread
    at = [number for number, ring in enumerate(PASSES) if not ring.apart(run)]
    quiet = [number for number in at if PASSES[number].within(run)]
    for number in sorted(quiet, key=lambda number: float(auroc[number])):
        gap = PASSES[number]
        sides = (
            [other for other in at if PASSES[other].high_nyq <= gap.low_nyq + 1e-9],
            [other for other in at if PASSES[other].low_nyq >= gap.high_nyq - 1e-9],
        )
        if not all(any(p[other] <= LEVEL for other in side) for side in sides):
            continue
        lesser = min(max(float(auroc[other]) for other in side) for side in sides)
        if surely[number] >= seen.level(_GAP, np.array(lesser)):
            continue
        # The band edge in the pass's middle.
        middle = min(EDGES, key=lambda edge: abs(edge - (gap.low_nyq + gap.high_nyq) / 2))
        below, above = replace(run, high_nyq=middle), replace(run, low_nyq=middle)
        return [*_cuts(seen, below, p_values), middle, *_cuts(seen, above, p_values)]
    return []
