"""What a generator leaves in its images' spectra: periodic peaks, and too little or too much fine detail."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bandprobe import seeding
from bandprobe.metrics import draw_counts, luma, radial_power, residual, ring_frequencies, spectral_slope
from bandprobe.metrics.jackknife import Estimate

Floats = NDArray[np.float64]

INNER = 48  # pixels; what padding leaves along the border has no period
PERIODS = (2, 4, 8)
BANDS = ((0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))  # fractions of Nyquist
HIGH = (0.5, 1.0)
_RESAMPLES = 1000
_SMALLEST = 0.1  # of the power around, what a peak has at least


def grey(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Luma of the inner `size` pixels of colour images, shape (n, size, size)."""
    return np.stack([luma(image, size) for image in images])


def periodicity(images: NDArray[np.uint8], counts: NDArray[np.uint8]) -> dict[str, Floats]:
    """How far images repeat themselves every 2, 4 or 8 pixels, in each of some resamples.

    Args:
        images: uint8, shape (n, h, w, 3), h and w at least 48.
        counts: how often each image is in each resample, shape (resamples, n).

    Returns:
        For each period p, shape (resamples,): `peak_p`, the power at the frequencies that only a pattern of
        that period has, over the power at the 24 frequencies around each of them, 1 without a period; and
        `fixed_p`, the power of what all images share in phase there, less that around, over the same, 0
        without. Neither depends on how many images there are. All of the inner 48 x 48 pixels' residual,
        that is luma less its 3 x 3 median, brought to deviation 1, so that every image has one vote.

    Source:
        Odena, Dumoulin & Olah 2016, *Deconvolution and Checkerboard Artifacts*; the residual's mean
        spectrum: Ricker et al. 2022 (arXiv:2210.14571).
    """
    residuals = residual(grey(images, INNER)).astype(np.float64)
    residuals /= residuals.std((1, 2), keepdims=True).clip(1e-9)
    spectra = np.fft.fft2(residuals, norm="ortho").reshape(len(images), -1)
    weights = counts.astype(np.float64)
    power, total = weights @ np.square(np.abs(spectra)), weights.sum(1, keepdims=True)
    # Products of different images only, whichever were drawn twice: what is not shared then averages out.
    squares = np.square(weights)
    shared = np.square(np.abs(weights @ spectra)) - squares @ np.square(np.abs(spectra))
    shared /= np.square(total) - squares.sum(1, keepdims=True)
    power, shared = (plane.reshape(-1, INNER, INNER) for plane in (power / total, shared))
    beside, shared_beside = _around(power), _around(shared)
    found = {}
    for period in PERIODS:
        at = (slice(None), *np.transpose(frequencies(period)))
        found[f"peak_{period}"] = (power[at] / beside[at]).mean(1)
        found[f"fixed_{period}"] = ((shared[at] - shared_beside[at]) / beside[at]).mean(1)
    return found


def frequencies(period: int, size: int = INNER) -> list[tuple[int, int]]:
    """Row and column, in the unshifted spectrum, of each frequency of a period and of no half of it."""
    step = size // period
    return [(a * step, b * step) for a, b in product(range(period), repeat=2) if a % 2 or b % 2]


