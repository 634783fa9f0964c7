"""The kinds of filter, what each takes, and the quantities they are given in.

This module imports nothing heavy, so that specs can be parsed and listed at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


def plain(number: float) -> str:
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
        return f"{plain(self.value)}{self.unit}"


@dataclass(frozen=True)
class Span:
    """The range that a cut-off is drawn from, uniformly; both ends in one unit."""

    low: float
    high: float
    unit: str = "px"

    def __str__(self) -> str:
        return f"{plain(self.low)}..{plain(self.high)}{self.unit}"


@dataclass(frozen=True)
class Number:
    """A plain number that a kind takes: its name and range, `low` left out where `above`."""

    name: str
    low: float
    high: float
    whole: bool = False
    above: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is in range."""
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        start = f"above {plain(self.low)} and at most" if self.above else f"from {plain(self.low)} to"
        return f"a {'whole ' if self.whole else ''}number {start} {plain(self.high)}"


@dataclass(frozen=True)
class Kind:
    """What a kind of filter takes and does, for the grammar and for `bandprobe filters`.

    Attributes:
        name: as it stands in a spec.
        argument: how its argument is written in the list of filters; empty where it takes none.
        keys: the keys it takes, in the order they are printed.
        gain: its gain or what it does.
        example: a spec that can be taken as it is.
        mask: it is one fixed real gain on the spectrum, the same for all images.
        number: the plain number it takes.
    """

    name: str
    argument: str
    keys: tuple[str, ...]
    gain: str
    example: str
    mask: bool = False
    number: Number | None = None

    @property
    def cutoff(self) -> bool:
        """Whether it takes a cut-off."""
        return self.argument.endswith("CUTOFF")

    @property
    def random(self) -> bool:
        """Whether what it does is drawn for each image."""
        return "seed" in self.keys


_REFERENCE = ("reference", "split", "seed", "bits")
MASKS = ("bandpass", "lowpass", "highpass", "ideal-bandpass", "ideal-lowpass", "ideal-highpass")
SPLITS = ("train", "val", "test")


def _mask(name: str, keys: tuple[str, ...], gain: str) -> Kind:
    return Kind(name, "CUTOFF", keys, gain, f"{name}:30px or {name}:0.25nyq", mask=True)


def _pixels(name: str, number: Number, keys: tuple[str, ...], does: str, example: str) -> Kind:
    return Kind(name, number.name.upper(), keys, does, example, number=number)


# `dc` is accepted by every mask and kept only where the textbook mask can remove the mean.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("none", "", (), "the image itself; the filter code is bypassed", "none"),
        Kind("identity", "", ("bits",), "1 everywhere: the control for every filtered condition", "identity",
             mask=True),
        _mask("lowpass", ("order", "bits"), "1 / (1 + (D/D0)^2n)"),
        _mask("highpass", ("order", "dc", "bits"), "1 / (1 + (D0/D)^2n)"),
        _mask("bandpass", ("order", "width", "dc", "bits"), "1 - 1 / (1 + (D W/(D^2 - D0^2))^2n)"),
        _mask("bandstop", ("order", "width", "bits"), "1 - bandpass"),
        _mask("ideal-lowpass", ("bits",), "D <= D0"),
        _mask("ideal-highpass", ("dc", "bits"), "D > D0"),
        _mask("ideal-bandpass", ("width", "dc", "bits"), "D0 - W/2 <= D < D0 + W/2"),
        _mask("ideal-bandstop", ("width", "dc", "bits"), "1 - ideal-bandpass"),
        Kind("random-lowpass", "LOW..HIGH", ("order", "seed", "bits"),
             "lowpass, its cut-off drawn for each image", "random-lowpass:30..150px"),
        Kind("random-bandstop", "LOW..HIGH", ("order", "width", "seed", "bits"),
             "bandstop, its centre drawn for each image", "random-bandstop:10..100px"),
        _pixels("fda", Number("beta", 0, 0.5), _REFERENCE,
                "amplitudes of a reference within floor(min(H,W) beta) of DC, phases kept",
                "fda:0.01:reference=Real"),
        Kind("inject", "[MASK:]CUTOFF", ("order", "width", *_REFERENCE),
             "F (1 - M) + F_reference M; M bandpass, or the MASK named", "inject:40px:reference=Real"),
        _pixels("jpeg", Number("quality", 1, 100, whole=True), (),
                "written as JPEG of that quality and read again", "jpeg:75"),
        _pixels("webp", Number("quality", 1, 100, whole=True), (),
                "written as lossy WebP of that quality and read again", "webp:75"),
        _pixels("blur", Number("sigma", 0, 1000, above=True), ("bits",), "Gaussian blur, sigma in px", "blur:2"),
        _pixels("noise", Number("sd", 0, 255), ("seed", "bits"),
                "Gaussian noise, standard deviation in 8-bit levels", "noise:5"),
        _pixels("resize", Number("factor", 0, 1, above=True), ("bits",),
                "down by the factor, anti-aliased bilinear, and up again", "resize:0.5"),
        _pixels("crop", Number("share", 0, 1, above=True), ("bits",),
                "the centre, that share of each side, enlarged to the whole", "crop:0.8"),
        Kind("flip", "", (), "left and right changed over", "flip"),
    )
}  # fmt: skip
