"""The bank of filters that bands are located by, as rings of frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandprobe.filters import parse
from bandprobe.filters.presets import BAND_PASSES, BAND_STOPS, RANDOM_STOPS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

IDENTITY = "identity"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Ring:
    """A filter that passes or stops the frequencies of a ring, and nothing else.

    Attributes:
        filter: its canonical spec.
        low_nyq: inner radius, a fraction of Nyquist.
        high_nyq: outer radius.
    """

    filter: str
    low_nyq: float
    high_nyq: float

    @classmethod
    def of(cls, spec: str) -> Ring:
        """The ring of an ideal band-pass or band-stop given in fractions of Nyquist."""
        [step] = parse(spec).steps
        # Of any grid: in this unit a cut-off is the same fraction of Nyquist on all of them.
        centre, width = (0.0 if one is None else one.value for one in (step.cutoff, step.width))
        return cls(str(step), round(centre - width / 2, 6), round(centre + width / 2, 6))

    def apart(self, other: Ring) -> bool:
        """Whether the two share no frequency."""
        return self.high_nyq <= other.low_nyq + _ROUNDING or other.high_nyq <= self.low_nyq + _ROUNDING

    def within(self, other: Ring) -> bool:
        """Whether the other holds all of it."""
        return other.low_nyq <= self.low_nyq + _ROUNDING and self.high_nyq <= other.high_nyq + _ROUNDING


PASSES = tuple(map(Ring.of, BAND_PASSES))
STOPS = tuple(map(Ring.of, BAND_STOPS))
RANDOM = tuple(map(Ring.of, RANDOM_STOPS))
# Their places where passes, stops and random stops follow one another.
PASSED = slice(0, len(PASSES))
STOPPED = slice(len(PASSES), len(PASSES) + len(STOPS))
CONDITIONS = (IDENTITY, *(ring.filter for ring in (*PASSES, *STOPS, *RANDOM)))

# The bands that these tell apart: from an edge to the next, and any run of them.
EDGES = tuple(sorted({edge for ring in PASSES for edge in (ring.low_nyq, ring.high_nyq)}))
_RUNS = [(start, end) for start in range(len(EDGES)) for end in range(start + 1, len(EDGES))]


class Candidates(NamedTuple):
    """Every run of bands, and what follows if a probe uses that run alone.

    Attributes:
        rings: the runs.
        steps: how many bands each is long, (runs,).
        passes: (passes, runs), True where the pass shares no frequency with the run: it is left nothing.
        stops: (stops, runs), True where the stop takes all of the run: nothing is left.
    """

    rings: tuple[Ring, ...]
    steps: Floats
    passes: Mask
    stops: Mask


def _candidates() -> Candidates:
    rings = tuple(Ring("", EDGES[start], EDGES[end]) for start, end in _RUNS)
    return Candidates(
        rings,
        np.array([end - start for start, end in _RUNS], np.float64),
        np.array([[band.apart(run) for run in rings] for band in PASSES]),
        np.array([[run.within(band) for run in rings] for band in STOPS]),
    )


CANDIDATES = _candidates()
