"""What is taken from another image's spectrum: amplitudes near DC, or a band.

Both work on spectra in the FFT's own order, whole (`fft2`) or half (`rfft2`), of source and reference alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Rows and columns of a spectrum, in the FFT's own order."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def window(shape: tuple[int, int], beta: float, *, half: bool = False) -> Window:
    """The square of low frequencies that Fourier Domain Adaptation exchanges.

    Args:
        shape: the grid's height and width.
        beta: share of the shorter side, in [0, 0.5].
        half: only the columns that `rfft2` keeps.

    Returns:
        The indices of rows and columns `c - b .. c + b` of the shifted spectrum, both ends included, with
        `b = floor(min(H, W) beta)` and c the place of DC: signed frequencies from -b to b in index units.

    Source:
        Yang & Soatto 2020 (arXiv:2004.05498); both ends included as in albumentations 1.3.1.
    """
    b = int(np.floor(min(shape) * beta))
    rows = np.fft.fftfreq(shape[0], 1 / shape[0])
    columns = (np.fft.rfftfreq if half else np.fft.fftfreq)(shape[1], 1 / shape[1])
    return Window(*(np.flatnonzero(np.abs(np.rint(axis)) <= b) for axis in (rows, columns)))


def adapt(spectrum: torch.Tensor, reference: torch.Tensor, low: Window) -> torch.Tensor:
    """Fourier Domain Adaptation: the reference's amplitudes inside the window, the source's phases.

    Args:
        spectrum: complex, shape (n, c, h, w), the source's.
        reference: the same of the reference, or of one for all, shape (1, c, h, w).
        low: the window, see `window`.

    Returns:
        A new spectrum of `spectrum`'s shape. Both images being real, so is its inverse.
    """
    rows = torch.as_tensor(low.rows, device=spectrum.device)[:, None]
    columns = torch.as_tensor(low.columns, device=spectrum.device)
    adapted = spectrum.clone()
    inside = spectrum[..., rows, columns]
    amplitude = reference[..., rows, columns].abs().expand(inside.shape)
    adapted[..., rows, columns] = torch.polar(amplitude, inside.angle())
    return adapted


def inject(spectrum: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A part of the reference in the source's place: `F (1 - M) + F_reference M`.

    Args:
        spectrum: complex, shape (n, c, h, w), the source's.
        reference: the same of the reference, or of one for all, shape (1, c, h, w).
        mask: M, real in [0, 1], shape (h, w).
    """
    # Written so that a reference equal to the source changes nothing at all.
    return spectrum + (reference - spectrum) * mask
