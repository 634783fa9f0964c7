"""Spectra of grey images, averaged over a source: what a generator leaves behind in frequency space.

Two-dimensional spectra are shown with DC in the middle, at `(size // 2, size // 2)`, as everywhere here.
Conventions, window sizes and quantities are those of Ricker et al. 2022 (arXiv:2210.14571).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.grey import Images, checked_grey, residual
from bandprobe.metrics.radial import BLOCK, Floats, Rings, half_index, power_of, ring_average, spectral_slope


class Spectrum:
    """Mean spectra of one source, gathered batch by batch in memory that does not grow with images.

    The two-dimensional FFT spectra are those of the high-pass residual (`fft_hp`), or of the image itself
    with `high_pass=False`; DCT and density are always those of the image.

    Args:
        size: side of the images, even.
        high_pass: subtract the 3 x 3 median before the FFT.

    Raises:
        ShapeError: size is odd or below 4.
    """

    def __init__(self, size: int, *, high_pass: bool = True) -> None:
        if size < 4 or size % 2:
            raise ShapeError(f"size must be even and at least 4; got {size}. Crop to an even square.")
        self.size = size
        self.high_pass = high_pass
        self.count = 0
        half = (size, size // 2 + 1)
        self._sum = np.zeros(half, dtype=np.complex128)
        self._magnitude = np.zeros(half)
        self._power = np.zeros(half)
        self._pixels = np.zeros((size, size))
        self._image_power = np.zeros(half)
        self._rings = np.zeros((2, size // 2 + 1))  # density of each image, and its square

    def add(self, images: Images) -> Spectrum:
        """Add a batch.

        Args:
            images: grey, shape (n, size, size), values in [-1, 1].

        Returns:
            This object.

        Raises:
            ShapeError: images is not (n, size, size) with this size.
        """
        checked = checked_grey(images, self.size)
        block = max(1, BLOCK // self.size**2)
        for begin in range(0, len(checked), block):
            self._add(checked[begin : begin + block])
        return self

    def _add(self, images: Images) -> None:
        plain = power_of(fft.rfft2(images, norm="ortho"))
        shown = fft.rfft2(residual(images) if self.high_pass else images, norm="ortho")
        power = power_of(shown)
        self.count += len(images)
        self._sum += shown.sum(axis=0, dtype=np.complex128)
        self._magnitude += np.sqrt(power).sum(axis=0)
        self._power += power.sum(axis=0)
        self._pixels += images.sum(axis=0, dtype=np.float64)
        self._image_power += plain.sum(axis=0)
        density = (ring_average(self.size, "dc") @ plain.reshape(len(images), -1).T).T
        self._rings += density.sum(axis=0), (density**2).sum(axis=0)

    def merge(self, other: Spectrum) -> Spectrum:
        """Add what another object gathered, e.g. in another process.

        Args:
            other: of the same size and kind; left as it is.

        Returns:
            This object.

        Raises:
            InputError: the other is of another size or kind.
        """
        if (self.size, self.high_pass) != (other.size, other.high_pass):
            raise InputError(
                f"other must have size {self.size} and high_pass={self.high_pass}; got {other.size} and "
                f"{other.high_pass}. Gather both spectra alike."
            )
        self.count += other.count
        for name in ("_sum", "_magnitude", "_power", "_pixels", "_image_power", "_rings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    @property
    def coherent(self) -> Floats:
        """`|E[F]|`, shape (size, size): what all images have in common in phase; falls to `floor` without."""
        return self._shown(np.abs(self._sum / self._n))

    @property
    def floor(self) -> Floats:
        """What `coherent` comes to by chance, `sqrt(pi / 4) deviation / sqrt(n)`, shape (size, size).

        The mean length of the average of n complex numbers of independent phase.
        """
        return np.asarray(np.sqrt(np.pi / 4 / self._n) * self.deviation)

    @property
    def magnitude(self) -> Floats:
        """`E|F|`, shape (size, size)."""
        return self._shown(self._magnitude / self._n)

    @property
    def power(self) -> Floats:
        """`E|F|^2`, shape (size, size)."""
        return self._shown(self._power / self._n)

    @property
    def deviation(self) -> Floats:
        """Standard deviation over images, `sqrt(E|F - E[F]|^2)`, shape (size, size)."""
        variance = self._power / self._n - power_of(self._sum / self._n)
        return self._shown(np.sqrt(np.maximum(variance, 0)))  # rounding may leave -1e-16

    @property
    def dct(self) -> Floats:
        """`|E[DCT]|` (type II, ortho) of the images, shape (size, size), DC at the upper left."""
        return np.asarray(np.abs(fft.dctn(self._pixels / self._n, norm="ortho")))

    def density(self, rings: Rings = "dc") -> Floats:
        """Mean of `radial_power` over the images, same columns."""
        average = ring_average(self.size, rings)
        return np.asarray(average @ (self._image_power / self._n).ravel())

    @property
    def density_deviation(self) -> Floats:
        """Standard deviation over images of `radial_power` with `rings="dc"`, shape (size // 2 + 1,)."""
        mean, square = self._rings / self._n
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))

    @property
    def slope(self) -> float:
        """`spectral_slope` of the density, 0.1 to 0.5 of Nyquist."""
        return float(spectral_slope(self.density()))

    @property
    def _n(self) -> int:
        if not self.count:
            raise InputError("spectrum holds no image yet; add a batch first.")
        return self.count

    def _shown(self, half: Floats) -> Floats:
        return np.asarray(np.fft.fftshift(half.ravel()[half_index(self.size)], axes=(0, 1)))
