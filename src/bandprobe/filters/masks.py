"""The gain of each filter on a frequency grid.

Source of the Butterworth and ideal masks: Gonzalez & Woods, *Digital Image Processing*, chapter 4.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import FilterError
from bandprobe.filters.spec import Filter, Step

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
    height, width = shape
    rows = np.fft.fftfreq(height)[:, None]
    columns = (np.fft.rfftfreq(width) if half else np.fft.fftfreq(width))[None, :]
    radius: NDArray[np.float64] = min(shape) * np.hypot(rows, columns)
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
    D0, W, exponent = step.cutoff.px(shape), step.width.px(shape), 2 * step.order
    base = step.kind.removeprefix("ideal-")
    if step.kind.startswith("ideal-"):
        inside = D <= D0 if base in ("lowpass", "highpass") else (D0 - W / 2 <= D) & (D < D0 + W / 2)
        mask = inside.astype(float)
        if base in ("highpass", "bandstop"):
            mask = 1 - mask
    elif base in ("lowpass", "highpass"):
        low = 1 / (1 + (D / D0) ** exponent)
        mask = low if base == "lowpass" else 1 - low
    else:
        # 1 - 1 / (1 + (D W / (D^2 - D0^2))^2n), without the division by zero at D = D0.
        along, across = (D * W) ** exponent, (D**2 - D0**2) ** exponent
        mask = (along if base == "bandpass" else across) / (along + across)
    if step.dc == "keep":
        mask[0, 0] = 1.0
    return mask


@lru_cache(maxsize=256)
def half_mask(steps: tuple[Step, ...], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The product of several steps' masks on the half spectrum of `rfft2`, read-only.

    Raises:
        FilterError: the product passes no frequency but, at most, the mean.
    """
    mask = np.ones((shape[0], shape[1] // 2 + 1))
    for step in steps:
        mask = mask * gain(step, shape, half=True)
    passed = mask.copy()
    passed[0, 0] = 0
    if passed.max() < _NOTHING:
        top = float(distance(shape).max())
        raise FilterError(
            f"filter {str(Filter(steps))!r} removes everything on a {shape[0]} x {shape[1]} grid, whose "
            f"frequencies end at {top:.4g} px ({top / (min(shape) / 2):.3g} nyq); choose a cut-off inside it."
        )
    mask.setflags(write=False)
    return mask


def check(spec: Filter, shape: tuple[int, int]) -> None:
    """See that a filter passes something on a grid, before any work is done with it.

    Raises:
        FilterError: it removes everything.
    """
    for step in spec.steps:
        half_mask((step,), shape)
    half_mask(spec.steps, shape)
