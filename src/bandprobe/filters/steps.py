"""One link of a filter spec: `KIND[:ARGUMENT][:key=value...]`, read and printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

from bandprobe.errors import FilterError
from bandprobe.filters.kinds import KINDS, MASKS, SPLITS, Cutoff, Kind, Number, Span, plain

WIDTH = Cutoff(20.0, "px")
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_UNIT = "px|nyq|cpp"
_CUTOFF = re.compile(rf"({_NUMBER})({_UNIT})")
_PLAIN = re.compile(rf"({_NUMBER})()")
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})/({_NUMBER})({_UNIT}|)")
_SPAN = re.compile(rf"({_NUMBER})\.\.({_NUMBER})({_UNIT})")
LONGEST_RANGE = 10_000
# What has a meaning in a spec, and blanks at the ends, are percent-encoded in a reference's name.
_RESERVED = re.compile(r"[%,:+]|\A\s|\s\Z")


@dataclass(frozen=True)
class Step:
    """One link of a chain.

    Attributes:
        kind: a name of `KINDS`.
        cutoff: of masks and injections.
        order: of Butterworth masks.
        width: of bands.
        dc: `keep` gives gain 1 at DC, `zero` the textbook mask's gain there.
        bits: 8 to clip and round to 8-bit levels afterwards.
        number: the plain number of `fda`, `jpeg`, `blur` ...
        span: what `random-lowpass` and `random-bandstop` draw their cut-off from.
        mask: the kind of mask of an injection.
        reference: an image file, or a source of the data.
        split: where references are drawn from.
        seed: of what is drawn for each image.
    """

    kind: str
    cutoff: Cutoff | None = None
    order: int = 1
    width: Cutoff = WIDTH
    dc: str = "keep"
    bits: int | None = None
    number: float | None = None
    span: Span | None = None
    mask: str = MASKS[0]
    reference: str | None = None
    split: str = SPLITS[0]
    seed: int = 0

    @property
    def is_mask(self) -> bool:
        """Whether it is one fixed gain on the spectrum."""
        return KINDS[self.kind].mask

    @property
    def injected(self) -> Step:
        """The textbook mask that says which part of the reference an injection takes."""
        return Step(self.mask, self.cutoff, self.order, self.width, dc="zero")

    def __str__(self) -> str:
        parts = [self.kind]
        if self.mask != MASKS[0]:
            parts.append(self.mask)
        if self.number is not None:
            parts.append(plain(self.number))
        parts += [str(given) for given in (self.cutoff, self.span) if given is not None]
        default = Step(self.kind)
        for key in KINDS[self.kind].keys:
            value = getattr(self, key)
            if value != getattr(default, key):
                parts.append(f"{key}={_encoded(value) if key == 'reference' else value}")
        return ":".join(parts)


def _encoded(name: str) -> str:
    return _RESERVED.sub(lambda found: quote(found[0], safe=""), name)


def read_link(link: str, spec: str) -> list[Step]:
    """The steps that one link stands for: several where its cut-off or number is a range.

    Args:
        link: what stands between two `+`, its kind a known one.
        spec: the whole spec, for messages.

    Raises:
        FilterError: an unknown key, something missing, or a value out of range.
    """
    name, *arguments = link.split(":")
    kind = mask = KINDS[name]
    given: list[dict[str, Any]] = [{}]
    if name == "inject":
        named = bool(arguments) and arguments[0] in KINDS
        mask = _injected(arguments.pop(0) if named else MASKS[0], spec)
        given = [{"mask": mask.name}]
    if kind.argument:
        if not arguments or "=" in arguments[0]:
            what = "cut-off" if kind.cutoff else kind.number.name if kind.number else "range of cut-offs"
            raise FilterError(f"filter {spec!r} needs a {what}, e.g. {kind.example}.")
        given = [{**known, **more} for known in given for more in _argument(kind, arguments.pop(0), spec)]
    keys = _keys(kind, mask, arguments, spec)
    if "reference" in kind.keys and "reference" not in keys:
        raise FilterError(
            f"filter {spec!r} needs a reference, an image file or the name of a source, e.g. {kind.example}."
        )
    return [Step(name, **known, **keys) for known in given]


def _injected(name: str, spec: str) -> Kind:
    if name not in MASKS:
        raise FilterError(f"filter {spec!r}: the mask must be one of {', '.join(MASKS)}; got {name!r}.")
    return KINDS[name]


def _argument(kind: Kind, text: str, spec: str) -> Iterable[dict[str, Any]]:
    """What stands behind the kind: a cut-off, a number, or a range of either; or a span."""
    if kind.cutoff:
        return [
            {"cutoff": _positive(Cutoff(value, unit), spec)} for value, unit in _values(text, _CUTOFF, spec)
        ]
    if kind.number:
        return [
            {"number": _within(kind.number, value, text, spec)}
            for value, _ in _values(text, _PLAIN, spec, kind.number)
        ]
    match = _SPAN.fullmatch(text)
    if match is None or not 0 < float(match[1]) <= float(match[2]) < 1e12:
        raise FilterError(
            f"filter {spec!r}: cannot read the range {text!r}; expected two rising cut-offs above 0 with one "
            f"unit, e.g. {kind.example}."
        )
    return [{"span": Span(float(match[1]), float(match[2]), match[3])}]


def _values(
    text: str, one: re.Pattern[str], spec: str, number: Number | None = None
) -> list[tuple[float, str]]:
    """The values, each with its unit, that a cut-off or number stands for."""
    if match := one.fullmatch(text):
        return [(float(match[1]), match[2])]
    match = _RANGE.fullmatch(text)
    if match is None or bool(match[4]) == bool(number):
        raise FilterError(
            f"filter {spec!r}: {number.name} must be {number}; got {text!r}."
            if number
            else f"filter {spec!r}: cannot read the cut-off {text!r}; expected a number with a unit (px, nyq or "
            "cpp), e.g. 30px or 0.25nyq, or a range, e.g. 5..185/5px."
        )
    start, stop, step = (Decimal(match[i]) for i in (1, 2, 3))
    if step <= 0 or stop < start or (stop - start) / step > LONGEST_RANGE:
        raise FilterError(
            f"filter {spec!r}: the range {text!r} must rise in positive steps, at most "
            f"{LONGEST_RANGE:,} of them; e.g. 5..185/5px."
        )
    return [(float(start + i * step), match[4]) for i in range(int((stop - start) / step) + 1)]


def _positive(cutoff: Cutoff, spec: str, what: str = "cut-off") -> Cutoff:
    if not 0 < cutoff.value < 1e12:
        raise FilterError(f"filter {spec!r}: the {what} must be above 0; got {cutoff}.")
    return cutoff


def _within(number: Number, value: float, text: str, spec: str) -> float:
    if not number.holds(value) or (number.whole and value != int(value)):
        raise FilterError(f"filter {spec!r}: {number.name} must be {number}; got {text!r}.")
    return value


def _keys(kind: Kind, mask: Kind, arguments: list[str], spec: str) -> dict[str, Any]:
    """The keys given, read; `mask` is the kind itself but for an injection."""
    of_mask = ("order", "width", "dc")
    takes = tuple(key for key in kind.keys if key not in of_mask or key in mask.keys)
    accepted = (*takes, "dc") if kind.mask and kind.cutoff else takes
    keys: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in accepted:
            known = ", ".join(f"{name}=" for name in takes) or "no key"
            raise FilterError(f"filter {spec!r}: {kind.name} takes {known}; got {argument!r}.")
        if key in keys:
            raise FilterError(f"filter {spec!r} gives {key} twice; give it once.")
        keys[key] = _value(key, value, spec)
    if "dc" not in takes:
        keys.pop("dc", None)  # this mask's textbook gain at DC is 1 already
    return keys


def _value(key: str, value: str, spec: str) -> object:
    if key in ("order", "seed"):
        low, high = (1, 20) if key == "order" else (0, 2**63)
        # Python refuses to read thousands of digits as a number.
        if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
            limits = f"from {low} to {high}" if key == "order" else "from 0"
            raise FilterError(f"filter {spec!r}: {key} must be a whole number {limits}; got {value!r}.")
        return int(value)
    if key == "width":
        match = _CUTOFF.fullmatch(value)
        if match is None:
            raise FilterError(
                f"filter {spec!r}: width must be a number with a unit, e.g. 20px; got {value!r}."
            )
        return _positive(Cutoff(float(match[1]), match[2]), spec, "width")
    if key == "reference":
        if not value:
            raise FilterError(f"filter {spec!r}: reference must be an image file or a source; got nothing.")
        return unquote(value)
    choices = {"dc": ("keep", "zero"), "split": SPLITS}
    if key in choices:
        if value not in choices[key]:
            words = ", ".join(choices[key][:-1])
            raise FilterError(f"filter {spec!r}: {key} must be {words} or {choices[key][-1]}; got {value!r}.")
        return value
    if value != "8":
        raise FilterError(f"filter {spec!r}: bits must be 8 (clip and round to 8-bit levels); got {value!r}.")
    return 8
