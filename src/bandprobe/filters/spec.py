"""The filter grammar: `KIND[:CUTOFF][:key=value...]`, chained with `+`, and its canonical print.

This module imports nothing heavy, so that specs can be parsed and listed at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from bandprobe.errors import FilterError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Images = TypeVar("Images", torch.Tensor, NDArray[np.floating[Any]])

UNITS = ("px", "nyq", "cpp")
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_CUTOFF = re.compile(rf"({_NUMBER})(px|nyq|cpp)")
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})/({_NUMBER})(px|nyq|cpp)")
_LONGEST_RANGE = 10_000


def _plain(number: float) -> str:
    """The shortest decimal that reads back as `number`, without exponent and without `.0`."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class Cutoff:
    """A radial frequency: `px` (cycles per shorter side), `nyq` (of Nyquist) or `cpp` (cycles per pixel)."""

    value: float
    unit: str = "px"

    def px(self, shape: tuple[int, int]) -> float:
        """In cycles per shorter side of a grid of `shape` (height, width)."""
        return self.value * {"px": 1.0, "nyq": min(shape) / 2, "cpp": float(min(shape))}[self.unit]

    def nyq(self, shape: tuple[int, int]) -> float:
        """As a fraction of Nyquist on a grid of `shape` (height, width)."""
        return self.px(shape) / (min(shape) / 2)

    def __str__(self) -> str:
        return f"{_plain(self.value)}{self.unit}"


WIDTH = Cutoff(20.0, "px")


@dataclass(frozen=True)
class Kind:
    """What a kind of filter takes and does, for the grammar and for `bandprobe filters`."""

    name: str
    cutoff: bool
    keys: tuple[str, ...]
    gain: str


# `dc` is accepted by every mask and kept only where the textbook mask can remove the mean.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("none", False, (), "the image itself; the filter code is bypassed"),
        Kind("identity", False, ("bits",), "1 everywhere: the control for every filtered condition"),
        Kind("lowpass", True, ("order", "bits"), "1 / (1 + (D/D0)^2n)"),
        Kind("highpass", True, ("order", "dc", "bits"), "1 / (1 + (D0/D)^2n)"),
        Kind("bandpass", True, ("order", "width", "dc", "bits"), "1 - 1 / (1 + (D W/(D^2 - D0^2))^2n)"),
        Kind("bandstop", True, ("order", "width", "bits"), "1 - bandpass"),
        Kind("ideal-lowpass", True, ("bits",), "D <= D0"),
        Kind("ideal-highpass", True, ("dc", "bits"), "D > D0"),
        Kind("ideal-bandpass", True, ("width", "dc", "bits"), "D0 - W/2 <= D < D0 + W/2"),
        Kind("ideal-bandstop", True, ("width", "dc", "bits"), "1 - ideal-bandpass"),
    )
}
PRESETS: dict[str, tuple[str, ...]] = {"thesis": ("identity", "lowpass:1px", "lowpass:5..185/5px")}


@dataclass(frozen=True)
class Step:
    """One link of a chain. `dc="keep"` gives gain 1 at DC, `dc="zero"` the textbook mask's gain there."""

    kind: str
    cutoff: Cutoff | None = None
    order: int = 1
    width: Cutoff = WIDTH
    dc: str = "keep"
    bits: int | None = None

    def __str__(self) -> str:
        parts = [self.kind] if self.cutoff is None else [self.kind, str(self.cutoff)]
        keys = KINDS[self.kind].keys
        default = Step(self.kind)
        for key in keys:
            value = getattr(self, key)
            if value != getattr(default, key):
                parts.append(f"{key}={value}")
        return ":".join(parts)


@dataclass(frozen=True)
class Filter:
    """A filter spec: one step, or several applied in turn. Callable on images."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))

    @property
    def kind(self) -> str:
        """The step's kind; of a chain, its kinds joined with `+`."""
        return "+".join(step.kind for step in self.steps)

    @property
    def cutoff(self) -> Cutoff | None:
        """The cut-off, where exactly one step has one."""
        cutoffs = [step.cutoff for step in self.steps if step.cutoff is not None]
        return cutoffs[0] if len(cutoffs) == 1 else None

    @property
    def sweep(self) -> str:
        """The spec with its cut-off left out: filters of one sweep share it, e.g. `lowpass:order=2`."""
        return "+".join(str(replace(step, cutoff=None)) for step in self.steps)

    @property
    def slug(self) -> str:
        """The spec as a part of a file name: `: = / .` become `-`."""
        return re.sub(r"[:=/.]", "-", str(self))

    def __call__(self, images: Images) -> Images:
        """Filter a batch of images, each on its own grid.

        Args:
            images: float, shape (n, 3, h, w) or any (..., h, w), values nominally in [0, 1];
                a NumPy array or a torch tensor on any device.

        Returns:
            The same kind, shape and dtype; unclipped unless the spec says `bits=8`.

        Raises:
            ShapeError: not a floating array of at least two dimensions.
            FilterError: the filter passes no frequency of this grid.
        """
        from bandprobe.filters.bank import apply

        filtered: Images = apply(self, images)
        return filtered


