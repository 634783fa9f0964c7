"""Which filters of a store belong together: a low-pass and its high-pass, a filter and its identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bandprobe.errors import InputError
from bandprobe.filters import Cutoff, Filter
from bandprobe.images import Geometry
from bandprobe.store import Fingerprint

_OPPOSITE = {"lowpass": "highpass", "ideal-lowpass": "ideal-highpass"}

Grid = tuple[int, int]


def opposite(low: Filter) -> Filter | None:
    """The filter with the high-pass of the same cut-off in place of the one low-pass; None without such."""
    passing = [number for number, step in enumerate(low.steps) if step.kind in _OPPOSITE]
    if len(passing) != 1 or any(step.kind in _OPPOSITE.values() for step in low.steps):
        return None
    steps = list(low.steps)
    steps[passing[0]] = replace(steps[passing[0]], kind=_OPPOSITE[steps[passing[0]].kind])
    return Filter(tuple(steps))


def stored_opposite(low: Filter, filters: Sequence[Filter], grid: Grid | None) -> Filter | None:
    """The high-pass among `filters` that goes with a low-pass, whatever the unit of its cut-off.

    One that keeps the mean, as the default is, comes before one that does not.
    """
    high = opposite(low)
    if high is None:
        return None
    wanted = _in_px(high, grid)
    found = [spec for spec in filters if _in_px(spec, grid) == wanted]
    return min(found, key=lambda spec: [step.dc == "zero" for step in spec.steps], default=None)


def control_of(spec: Filter, filters: Sequence[Filter]) -> str | None:
    """The identity among `filters` that one is compared with: in 8 bits for one in 8 bits, where it is there."""
    names = {str(one) for one in filters}
    eight = any(step.bits is not None for step in spec.steps)
    wanted = ("identity:bits=8", "identity") if eight else ("identity",)
    return next((name for name in wanted if name in names), None)


def geometry_of(made_with: Fingerprint) -> Geometry | None:
    """How images got onto an encoder's grid; None for embeddings that were made elsewhere."""
    try:
        return Geometry.parse(made_with.get("geometry", "").removesuffix(":aliased"))
    except InputError:
        return None


def cutoffs(spec: Filter, grid: Grid | None) -> tuple[float, float]:
    """A filter's cut-off in px and of Nyquist; NaN where it has none, or in units of an unknown grid."""
    cutoff = spec.cutoff
    if cutoff is None:
        return np.nan, np.nan
    if grid is None:
        return tuple(cutoff.value if cutoff.unit == unit else np.nan for unit in ("px", "nyq"))  # type: ignore[return-value]
    return cutoff.px(grid), cutoff.nyq(grid)


def _in_px(spec: Filter, grid: Grid | None) -> Filter:
    """A filter with its cut-offs in px, and DC passed or not alike."""
    return Filter(
        tuple(
            replace(
                step,
                dc="keep",
                cutoff=Cutoff(round(step.cutoff.px(grid), 6)) if step.cutoff and grid else step.cutoff,
            )
            for step in spec.steps
        )
    )
