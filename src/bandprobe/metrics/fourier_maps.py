"""Maps over the 2-D Fourier plane: basis images, energy per coefficient, radial and orientation profiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bandprobe.filters.masks import distance

Floats = npt.NDArray[np.float64]

ORIENTATIONS = 12  # bins of 15 degrees


def gradient_energy(gradient: Tensor) -> Tensor:
    """|G|^2 of each coefficient, summed over colours, G the FFT of an input gradient.

    G is the derivative of the differentiated quantity with respect to the amplitude of each Fourier basis image. A
    real basis image of unit energy, at the best phase and shared out best among colours, moves the quantity by
    `sqrt(2 * energy)` for each unit of amplitude; over all phases and all ways of sharing, its square is
    `energy / 3` in the mean. Where a coefficient is its own conjugate (DC, Nyquist), there is one phase and no
    factor 2.

    Args:
        gradient: shape (n, c, h, w), the quantity's unit for each unit of intensity.

    Returns:
        float64, shape (n, h, w), shifted: DC at (h // 2, w // 2).
    """
    spectrum = torch.fft.fft2(gradient.double(), norm="ortho")
    energy: Tensor = torch.fft.fftshift(spectrum.abs().square().sum(1), dim=(-2, -1))
    return energy


def amplitude_phase(gradient: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """How a quantity changes with the amplitude and with the phase of what images hold at each frequency.

    With X the FFT of the image and G that of the gradient, a relative growth of a coefficient and its conjugate by
    `da` moves the quantity by `da Re(conj(G) X)` for each of the two, and a turn by `dp` radians (the conjugate turns
    the other way) by `-dp Im(conj(G) X)` for each.

    Args:
        gradient: shape (n, c, h, w), the quantity's unit for each unit of intensity.
        images: of the same shape, where the gradient was taken.

    Returns:
        Amplitude and phase, float64, shape (n, h, w), shifted, the colours growing and turning together. Over any
        set of coefficients that holds each one's conjugate, amplitudes sum to the derivative by the set's log gain.
    """
    spectra = [torch.fft.fft2(one.double(), norm="ortho") for one in (gradient, images)]
    product = torch.fft.fftshift((spectra[0].conj() * spectra[1]).sum(1), dim=(-2, -1))
    return product.real, -product.imag


def ring_number(shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Which one-cycle ring each coefficient of a shifted spectrum lies in: `round(D)`, shape (h, w)."""
    return np.asarray(np.fft.fftshift(np.rint(distance(shape)).astype(np.int64)))


def ring_sizes(shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """How many coefficients each ring up to Nyquist of the shorter side holds, shape (min(h, w) // 2 + 1,)."""
    last = min(shape) // 2
    return np.asarray(np.bincount(ring_number(shape).ravel(), minlength=last + 1)[: last + 1])


def radial_profile(maps: npt.ArrayLike) -> Floats:
    """Mean of a map in each ring `round(D)` up to Nyquist of the shorter side.

    Args:
        maps: shape (..., h, w), shifted.

    Returns:
        float64, shape (..., min(h, w) // 2 + 1); column k is k cycles per shorter side.
    """
    values = np.asarray(maps, np.float64)
    shape = (int(values.shape[-2]), int(values.shape[-1]))
    rings = ring_number(shape).ravel()
    last = min(shape) // 2
    return _binned_means(values.reshape(*values.shape[:-2], -1), rings, last + 1)


def orientation(shape: tuple[int, int]) -> Floats:
    """Direction of each coefficient's wave vector, in degrees from 0 (varies along a row) to below 180, shape (h, w).

    A wave's crests lie across it: 0 are vertical stripes, 90 horizontal ones. DC has none: NaN.
    """
    rows = np.fft.fftshift(np.fft.fftfreq(shape[0]))[:, None]
    columns = np.fft.fftshift(np.fft.fftfreq(shape[1]))[None, :]
    angle = np.degrees(np.arctan2(rows, columns)) % 180
    angle[(rows == 0) & (columns == 0)] = np.nan
    return np.asarray(angle, np.float64)


def orientation_profile(maps: npt.ArrayLike, bins: int = ORIENTATIONS) -> Floats:
    """Mean of a map in each sector of wave directions, DC and frequencies beyond Nyquist's ring left out.

    Args:
        maps: shape (..., h, w), shifted.
        bins: sectors of 180 / bins degrees; the first is centred on 0.

    Returns:
        float64, shape (..., bins).
    """
    values = np.asarray(maps, np.float64)
    shape = (int(values.shape[-2]), int(values.shape[-1]))
    angle = orientation(shape)
    sector = np.where(np.isnan(angle), 0, np.rint(angle / (180 / bins)) % bins).astype(np.int64)
    rings = ring_number(shape)
    outside = (rings == 0) | (rings > min(shape) // 2)
    return _binned_means(
        values.reshape(*values.shape[:-2], -1), np.where(outside, bins, sector).ravel(), bins
    )


def _binned_means(values: Floats, number: npt.NDArray[np.int64], bins: int) -> Floats:
    """Means over the last axis of what has each number below `bins`, shape (..., bins)."""
    from scipy import sparse

    kept = np.flatnonzero(number < bins)
    counts = np.bincount(number[kept], minlength=bins)
    share = 1 / np.maximum(counts, 1)[number[kept]]
    mean = sparse.csr_array((share, (number[kept], kept)), shape=(bins, len(number)))
    flat = values.reshape(-1, values.shape[-1])
    found = np.asarray((mean @ flat.T).T).reshape(*values.shape[:-1], bins)
    found[..., counts == 0] = np.nan
    return found


def basis_image(shape: tuple[int, int], place: tuple[int, int], phase: float = 0.0) -> Floats:
    """The real Fourier basis image of one coefficient and its conjugate, of unit L2 norm, shape (h, w).

    Args:
        shape: height and width.
        place: row and column in the shifted spectrum.
        phase: radians; a coefficient that is its own conjugate has no phase but 0.

    Source:
        Yin et al. 2019 (arXiv:1906.08988), section 3.
    """
    height, width = shape
    u, v = place[0] - height // 2, place[1] - width // 2
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    wave = np.cos(2 * np.pi * (u * rows / height + v * columns / width) + phase)
    norm = float(np.linalg.norm(wave))
    return np.asarray(wave / norm if norm > 1e-9 else np.zeros(shape), np.float64)