def parse(spec: str) -> Filter:
    """The filter that a spec names.

    Args:
        spec: e.g. `lowpass:30px`, `highpass:0.25nyq:order=2:dc=zero`, `lowpass:30px+highpass:5px`.

    Returns:
        A `Filter`; `str()` of it is the canonical spec, and parses to an equal filter.

    Raises:
        FilterError: unknown kind or key, a value out of range, or a spec that names several filters.
    """
    filters = expand(spec)
    if len(filters) != 1:
        raise FilterError(
            f"filter {spec!r} names {len(filters)} filters where one is expected; "
            "take one of them, or give it where a list of filters is accepted."
        )
    return filters[0]


def expand(specs: str | Iterable[str]) -> list[Filter]:
    """All filters that specs name: presets and ranges expanded, commas split, repeats left out.

    Raises:
        FilterError: as `parse`, or nothing named at all.
    """
    given = [specs] if isinstance(specs, str) else list(specs)
    found: dict[Filter, None] = {}
    for text in (part.strip() for parts in given for part in parts.split(",") if part.strip()):
        for member in PRESETS.get(text, (text,)):
            chains: list[tuple[Step, ...]] = [()]
            for link in member.split("+"):
                chains = [(*chain, step) for chain in chains for step in _steps(link.strip(), text)]
            found.update(dict.fromkeys(Filter(_normal(chain)) for chain in chains))
    if not found:
        raise FilterError("no filter is given; try none, identity, lowpass:30px or thesis.")
    return list(found)


def _normal(chain: tuple[Step, ...]) -> tuple[Step, ...]:
    """A chain without the `none` links that do nothing."""
    return tuple(step for step in chain if step.kind != "none") or chain[:1]


def _steps(link: str, spec: str) -> list[Step]:
    """The steps that one link stands for: several where its cut-off is a range."""
    name, *arguments = link.split(":")
    kind = KINDS.get(name)
    if kind is None:
        preset = " A preset cannot be part of a chain." if name in PRESETS else ""
        raise FilterError(
            f"unknown filter {name!r}{'' if spec == name else f' in {spec!r}'}."
            f"{preset or did_you_mean(name, [*KINDS, *PRESETS])} `bandprobe filters` lists them."
        )
    cutoffs: list[Cutoff | None] = [None]
    if kind.cutoff:
        if not arguments or "=" in arguments[0]:
            raise FilterError(f"filter {spec!r} needs a cut-off, e.g. {name}:30px or {name}:0.25nyq.")
        cutoffs = list(_cutoffs(arguments.pop(0), spec))
    keys: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        accepted = (*kind.keys, "dc") if kind.cutoff else kind.keys
        if not equals or key not in accepted:
            takes = ", ".join(f"{known}=" for known in kind.keys) or "no key"
            raise FilterError(f"filter {spec!r}: {name} takes {takes}; got {argument!r}.")
        if key in keys:
            raise FilterError(f"filter {spec!r} gives {key} twice; give it once.")
        keys[key] = _value(key, value, spec)
    if "dc" not in kind.keys:
        keys.pop("dc", None)  # this mask's textbook gain at DC is 1 already
    return [Step(name, cutoff, **keys) for cutoff in cutoffs]


def _cutoffs(text: str, spec: str) -> Iterable[Cutoff]:
    if match := _CUTOFF.fullmatch(text):
        return [_positive(Cutoff(float(match[1]), match[2]), spec)]
    if match := _RANGE.fullmatch(text):
        start, stop, step = (Decimal(match[i]) for i in (1, 2, 3))
        if step <= 0 or stop < start or (stop - start) / step > _LONGEST_RANGE:
            raise FilterError(
                f"filter {spec!r}: the range {text!r} must rise in positive steps, at most "
                f"{_LONGEST_RANGE:,} of them; e.g. 5..185/5px."
            )
        count = int((stop - start) / step) + 1
        return [_positive(Cutoff(float(start + i * step), match[4]), spec) for i in range(count)]
    raise FilterError(
        f"filter {spec!r}: cannot read the cut-off {text!r}; expected a number with a unit (px, nyq or cpp), "
        "e.g. 30px or 0.25nyq, or a range, e.g. 5..185/5px."
    )


def _positive(cutoff: Cutoff, spec: str, what: str = "cut-off") -> Cutoff:
    if not 0 < cutoff.value < 1e12:
        raise FilterError(f"filter {spec!r}: the {what} must be above 0; got {cutoff}.")
    return cutoff


def _value(key: str, value: str, spec: str) -> object:
    if key == "order":
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 20):
            raise FilterError(f"filter {spec!r}: order must be a whole number from 1 to 20; got {value!r}.")
        return int(value)
    if key == "width":
        match = _CUTOFF.fullmatch(value)
        if match is None:
            raise FilterError(
                f"filter {spec!r}: width must be a number with a unit, e.g. 20px; got {value!r}."
            )
        return _positive(Cutoff(float(match[1]), match[2]), spec, "width")
    if key == "dc":
        if value not in ("keep", "zero"):
            raise FilterError(f"filter {spec!r}: dc must be keep or zero; got {value!r}.")
        return value
    if value != "8":
        raise FilterError(f"filter {spec!r}: bits must be 8 (clip and round to 8-bit levels); got {value!r}.")
    return 8
