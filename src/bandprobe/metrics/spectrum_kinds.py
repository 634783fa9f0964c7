"""Which spectra there are: transforms, and what is taken of them over the images of a source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bandprobe.errors import InputError, did_you_mean

TRANSFORMS = ("fft", "fft_hp", "dct")
STATISTICS = ("coherent", "magnitude", "power", "std")
WORDS = (*TRANSFORMS, "density", *STATISTICS)

Plane = tuple[str, str]  # transform and statistic


@dataclass(frozen=True)
class Kinds:
    """The spectra asked for.

    Attributes:
        planes: two-dimensional spectra as (transform, statistic), in the order asked for.
        density: radial density.
        density_std: its standard deviation is to be shown.
        also: transforms of which `coherent` is kept without being shown.
    """

    planes: tuple[Plane, ...]
    density: bool = False
    density_std: bool = False
    also: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: Iterable[str] | None = None) -> Kinds:
        """What some words ask for.

        Args:
            words: any of `fft`, `fft_hp`, `dct`, `density`, `coherent`, `magnitude`, `power`, `std`; several
                may be joined by commas. Every transform among them is taken in every statistic among them.
                Without a statistic that is `coherent`, the absolute value of the complex mean; without a
                transform, `fft_hp`. `density` with `std` shows the deviation of the density as well. None:
                density, and `fft_hp` as magnitude and coherent; the coherent `dct` is kept.

        Raises:
            InputError: another word, or none.
        """
        if words is None:
            return cls((("fft_hp", "magnitude"), ("fft_hp", "coherent")), density=True, also=("dct",))
        given = list(dict.fromkeys(part.strip() for word in words for part in word.split(",")))
        for word in given or [""]:
            if word not in WORDS:
                raise InputError(
                    f"kind must be one of {', '.join(WORDS)}; got {word!r}.{did_you_mean(word, WORDS)}"
                )
        transforms = [word for word in given if word in TRANSFORMS]
        statistics = [word for word in given if word in STATISTICS]
        density = "density" in given
        if not transforms and (statistics or not density):
            transforms = ["fft_hp"]
        return cls(
            tuple((t, s) for t in transforms for s in statistics or ["coherent"]),
            density=density,
            density_std=density and "std" in statistics,
        )

    @property
    def transforms(self) -> dict[str, bool]:
        """Every transform needed, and whether each image must be transformed (`spread`)."""
        needed = dict.fromkeys((*(transform for transform, _ in self.planes), *self.also), False)
        return needed | {transform: True for transform, statistic in self.planes if statistic != "coherent"}


def array_name(transform: str, statistic: str) -> str:
    """The name of a plane in `spectra.npz`: `fft_hp` for the coherent one, `magnitude_hp`, `power_dct` ..."""
    return transform if statistic == "coherent" else f"{statistic}_{transform.removeprefix('fft_')}"
