"""The statistic of each claim, from what a run holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bandprobe.analysis.claim_conditions import (
    HISTORY,
    Condition,
    Undecided,
    Variant,
    conditions,
    identity,
    ladder,
    nearest,
    to_add,
)
from bandprobe.analysis.claim_embeddings import Sources
from bandprobe.analysis.hierarchy import Hierarchy, Scope
from bandprobe.images import Geometry
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

# Fractions of Nyquist. Low, middle and high mean below 0.15, 0.15 to 0.5 and above 0.5.
LOW, HIGH = 0.15, 0.5
CENTRE, WIDTH = (LOW + HIGH) / 2, HIGH - LOW
KEPT = 0.95  # of the identity's AUROC
MATCHED = 0.25  # how far, of it, another band's energy may lie from the middle's
_CAPPED = 0.025  # share of resamples at a sweep's end beyond which the cut-off is but a bound
RUNGS = 3  # fewest cut-offs of a sweep in which one is looked for

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """A claim's statistic.

    Attributes:
        draws: its value, then that of every resample, (1 + resamples,).
        metric: what it is made of.
        said: what was compared, in words.
        bar: why there is no verdict whatever the numbers; empty where there may be one.
        bound: `at most` or `at least` where the value is only a bound, so that the claim's other side stays
            open; `unbounded` where it is neither.
    """

    draws: Floats
    metric: str
    said: str
    bar: str = ""
    bound: str = ""


class Evidence:
    """What a run holds, as the claims ask for it.

    Args:
        store: holds the test images' embeddings.
        manifest: the images.
        probes: of the run.
        replicates: further lists, trained on resamples of the training images.
        filters: the run's test filters; by default all that the store holds.
        seed: of the bootstrap.
        resamples: how many.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        manifest: pd.DataFrame,
        probes: Sequence[ProbeFile],
        replicates: Sequence[Sequence[ProbeFile]],
        filters: Sequence[str] | None,
        *,
        seed: int,
        resamples: int,
    ) -> None:
        self.grid = Hierarchy(store, manifest, probes, replicates, seed=seed, resamples=resamples)
        self.sources = Sources(store, manifest, seed, resamples)
        self.geometry: dict[str, str] = {}
        self.held: dict[str, list[Condition]] = {}
        wanted = None if filters is None else set(filters)
        for encoder, spec in store.conditions():
            if wanted is None or spec in wanted:
                text = (store.fingerprint(encoder, spec) or {})["geometry"].removesuffix(":aliased")
                self.geometry[encoder] = text
                self.held.setdefault(encoder, []).extend(conditions([spec], Geometry.parse(text).size))

    def mean(self, encoder: str, variant: Variant, condition: Condition, scope: Scope, metric: str) -> Floats:
        """A metric under a condition: of the fixed probe (reliance) or the re-trained one (information).

        With equalised history the fixed probe is the one trained on equalised images: one trained on raw
        images would be asked about JPEG instead.
        """
        if variant.curve == "information":
            trained = [condition.spec]
        elif variant.history == "raw":
            trained = ["none", "identity"]
        else:
            trained = [HISTORY, identity(self.held[encoder], variant).spec]
        for spec in trained:
            if self.grid.has(encoder, spec):
                return self.grid.mean(encoder, spec, condition.spec, scope, metric)
        raise Undecided(
            f"not every generator has a probe of {encoder} trained under {trained[0]}: set information = true "
            f"and {to_add(variant, 'identity')}"
        )

    def own(self, encoder: str, variant: Variant, *others: Condition) -> tuple[Scope, list[Floats], str]:
        """Own-generator AUROC under the identity and under other conditions; and why it decides nothing,
        where it does not."""
        scope = self.grid.own()
        if scope is None:
            raise Undecided("no probe of a single generator that is tested: train_on needs each")
        given = [identity(self.held[encoder], variant), *others]
        found = [self.mean(encoder, variant, condition, scope, "auroc") for condition in given]
        chance = np.nanquantile(found[0], 0.025) <= 0.5
        return scope, found, scope.few or (f"{encoder} is at chance under the identity" if chance else "")

    def across(self) -> Scope:
        """The cells that train on one family and test on another."""
        scope = self.grid.across()
        if scope is None:
            raise Undecided("no second family: generators of two families are needed")
        return scope

    def energy(self, encoder: str, condition: Condition) -> float:
        """Mean share of the test images' AC energy that a condition removes."""
        rows = self.grid.store.read(encoder, condition.spec, list(self.grid.ids))
        return float(rows.ac_removed.mean())


