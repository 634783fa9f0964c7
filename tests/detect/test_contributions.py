"""What each band adds to a decision, and whether it holds over radii, against closed forms of linear detectors."""

from __future__ import annotations

import numpy as np
import pytest
from linear_scorer import SIDE, linear_scorer, masked, radii

from bandprobe.detect.contributions import consensus, contributions
from bandprobe.filters import parse

EDGES = (
    1.2,
    0.15 * 16,
    0.3 * 16,
    0.5 * 16,
    0.75 * 16,
    np.inf,
)  # px; of a 32 px grid, whose first band is empty


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture
def weight() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, SIDE, SIDE))


def inside(band: int) -> np.ndarray:
    D = radii()
    return (EDGES[band] <= D) & (EDGES[band + 1] > D)


def test_of_a_linear_detector_each_band_adds_its_own_part(image: np.ndarray, weight: np.ndarray) -> None:
    found = contributions(image, linear_scorer({"p": weight}))
    assert found.bands == ("0-0.15", "0.15-0.3", "0.3-0.5", "0.5-0.75", "0.75-1.41")
    parts = [float((weight * masked(image, inside(band))).sum()) for band in range(5)]
    np.testing.assert_allclose(found.values[0], parts, atol=2e-4)
    np.testing.assert_allclose(found.alone[0], parts, atol=2e-4)
    np.testing.assert_allclose(found.without[0], [-part for part in parts], atol=2e-4)
    assert found.bare[0] == pytest.approx(0.25 + (weight * masked(image, radii() < 1.2)).sum(), abs=2e-4)
    assert found.whole[0] == pytest.approx(0.25 + (weight * image.transpose(2, 0, 1) / 255).sum(), abs=2e-4)


def test_bands_that_only_count_together_share_what_they_add(image: np.ndarray, weight: np.ndarray) -> None:
    scorer = linear_scorer({"p": weight})
    model = scorer.model

    class Product:
        """The logit is the product of what two bands hold."""

        def __getattr__(self, name: str) -> object:
            return getattr(model, name)

        def encode(self, images):  # type: ignore[no-untyped-def]
            import torch

            spectra = torch.fft.fft2(images.double())
            energy = [
                (spectra[..., torch.from_numpy(inside(band))].abs() ** 2).sum((1, 2)) for band in (1, 3)
            ]
            flat = torch.zeros(len(images), model.dim, dtype=torch.float64)
            flat[:, 0] = torch.sqrt(energy[0] * energy[1]) / 1000
            return flat.float()

    ones = np.zeros_like(weight)
    ones[0, 0, 0] = 1
    scorer = linear_scorer({"p": ones})
    scorer.model = Product()  # type: ignore[assignment]
    found = contributions(image, scorer)
    whole = found.whole[0] - found.bare[0]
    assert whole > 0.1
    np.testing.assert_allclose(found.values[0], whole * np.array([0, 0.5, 0, 0.5, 0]), atol=1e-5)
    np.testing.assert_allclose(found.alone[0], 0, atol=1e-5)
    np.testing.assert_allclose(found.without[0], -whole * np.array([0, 1, 0, 1, 0]), atol=1e-5)


def test_what_is_divided_is_the_logit_that_a_probe_decides_by(image: np.ndarray, weight: np.ndarray) -> None:
    spec = "lowpass:4px"
    scorer = linear_scorer({"plain": weight, "smooth": -weight}, {"smooth": spec})
    found = contributions(image, scorer)
    decided, _ = scorer.logits(image[None], ["id"])
    np.testing.assert_allclose(found.whole, decided[:, 0], atol=2e-4)
    np.testing.assert_allclose(found.values.sum(1), found.whole - found.bare, atol=1e-9)
    gain = 1 / (1 + (radii() / 4) ** 2)  # Butterworth's of order 1, on amplitudes
    parts = [float((-weight * masked(image, inside(band) * gain)).sum()) for band in range(5)]
    reference = parse(spec)(image.transpose(2, 0, 1)[None] / 255)[0]
    np.testing.assert_allclose(masked(image, gain), reference, atol=1e-6)
    np.testing.assert_allclose(found.values[1], parts, atol=2e-4)


def test_an_ideal_filter_that_leaves_nothing_of_a_coalition_is_no_error(
    image: np.ndarray, weight: np.ndarray
) -> None:
    found = contributions(image, linear_scorer({"p": weight}, {"p": "ideal-highpass:12px"}))
    np.testing.assert_allclose(found.values[0, :4], 0, atol=2e-4)
    passed = radii() > 12  # a coefficient at the cut-off does not pass
    assert found.values[0, 4] == pytest.approx((weight * masked(image, passed)).sum(), abs=2e-4)


def test_coalitions_are_encoded_together(image: np.ndarray, weight: np.ndarray) -> None:
    scorer = linear_scorer({"a": weight, "b": 2 * weight, "c": weight}, {"c": "lowpass:4px"})
    contributions(image, scorer)
    passes: list[int] = scorer.model.passes  # type: ignore[attr-defined]
    assert sum(passes) == 2 * 32  # five bands, two filters that probes were trained under
    assert len(passes) == 4


def test_an_image_of_any_size_goes_to_the_grid_first(weight: np.ndarray) -> None:
    large = np.random.default_rng(2).integers(0, 256, (50, 71, 3)).astype(np.uint8)
    scorer = linear_scorer({"p": weight})
    np.testing.assert_array_equal(
        contributions(large, scorer).values, contributions(scorer.placed(large), scorer).values
    )


def test_consensus_is_a_low_pass_sweep(image: np.ndarray, weight: np.ndarray) -> None:
    found = consensus(image, linear_scorer({"p": weight, "q": -weight}))
    expected = []
    for radius in np.arange(1, 11) / 10 * 16:
        filtered = masked(image, 1 / (1 + (radii() / radius) ** 2))
        expected.append(0.25 + float((weight * filtered).sum()))
    np.testing.assert_allclose(found.logits[0], expected, atol=2e-4)
    np.testing.assert_allclose(found.mean[0], np.mean(expected), atol=2e-4)
    np.testing.assert_allclose(found.logits[1], 0.5 - np.array(expected), atol=2e-4)
    threshold = float(np.sort(expected)[3] + np.sort(expected)[4]) / 2
    agreed = found.agreement(np.array([threshold, 99.0]), np.array([True, False]))
    np.testing.assert_allclose(agreed, [0.6, 1.0])