def band_power(rings: Floats, band: tuple[float, float]) -> Floats:
    """Power in a band of frequencies, summed over the plane.

    Args:
        rings: as `radial_power` gives them, shape (n, size // 2 + 1).
        band: from (left out) and to, fractions of Nyquist.

    Returns:
        Shape (n,).
    """
    size = 2 * (rings.shape[1] - 1)
    axis = ring_frequencies(size)
    inside = (axis > band[0]) & (axis <= band[1])
    # A ring's mean times the number of frequencies in it.
    signed = np.fft.fftfreq(size) * size
    number = np.bincount(np.rint(np.hypot(signed[:, None], signed)).astype(int).ravel())[: size // 2 + 1]
    summed: Floats = rings[:, inside] @ number[inside]
    return summed


def fingerprints(
    images: NDArray[np.uint8], reals: NDArray[np.uint8], *, seed: int = 0, label: str = ""
) -> dict[str, Estimate]:
    """Every statistic of one source's spectra, with a 95 % bootstrap interval over the images of both.

    Args:
        images: of the source, uint8, shape (n, 64, 64, 3).
        reals: that it is measured against.
        seed, label: name the resamples.

    Returns:
        `slope`, the exponent of the radial power from 0.1 to 0.5 of Nyquist; `power_A_B`, the power from A
        to B of Nyquist over the reals', for each of `BANDS` and for `HIGH`; what `periodicity` gives.
    """
    counts, of_reals = (
        resamples(len(each), seed, label, which) for each, which in ((images, "images"), (reals, "reals"))
    )
    ours, theirs = (radial_power(grey(each, each.shape[1])) for each in (images, reals))
    found = {"slope": spectral_slope(_mean(ours, counts))}
    for band in (*BANDS, HIGH):
        ratio = _mean(band_power(ours, band), counts) / _mean(band_power(theirs, band), of_reals)
        found[f"power_{band[0]:.2f}_{band[1]:.2f}"] = ratio
    found |= periodicity(images, counts)
    return {name: from_resamples(values) for name, values in found.items()}


def resamples(n: int, seed: int, *names: str) -> NDArray[np.uint8]:
    """How often each of n images is in the sample itself, once, and in 1,000 resamples; shape (1001, n)."""
    drawn = draw_counts(n, _RESAMPLES, seeding.generator(seed, "judge", *names))
    return np.concatenate([np.ones((1, n), np.uint8), drawn])


def from_resamples(values: Floats) -> Estimate:
    """An estimate and its percentile interval, the first of `values` being that of the sample itself."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


def peaks(found: Mapping[str, Estimate], real: Mapping[str, Estimate]) -> list[int]:
    """The periods of which a source has peaks.

    Either statistic's interval lies above Real's, and its value a tenth of the power around above Real's.
    """

    def above(name: str) -> bool:
        ours, theirs = found[name], real[name]
        return ours.low > theirs.high and ours.value > theirs.value + _SMALLEST

    return [period for period in PERIODS if above(f"peak_{period}") or above(f"fixed_{period}")]


def has_deficit(found: Mapping[str, Estimate], real: Mapping[str, Estimate]) -> bool:
    """Whether the interval of the power above half of Nyquist lies below Real's."""
    name = f"power_{HIGH[0]:.2f}_{HIGH[1]:.2f}"
    return found[name].high < real[name].low


def in_words(found: Mapping[str, Mapping[str, Estimate]], family_of: Mapping[str, str]) -> list[str]:
    """Which of the known fingerprints show and which do not, and which show that were not to be expected.

    Args:
        found: of every source what `fingerprints` gives, `Real` among them.
        family_of: family of each generator.
    """
    real, names = found["Real"], [name for name in found if name != "Real"]
    periods = {name: peaks(found[name], real) for name in names}
    with_peaks = {
        name: f"{name} ({', '.join(map(str, of))} px)" if of else name for name, of in periods.items()
    }
    high = f"power_{HIGH[0]:.2f}_{HIGH[1]:.2f}"
    deficits = {name: f"{name} ({found[name][high].value:.2f} of Real's power)" for name in names}
    checks: tuple[tuple[str, dict[str, str], set[str], set[str]], ...] = (
        (
            "Periodic peaks, known of transposed convolutions",
            with_peaks,
            {name for name in names if periods[name]},
            {name for name in names if "transposed" in name},
        ),
        (
            "Less power above half of Nyquist, known of diffusion",
            deficits,
            {name for name in names if has_deficit(found[name], real)},
            {name for name in names if family_of[name] == "diffusion"},
        ),
    )
    sentences = []
    for what, described, shown, known in checks:
        for group, label in ((known, what), (set(names) - known, f"{what.partition(',')[0]}, elsewhere")):
            yes = [described[name] for name in names if name in group & shown]
            no = [described[name] for name in names if name in group - shown]
            if yes or no:
                says = [f"{answer} in {', '.join(of)}" for answer, of in (("shows", yes), ("not", no)) if of]
                sentences.append(f"{label}: {'; '.join(says)}.")
    return sentences


def _around(planes: Floats) -> Floats:
    """Mean of the 24 frequencies around each, in each plane."""
    found: Floats = (25 * ndimage.uniform_filter(planes, (0, 5, 5), mode="wrap") - planes) / 24
    return found


def _mean(values: Floats, counts: NDArray[np.uint8]) -> Floats:
    mean: Floats = counts.astype(np.float64) @ values / len(values)
    return mean
