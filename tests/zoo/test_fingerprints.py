"""Fingerprints of images whose patterns are known, against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bandprobe.metrics.jackknife import Estimate
from zoo.fingerprints import (
    BANDS,
    HIGH,
    PERIODS,
    band_power,
    fingerprints,
    frequencies,
    grey,
    has_deficit,
    in_words,
    peaks,
    periodicity,
    resamples,
)

SIDE = 64
Y, X = np.indices((SIDE, SIDE))


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(128, 20, (n, SIDE, SIDE, 1)).repeat(3, 3)


def levels(images: np.ndarray) -> np.ndarray:
    return np.rint(images.clip(0, 255)).astype(np.uint8)


@pytest.mark.parametrize("period", PERIODS)
def test_a_periods_frequencies_are_those_of_its_patterns_alone(period: int) -> None:
    def lit(p: int) -> set[tuple[int, int]]:
        tile = np.random.default_rng(p).random((p, p))
        spectrum = np.abs(np.fft.fft2(np.tile(tile, (48 // p, 48 // p))))
        return {(int(a), int(b)) for a, b in np.argwhere(spectrum > 1e-6)}

    assert set(frequencies(period)) == lit(period) - lit(period // 2)


def test_periodicity_is_what_loops_over_pairs_give() -> None:
    images = levels(noise(5) + 15 * (-1.0) ** (X + Y)[None, :, :, None])
    residuals = []
    for image in images:
        luma = np.asarray(Image.fromarray(image).convert("L"))[8:56, 8:56].astype(float)
        high = luma - ndimage.median_filter(luma, 3, mode="reflect")
        residuals.append(high / high.std())
    spectra = np.fft.fft2(residuals) / 48
    counts = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 2, 0]], np.uint8)
    found = periodicity(images, counts)
    for row, weights in enumerate(counts.astype(float)):
        drawn = [i for i, weight in enumerate(weights) for _ in range(int(weight))]
        power = np.mean([np.abs(spectra[i]) ** 2 for i in drawn], 0)
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        shared = np.mean([(spectra[i] * spectra[j].conj()).real for i, j in pairs], 0)
        for period in PERIODS:
            peak, fixed = [], []
            for a, b in frequencies(period):
                window = [
                    ((a + u) % 48, (b + v) % 48)
                    for u in range(-2, 3)
                    for v in range(-2, 3)
                    if (u, v) != (0, 0)
                ]
                beside = np.mean([power[place] for place in window])
                peak.append(power[a, b] / beside)
                fixed.append((shared[a, b] - np.mean([shared[place] for place in window])) / beside)
            assert found[f"peak_{period}"][row] == pytest.approx(np.mean(peak), rel=1e-9)
            assert found[f"fixed_{period}"][row] == pytest.approx(np.mean(fixed), abs=1e-9)


@pytest.mark.parametrize("period", PERIODS)
def test_a_pattern_peaks_at_its_period_alone_whatever_the_number_of_images(period: int) -> None:
    pattern = 12 * np.cos(2 * np.pi * X / period)[None, :, :, None]
    few, many = (
        {
            name: values[0]
            for name, values in periodicity(levels(noise(n) + pattern), np.ones((1, n), np.uint8)).items()
        }
        for n in (60, 240)
    )
    for p in PERIODS:
        if p == period:
            assert many[f"fixed_{p}"] > 1
            assert few[f"fixed_{p}"] == pytest.approx(many[f"fixed_{p}"], rel=0.2)
        else:
            assert many[f"peak_{p}"] == pytest.approx(1, abs=0.25)
            assert abs(many[f"fixed_{p}"]) < 0.1


def test_a_pattern_of_another_phase_in_each_image_peaks_and_is_not_fixed() -> None:
    sign = np.random.default_rng(1).choice((-1.0, 1.0), 300)[:, None, None, None]
    images = levels(noise(300) + sign * 12 * (-1.0) ** X[None, :, :, None])
    found = {name: values[0] for name, values in periodicity(images, np.ones((1, 300), np.uint8)).items()}
    assert found["peak_2"] > 5
    assert abs(found["fixed_2"]) < 0.1 * found["peak_2"]


def test_repeated_images_are_no_fixed_pattern() -> None:
    images = levels(noise(40)).repeat(5, 0)
    found = periodicity(images, resamples(200, 0, "repeated"))
    for period in PERIODS:
        low, high = np.quantile(found[f"fixed_{period}"][1:], [0.0005, 0.9995])
        assert low < 0 < high


def test_power_of_bands_is_that_of_all_their_frequencies() -> None:
    picture = levels(noise(1))[0, :, :, 0]
    power = np.abs(np.fft.fft2(picture / 127.5 - 1)) ** 2 / SIDE**2
    signed = np.fft.fftfreq(SIDE) * SIDE
    ring = np.round(np.hypot(signed[:, None], signed))
    rings = np.array([[power[ring == r].mean() for r in range(SIDE // 2 + 1)]])
    for low, high in (*BANDS, HIGH):
        inside = (ring > low * SIDE / 2) & (ring <= high * SIDE / 2)
        assert band_power(rings, (low, high))[0] == pytest.approx(power[inside].sum())


def test_ratios_to_reals_are_those_of_the_power() -> None:
    reals = noise(150)
    flat = fingerprints(levels(reals), levels(noise(150, 1)), label="flat")
    assert flat["slope"].low < 0 < flat["slope"].high  # white noise
    assert flat["power_0.50_1.00"].low < 1 < flat["power_0.50_1.00"].high
    weak = fingerprints(levels(128 + 0.5 * (reals - 128)), levels(noise(150, 1)), label="weak")
    for low, high in (*BANDS, HIGH):
        estimate = weak[f"power_{low:.2f}_{high:.2f}"]
        assert estimate.low < estimate.value < estimate.high
        assert estimate.value == pytest.approx(0.25, rel=0.05)
    soft = ndimage.gaussian_filter(reals, (0, 0.7, 0.7, 0))
    blurred = fingerprints(levels(soft), levels(noise(150, 1)), label="soft")
    assert has_deficit(blurred, flat)
    assert not has_deficit(flat, flat)
    assert blurred["power_0.75_1.00"].value < blurred["power_0.25_0.50"].value < 1


def test_intervals_cover_what_other_images_give() -> None:
    reals = levels(noise(200, 9))
    found = [fingerprints(levels(noise(200, n)), reals, label=str(n)) for n in range(2, 5)]
    for name, first in found[0].items():
        for other in found[1:]:
            assert max(first.low, other[name].low) <= min(first.high, other[name].high), name


def made(peak: float = 1.0, power: float = 1.0) -> dict[str, Estimate]:
    around = {
        f"{kind}_{p}": Estimate(base, base - 0.02, base + 0.02)
        for p in PERIODS
        for kind, base in (("peak", 1.0), ("fixed", 0.0))
    }
    around["peak_4"] = Estimate(peak, peak - 0.02, peak + 0.02)
    return around | {"power_0.50_1.00": Estimate(power, power - 0.05, power + 0.05)}


def test_words_follow_from_the_numbers() -> None:
    found = {
        "Real": made(),
        "gan-transposed": made(peak=1.5),
        "gan-style": made(peak=1.05),  # above Real's interval, and too little to be called a peak
        "ddpm": made(power=0.7),
        "flow": made(power=0.97),
    }
    assert peaks(found["gan-transposed"], found["Real"]) == [4]
    assert peaks(found["gan-style"], found["Real"]) == []
    families = {"gan-transposed": "gan", "gan-style": "gan", "ddpm": "diffusion", "flow": "diffusion"}
    known_peaks, other_peaks, known_deficit, other_deficit = in_words(found, families)
    assert "shows in gan-transposed (4 px)" in known_peaks
    assert other_peaks.endswith("elsewhere: not in gan-style, ddpm, flow.")
    assert "shows in ddpm (0.70 of Real's power); not in flow (0.97 of Real's power)" in known_deficit
    assert "elsewhere: not in gan-transposed" in other_deficit


def test_without_the_expected_peaks_the_words_say_so() -> None:
    found = {"Real": made(), "gan-transposed": made(), "gan-nearest": made(peak=2.0)}
    sentences = in_words(found, dict.fromkeys(found, "gan"))
    assert sentences[0] == "Periodic peaks, known of transposed convolutions: not in gan-transposed."
    assert sentences[1] == "Periodic peaks, elsewhere: shows in gan-nearest (4 px)."


def test_grey_is_the_luma_of_the_middle() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    expected = [np.asarray(Image.fromarray(image).convert("L"))[8:56, 8:56] for image in images]
    np.testing.assert_array_equal(grey(images, 48), expected)
