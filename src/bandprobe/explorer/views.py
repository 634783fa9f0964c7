"""What the explorer shows of a picture under a filter: the picture, its spectrum with the mask, and what was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import InputError
from bandprobe.filters import Filter, parse
from bandprobe.filters.masks import distance, gain

KINDS = ("lowpass", "highpass", "bandpass", "bandstop")
LARGEST = 512  # px of the shorter side where no probe says how large a picture is
_CONTOUR = (255, 255, 255)


@dataclass(frozen=True)
class View:
    """A picture under a filter.

    Attributes:
        filtered: uint8, shape (h, w, 3).
        spectrum: uint8, shape (h, w, 3): log power, shifted, with the line where the mask passes one half.
        residual: uint8, shape (h, w, 3): picture less filtered picture, around middle grey.
        energy_left: share of the energy outside DC that the filter leaves.
        cutoff_px: cycles per shorter side.
        cutoff_nyq: fraction of Nyquist.
    """

    filtered: NDArray[np.uint8]
    spectrum: NDArray[np.uint8]
    residual: NDArray[np.uint8]
    energy_left: float
    cutoff_px: float
    cutoff_nyq: float


def spec_of(
    kind: str, cutoff_nyq: float, *, ideal: bool = False, order: int = 1, width_nyq: float = 0.18
) -> Filter:
    """The filter that the controls stand for.

    Args:
        kind: of `KINDS`.
        cutoff_nyq: fraction of Nyquist, above 0.
        ideal: a step in place of Butterworth's slope.
        order: of Butterworth's.
        width_nyq: of a band.

    Raises:
        InputError: another kind.
        FilterError: a number out of its range.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    text = f"{'ideal-' if ideal else ''}{kind}:{cutoff_nyq:.6g}nyq"
    text += f":width={width_nyq:.6g}nyq" if kind.startswith("band") else ""
    return parse(text if ideal else f"{text}:order={order}")


def view(picture: NDArray[np.uint8], spec: Filter) -> View:
    """A picture under a filter on its own grid.

    Args:
        picture: uint8, shape (h, w, 3).
        spec: one step with a cut-off.

    Raises:
        FilterError: the filter takes everything on this grid.
    """
    image = picture.transpose(2, 0, 1)[None].astype(np.float32) / 255
    filtered = spec(image)
    [step] = spec.steps
    shape = (picture.shape[0], picture.shape[1])
    mask = gain(step, shape)
    power = (np.abs(np.fft.fft2(image[0].astype(np.float64), norm="ortho")) ** 2).sum(0)
    outside_dc = distance(shape) > 0
    left = float((power * mask**2)[outside_dc].sum() / max(power[outside_dc].sum(), 1e-12))
    cutoff = step.cutoff
    px = cutoff.px(shape) if cutoff is not None else float("nan")
    return View(
        _shown(filtered[0]),
        _spectrum(np.fft.fftshift(power), np.fft.fftshift(mask)),
        _shown(image[0] - filtered[0] + 0.5),
        left,
        px,
        px / (min(shape) / 2),
    )


def _shown(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(3, h, w) in [0, 1] or beyond -> (h, w, 3), clipped and rounded."""
    levels = np.rint(np.clip(image, 0, 1) * 255)
    return np.ascontiguousarray(levels.transpose(1, 2, 0).astype(np.uint8))


def _spectrum(power: NDArray[np.float64], mask: NDArray[np.float64]) -> NDArray[np.uint8]:
    import matplotlib as mpl

    logged = np.log10(power + 1e-8)
    low, high = np.percentile(logged, [1, 99.8])
    scaled = np.clip((logged - low) / max(high - low, 1e-9), 0, 1)
    picture: NDArray[np.uint8] = np.rint(mpl.colormaps["magma"](scaled)[..., :3] * 255).astype(np.uint8)
    passed = mask >= 0.5 - 1e-9
    edge = np.zeros_like(passed)
    edge[1:] |= passed[1:] != passed[:-1]
    edge[:, 1:] |= passed[:, 1:] != passed[:, :-1]
    picture[edge] = _CONTOUR
    return picture
