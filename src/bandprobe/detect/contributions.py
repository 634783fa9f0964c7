"""Why one image gets its verdict: what each band of frequencies adds, and whether the verdict holds over radii."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandprobe.analysis.coalitions import Bands
from bandprobe.detect.scorer import Scorer, identified
from bandprobe.filters import Filter, parse
from bandprobe.metrics.shapley import coalitions, exact

Floats = NDArray[np.float64]

RADII = tuple(round(0.1 * k, 1) for k in range(1, 11))  # fractions of Nyquist, of the consensus


@dataclass(frozen=True)
class Contributions:
    """What bands add to a logit.

    Attributes:
        bands: each band's edges, fractions of Nyquist, `0.15-0.3`.
        values: Shapley values, shape (probes, bands): positive speaks for fake. They sum to `whole - bare`.
        alone: change of the logit when the band alone is added to the bare image, shape (probes, bands).
        without: change when the band alone is taken out of the whole image, shape (probes, bands).
        bare: logits of the image without any band, its mean and slowest waves alone, shape (probes,).
        whole: logits of the whole image, shape (probes,).
    """

    bands: tuple[str, ...]
    values: Floats
    alone: Floats
    without: Floats
    bare: Floats
    whole: Floats


def contributions(image: NDArray[np.uint8], scorer: Scorer) -> Contributions:
    """What each of six bands adds to the logit of one image: exact Shapley values over all 64 coalitions of bands.

    A coalition's worth is the logit of the image with the bands of the others taken out by ideal band-stops. A filter
    that the probe was trained under comes after, so that what is divided is the logit that it decides by.

    Args:
        image: uint8, shape (h, w, 3), any size.
        scorer: of the probes.

    Source:
        Shapley 1953, *A value for n-person games*.
    """
    bands = Bands.of(scorer.geometry.size)
    members = coalitions(len(bands))
    worth = _logits(image, scorer, [bands.keeping(one) for one in members])
    everyone = members[-1]
    single = [1 << player for player in range(len(bands))]
    return Contributions(
        tuple(bands.names),
        exact(worth).T,
        (worth[single] - worth[0]).T,
        (worth[[everyone & ~one for one in single]] - worth[everyone]).T,
        worth[0],
        worth[everyone],
    )


@dataclass(frozen=True)
class Consensus:
    """What probes say over a sweep of low-pass radii.

    Attributes:
        radii: fractions of Nyquist.
        logits: shape (probes, radii).
    """

    radii: tuple[float, ...]
    logits: Floats

    @property
    def mean(self) -> Floats:
        """Mean logit over the radii, shape (probes,): averaging logits is averaging log odds."""
        found: Floats = self.logits.mean(1)
        return found

    def agreement(self, thresholds: Floats, verdicts: NDArray[np.bool_]) -> Floats:
        """Share of the radii at which each probe stays on the side of the threshold that it is on, shape (probes,)."""
        found: Floats = ((self.logits >= thresholds[:, None]) == verdicts[:, None]).mean(1)
        return found


def consensus(image: NDArray[np.uint8], scorer: Scorer) -> Consensus:
    """Logits of one image under Butterworth low-passes at a tenth of Nyquist to Nyquist, a probe's own filter after."""
    specs = [parse(f"lowpass:{radius:g}nyq") for radius in RADII]
    return Consensus(RADII, _logits(image, scorer, specs).T)


def _logits(image: NDArray[np.uint8], scorer: Scorer, specs: list[Filter]) -> Floats:
    """Logits under filters, each followed by the probe's own; shape (filters, probes)."""
    return scorer.sweep(scorer.placed(image), identified(image), specs, own=True).T
