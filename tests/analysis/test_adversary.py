"""The least energy in a band: a closed form for linear logits, what it keeps to, and what it finds elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from bandprobe.analysis.adversary import BUDGET, attack, band_attacks
from bandprobe.analysis.coalitions import Bands
from bandprobe.errors import InputError

SIDE = 32
BANDS = Bands.of((SIDE, SIDE))
MASKS = [torch.from_numpy(mask) for mask in BANDS.masks]


def pictures(n: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0.3, 0.7, (n, 3, SIDE, SIDE))).float()


def linear(weight: np.ndarray, offset: float):
    direction = torch.from_numpy(weight).float()

    def logits(images: torch.Tensor) -> torch.Tensor:
        return (images.flatten(1).double() @ direction.flatten().double()) + offset

    return logits


@pytest.mark.parametrize("number", range(len(BANDS)))
def test_of_a_linear_logit_it_is_the_margin_over_the_gradient_s_part_in_the_band(number: int) -> None:
    weight = np.random.default_rng(number).normal(size=(3, SIDE, SIDE))
    mask = MASKS[number]
    inside = np.fft.ifft2(np.fft.fft2(weight) * mask.numpy()).real
    logits = linear(weight, 0.0)
    threshold = float(logits(pictures()).median()) + 0.01  # some on either side
    expected = (logits(pictures()) - threshold).abs().numpy() / np.linalg.norm(inside)
    found = attack(logits, pictures(), threshold, mask, budget=1.0)
    np.testing.assert_allclose(found.norm, expected, rtol=0.01)


def test_what_lies_beyond_the_budget_is_not_found() -> None:
    weight = np.random.default_rng(1).normal(size=(3, SIDE, SIDE))
    mask = MASKS[2]
    inside = np.linalg.norm(np.fft.ifft2(np.fft.fft2(weight) * mask.numpy()).real)
    logits = linear(weight, 0.0)
    value = logits(pictures())
    longest = BUDGET * np.sqrt(3 * SIDE * SIDE)
    expected = value.abs().numpy() / inside
    found = attack(logits, pictures(), 0.0, mask)
    assert np.array_equal(np.isfinite(found.norm), expected < longest)
    far = attack(lambda images: logits(images) + 1e6, pictures(), 0.0, mask)
    assert np.isinf(far.norm).all()
    assert not far.survives.any()


def test_of_a_curved_logit_the_flip_is_real_lies_in_the_band_and_is_as_short_as_a_search_finds() -> None:
    """The logit is a band's energy: the shortest way down is to shrink that band of the image itself."""
    mask = MASKS[3]

    def band(images: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft2(torch.fft.fft2(images.double()) * mask).real

    def logits(images: torch.Tensor) -> torch.Tensor:
        return band(images).square().flatten(1).sum(1)

    images = pictures()
    norm = band(images).flatten(1).norm(dim=1).numpy()
    threshold = float((0.7 * norm.min()) ** 2)
    expected = norm - 0.7 * norm.min()
    found = attack(logits, images, threshold, mask, budget=1.0)
    np.testing.assert_allclose(found.norm, expected, rtol=0.02)
    np.testing.assert_allclose(found.relative, expected / norm, rtol=0.02)
    elsewhere = attack(logits, images, threshold, MASKS[0], budget=1.0)
    assert np.isinf(elsewhere.norm).all()  # another band does not enter


def test_a_flip_may_not_survive_rounding() -> None:
    weight = np.zeros((3, SIDE, SIDE))
    weight[:, ::2] = 1.0
    weight[:, 1::2] = -1.0
    levels = (pictures() * 255).round() / 255
    logits = linear(weight, 0.0)
    start = logits(levels)
    mask = MASKS[-1]
    # A hair from the threshold: what flips is far below half a level.
    near = attack(lambda images: logits(images) - start + 1e-3, levels, 0.0, mask)
    assert np.isfinite(near.norm).all()
    assert not near.survives.any()


def test_bad_input(world_manifest: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no probe was trained on unfiltered images"):
        band_attacks([], [], world_manifest, lambda ids: ([], torch.empty(0)), BANDS)


@pytest.fixture
def world_manifest() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": ["a", "b"], "label": [0, 1], "generator": ["Real", "G"], "family": ["", "gan"],
            "dataset": ["d", "d"], "split": ["test", "test"],
        }
    )  # fmt: skip
