"""The views of a batch against Pillow, scipy and their definitions."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from zoo.augmentation import (
    View,
    blurring,
    crops,
    jitter,
    normalised,
    recoloured,
    resampled,
    resampling,
    solarised,
    views,
)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [32, 17, 64])  # reduced, reduced a lot, enlarged
def test_a_crop_is_pillows_antialiased_resize_of_a_box(images: torch.Tensor, size: int) -> None:
    top, left = torch.tensor([0.0, 3.3, 8.6]), torch.tensor([0.0, 10.2, 0.4])
    height, width = torch.tensor([48.0, 40.1, 30.5]), torch.tensor([48.0, 33.7, 44.0])
    rows, columns = resampling(top, height, 48, size), resampling(left, width, 48, size)
    seen = resampled(images, rows, columns)
    assert seen.shape == (3, 3, size, size)
    for n in range(3):
        box = tuple(float(edge[n]) for edge in (left, top, left + width, top + height))
        for channel in range(3):
            plane = Image.fromarray(images[n, :, :, channel].numpy().astype(np.float32), mode="F")
            expected = np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR, box=box)) / 255
            np.testing.assert_allclose(seen[n, channel], expected, atol=2e-5)


def test_several_views_of_an_image_stand_together(images: torch.Tensor) -> None:
    top, whole = torch.tensor([0.0, 5, 0, 7, 1, 9]), torch.full((6,), 30.0)
    matrices = resampling(top, whole, 48, 16)
    seen = resampled(images, matrices, matrices)
    for n in range(3):
        alone = resampled(images[n : n + 1].expand(2, -1, -1, -1), *[matrices[2 * n : 2 * n + 2]] * 2)
        torch.testing.assert_close(seen[2 * n : 2 * n + 2], alone)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.3, 2.0])
def test_the_blur_is_a_gaussian_with_edges_that_go_on(sigma: float) -> None:
    plane = np.random.default_rng(1).random((24, 24))
    kernel = blurring(torch.tensor([sigma]), 24)[0].double().numpy()
    np.testing.assert_allclose(kernel.sum(1), 1, atol=1e-6)
    expected = gaussian_filter(plane, sigma, mode="nearest", truncate=4 if sigma < 2 else 3.99)
    np.testing.assert_allclose(kernel @ plane @ kernel.T, expected, atol=3e-4)


def test_a_blur_of_zero_is_none() -> None:
    torch.testing.assert_close(blurring(torch.zeros(2), 9), torch.eye(9).expand(2, -1, -1))


def test_boxes_lie_inside_and_have_the_asked_area_and_aspect() -> None:
    torch.manual_seed(0)
    top, left, height, width = crops(5000, 96, (0.05, 0.4))
    share = height * width / 96**2
    assert torch.stack([top, left]).min() >= 0
    assert torch.stack([top + height, left + width]).max() <= 96 + 1e-4
    assert 0.05 <= share.min() < 0.06
    assert 0.39 < share.max() <= 0.4 + 1e-5
    aspect = width / height
    assert 0.75 - 1e-4 <= aspect.min() < 0.76
    assert 1.32 < aspect.max() <= 4 / 3 + 1e-4
    assert abs(float(aspect.log().mean())) < 0.01
    assert crops(50, 96, (1.0, 1.0))[2].max() <= 96


def naive_jitter(picture: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """One change after another, each as its definition has it, h x w x 3, unclipped."""
    luma = np.array([0.299, 0.587, 0.114])
    picture = picture * brightness
    picture = contrast * picture + (1 - contrast) * (picture @ luma).mean()
    return saturation * picture + (1 - saturation) * (picture @ luma)[..., None]


def test_colours_change_as_brightness_then_contrast_then_saturation(
    monkeypatch: pytest.MonkeyPatch, images: torch.Tensor
) -> None:
    monkeypatch.setattr("zoo.augmentation._HUE", 0.0)
    torch.manual_seed(3)
    linear, contrast = jitter(64)
    pictures = (images.float() / 255 * 0.3 + 0.35).permute(0, 3, 1, 2)[torch.arange(64) % 3]
    seen = recoloured(pictures, linear, contrast)
    greys = 0
    for n in range(64):
        # Of a map of colours: grey is scaled by brightness x contrast, a difference of hue by saturation too.
        scale = float(linear[n].sum(1)[0])
        chroma = torch.tensor([1.0, 0.0, -0.299 / 0.114])  # of no luma
        saturation = float((linear[n] @ chroma)[0]) / scale
        greys += abs(saturation) < 1e-5
        expected = naive_jitter(
            pictures[n].permute(1, 2, 0).numpy(),
            scale / float(contrast[n]),
            float(contrast[n]),
            saturation,
        )
        np.testing.assert_allclose(seen[n].permute(1, 2, 0), expected.clip(0, 1), atol=2e-3)
    assert 4 < greys < 24


def test_the_hue_turns_by_at_most_a_tenth_and_leaves_grey_and_luma(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BRIGHTNESS", "_CONTRAST", "_SATURATION", "_GREYED"):
        monkeypatch.setattr(f"zoo.augmentation.{name}", 0.0)
    torch.manual_seed(0)
    linear, contrast = jitter(400)
    luma = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(contrast, torch.ones(400))
    torch.testing.assert_close(linear.sum(2), torch.ones(400, 3), atol=2e-3, rtol=0)
    torch.testing.assert_close(luma @ linear, luma.expand(400, 3), atol=1e-4, rtol=0)
    colour = torch.tensor([0.6, 0.4, 0.45])
    before = colorsys.rgb_to_hsv(*colour.tolist())[0]
    turns = [(colorsys.rgb_to_hsv(*c)[0] - before + 0.5) % 1 - 0.5 for c in (linear @ colour).tolist()]
    assert 0.05 < max(turns) < 0.16  # about 0.1: the plane of I and Q is no circle in HSV
    assert -0.16 < min(turns) < -0.05
    untouched = (linear - torch.eye(3)).abs().amax((1, 2)) < 1e-4
    assert 0.12 < untouched.float().mean() < 0.28


def test_solarising_inverts_what_is_bright() -> None:
    assert solarised(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == [0.0, 0.25, 0.5, 0.25, 0.0]


def test_normalising_is_by_channel() -> None:
    pixels = normalised(torch.full((2, 3, 4, 4), 0.5), (0.5, 0.25, 0.0), (1.0, 0.5, 0.25))
    assert pixels[1, :, 2, 3].tolist() == [0.0, 0.5, 2.0]


def test_without_blur_views_differ_in_the_blur_alone(images: torch.Tensor) -> None:
    smooth = torch.arange(48, dtype=torch.uint8).mul(5)[None, :, None, None].expand(3, -1, 48, 3).contiguous()
    view = View(32, (0.4, 1.0), blurred=0.5, solarised=0.0)

    def draw(given: torch.Tensor, blur: bool) -> torch.Tensor:
        torch.manual_seed(7)
        return views(given, view, 4, blur=blur)

    inner = (..., slice(9, -9), slice(9, -9))
    # A linear ramp is its own blur away from the edges, so crop, flip and colours must agree there.
    torch.testing.assert_close(draw(smooth, True)[inner], draw(smooth, False)[inner], atol=2e-3, rtol=0)
    blurred, sharp = draw(images, True), draw(images, False)
    differs = (blurred - sharp).abs().amax((2, 3, 4)) > 1e-3
    assert differs.any()
    assert not differs.all()
    assert (blurred.diff(dim=-1).abs().mean((2, 3, 4)) < sharp.diff(dim=-1).abs().mean((2, 3, 4)))[
        differs
    ].all()
    state = []
    for blur in (True, False):
        draw(images, blur)
        state.append(torch.rand(1))
    assert state[0] == state[1]


def test_a_plain_view_only_crops(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    whole = View(48, (1.0, 1.0), colours=False)
    seen = views(torch.full_like(images, 51), whole)
    assert seen.shape == (1, 3, 3, 48, 48)
    torch.testing.assert_close(seen, torch.full_like(seen, 0.2))


def test_views_are_flipped_half_of_the_time() -> None:
    ramp = torch.arange(48, dtype=torch.uint8).mul(5)[None, None, :, None].expand(200, 48, -1, 3).contiguous()
    torch.manual_seed(0)
    seen = views(ramp, View(16, (1.0, 1.0), blurred=0.0))[0]
    flipped = (seen[:, 1, 8, 3] > seen[:, 1, 8, 12]).float().mean()
    assert 0.38 < flipped < 0.62
