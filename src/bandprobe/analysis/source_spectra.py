"""What is gathered of every source, and the file that it is kept in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.analysis.spectrum_pictures import Source
from bandprobe.files import replacing
from bandprobe.metrics import RadialDensity, Spectrum, ring_frequencies
from bandprobe.metrics.gathering import Gathered
from bandprobe.metrics.grey import Images
from bandprobe.metrics.radial import Rings
from bandprobe.metrics.spectrum_kinds import STATISTICS, Kinds, array_name


class Sums:
    """All that is gathered of one source.

    Args:
        size: side of the crops.
        kinds: what is asked for.
        rings: of the density.
    """

    def __init__(self, size: int, kinds: Kinds, rings: Rings) -> None:
        self.planes = {name: Spectrum(size, name, spread=spread) for name, spread in kinds.transforms.items()}
        self.density = RadialDensity(size, rings) if kinds.density else None

    @property
    def _parts(self) -> list[Gathered]:
        return [*self.planes.values(), *([self.density] if self.density else [])]

    @property
    def count(self) -> int:
        """Number of images."""
        return self._parts[0].count

    def add(self, images: Images) -> None:
        """Add a batch; see `Gathered.add`."""
        for part in self._parts:
            part.add(images)

    def merge(self, other: Sums) -> None:
        """Add what another object gathered."""
        for mine, theirs in zip(self._parts, other._parts, strict=True):
            mine.merge(theirs)

    def remove(self, other: Sums) -> None:
        """Take away what another object gathered."""
        for mine, theirs in zip(self._parts, other._parts, strict=True):
            mine.remove(theirs)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Everything known, by the names of `spectra.npz`."""
        found: dict[str, NDArray[np.float64]] = {"n": np.array(self.count)}
        if self.density is not None:
            found |= {"density": self.density.mean, "density_deviation": self.density.std}
        for name, plane in self.planes.items():
            statistics = STATISTICS if plane.spread else ("coherent",)
            found |= {array_name(name, each): plane.statistic(each) for each in statistics}
            found[f"{name}_floor"] = plane.floor
        return found


@dataclass(frozen=True)
class SourceSpectra:
    """Spectra by (data set, generator); reals are the generator `Real`.

    Attributes:
        size: side of the crops.
        sources: in the order asked for.
        kinds: what was asked for.
        rings: of the density.
        filter: what was applied before, in canonical form.
        left_out: path and reason of images that could not be used.
    """

    size: int
    sources: dict[Source, Sums]
    kinds: Kinds
    rings: Rings = "dc"
    filter: str = "none"
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Images of each source."""
        return {f"{dataset}/{name}": sums.count for (dataset, name), sums in self.sources.items()}

    @property
    def slopes(self) -> dict[str, float]:
        """Each source's slope of log power on log frequency, 0.1 to 0.5 of Nyquist; empty without density."""
        return {
            f"{dataset}/{name}": sums.density.slope
            for (dataset, name), sums in self.sources.items()
            if sums.density is not None
        }

    def save(self, path: Path) -> None:
        """Write an npz: `frequency_nyq`, `rings`, `filter`, and `<dataset>/<generator>/<what>` for each source.

        `density` and `density_deviation`; for the transforms `fft`, `fft_hp` and `dct` the coherent plane
        under the transform's name, `<transform>_floor`, and where each image was transformed
        `magnitude_fft`, `power_hp`, `std_dct` and so on; `n`, the number of images.

        Raises:
            DiskError: it cannot be written.
        """
        arrays: dict[str, Any] = {
            "frequency_nyq": ring_frequencies(self.size, self.rings),
            "rings": np.array(self.rings),
            "filter": np.array(self.filter),
        }
        for source, sums in self.sources.items():
            arrays.update({"/".join((*source, what)): array for what, array in sums.arrays().items()})
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **arrays)
