"""What happens to pictures on their way to a detector: eight families of degradation in five severities each.

The scheme, families in five severities that are applied each alone, is that of Hendrycks & Dietterich 2019. Their
severities begin where forensic traces have long gone (JPEG of quality 25, noise of 20 levels), so these are milder:
severity 1 is barely seen, 5 plainly. Each family ends in 8-bit levels, as a file does.

Everything works on the study's grid, after the one resize: a JPEG's blocks are 8 px of that grid, and a factor, a
share or a sigma refers to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

SEVERITIES = (1, 2, 3, 4, 5)
FEWEST_SEVERITIES = 2  # of one family, for a grid of severities
REFERENCE = "none"  # the degradation of what others are compared with


@dataclass(frozen=True)
class Family:
    """A kind of degradation.

    Attributes:
        name: as tables name it.
        specs: canonical filter specs, mildest first.
        does: what it stands for, in words.
        source: where the values come from.
    """

    name: str
    specs: tuple[str, str, str, str, str]
    does: str
    source: str


FAMILIES: tuple[Family, ...] = (
    Family(
        "jpeg",
        ("jpeg:95", "jpeg:85", "jpeg:75", "jpeg:50", "jpeg:30"),
        "compressed as JPEG",
        "within qualities 30 to 100, by which Wang et al. 2020 train; the steps are chosen here",
    ),
    Family(
        "webp",
        ("webp:95", "webp:85", "webp:75", "webp:50", "webp:30"),
        "compressed as lossy WebP",
        "chosen here, the qualities of jpeg",
    ),
    Family(
        "resize",
        ("resize:0.85:bits=8", "resize:0.7:bits=8", "resize:0.5:bits=8", "resize:0.35:bits=8", "resize:0.25:bits=8"),
        "made smaller, and as large as before again",
        "down to the factor 0.25 of Hendrycks & Dietterich 2019 (pixelate, from 0.6); the steps are chosen here",
    ),
    Family(
        "blur",
        ("blur:0.5:bits=8", "blur:1:bits=8", "blur:2:bits=8", "blur:3:bits=8", "blur:4:bits=8"),
        "Gaussian blur",
        "1 to 4 are severities 1 to 4 of Hendrycks & Dietterich 2019 (gaussian_blur); Wang et al. 2020 train up to 3",
    ),
    Family(
        "noise",
        ("noise:2:bits=8", "noise:5:bits=8", "noise:10:bits=8", "noise:15:bits=8", "noise:20:bits=8"),
        "Gaussian noise",
        "5 to 20 levels is the range of the code of Frank et al. 2020; 20 is severity 1 of Hendrycks & Dietterich 2019",
    ),
    Family(
        "crop",
        ("crop:0.95:bits=8", "crop:0.9:bits=8", "crop:0.8:bits=8", "crop:0.65:bits=8", "crop:0.5:bits=8"),
        "the centre, enlarged to the whole",
        "5 to 20 % off each side's length is the range of Frank et al. 2020; 0.65 and 0.5 are chosen here",
    ),
    Family(
        "screenshot",
        (
            "crop:0.98+resize:0.9+jpeg:95",
            "crop:0.96+resize:0.8+jpeg:90",
            "crop:0.94+resize:0.7+jpeg:80",
            "crop:0.92+resize:0.6+jpeg:70",
            "crop:0.9+resize:0.5+jpeg:60",
        ),
        "cut out of a screen: resampled onto another grid, shown smaller, compressed anew; nothing is sharpened",
        "chosen here",
    ),
    Family(
        "social",
        (
            "resize:0.8+jpeg:85",
            "resize:0.65+jpeg:75",
            "resize:0.65+jpeg:75+resize:0.65+jpeg:75",
            "resize:0.5+jpeg:70+resize:0.5+jpeg:60",
            "resize:0.4+jpeg:50+resize:0.4+jpeg:40",
        ),
        "shared: made smaller and compressed; from severity 3 on shared again",
        "that networks resize and recompress, and what it costs detectors: Marra et al. 2018, Dell'Anna et al. 2025; "
        "the values are chosen here, no one network's",
    ),
)  # fmt: skip

PRESET = "robustness"


@dataclass(frozen=True)
class Degradation:
    """A condition, read as a degradation of another.

    Attributes:
        family: a name in `FAMILIES`.
        severity: 1 to 5.
        before: canonical spec of what comes before it: `none` where it is alone.
    """

    family: str
    severity: int
    before: str


@dataclass(frozen=True)
class Condition:
    """A test filter as a grid of severities has it.

    Attributes:
        spec: canonical.
        degradation: a name in `FAMILIES`; `none` for what others are compared with.
        severity: 1 to 5; 0 for what others are compared with.
    """

    spec: str
    degradation: str
    severity: int


def presets() -> dict[str, tuple[str, ...]]:
    """`robustness`, which is all of them and what they are compared with, and `robustness-FAMILY` for each family."""
    families = {f"{PRESET}-{family.name}": ("none", *family.specs) for family in FAMILIES}
    every = tuple(spec for family in FAMILIES for spec in family.specs)
    return {PRESET: ("none", *every), **families}


def readings(spec: str) -> list[Degradation]:
    """A condition as a degradation, alone or after a filter, in every way it can be read; empty where it is none.

    `resize:0.8+jpeg:85` is both a picture that was shared and a JPEG after a resize. The longer degradation is first.

    Args:
        spec: canonical.
    """
    found = []
    for known, (family, severity) in _by_length():
        if spec == known:
            found.append(Degradation(family, severity, "none"))
        elif spec.endswith(f"+{known}"):
            found.append(Degradation(family, severity, spec.removesuffix(f"+{known}")))
    return found


def graded(specs: Sequence[str]) -> dict[str, tuple[Condition, ...]]:
    """The grids of severities among test filters, by what comes before the degradations.

    A degradation counts where what comes before it is a test filter as well, and its family in two severities or more.

    Args:
        specs: canonical.

    Returns:
        For each filter before (`none` where they are alone) itself, then its degradations, families in their order,
        mildest first; empty without such a grid.
    """
    order = {family.name: number for number, family in enumerate(FAMILIES)}
    found: dict[str, list[Condition]] = {}
    for spec in specs:
        for read in readings(spec):
            if read.before in specs:
                found.setdefault(read.before, []).append(Condition(spec, read.family, read.severity))
    grids = {}
    for before, conditions in found.items():
        ordered = sorted(conditions, key=lambda one: (order[one.degradation], one.severity))
        families = [list(of) for _, of in groupby(ordered, key=lambda one: one.degradation)]
        kept = [one for family in families if len(family) >= FEWEST_SEVERITIES for one in family]
        if kept:
            grids[before] = (Condition(before, REFERENCE, 0), *kept)
    return grids


@lru_cache(maxsize=1)
def _by_length() -> tuple[tuple[str, tuple[str, int]], ...]:
    named = {
        spec: (family.name, severity)
        for family in FAMILIES
        for severity, spec in zip(SEVERITIES, family.specs, strict=True)
    }
    return tuple(sorted(named.items(), key=lambda item: -item[0].count("+")))
