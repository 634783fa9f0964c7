"""Fakes with a known truth: real images with a weak artefact confined to one ring of frequencies."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe.errors import InputError, ShapeError, did_you_mean
from bandprobe.filters import distance

Floats = NDArray[np.float64]

# What `strength` means for each kind.
STRENGTHS = {
    "ring-noise": "standard deviation of the noise added, in 8-bit levels",
    "grid": "amplitude of the two waves added, in 8-bit levels",
    "missing": "share of the ring's amplitude taken away, in (0, 1]",
    "scramble": "share of the way from the ring's own phases to random ones, in (0, 1]",
}
KINDS = tuple(STRENGTHS)

# Those that leave every amplitude as it is; what sees amplitudes alone is blind to them.
PHASE_ONLY = ("scramble",)


@dataclass(frozen=True)
class Artefact:
    """An artefact, and the ring of frequencies that it is confined to.

    Attributes:
        kind: a name of `KINDS`.
        low_nyq: inner radius of the ring, a fraction of Nyquist. A grid stands in the ring's middle.
        high_nyq: outer radius.
        strength: see `STRENGTHS`.
    """

    kind: str
    low_nyq: float
    high_nyq: float
    strength: float

    @property
    def centre_nyq(self) -> float:
        """The middle of the ring."""
        return (self.low_nyq + self.high_nyq) / 2

    def checked(self) -> Artefact:
        """The artefact itself, once its numbers make sense.

        Raises:
            InputError: an unknown kind, a ring that is none, or a strength out of range.
        """
        if self.kind not in KINDS:
            raise InputError(
                f"kind must be one of {', '.join(KINDS)}; got {self.kind!r}.{did_you_mean(self.kind, KINDS)}"
            )
        if not 0 < self.low_nyq < self.high_nyq:
            raise InputError(
                f"the ring must have radii 0 < low < high; got {self.low_nyq:g} to {self.high_nyq:g}."
            )
        if self.strength <= 0 or (self.kind in ("missing", "scramble") and self.strength > 1):
            raise InputError(f"strength is the {STRENGTHS[self.kind]}; got {self.strength:g}.")
        return self


def plant(images: NDArray[np.uint8], artefact: Artefact, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Images with an artefact in them, alike in the three channels, rounded to 8 bits.

    Outside the artefact's ring an image's spectrum changes by that rounding alone, and by clipping where a
    picture is all black or all white.

    Args:
        images: uint8 RGB, shape (n, h, w, 3).
        artefact: what to plant.
        rng: draws noise and phases, anew for each image.

    Returns:
        uint8, the same shape.

    Raises:
        ShapeError: the images are not (n, h, w, 3).
        InputError: the artefact makes no sense, or its ring holds no frequency of this grid.
    """
    if images.ndim != 4 or images.shape[-1] != 3:
        raise ShapeError(f"images must have shape (n, h, w, 3); got {images.shape}.")
    shape = (images.shape[1], images.shape[2])
    radius = distance(shape, half=True) / (min(shape) / 2)
    ring = (artefact.checked().low_nyq <= radius) & (radius < artefact.high_nyq)
    if artefact.kind != "grid" and not ring.any():
        raise InputError(
            f"no frequency of a {shape[0]} x {shape[1]} grid lies in the ring from {artefact.low_nyq:g} to "
            f"{artefact.high_nyq:g} of Nyquist; make it wider."
        )
    pixels = images.astype(np.float64)
    if artefact.kind == "ring-noise":
        changed = pixels + artefact.strength * _ring_noise(len(images), ring, shape, rng)[..., None]
    elif artefact.kind == "grid":
        changed = pixels + artefact.strength * _grid(len(images), artefact.centre_nyq, shape, rng)[..., None]
    else:
        spectra = np.fft.rfft2(pixels, axes=(1, 2))
        if artefact.kind == "missing":
            gain = np.where(ring, 1 - artefact.strength, 1.0)[..., None]
        else:
            phases = np.angle(np.fft.rfft2(rng.standard_normal((len(images), *shape))))
            # One turn for all channels keeps the colours; a coefficient's mirror image turns the other way.
            gain = np.exp(1j * artefact.strength * np.where(ring, phases, 0.0))[..., None]
        changed = np.fft.irfft2(spectra * gain, s=shape, axes=(1, 2))
    levels: NDArray[np.uint8] = np.rint(changed.clip(0, 255)).astype(np.uint8)
    return levels


def _ring_noise(n: int, ring: NDArray[np.bool_], shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Gaussian noise of unit standard deviation with all its power in a ring, (n, h, w)."""
    white = np.fft.rfft2(rng.standard_normal((n, *shape)))
    noise = np.fft.irfft2(white * ring, s=shape)
    scaled: Floats = noise / noise.std()
    return scaled


def _grid(n: int, centre_nyq: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A wave down and one across, of the whole number of periods nearest to a radius, (n, h, w).

    Where the grid begins is drawn for each image, as it is where pictures have been cropped.
    """
    waves = np.zeros((n, *shape))
    for axis, side in enumerate(shape):
        periods = max(1, round(centre_nyq * side / 2))
        place = np.arange(side) / side
        start = rng.random((n, 1))
        wave = np.cos(2 * np.pi * (periods * place + start))
        waves += np.expand_dims(wave, 2 - axis)
    return waves


def recompressed(images: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Images written as JPEG and read again, chroma at half resolution.

    Args:
        images: uint8 RGB, shape (n, h, w, 3).
        quality: of the JPEG files, 1 to 100.

    Returns:
        uint8, the same shape.
    """
    found = np.empty_like(images)
    for number, picture in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        found[number] = np.asarray(Image.open(file))
    return found
