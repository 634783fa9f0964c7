"""Power by radial frequency: rings of the 2-D spectrum, and the slope across them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics.gathering import Gathered
from bandprobe.metrics.grey import Images, centred, checked_grey, unit_of

Floats = npt.NDArray[np.float64]
Rings = Literal["dc", "ricker"]


def radial_power(images: Images, rings: Rings = "dc") -> Floats:
    """Mean power in each one-cycle ring of the 2-D spectrum.

    Args:
        images: grey, shape (n, size, size), size even; floats in [-1, 1], or uint8 levels, which stand
            for `level / 127.5 - 1`.
        rings: `dc` or `ricker`.

    Returns:
        float64, squared intensity (ortho FFT). With `dc` the rings are `round(D)` around DC and the shape
        is (n, size // 2 + 1): column 0 is DC, the last column is Nyquist. Frequencies beyond it lie in
        the corners of the square, where no ring is whole, and are left out. With `ricker` the rings are
        `floor` of the distance to `(size - 1) / 2` in the shifted spectrum, half a cycle from DC, and run
        into the corners; the first ring (the four frequencies around the centre, DC among them) and the
        last are dropped: 179 columns at 256 px.

    Raises:
        ShapeError: images is not (n, size, size) with even size.
        InputError: `rings` is unknown.

    Source:
        `ricker`: the azimuthal average of Ricker et al. 2022 (arXiv:2210.14571).
    """
    checked = checked_grey(images)
    average = ring_average(checked.shape[1], rings)
    return _ring_means(checked, average)


def _ring_means(images: Images, average: Any) -> Floats:
    """`radial_power` of checked images. One after the other, in the same two arrays: temporaries of a batch
    would be handed back to the system and asked for again, which takes longer than the FFT."""
    size = images.shape[1]
    found = np.empty((len(images), average.shape[0]))
    room = np.empty((size, size // 2 + 1)), np.empty((size, size // 2 + 1))
    for at, image in enumerate(images):
        power = power_of(fft.rfft2(centred(image), norm="ortho"), room)
        found[at] = average @ power.ravel()
    return found * unit_of(images) ** 2


class RadialDensity(Gathered):
    """Mean and deviation over images of `radial_power`, gathered batch by batch.

    Args:
        size: side of the images, even.
        rings: `dc` or `ricker`.

    Raises:
        ShapeError: size is odd or below 4.
        InputError: `rings` is unknown.
    """

    _sums = ("_total", "_squares")

    def __init__(self, size: int, rings: Rings = "dc") -> None:
        super().__init__(size)
        self.rings = rings
        self._average = ring_average(size, rings)
        self._total = np.zeros(self._average.shape[0])
        self._squares = np.zeros(self._average.shape[0])

    def _add(self, images: Images) -> None:
        power = _ring_means(images, self._average)
        self._total += power.sum(axis=0)
        self._squares += (power**2).sum(axis=0)

    @property
    def kind(self) -> str:
        """What is gathered, in words."""
        return f"rings={self.rings!r}"

    @property
    def frequencies(self) -> Floats:
        """Of each column, as a fraction of Nyquist."""
        return ring_frequencies(self.size, self.rings)

    @property
    def mean(self) -> Floats:
        """Mean over images, shape (columns,), squared intensity."""
        return np.asarray(self._total / self._n)

    @property
    def std(self) -> Floats:
        """Standard deviation over images, shape (columns,)."""
        return np.asarray(np.sqrt(np.maximum(self._squares / self._n - self.mean**2, 0)))

    @property
    def slope(self) -> float:
        """`spectral_slope` of the mean, 0.1 to 0.5 of Nyquist."""
        return float(spectral_slope(self.mean, frequencies=self.frequencies))


def ring_frequencies(size: int, rings: Rings = "dc") -> Floats:
    """Frequency of each column of `radial_power`, as a fraction of Nyquist.

    Args:
        size: side of the images, even.
        rings: `dc` or `ricker`.

    Returns:
        `dc`: column / (size / 2). `ricker`: their axis, on which the columns are numbered from 1 in
        cycles per side and 1 is the border of the spectrum; the corners go beyond 1.

    Raises:
        InputError: `rings` is unknown.
    """
    columns = np.arange(ring_average(size, rings).shape[0], dtype=np.float64)
    return (columns + (rings == "ricker")) / (size // 2)


def spectral_slope(
    power: npt.ArrayLike, band: tuple[float, float] = (0.1, 0.5), frequencies: npt.ArrayLike | None = None
) -> Floats:
    """Exponent of a power law through a radial power spectrum; near -2 for photographs.

    Args:
        power: columns as from `radial_power`, shape (..., columns), positive within the band.
        band: from and to, as fractions of Nyquist, both ends included.
        frequencies: of the columns, as fractions of Nyquist; by default column / last column, which is
            right for `rings="dc"`.

    Returns:
        Slope of the least-squares line of log power on log frequency, shape (...).

    Raises:
        InputError: fewer than two columns within the band, or power there that is not positive.
    """
    spectrum = np.asarray(power, dtype=np.float64)
    columns = spectrum.shape[-1]
    axis = np.arange(columns) / max(columns - 1, 1) if frequencies is None else np.asarray(frequencies, float)
    if axis.shape != (columns,):
        raise ShapeError(
            f"frequencies must have shape ({columns},), one a column of power; got {axis.shape}."
        )
    inside = (axis >= band[0]) & (axis <= band[1]) & (axis > 0)
    if inside.sum() < 2:
        raise InputError(
            f"band must hold at least two columns; {band[0]} to {band[1]} of Nyquist holds {inside.sum()} of "
            f"{columns}. Use larger images or a wider band."
        )
    chosen = spectrum[..., inside]
    if not np.all(chosen > 0):
        raise InputError(
            "power must be positive within the band; got zero, less or NaN. Leave out flat images."
        )
    x = np.log(axis[inside])
    x -= x.mean()
    return np.asarray(np.log(chosen) @ x / (x @ x))


def power_of(spectrum: Any, room: tuple[Floats, Floats] | None = None) -> Floats:
    """Squared magnitude in float64, where squares of float32 are exact: a deviation is a difference of them.

    Args:
        spectrum: real or complex.
        room: two arrays of its shape to work in; the first is the result.
    """
    power, other = room or (None, None)
    power = np.asarray(np.square(spectrum.real, out=power, dtype=np.float64))
    if np.iscomplexobj(spectrum):
        power += np.square(spectrum.imag, out=other, dtype=np.float64)
    return power


@lru_cache(maxsize=8)
def half_index(size: int) -> npt.NDArray[np.int64]:
    """Where each frequency of a real image's full spectrum stands in its flattened half, (size, size):
    the other half are conjugates of the opposite frequency."""
    row, column = np.indices((size, size))
    mirrored = column > size // 2
    row, column = np.where(mirrored, -row % size, row), np.where(mirrored, size - column, column)
    return np.asarray(row * (size // 2 + 1) + column, dtype=np.int64)


@lru_cache(maxsize=8)
def ring_average(size: int, rings: Rings) -> Any:
    """Sparse matrix from a flattened half spectrum to the means of the full spectrum's rings."""
    if rings not in get_args(Rings):
        raise InputError(f"rings must be 'dc' or 'ricker'; got {rings!r}.")
    signed = np.rint(np.fft.fftfreq(size) * size)
    if rings == "dc":
        ring = np.rint(np.hypot(signed[:, None], signed)).astype(np.int64)
        first, last = 0, size // 2
    else:
        ring = np.hypot(signed[:, None] + 0.5, signed + 0.5).astype(np.int64)
        first, last = 1, int(ring.max()) - 1
    kept = (ring >= first) & (ring <= last)
    rows = ring[kept] - first
    share = 1 / np.bincount(rows)[rows]
    shape = (last - first + 1, size * (size // 2 + 1))
    return sparse.csr_array((share, (rows, half_index(size)[kept])), shape=shape)
