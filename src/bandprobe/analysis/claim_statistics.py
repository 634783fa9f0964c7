"""The statistic of each claim, from what a run holds; those of one encoder are in `encoder_statistics`."""

from __future__ import annotations

import numpy as np

from bandprobe.analysis.claim_conditions import Undecided, Variant, identity, ladder, nearest
from bandprobe.analysis.encoder_statistics import (
    HIGH,
    LOW,
    correspondence_groups,
    kept_cutoff,
    log_rank_share,
    over_sources,
)
from bandprobe.analysis.evidence import Answer, Evidence

CENTRE, WIDTH = (LOW + HIGH) / 2, HIGH - LOW
MATCHED = 0.25  # how far, of it, another band's energy may lie from the middle's
_BEYOND = " (the sweep's end, so it may lie beyond)"


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
    ours, theirs = (kept_cutoff(e, variant, name) for name in (dino, clip))
    said = [
        f"{name} {found.draws[0]:.3f} nyq{_BEYOND if found.bound else ''}"
        for name, found in ((dino, ours), (clip, theirs))
    ]
    at_most = ours.bound in ("at most", "unbounded") or theirs.bound in ("at least", "unbounded")
    at_least = ours.bound in ("at least", "unbounded") or theirs.bound in ("at most", "unbounded")
    return Answer(
        ours.draws / theirs.draws,
        "auroc",
        f"{', '.join(said)}; {ours.said}",
        ours.bar or theirs.bar,
        "unbounded" if at_most and at_least else "at most" if at_most else "at least" if at_least else "",
    )


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
    (ours, said), (theirs, _) = (correspondence_groups(e, variant, name) for name in (dino, clip))
    return Answer(e.sources.mean_of_groups(ours - theirs), "debiased CKA", f"{said}; {over_sources(e)}")


def rank_ratio(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Effective rank under a low-pass as a share of the identity's, DINO over CLIP."""
    _same_grid(e, dino, clip)
    (ours, of_ours, low), (theirs, of_theirs, _) = (log_rank_share(e, variant, name) for name in (dino, clip))
    draws = e.sources.mean_of_influences(ours - theirs, of_ours - of_theirs)
    return Answer(np.exp(draws), "effective rank", f"{low.spec}; geometric mean, {over_sources(e)}")


def cause(e: Evidence, variant: Variant, dino: str, clip: str) -> Answer:
    """Nothing that a run of published encoders can tell."""
    raise Undecided(
        "needs encoders that differ in the objective alone, trained with three seeds each; DINO and CLIP differ "
        "in data and architecture too"
    )


def _same_grid(e: Evidence, dino: str, clip: str) -> None:
    grids = {e.geometry.get(name) for name in (dino, clip)}
    if len(grids) > 1:
        raise Undecided("each encoder kept its own preprocessing: cut-offs do not compare; take one geometry")
