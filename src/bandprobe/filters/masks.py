"""The gain of each filter on a frequency grid.

Source of the Butterworth and ideal masks: Gonzalez & Woods, *Digital Image Processing*, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bandprobe import seeding
from bandprobe.errors import FilterError
from bandprobe.filters.kinds import Cutoff
from bandprobe.filters.spec import Filter
from bandprobe.filters.steps import Step

# Below this gain a full-range wave moves no 8-bit pixel.
_NOTHING = 0.5 / 255


def distance(shape: tuple[int, int], *, half: bool = False) -> NDArray[np.float64]:
    """Radial frequency of each coefficient, in cycles per shorter side.

    `D = min(H, W) * hypot(u / H, v / W)` with u, v the signed FFT indices: on a square grid the plain
    pixel distance from the centre of the shifted spectrum, `(H // 2, W // 2)`.

    Args:
        shape: the grid's height and width.
        half: only the columns that `rfft2` keeps, `W // 2 + 1` of them.

    Returns:
        float64, shape (H, W) or (H, W // 2 + 1), in the FFT's own order: DC at [0, 0].
    """
    (height, width), shorter = shape, min(shape)
    # Whole numbers stay whole: on a square grid a coefficient at exactly D0 is not lost to rounding.
    rows = np.fft.fftfreq(height, 1 / height)[:, None]
    columns = (np.fft.rfftfreq if half else np.fft.fftfreq)(width, 1 / width)[None, :]
    radius: NDArray[np.float64] = np.hypot(rows * (shorter / height), columns * (shorter / width))
    return radius


def gain(step: Step, shape: tuple[int, int], *, half: bool = False) -> NDArray[np.float64]:
    """One step's mask.

    Args:
        step: the filter step; its cut-off and width are turned into px of this grid.
        shape: the grid's height and width.
        half: only the columns that `rfft2` keeps.

    Returns:
        float64 in [0, 1], laid out as `distance`. The mask is even in both indices, so the half
        spectrum loses nothing and the filtered image is real.
    """
    D = distance(shape, half=half)
    if step.cutoff is None:  # identity
        return np.ones_like(D)
    D0, W = step.cutoff.px(shape), step.width.px(shape)
    base = step.kind.removeprefix("ideal-")
    if step.kind.startswith("ideal-"):
        inside = D <= D0 if base in ("lowpass", "highpass") else (D0 - W / 2 <= D) & (D < D0 + W / 2)
        mask = inside.astype(float)
        if base in ("highpass", "bandstop"):
            mask = 1 - mask
    elif base in ("lowpass", "highpass"):
        low = butterworth(D, D0, step.order)
        mask = low if base == "lowpass" else 1 - low
    else:
        along, across = _band_terms(D, D0, W, step.order)
        mask = (along if base == "bandpass" else across) / (along + across)
    if step.dc == "keep":
        mask[0, 0] = 1.0
    return mask


def butterworth(D: NDArray[np.float64], D0: float | NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The Butterworth low-pass `1 / (1 + (D / D0)^(2n))`; several cut-offs broadcast against the grid."""
    gains: NDArray[np.float64] = 1 / (1 + (D / D0) ** (2 * order))
    return gains


def butterworth_stop(
    D: NDArray[np.float64], D0: float | NDArray[np.float64], W: float, order: int
) -> NDArray[np.float64]:
    """The Butterworth band-stop `1 / (1 + (D W / (D^2 - D0^2))^(2n))`; several centres broadcast against the grid."""
    along, across = _band_terms(D, D0, W, order)
    gains: NDArray[np.float64] = across / (along + across)
    return gains


def _band_terms(
    D: NDArray[np.float64], D0: float | NDArray[np.float64], W: float, order: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a band passes and what it stops in proportion: no division by zero at D = D0."""
    return (D * W) ** (2 * order), (D**2 - D0**2) ** (2 * order)


def drawn_gains(
    step: Step, shape: tuple[int, int], ids: Sequence[str], stream: str = "0", *, half: bool = False
) -> NDArray[np.float64]:
    """The masks of a step whose cut-off is drawn, one for each image.

    Args:
        step: a `random-lowpass` or `random-bandstop`.
        shape: the grid's height and width.
        ids: the images' ids.
        stream: tells apart the steps of one chain.
        half: only the columns that `rfft2` keeps.

    Returns:
        float64 in [0, 1], shape (n, 1, H, W), laid out as `distance`.
    """
    cutoffs = [cutoff.px(shape) for cutoff in drawn_cutoffs(step, ids, stream)]
    return _gains_at(step, shape, cutoffs, half=half)


def _gains_at(
    step: Step, shape: tuple[int, int], cutoffs: Sequence[float], *, half: bool = False
) -> NDArray[np.float64]:
    D, D0 = distance(shape, half=half), np.reshape(cutoffs, (-1, 1, 1, 1))
    if step.kind == "random-lowpass":
        return butterworth(D, D0, step.order)
    return butterworth_stop(D, D0, step.width.px(shape), step.order)


def drawn_cutoffs(step: Step, ids: Sequence[str], stream: str = "0") -> list[Cutoff]:
    """The cut-off of a `random-lowpass` or `random-bandstop` for each image, whatever the batch and its order.

    Args:
        step: the filter step.
        ids: the images' ids.
        stream: tells apart the steps of one chain.

    Returns:
        Cut-offs in the unit of the step's range. With one seed an image stands at the same fraction of any
        range.
    """
    if step.span is None:
        return []
    low, high = step.span.low, step.span.high
    return [
        Cutoff(seeding.generator(step.seed, step.kind, stream, image).uniform(low, high), step.span.unit)
        for image in ids
    ]


@lru_cache(maxsize=256)
def mask_of(steps: tuple[Step, ...], shape: tuple[int, int], half: bool = True) -> NDArray[np.float64]:
    """The product of several steps' masks in the FFT's own order, read-only; `half` as `rfft2` keeps it.

    Raises:
        FilterError: the product passes no frequency but, at most, the mean.
    """
    mask = np.ones((shape[0], shape[1] // 2 + 1 if half else shape[1]))
    for step in steps:
        mask = mask * gain(step, shape, half=half)
    if not passes(mask):
        raise FilterError(f"filter {str(Filter(steps))!r} removes everything on {_described(shape)}.")
    mask.setflags(write=False)
    return mask


def passes(mask: NDArray[np.float64]) -> bool:
    """Whether a mask passes a frequency besides the mean."""
    return bool(mask.ravel()[1:].max(initial=0) >= _NOTHING)


def _described(shape: tuple[int, int]) -> str:
    top = float(distance(shape).max())
    return (
        f"a {shape[0]} x {shape[1]} grid, whose frequencies end at {top:.4g} px "
        f"({top / (min(shape) / 2):.3g} nyq); choose a cut-off inside it"
    )


def check(spec: Filter, shape: tuple[int, int]) -> None:
    """See that a filter passes something on a grid, before any work is done with it.

    Raises:
        FilterError: it removes everything, or puts nothing of its reference in.
    """
    for step in spec.steps:
        if step.is_mask:
            mask_of((step,), shape)
        elif step.span is not None:
            ends = [Cutoff(end, step.span.unit).px(shape) for end in (step.span.low, step.span.high)]
            if not all(map(passes, _gains_at(step, shape, ends))):
                raise FilterError(f"filter {str(step)!r} may remove everything on {_described(shape)}.")
        elif step.kind == "inject" and not passes(gain(step.injected, shape)):
            raise FilterError(
                f"filter {str(step)!r} takes nothing from its reference on {_described(shape)}."
            )
    for joined, steps in groupby(spec.steps, key=lambda step: step.is_mask):
        if joined:
            mask_of(tuple(steps), shape)
