"""Where a decision comes from, against closed forms of linear detectors."""

from __future__ import annotations

import numpy as np
import pytest
from linear_scorer import SIDE, linear_scorer
from scipy.ndimage import gaussian_filter

from bandprobe.detect.occlusion import heat_map


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def window(number: int, cells: int) -> np.ndarray:
    """1 within a cell, a raised cosine over half a cell on either side; by a loop."""
    size = SIDE / cells
    found = np.zeros(SIDE)
    for place in range(SIDE):
        x = place + 0.5
        away = max(number * size - x, x - (number + 1) * size, 0) / (size / 2)
        found[place] = 0.5 + 0.5 * np.cos(np.pi * away) if away < 1 else 0
    return found


@pytest.mark.parametrize("cells", [4, 8])
def test_heat_is_what_the_logit_loses_with_a_part_s_detail(image: np.ndarray, cells: int) -> None:
    weight = np.random.default_rng(4).normal(size=(3, SIDE, SIDE))
    heat = heat_map(image, linear_scorer({"p": weight, "q": -2 * weight}), cells)
    assert heat.shape == (2, cells, cells)
    smooth = np.stack([gaussian_filter(image[..., c] / 1.0, SIDE / cells / 2) for c in range(3)], -1)
    for row in range(cells):
        for column in range(cells):
            share = np.outer(window(row, cells), window(column, cells))[..., None]
            hidden = np.rint((1 - share) * image + share * smooth)
            lost = ((image - hidden) / 255).transpose(2, 0, 1)
            assert heat[0, row, column] == pytest.approx((weight * lost).sum(), abs=2e-3)
    np.testing.assert_allclose(heat[1], -2 * heat[0], atol=1e-5)


def test_only_the_parts_a_detector_looks_at_are_warm(image: np.ndarray) -> None:
    weight = np.zeros((3, SIDE, SIDE))
    weight[:, 12:16, 20:24] = (
        image.transpose(2, 0, 1)[:, 12:16, 20:24] / 255 - 0.5
    )  # within row 3 and column 5
    heat = heat_map(image, linear_scorer({"p": weight}))[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == (3, 5)
    assert heat[3, 5] > 0
    away = heat.copy()
    away[2:5, 4:7] = 0  # windows reach half into the neighbours
    np.testing.assert_allclose(away, 0, atol=1e-5)


def test_an_even_image_has_no_warm_part() -> None:
    weight = np.random.default_rng(5).normal(size=(3, SIDE, SIDE))
    even = np.full((40, 60, 3), 77, np.uint8)
    np.testing.assert_allclose(heat_map(even, linear_scorer({"p": weight})), 0, atol=1e-6)


def test_parts_are_encoded_a_batch_at_a_time(image: np.ndarray) -> None:
    scorer = linear_scorer({"p": np.ones((3, SIDE, SIDE))})
    heat_map(image, scorer, batch=10)
    assert scorer.model.passes == [1, *[10] * 6, 4]  # type: ignore[attr-defined]


def test_a_probe_sees_parts_under_its_own_filter(image: np.ndarray) -> None:
    weight = np.random.default_rng(6).normal(size=(3, SIDE, SIDE))
    plain, smooth = heat_map(image, linear_scorer({"a": weight, "b": weight}, {"b": "ideal-lowpass:2px"}))
    # What is finer than 16 px is gone from both the image and its copy, so that hiding it changes little.
    assert np.abs(smooth).sum() < 0.3 * np.abs(plain).sum()
