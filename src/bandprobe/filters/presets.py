"""Lists of filters with a name of their own.

`thesis` is the published sweep on a 224 px grid. `claims` is what the claims of the thesis are judged on: 154
conditions, in fractions of Nyquist, on grids of at least 100 px. `bands` is what a probe's bands are located by: 41
conditions, in fractions of Nyquist. `robustness` is what happens to pictures on their way: 40 degradations and `none`.
`recipes` is what the recipes for better detectors are made of: 12 conditions, in fractions of Nyquist.
"""

from __future__ import annotations

from bandprobe.filters import degradations

_THESIS = ("identity", "lowpass:1px", "lowpass:5..185/5px")

# With Butterworth and with ideal masks: in float, in 8 bits, and in float behind a JPEG of quality 75, which
# makes the compression history of all images alike.
_BANDS = (
    "lowpass:0.15nyq",  # correspondence of low to high, and the effective rank of what is low
    "highpass:0.15nyq",  # the other side of the correspondence
    "lowpass:0.5nyq",  # what high frequencies are worth: the fall without them, and training without them
    "bandpass:0.325nyq:width=0.35nyq",  # the middle alone: what can be learnt from it
    "bandstop:0.325nyq:width=0.35nyq",  # all but the middle: what is lost with it
    "bandstop:0.75nyq:width=0.5nyq",  # as much or less energy, high
    # Low: one of these rings takes about the middle's energy out of photographs, narrower ones of smooth scenes.
    "bandstop:0.12nyq:width=0.02nyq",
    "bandstop:0.12nyq:width=0.04nyq",
    "bandstop:0.12nyq:width=0.06nyq",
)

# The smallest cut-off that keeps 95 % of what is had without a filter; with 0.15 and 0.5 above.
_LADDER = tuple(
    f"lowpass:{cutoff}nyq" for cutoff in (0.02, 0.03, 0.04, 0.06, 0.08, 0.11, 0.22, 0.32, 0.65, 0.9)
)


def _claims() -> tuple[str, ...]:
    masks = [f"{ideal}{mask}" for ideal in ("", "ideal-") for mask in (*_BANDS, *_LADDER)]
    raw = ["identity", *masks, *(f"{mask}:bits=8" for mask in masks)]
    return tuple(raw + [f"jpeg:75+{spec}" for spec in raw])


def _ring(kind: str, low: float, high: float) -> str:
    return f"ideal-{kind}:{round((low + high) / 2, 4)}nyq:width={round(high - low, 4)}nyq"


# Where one band ends and the next begins, up to the corner of the spectrum at 1.414. Not at multiples of 0.05: on
# common grids no coefficient lies on such an edge, where rounding would leave it in both bands or in neither.
_EDGES = (0.0, *(round(0.073 + 0.05 * number, 3) for number in range(20)), 1.15, 1.3, 1.45)

# Two bands wide, one band on from the other: every frequency is passed by two of them, and an artefact astride an edge
# is seen whole by one.
BAND_PASSES = tuple(
    _ring("bandpass", low, high)
    for low, high in (_EDGES[:2], *zip(_EDGES[:-2], _EDGES[2:], strict=True), _EDGES[-2:])
)

# Four bands wide, so that nothing a feature of the encoder pools over is left beside what is taken out.
_STOPPED = (
    (0.0, 0.223),
    *((round(0.123 + 0.1 * n, 3), round(0.323 + 0.1 * n, 3)) for n in range(8)),
    (0.923, 1.45),
)
BAND_STOPS = tuple(_ring("bandstop", low, high) for low, high in _STOPPED)

# Random rings, drawn once (evenly over log radius, a quarter to a third of the radius wide): in photographs, whose
# energy falls with the square of frequency, each takes about as much energy as one of the stops above it.
RANDOM_STOPS = tuple(
    _ring("bandstop", low, high)
    for low, high in ((0.085, 0.115), (0.13, 0.165), (0.18, 0.24), (0.25, 0.33), (0.36, 0.46), (0.5, 0.66))
)

# What recipes are made of (`bandprobe.recipes`). Low, middle and high frequencies, which meet where no coefficient of a
# common grid lies: each is in one of them.
PARTS = ("ideal-lowpass:0.153nyq", _ring("bandpass", 0.153, 0.503), "ideal-highpass:0.503nyq")
# Low-passes to average over, and to choose from.
RADII = tuple(f"lowpass:{cutoff}nyq" for cutoff in (0.15, 0.3, 0.5, 0.75))
# What high-passes change is taken out of embeddings.
CHANGES = ("highpass:0.15nyq", "highpass:0.5nyq")
# For training alone: the thesis's 30 to 150 px on its grid of 224, and stops about a sixth of the spectrum wide.
RANDOM_LOWPASS = "random-lowpass:0.27..1.34nyq"
RANDOM_BANDSTOP = "random-bandstop:0.1..1nyq:width=0.25nyq"

PRESETS: dict[str, tuple[str, ...]] = {
    "thesis": _THESIS,
    "claims": _claims(),
    "bands": ("identity", *BAND_PASSES, *BAND_STOPS, *RANDOM_STOPS),
    **degradations.presets(),
    "recipes": ("none", *PARTS, *RADII, *CHANGES, RANDOM_LOWPASS, RANDOM_BANDSTOP),
}