def fall_without_high(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Fall of own-generator AUROC from identity to a low-pass at half of Nyquist."""
    low = nearest(e.held[clip], variant, "lowpass", HIGH)
    scope, (whole, left), bar = e.own(clip, variant, low)
    return Answer(whole - left, "auroc", f"{low.spec}; {scope.note}", bar)


def share_without_high(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Own-generator AUROC at a low-pass at half of Nyquist as a share of the identity's."""
    low = nearest(e.held[clip], variant, "lowpass", HIGH)
    scope, (whole, left), bar = e.own(clip, variant, low)
    return Answer(left / whole, "auroc", f"{low.spec}; {scope.note}", bar)


def better_transfer(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """PD of DINO less that of CLIP, trained on one GAN, tested on diffusion models."""
    scope = e.grid.across("gan", "diffusion")
    if scope is None:
        raise Undecided("no probe of a single GAN tested on a diffusion model")
    metric = next((name for name, n in (("pd@1%", 1000), ("pd@10%", 100)) if e.grid.n_real >= n), None)
    if metric is None:
        raise Undecided(f"PD@10% needs 100 test reals; the smallest test set has {e.grid.n_real}")
    ours, theirs = (
        e.mean(name, variant, identity(e.held[name], variant), scope, metric) for name in (dino, clip)
    )
    return Answer(ours - theirs, metric, f"{metric.upper()}, {scope.note}", scope.few)


def cutoff_ratio(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Smallest low-pass cut-off that keeps 95 % of the identity's own-generator AUROC, DINO over CLIP."""
    _same_grid(e, dino, clip)
    reached, bars, said, ends = [], [], [], []
    for name in (dino, clip):
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
        reached.append(found)
        bars.append(bar)
        ends.append((lowest, highest))
        beyond = " (the sweep's end, so it may lie beyond)" if lowest or highest else ""
        said.append(f"{name} {found[0]:.3f} nyq{beyond}")
    at_most, at_least = ends[0][0] or ends[1][1], ends[0][1] or ends[1][0]
    return Answer(
        reached[0] / reached[1],
        "auroc",
        f"{', '.join(said)}; {scope.note}",
        next(filter(None, bars), ""),
        "unbounded" if at_most and at_least else "at most" if at_most else "at least" if at_least else "",
    )


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


def fall_without_middle(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Cross-family AUROC lost to a band-stop of the middle, beyond that lost to one elsewhere which takes
    as much energy."""
    name = dino or clip
    middle = nearest(e.held[name], variant, "bandstop", CENTRE, WIDTH)
    taken = e.energy(name, middle)
    others = {
        band: e.energy(name, band)
        for band in ladder(e.held[name], variant, "bandstop")
        if not LOW <= band.cutoff <= HIGH
    }
    matched = [band for band, share in others.items() if abs(share - taken) <= MATCHED * taken]
    if not matched:
        near = ", ".join(f"{band.spec} {100 * share:.2f} %" for band, share in others.items()) or "none"
        raise Undecided(
            f"no band-stop elsewhere removes as much energy as {middle.spec}, {100 * taken:.2f} % (within a "
            f"quarter of it; there is {near}): add one to [filters] test"
        )
    other = min(matched, key=lambda band: abs(others[band] - taken))
    scope = e.across()
    without, elsewhere = (e.mean(name, variant, band, scope, "auroc") for band in (middle, other))
    said = (
        f"{middle.spec} ({100 * taken:.2f} % of AC energy) against {other.spec} ({100 * others[other]:.2f} %)"
    )
    return Answer(elsewhere - without, "auroc", f"{said}; {scope.note}", scope.few)


def gain_of_middle(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Cross-family AUROC of the middle band alone, less that of the identity."""
    name = dino or clip
    middle = nearest(e.held[name], variant, "bandpass", CENTRE, WIDTH)
    scope = e.across()
    alone, whole = (
        e.mean(name, variant, condition, scope, "auroc")
        for condition in (middle, identity(e.held[name], variant))
    )
    return Answer(alone - whole, "auroc", f"{middle.spec}; {scope.note}", scope.few)


def both_of_middle(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """The smaller of the two statistics of the middle."""
    parts = [statistic(e, variant, dino, clip) for statistic in (fall_without_middle, gain_of_middle)]
    smaller = np.minimum(parts[0].draws, parts[1].draws)
    return Answer(smaller, "auroc", "the smaller of the two", parts[0].bar or parts[1].bar)


def correspondence_difference(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Debiased CKA between low-passed and high-passed images, DINO less CLIP."""
    _same_grid(e, dino, clip)
    values, said = [], ""
    for name in (dino, clip):
        low, high = (nearest(e.held[name], variant, kind, LOW) for kind in ("lowpass", "highpass"))
        values.append(e.sources.correspondence(name, low.spec, high.spec))
        said = f"{low.spec} and {high.spec}"
    draws = e.sources.mean_of_groups(values[0] - values[1])
    return Answer(draws, "debiased CKA", f"{said}; {_over(e)}")


def rank_ratio(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Effective rank under a low-pass as a share of the identity's, DINO over CLIP."""
    _same_grid(e, dino, clip)
    shares, said = [], ""
    for name in (dino, clip):
        low = nearest(e.held[name], variant, "lowpass", LOW)
        under, whole = (
            e.sources.rank(name, spec) for spec in (low.spec, identity(e.held[name], variant).spec)
        )
        shares.append((under[0] - whole[0], under[1] - whole[1]))
        said = low.spec
    draws = e.sources.mean_of_influences(shares[0][0] - shares[1][0], shares[0][1] - shares[1][1])
    return Answer(np.exp(draws), "effective rank", f"{said}; geometric mean, {_over(e)}")


def cause(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Nothing that a run of published encoders can tell."""
    raise Undecided(
        "needs encoders that differ in the objective alone, trained with three seeds each; DINO and CLIP differ "
        "in data and architecture too"
    )


def _over(e: Evidence) -> str:
    return f"{len(e.sources.names)} sources of {e.sources.n} images"


def _same_grid(e: Evidence, dino: str, clip: str) -> None:
    grids = {e.geometry.get(name) for name in (dino, clip)}
    if len(grids) > 1:
        raise Undecided("each encoder kept its own preprocessing: cut-offs do not compare; take one geometry")
