"""Spectra of grey images, averaged over a source: what a generator leaves behind in frequency space.

Fourier spectra are shown with DC in the middle, at `(size // 2, size // 2)`, as everywhere here.
Conventions, window sizes and quantities are those of Ricker et al. 2022 (arXiv:2210.14571).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import fft

from bandprobe.errors import InputError, did_you_mean
from bandprobe.metrics.gathering import Gathered
from bandprobe.metrics.grey import Images, centred, residual, unit_of
from bandprobe.metrics.radial import Floats, half_index, power_of
from bandprobe.metrics.spectrum_kinds import STATISTICS, TRANSFORMS


class Spectrum(Gathered):
    """Two-dimensional spectrum F of one source, gathered batch by batch in memory that does not grow.

    `|E[F]|` is the transform of the mean image, so that a source of which nothing else is asked needs one
    transform in all. The sums are float64; those of 8-bit levels are exact.

    Args:
        size: side of the images, even.
        transform: `fft_hp` (FFT of the image less its 3 x 3 median), `fft` (of the image itself) or `dct`
            (type II); all with the ortho norm.
        spread: transform each image, for `magnitude`, `power` and `std`.

    Raises:
        ShapeError: size is odd or below 4.
        InputError: the transform is unknown.
    """

    _sums = ("_pixels", "_squares", "_mean", "_magnitude", "_power")

    def __init__(self, size: int, transform: str = "fft_hp", *, spread: bool = True) -> None:
        if transform not in TRANSFORMS:
            raise InputError(
                f"transform must be one of {', '.join(TRANSFORMS)}; got {transform!r}."
                f"{did_you_mean(transform, TRANSFORMS)}"
            )
        super().__init__(size)
        self.transform = transform
        self.spread = spread
        real = transform == "dct"
        plane = (size, size if real else size // 2 + 1) if spread else (0, 0)
        self._pixels = np.zeros((size, size))
        self._squares = 0.0  # of pixels, their mean over each image
        self._mean = np.zeros(plane, dtype=np.float64 if real else np.complex128)
        self._magnitude = np.zeros(plane)
        self._power = np.zeros(plane)
        self._room = np.empty(plane), np.empty(plane)

    def _add(self, images: Images) -> None:
        exact, scale = residual(images) if self.transform == "fft_hp" else centred(images), unit_of(images)
        self._pixels += exact.sum(axis=0, dtype=np.float64) * scale
        if not self.spread:
            # Row by row: in float32 the squares of 8-bit residuals sum exactly over 256 columns.
            squares = np.einsum("nij,nij->ni", exact, exact).sum(dtype=np.float64)
            self._squares += float(squares) * (scale / self.size) ** 2
            return
        for image in exact:
            shown = self._transformed(image * image.dtype.type(scale))
            # Straight into the sums, by way of the same two arrays: temporaries of this size would be handed
            # back to the system and asked for again, image after image, which takes as long as the FFT.
            power = power_of(shown, self._room)
            self._mean += shown
            self._power += power
            self._magnitude += np.sqrt(power, out=power)

    def _transformed(self, images: Any) -> Any:
        """Of images, shape (..., size, size): the DCT, or the half of the FFT that holds it all."""
        if self.transform == "dct":
            return fft.dctn(images, axes=(-2, -1), norm="ortho")
        return fft.rfft2(images, norm="ortho")

    @property
    def kind(self) -> str:
        """What is gathered, in words."""
        return f"transform={self.transform!r}, spread={self.spread}"

    @property
    def coherent(self) -> Floats:
        """`|E[F]|`, shape (size, size): what all images have in common in phase; falls to `floor` without."""
        return self._shown(np.abs(self._transformed(self._pixels / self._n)))

    @property
    def floor(self) -> Floats:
        """What `coherent` comes to by chance, shape (size, size).

        The mean length of the average of n numbers of independent phase: `sqrt(pi / 4) std / sqrt(n)` of
        complex numbers, `sqrt(2 / pi) std / sqrt(n)` of a DCT's real ones. Without `spread` the standard
        deviation is not known frequency by frequency, and its root mean square over all of them, which is
        that over pixels (Parseval), stands everywhere.
        """
        if self.spread:
            std = self.std
        else:
            variance = self._squares / self._n - np.mean((self._pixels / self._n) ** 2)
            std = np.full((self.size, self.size), math.sqrt(max(float(variance), 0.0)))
        share = 2 / math.pi if self.transform == "dct" else math.pi / 4
        return np.asarray(math.sqrt(share / self._n) * std)

    @property
    def magnitude(self) -> Floats:
        """`E|F|`, shape (size, size)."""
        return self._shown(self._spread(self._magnitude) / self._n)

    @property
    def power(self) -> Floats:
        """`E|F|^2`, shape (size, size)."""
        return self._shown(self._spread(self._power) / self._n)

    @property
    def std(self) -> Floats:
        """Standard deviation over images, `sqrt(E|F - E[F]|^2)`, shape (size, size)."""
        variance = self._spread(self._power) / self._n - power_of(self._mean / self._n)
        return self._shown(np.sqrt(np.maximum(variance, 0)))  # rounding may leave -1e-16

    def statistic(self, name: str) -> Floats:
        """`coherent`, `magnitude`, `power` or `std` by its name.

        Raises:
            InputError: another name, or one that was not gathered.
        """
        if name not in STATISTICS:
            raise InputError(
                f"statistic must be one of {', '.join(STATISTICS)}; got {name!r}.{did_you_mean(name, STATISTICS)}"
            )
        plane: Floats = getattr(self, name)
        return plane

    def _spread(self, plane: Floats) -> Floats:
        if not self.spread:
            raise InputError("only `coherent` was gathered; make the Spectrum with spread=True.")
        return plane

    def _shown(self, plane: Floats) -> Floats:
        if self.transform == "dct":
            return np.asarray(plane)
        return np.asarray(np.fft.fftshift(plane.ravel()[half_index(self.size)], axes=(0, 1)))
