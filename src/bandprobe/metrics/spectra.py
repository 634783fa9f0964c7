"""Spectra of grey images, averaged over a source: what a generator leaves behind in frequency space.

Two-dimensional spectra are shown with DC in the middle, at `(size // 2, size // 2)`, as everywhere here.
Conventions, window sizes and quantities are those of Ricker et al. 2022 (arXiv:2210.14571).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft, sparse

from bandprobe.errors import InputError, ShapeError

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Rings = Literal["dc", "ricker"]

_BLOCK = 150_000  # pixels transformed at a time: their intermediate results should stay in cache


def to_grey(rgb: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.float32]:
    """Luma of the centre of a colour image.

    Args:
        rgb: uint8, shape (height, width, 3), both at least `size`.
        size: side of the square that is cut out, from `height // 2 - size // 2` on.

    Returns:
        float32, shape (size, size), `x / 127.5 - 1`, so in [-1, 1]; x is Pillow's mode L (ITU-R 601 luma,
        rounded to 8 bits).

    Raises:
        ShapeError: not an 8-bit RGB image, or smaller than the square.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ShapeError(
            f"rgb must be uint8 of shape (height, width, 3); got {rgb.dtype} of shape {rgb.shape}. "
            "Decode the image to 8-bit RGB first."
        )
    height, width = rgb.shape[:2]
    if not 1 <= size <= min(height, width):
        raise ShapeError(
            f"size must lie between 1 and the shorter side; got {size} for an image of {height} x {width}. "
            "Choose a smaller size or leave the image out."
        )
    top, left = height // 2 - size // 2, width // 2 - size // 2
    centre = np.ascontiguousarray(rgb[top : top + size, left : left + size])
    return np.asarray(Image.fromarray(centre).convert("L"), dtype=np.float32) / np.float32(127.5) - 1


def median3(images: Images) -> Images:
    """Median of the 3 x 3 pixels around each pixel, borders mirrored.

    Args:
        images: shape (..., height, width), both at least 2.

    Returns:
        Same shape and dtype, the very values of `scipy.ndimage.median_filter(size=3)` on each image in its
        default mode `reflect`, which repeats the border pixel. Columns of three are sorted first and shared
        by the three windows they are in; the median of nine is then the median of the largest of the lows,
        the middle of the middles and the smallest of the highs.
    """
    edges = [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(images, edges, mode="edge")
    low, middle, high = _sorted3(padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :])
    left, centre, right = (slice(None, -2), slice(1, -1), slice(2, None))
    lowest = np.maximum(np.maximum(low[..., left], low[..., centre]), low[..., right])
    highest = np.minimum(np.minimum(high[..., left], high[..., centre]), high[..., right])
    between = _median(middle[..., left], middle[..., centre], middle[..., right])
    return cast(Images, _median(lowest, between, highest))


def _sorted3(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any]:
    a, b = np.minimum(a, b), np.maximum(a, b)
    b, c = np.minimum(b, c), np.maximum(b, c)
    return np.minimum(a, b), np.maximum(a, b), c


def _median(a: Any, b: Any, c: Any) -> Any:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def residual(images: Images) -> Images:
    """High-pass residual: each image minus its 3 x 3 median.

    Args:
        images: grey, shape (n, size, size).

    Returns:
        Same shape and dtype; noise and the traces of up-sampling, without the scene.

    Raises:
        ShapeError: images is not (n, size, size) with even size.
    """
    checked = _checked(images)
    return checked - median3(checked)


def radial_power(images: Images, rings: Rings = "dc") -> Floats:
    """Mean power in each one-cycle ring of the 2-D spectrum.

    Args:
        images: grey, shape (n, size, size), size even, values in [-1, 1].
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
    checked = _checked(images)
    average = _ring_average(checked.shape[1], rings)
    block = max(1, _BLOCK // checked[0].size) if len(checked) else 1
    found = [
        (average @ _power(fft.rfft2(checked[i : i + block], norm="ortho")).reshape(-1, average.shape[1]).T).T
        for i in range(0, len(checked), block)
    ]
    return np.concatenate(found) if found else np.empty((0, average.shape[0]))


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
    columns = np.arange(_ring_average(size, rings).shape[0], dtype=np.float64)
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
        checked = _checked(images, self.size)
        block = max(1, _BLOCK // self.size**2)
        for begin in range(0, len(checked), block):
            self._add(checked[begin : begin + block])
        return self

    def _add(self, images: Images) -> None:
        plain = _power(fft.rfft2(images, norm="ortho"))
        shown = fft.rfft2(residual(images) if self.high_pass else images, norm="ortho")
        power = _power(shown)
        self.count += len(images)
        self._sum += shown.sum(axis=0, dtype=np.complex128)
        self._magnitude += np.sqrt(power).sum(axis=0)
        self._power += power.sum(axis=0)
        self._pixels += images.sum(axis=0, dtype=np.float64)
        self._image_power += plain.sum(axis=0)
        density = (_ring_average(self.size, "dc") @ plain.reshape(len(images), -1).T).T
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
        variance = self._power / self._n - _power(self._sum / self._n)
        return self._shown(np.sqrt(np.maximum(variance, 0)))  # rounding may leave -1e-16

    @property
    def dct(self) -> Floats:
        """`|E[DCT]|` (type II, ortho) of the images, shape (size, size), DC at the upper left."""
        return np.asarray(np.abs(fft.dctn(self._pixels / self._n, norm="ortho")))

    def density(self, rings: Rings = "dc") -> Floats:
        """Mean of `radial_power` over the images, same columns."""
        average = _ring_average(self.size, rings)
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
        return np.asarray(np.fft.fftshift(half.ravel()[_half_index(self.size)], axes=(0, 1)))


def _power(spectrum: Any) -> Floats:
    return np.asarray(spectrum.real, np.float64) ** 2 + np.asarray(spectrum.imag, np.float64) ** 2


def _checked(images: Images, size: int | None = None) -> Images:
    shape = np.shape(images)
    if (
        len(shape) != 3
        or shape[1] != shape[2]
        or shape[1] % 2
        or shape[1] < 4
        or size not in {None, shape[1]}
    ):
        wanted = "(n, size, size) with even size" if size is None else f"(n, {size}, {size})"
        raise ShapeError(
            f"images must have shape {wanted}; got {shape}. Average RGB to grey and crop to a square first."
        )
    return images if images.dtype in (np.float32, np.float64) else np.asarray(images, dtype=np.float64)


@lru_cache(maxsize=8)
def _half_index(size: int) -> npt.NDArray[np.int64]:
    """Where each frequency of a real image's full spectrum stands in its flattened half, (size, size):
    the other half are conjugates of the opposite frequency."""
    row, column = np.indices((size, size))
    mirrored = column > size // 2
    row, column = np.where(mirrored, -row % size, row), np.where(mirrored, size - column, column)
    return np.asarray(row * (size // 2 + 1) + column, dtype=np.int64)


@lru_cache(maxsize=8)
def _ring_average(size: int, rings: Rings) -> Any:
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
    return sparse.csr_array((share, (rows, _half_index(size)[kept])), shape=shape)
