"""What masks leave of a run's stored spectra, for a run that kept none on its own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bandprobe.analysis.radius_pictures import RadiusSpectra, masks_of
from bandprobe.filters import Cutoff, Filter, distance, gain, parse
from bandprobe.images import Geometry
from bandprobe.report.run_directory import Run, Spectra

Floats = npt.NDArray[np.float64]


def from_spectra(run: Run) -> tuple[RadiusSpectra | None, str]:
    """The same from the densities of `spectra.npz`, which are of the pictures at their own size."""
    geometry = str(run.record.get("geometry", ""))
    spectra = run.spectra
    masks = masks_of([str(spec) for spec in run.results["filter"].unique()])
    if spectra is None or not geometry.startswith("squash:") or not masks:
        return None, ""
    known = _with_density(spectra)
    whole = spectra.frequency_nyq <= 1  # rings beyond, in the corners, are not whole
    frequency = spectra.frequency_nyq[whole]
    if not known or len(frequency) < 3 or frequency[0] != 0 or frequency[-1] != 1:
        return None, ""
    side, grid = 2 * (len(frequency) - 1), Geometry.parse(geometry).size
    ring = np.rint(distance((side, side))).astype(int).ravel()
    weight = np.bincount(ring[ring <= side // 2]).astype(float)
    weight[0] = 0
    on_spectrum = [_as_fraction(spec, grid) for spec in masks]
    gains = np.stack([gain(spec.steps[0], (side, side))[0, : side // 2 + 1] for spec in on_spectrum])
    density = np.stack([density[whole] for _, _, _, density in known])
    cutoffs = [spec.cutoff for spec in masks if spec.cutoff is not None]
    found = RadiusSpectra(
        frequency_nyq=frequency,
        filters=tuple(map(str, masks)),
        cutoff_px=np.array([cutoff.px(grid) for cutoff in cutoffs]),
        cutoff_nyq=np.array([cutoff.nyq(grid) for cutoff in cutoffs]),
        gain=gains,
        datasets=tuple(dataset for dataset, _, _, _ in known),
        generators=tuple(name for _, name, _, _ in known),
        n=np.array([n for _, _, n, _ in known]),
        density=density,
        left=(density * weight) @ (gains**2).T / np.maximum(density @ weight, 1e-30)[:, None],
        side=side,
    )
    return found, (
        f"Grey centre of the pictures at their own size, {side} px: cut-offs stand at their fraction of Nyquist, which "
        "is another frequency where pictures were resized to the study’s grid. Shares are of what lies below Nyquist."
    )


def _with_density(spectra: Spectra) -> list[tuple[str, str, int, Floats]]:
    return [
        (dataset, name, source.n, source.density)
        for dataset, sources in spectra.sources.items()
        for name, source in sources.items()
        if source.density is not None and source.density.shape == spectra.frequency_nyq.shape
    ]


def _as_fraction(spec: Filter, grid: tuple[int, int]) -> Filter:
    """A mask with its cut-off and width as fractions of Nyquist, to be laid on another grid."""
    step = spec.steps[0]
    cutoff = step.cutoff or Cutoff(1.0, "nyq")
    nyquist = replace(step, cutoff=Cutoff(cutoff.nyq(grid), "nyq"), width=Cutoff(step.width.nyq(grid), "nyq"))
    return replace(parse(str(spec)), steps=(nyquist,))
