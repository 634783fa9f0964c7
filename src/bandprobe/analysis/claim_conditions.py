"""The conditions that claims speak of, found among the filters of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bandprobe.filters import parse
from bandprobe.filters.presets import PRESETS

TOLERANCE = 0.02  # of Nyquist: how far a condition's cut-off may lie from the one a claim names
HISTORY = "jpeg:75"  # what LSUN's reals went through, given to every image to make histories equal

_MASKS = ("lowpass", "highpass", "bandpass", "bandstop")
_WORDS = {"lowpass": "low-pass", "highpass": "high-pass", "bandpass": "band-pass", "bandstop": "band-stop"}


class Undecided(Exception):  # noqa: N818 - an outcome, not an error
    """A statistic that this run cannot give; the text says why and what to add."""


@dataclass(frozen=True)
class Variant:
    """One of the ways in which every claim is repeated.

    Attributes:
        curve: `reliance` (the probe trained on unfiltered images) or `information` (re-trained).
        mask: `butterworth` or `ideal`.
        depth: `float` or `8-bit`.
        history: `raw`, or `equalised` where every image went through JPEG 75 first.
    """

    curve: str
    mask: str
    depth: str
    history: str


@dataclass(frozen=True)
class Condition:
    """A filter as claims see it; cut-off and width as fractions of Nyquist, NaN for the identity."""

    spec: str
    kind: str  # identity, lowpass, highpass, bandpass, bandstop
    mask: str  # butterworth, ideal; none for the identity
    depth: str
    history: str
    cutoff: float = np.nan
    width: float = np.nan


def conditions(specs: Iterable[str], shape: tuple[int, int]) -> list[Condition]:
    """The filters that a claim can be about: one mask of first order or ideal, or the identity.

    Args:
        specs: canonical filter specs.
        shape: the grid (height, width).

    Returns:
        Them in the order given; `jpeg:75` alone is the identity with equalised history.
    """
    found = []
    for spec in specs:
        links = spec.split("+")
        history = "equalised" if links[0] == HISTORY else "raw"
        rest = links[1:] if history == "equalised" else links
        if not rest:
            found.append(Condition(spec, "identity", "none", "float", history))
        if len(rest) != 1:
            continue
        (step,) = parse(rest[0]).steps
        kind = step.kind.removeprefix("ideal-")
        depth = "8-bit" if step.bits else "float"
        if kind == "identity":
            found.append(Condition(spec, kind, "none", depth, history))
        elif kind in _MASKS and step.cutoff is not None and step.order == 1 and step.dc == "keep":
            mask = "ideal" if step.kind != kind else "butterworth"
            width = step.width.nyq(shape) if kind.startswith("band") else np.nan
            found.append(Condition(spec, kind, mask, depth, history, step.cutoff.nyq(shape), width))
    return found


def identity(held: Iterable[Condition], variant: Variant) -> Condition:
    """The control of a variant. In 8 bits the identity in float will do: an image has whole levels already.

    Raises:
        Undecided: the run has none.
    """
    found = [c for c in held if c.kind == "identity" and c.history == variant.history]
    if not found:
        raise Undecided(f"no identity: {to_add(variant, 'identity')}")
    # An identity after JPEG rather than JPEG alone: it goes through the filter's code.
    return min(reversed(found), key=lambda c: c.depth != variant.depth)


def ladder(held: Iterable[Condition], variant: Variant, kind: str) -> list[Condition]:
    """All masks of a kind in a variant, by cut-off, one for each."""
    found = {c.cutoff: c for c in held if c.kind == kind and c.mask == variant.mask and _fits(c, variant)}
    return [found[cutoff] for cutoff in sorted(found)]


def nearest(
    held: Iterable[Condition], variant: Variant, kind: str, cutoff: float, width: float | None = None
) -> Condition:
    """The mask whose cut-off is nearest to the one wanted.

    Args:
        held: the run's conditions.
        variant: mask, depth and history.
        kind: `lowpass`, `highpass`, `bandpass` or `bandstop`.
        cutoff: as a fraction of Nyquist; the one found lies within 0.02 of it.
        width: of a band, as a fraction of Nyquist; the one found lies within 0.04 of it, so that either
            edge lies within 0.04.

    Raises:
        Undecided: there is none near enough.
    """
    near = [
        c
        for c in held
        if c.kind == kind and c.mask == variant.mask and _fits(c, variant)
        and abs(c.cutoff - cutoff) <= TOLERANCE + 1e-9
        and (width is None or abs(c.width - width) <= 2 * TOLERANCE + 1e-9)
    ]  # fmt: skip
    if not near:
        band = "" if width is None else f", {width:g} wide"
        add = to_add(variant, kind, f"{cutoff:g}nyq", width)
        raise Undecided(f"no {_WORDS[kind]} at {cutoff:g} of Nyquist{band}: {add}")
    return min(near, key=lambda c: abs(c.cutoff - cutoff) + abs(c.width - (width or 0)) * bool(width))


def to_add(variant: Variant, kind: str, cutoff: str = "", width: float | None = None) -> str:
    """What a study must be given to have a condition: the preset `claims` where that holds it."""
    name = f"ideal-{kind}" if variant.mask == "ideal" and kind in _MASKS else kind
    bits = "bits=8" if variant.depth == "8-bit" and kind in _MASKS else ""
    spec = ":".join(part for part in (name, cutoff, f"width={width:g}nyq" if width else "", bits) if part)
    whole = f"{HISTORY}+{spec}" if variant.history == "equalised" else spec
    given = "the preset claims" if whole in PRESETS["claims"] else whole
    return f"add {given} to [filters] test"


def _fits(condition: Condition, variant: Variant) -> bool:
    return condition.depth == variant.depth and condition.history == variant.history
