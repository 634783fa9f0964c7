"""The thesis's claims, with statistics and margins that were fixed before any number was seen."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bandprobe import progress
from bandprobe.analysis import claim_statistics as statistics
from bandprobe.analysis.claim_conditions import Undecided, Variant
from bandprobe.analysis.evidence import Answer, Evidence
from bandprobe.encoders.catalogue import ENTRIES
from bandprobe.probes import ProbeFile
from bandprobe.store import EmbeddingStore

COLUMNS = (
    "claim", "statistic", "value", "low", "high", "margin", "verdict", "reason", "curve", "mask", "depth",
    "history", "metric", "dino", "clip", "beyond",
)  # fmt: skip
RESAMPLES = 1000
_DECIMALS = 9

_CURVES = ("reliance", "information")
_MASKS = ("butterworth", "ideal")
_NONE = ("none",)
_OBJECTIVES = {"dino": ("self-distillation",), "clip": ("image-text contrast", "image-text sigmoid")}
_NAMES = {"dino": r"dino", "clip": r"clip"}  # of models that the catalogue does not list
_WORDS = {"dino": "self-distilled encoder (DINO)", "clip": "image-text encoder (CLIP)"}


@dataclass(frozen=True)
class _Claim:
    """One statistic of a claim, and the side of its margin on which the claim is right.

    The first of its variants is the claim as it is put: `curves` are ordered so.
    """

    claim: str
    statistic: str
    answer: Callable[[Evidence, Variant, str, str], Answer]
    margin: float = np.nan
    beyond: str = "above"
    roles: tuple[tuple[str, ...], ...] = (("dino", "clip"),)  # a row for the encoders of each
    curves: tuple[str, ...] = _CURVES
    masks: tuple[str, ...] = _MASKS


_MIDDLE = "middle frequencies generalise"
_EACH = (("dino",), ("clip",))
CLAIMS = (
    _Claim(
        "CLIP is influenced by high-frequency artefacts",
        "fall of own-generator AUROC from identity to low-pass 0.5 nyq",
        statistics.fall_without_high, 0.05, roles=(("clip",),),
    ),
    _Claim(
        "CLIP is adequate without them",
        "own-generator AUROC at low-pass 0.5 nyq, of the identity's",
        statistics.share_without_high, 0.9, roles=(("clip",),), curves=_CURVES[::-1],
    ),
    _Claim(
        "DINO generalises better from GANs to diffusion",
        "mean PD difference DINO - CLIP over GAN to diffusion cells",
        statistics.better_transfer, 0.05, masks=_NONE,
    ),
    _Claim(
        "DINO resists low-pass, CLIP declines gradually",
        "smallest low-pass cut-off that keeps 95 % of own-generator AUROC, DINO / CLIP",
        statistics.cutoff_ratio, 0.67, beyond="below",
    ),
    _Claim(
        _MIDDLE,
        "fall of cross-family AUROC by band-stop of the middle, beyond that of an energy-matched band elsewhere",
        statistics.fall_without_middle, 0.02, roles=_EACH,
    ),
    _Claim(
        _MIDDLE,
        "gain of cross-family AUROC of the middle band-pass over the full band",
        statistics.gain_of_middle, 0.02, roles=_EACH, curves=_CURVES[::-1],
    ),
    _Claim(
        _MIDDLE, "both: the smaller of fall and gain",
        statistics.both_of_middle, 0.02, roles=_EACH, curves=_CURVES[::-1],
    ),
    _Claim(
        "DINO's low-to-high correspondence is stronger",
        "debiased CKA of low-pass and high-pass at 0.15 nyq, DINO - CLIP",
        statistics.correspondence_difference, 0.05, curves=("embedding",),
    ),
    _Claim(
        "DINO's entropy at low frequencies is stronger",
        "effective rank at low-pass 0.15 nyq, of the identity's, DINO / CLIP",
        statistics.rank_ratio, 1.1, curves=("embedding",),
    ),
    _Claim(
        "the cause is self-distillation", "the rows above, between encoders that differ in the objective alone",
        statistics.cause, curves=_NONE, masks=_NONE,
    ),
)  # fmt: skip


def claims(
    store: EmbeddingStore,
    manifest: pd.DataFrame,
    probes: Sequence[ProbeFile],
    replicates: Sequence[Sequence[ProbeFile]] = (),
    *,
    filters: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Each claim with its value in this run, its 95 % interval and a verdict.

    Everything is compared with the identity. A row stands for a statistic, a pair of encoders (one of
    self-distillation, one of image-text contrast, by the catalogue's objectives or else by name) and a
    variant: reliance and information, Butterworth and ideal masks, float and 8 bits, raw images and images
    whose compression history was made equal by JPEG 75. The first row of each statistic and pair is the
    claim as it is put; where a statistic has no probe or no mask, the variant says `embedding` or `none`.

    Intervals are percentiles over resamples of test images, generators within families and probes'
    trainings, see `Hierarchy`. Supported means that the interval lies wholly beyond the margin,
    contradicted wholly on its other side, undecided anything else; fewer than five generators in every
    family leave a claim about probes undecided. The two claims about embeddings name no family: they resample the
    generators there are.

    Args:
        store: the run's embeddings.
        manifest: the images.
        probes: the run's.
        replicates: further lists of probes, each trained on a resample of the training images.
        filters: the run's test filters; by default all conditions of the store.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        A table with `COLUMNS`. `reason` says what was compared, or what is missing and what to add; value and
        interval are NaN where it could not be worked out.

    Raises:
        StoreError: an embedding is missing or damaged.
        InputError: no generator has test images.
    """
    evidence = Evidence(store, manifest, probes, replicates, filters, seed=seed, resamples=resamples)
    roles = _roles(probes)
    asked = [
        (claim, variant, pair)
        for claim in CLAIMS
        for role in claim.roles
        for pair in _pairs(role, roles)
        for variant in _variants(claim)
    ]
    with progress.bar("claims", len(asked), "statistics") as step:
        rows = []
        for claim, variant, pair in asked:
            rows.append(_row(evidence, claim, variant, *pair))
            step()
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["value", "low", "high", "margin"]
    table[numbers] = table[numbers].astype("float64").round(_DECIMALS) + 0.0
    return table


