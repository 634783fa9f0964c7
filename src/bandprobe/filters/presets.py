"""Lists of filters with a name of their own.

`thesis` is the published sweep on a 224 px grid. `claims` is what the claims of the thesis are judged on: 154
conditions, in fractions of Nyquist, on grids of at least 100 px.
"""

from __future__ import annotations

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


PRESETS: dict[str, tuple[str, ...]] = {"thesis": _THESIS, "claims": _claims()}
