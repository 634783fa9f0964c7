"""Statistics of one encoder: what it loses with the high frequencies, how it transfers, how its embeddings spread."""

from __future__ import annotations

import numpy as np

from bandprobe.analysis.claim_conditions import (
    Condition,
    Undecided,
    Variant,
    identity,
    ladder,
    nearest,
    to_add,
)
from bandprobe.analysis.evidence import Answer, Evidence, Floats

# Fractions of Nyquist. Low, middle and high mean below 0.15, 0.15 to 0.5 and above 0.5.
LOW, HIGH = 0.15, 0.5
KEPT = 0.95  # of the identity's AUROC
RUNGS = 3  # fewest cut-offs of a sweep in which one is looked for
_CAPPED = 0.025  # share of resamples at a sweep's end beyond which the cut-off is but a bound


def kept_cutoff(e: Evidence, variant: Variant, name: str) -> Answer:
    """Smallest low-pass cut-off that keeps 95 % of the identity's own-generator AUROC, as a fraction of Nyquist."""
    rungs = ladder(e.held[name], variant, "lowpass")
    if len(rungs) < RUNGS:
        add = to_add(variant, "lowpass", "0.02nyq")
        if "claims" not in add:
            add = to_add(variant, "lowpass", "0.1..0.9/0.2nyq")
        raise Undecided(f"{len(rungs)} of {RUNGS} or more low-pass cut-offs that are needed: {add}")
    scope, (whole, *curve), bar = e.own(name, variant, *rungs)
    cutoffs = np.array([rung.cutoff for rung in rungs])
    found = smallest_cutoff(cutoffs, np.stack(curve), KEPT * whole)
    lowest, highest = (bool((found == end).mean() > _CAPPED) for end in (cutoffs[0], cutoffs[-1]))
    bound = "unbounded" if lowest and highest else "at most" if lowest else "at least" if highest else ""
    return Answer(found, "auroc", scope.note, bar, bound)


def smallest_cutoff(cutoffs: Floats, curve: Floats, needed: Floats) -> Floats:
    """Where a curve over rising cut-offs first reaches what is needed, straight between points over log
    cut-off; the first cut-off where it starts above it, the last where it never gets there.

    Args:
        cutoffs: rising, positive, (r,).
        curve: (r, n).
        needed: (n,).

    Returns:
        Cut-offs, (n,).
    """
    above = curve >= needed
    first = np.where(above.any(axis=0), above.argmax(axis=0), len(cutoffs) - 1)
    before = np.maximum(first - 1, 0)
    column = np.arange(curve.shape[1])
    start, end = curve[before, column], curve[first, column]
    inside = above[first, column] & (first > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(inside, (needed - start) / (end - start), 1.0)
    logs = np.log(cutoffs)
    return np.asarray(np.exp(logs[before] + share * (logs[first] - logs[before])))


def high_frequency_dependence(e: Evidence, variant: Variant, name: str) -> Answer:
    """Share of the own-generator AUROC above one half that goes when all above half of Nyquist is taken out.

    `(A - A') / (A - 1/2)`: A is the fixed probe's mean AUROC under the identity, A' under the low-pass at 0.5 nyq.
    0 where nothing is lost, 1 where the probe is at chance without the high frequencies; beyond 1 where it is
    below chance.
    """
    low = nearest(e.held[name], variant, "lowpass", HIGH)
    scope, (whole, left), bar = e.own(name, variant, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0.5, (whole - left) / (whole - 0.5), np.nan)
    return Answer(share, "auroc", f"{low.spec}; {scope.note}", bar)


def transfer_gap(e: Evidence, variant: Variant, name: str) -> Answer:
    """AUROC of probes of one GAN on diffusion models, less that on their own generators, under the identity."""
    scope = e.grid.across("gan", "diffusion")
    if scope is None:
        raise Undecided("no probe of a single GAN tested on a diffusion model")
    _, (own,), bar = e.own(name, variant, family="gan")
    across = e.mean(name, variant, identity(e.held[name], variant), scope, "auroc")
    return Answer(across - own, "auroc", scope.note, bar or scope.few)


def rank_share(e: Evidence, variant: Variant, name: str) -> Answer:
    """Effective rank under a low-pass at 0.15 nyq as a share of the identity's: geometric mean over sources."""
    value, influence, low = log_rank_share(e, variant, name)
    draws = e.sources.mean_of_influences(value, influence)
    return Answer(np.exp(draws), "effective rank", f"{low.spec}; geometric mean, {over_sources(e)}")


def correspondence(e: Evidence, variant: Variant, name: str) -> Answer:
    """Debiased CKA between the low-passed and the high-passed images at 0.15 nyq."""
    groups, said = correspondence_groups(e, variant, name)
    return Answer(e.sources.mean_of_groups(groups), "debiased CKA", f"{said}; {over_sources(e)}")


def log_rank_share(e: Evidence, variant: Variant, name: str) -> tuple[Floats, Floats, Condition]:
    """Of each source the log of its share of the identity's effective rank, and the images' influence on it."""
    low = nearest(e.held[name], variant, "lowpass", LOW)
    under, whole = (e.sources.rank(name, spec) for spec in (low.spec, identity(e.held[name], variant).spec))
    return under[0] - whole[0], under[1] - whole[1], low


def correspondence_groups(e: Evidence, variant: Variant, name: str) -> tuple[Floats, str]:
    """Of each source the debiased CKA of low with high, whole and without each group of images."""
    low, high = (nearest(e.held[name], variant, kind, LOW) for kind in ("lowpass", "highpass"))
    return e.sources.correspondence(name, low.spec, high.spec), f"{low.spec} and {high.spec}"


def over_sources(e: Evidence) -> str:
    """What means over sources are over, in words."""
    return f"{len(e.sources.names)} sources of {e.sources.n} images"