def _row(evidence: Evidence, claim: _Claim, variant: Variant, dino: str, clip: str) -> dict[str, object]:
    value = low = high = np.nan
    verdict, metric, asked = "undecided", "", claim.roles[0] if len(claim.roles) == 1 else ()
    absent = [role for role, name in (("dino", dino), ("clip", clip)) if role in asked and not name]
    try:
        if absent or not (dino or clip):
            words = " and no ".join(_WORDS[role] for role in absent or _WORDS)
            raise Undecided(f"the run has no {words}")
        answer = claim.answer(evidence, variant, dino, clip)
        value, metric = float(answer.draws[0]), answer.metric
        low, high = (float(end) for end in np.nanquantile(answer.draws[1:], [0.025, 0.975]))
        verdict, reason = _verdict(answer, claim, low, high)
        if evidence.grid.seeds == 1 and variant.curve in _CURVES and not answer.bar:
            reason += "; one training of each probe"
    except Undecided as missing:
        reason = str(missing)
    return {
        "claim": claim.claim, "statistic": claim.statistic, "value": value, "low": low, "high": high,
        "margin": claim.margin, "verdict": verdict, "reason": reason, "curve": variant.curve,
        "mask": variant.mask, "depth": variant.depth, "history": variant.history, "metric": metric,
        "dino": dino, "clip": clip, "beyond": claim.beyond,
    }  # fmt: skip


def _verdict(answer: Answer, claim: _Claim, low: float, high: float) -> tuple[str, str]:
    if answer.bar:
        return "undecided", f"{answer.bar}; {answer.said}"
    # What is at most so much may be much less: only its lying below a margin can be said.
    above = low > claim.margin and answer.bound in ("", "at least")
    below = high < claim.margin and answer.bound in ("", "at most")
    if above or below:
        return "supported" if above == (claim.beyond == "above") else "contradicted", answer.said
    if answer.bound:
        return "undecided", f"a bound alone; {answer.said}"
    return "undecided", f"the interval holds the margin; {answer.said}"


def _variants(claim: _Claim) -> Iterator[Variant]:
    if claim.answer is statistics.cause:
        yield Variant("none", "none", "none", "none")
        return
    for curve, history, depth, mask in itertools.product(
        claim.curves, ("raw", "equalised"), ("float", "8-bit"), claim.masks
    ):
        yield Variant(curve, mask, depth, history)


def _roles(probes: Sequence[ProbeFile]) -> dict[str, list[str]]:
    """The run's encoders of either objective. Compounds, token encoders and random twins play no part."""
    sources = {probe.encoder: probe.source for probe in probes}
    return {
        role: [name for name, source in sources.items() if _plays(role, name, source)] for role in _OBJECTIVES
    }


def _plays(role: str, name: str, source: str) -> bool:
    if re.search(r"[+#@]|^(random|detector):", name) or source.startswith("random:"):
        return False
    for entry in ENTRIES.values():
        if {name, source} & {entry.name, entry.source}:
            return entry.objective in _OBJECTIVES[role]
    return re.search(_NAMES[role], name, re.IGNORECASE) is not None


def _pairs(role: tuple[str, ...], roles: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(dino, clip) for each row of a claim; an empty name stands for an encoder that plays no part, or that
    the run does not have."""
    dinos, clips = ((roles[name] or [""]) if name in role else [""] for name in ("dino", "clip"))
    return list(itertools.product(dinos, clips))
