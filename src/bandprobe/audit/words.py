"""A trace that gives the label away, in words."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bandprobe.audit.headers import CATEGORIES, NUMBERS
from bandprobe.audit.scores import Floats, Labels

ALL_METADATA = "metadata"
ALL_PIXELS = "pixel traces"

_SHOWN = 2
_CAUSES = {
    "blockiness": "JPEG blocks stronger in one class, or off the grid after a crop",
    "DCT histogram": "JPEG compression of one class, or at another quality, whatever the files are now",
    "double JPEG": "an earlier JPEG compression of one class, at another quality",
    "chroma detail": "chroma subsampling in one class",
    "interpolation": "a resize of one class, or another kernel",
}
_BY_CONTENT = ("file size", "bits per pixel")


def warning(trace: str, values: pd.Series[str] | Floats | None, label: Labels, strongest: list[str]) -> str:
    """One sentence on what differs between the classes.

    Args:
        trace: its name.
        values: of a single trace of metadata, a value an image; None for pixel traces and combinations.
        label: 0 real, 1 fake.
        strongest: of a combination, the single traces that tell most.
    """
    if trace in (ALL_METADATA, ALL_PIXELS):
        what = (
            "files without their pixels" if trace == ALL_METADATA else "traces of compression and resampling"
        )
        most = f", most of all {', '.join(strongest)}" if strongest else ""
        return f"{what} tell fakes from reals{most}"
    if trace in CATEGORIES:
        # A writer picks each row's filter by what is in it.
        content = ", perhaps by content" if trace == "PNG filters" else ""
        return f"{trace} differs: {_shares(pd.Series(values, dtype=object), label)}{content}"
    if trace in NUMBERS and values is not None:
        numbers = np.asarray(values, np.float64)
        real, fake = (_number(float(np.median(numbers[label == value]))) for value in (0, 1))
        content = ", perhaps by content: at equal settings simpler pictures make smaller files"
        return f"{trace} differs: median {real} of reals, {fake} of fakes{content if trace in _BY_CONTENT else ''}"
    return f"{trace} differs, as by {_CAUSES[trace]}"


def _shares(values: pd.Series[str], label: Labels) -> str:
    """The values whose shares differ most, one that fakes have and one that reals have."""
    shares = pd.crosstab(values, label, normalize="columns")
    ordered = (shares[1] - shares[0]).sort_values(kind="stable")
    ends = [ordered.index[-1], ordered.index[0]][: min(_SHOWN, len(ordered))]
    return "; ".join(
        f"{_short(value)} in {_percent(shares[1][value])} of fakes and {_percent(shares[0][value])} of reals"
        for value in ends
    )


def _short(value: str) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
