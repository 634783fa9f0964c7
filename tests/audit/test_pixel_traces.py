"""Pixel traces: closed forms, naive references, and the planted history that each must show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from planted import compressed, picture, resized
from scipy import fft, signal

from bandprobe.audit.compression import (
    blockiness,
    chroma_detail,
    comb,
    dct_blocks,
    dct_histogram,
    double_quantisation,
)
from bandprobe.audit.interpolation import interpolation, prediction_error
from bandprobe.audit.pixels import PIXELS, pixel_traces
from bandprobe.errors import ImageError

LUMA = np.array([0.299, 0.587, 0.114])
PICTURES = [picture(number, 160) for number in range(8)]


def mean(trace: str, name: str, pictures: list[np.ndarray]) -> float:
    return float(np.mean([pixel_traces(each, 256)[trace, name] for each in pictures]))


def test_blocks_are_those_of_scipy() -> None:
    luma = PICTURES[0] @ LUMA
    luma = luma[:157, :150]
    found = dct_blocks(luma)
    assert found.shape == (19 * 18, 8, 8)
    assert np.allclose(found[19], fft.dctn(luma[8:16, 8:16] - 128, norm="ortho"), atol=1e-9)


def test_blockiness_of_blocks_of_one_grey() -> None:
    rng = np.random.default_rng(0)
    flat = np.kron(rng.integers(0, 255, (12, 12)), np.ones((8, 8)))
    # A step of 1 gives the third differences 1, -2, 1, the 2 on the line itself.
    found = blockiness(flat)
    assert found["on the grid"] == pytest.approx(8 * 2 / 4 - 1)
    moved = blockiness(flat[3:, 3:])
    assert moved["off the grid"] == pytest.approx(8 * 2 / 4 - 1)
    noise = blockiness(rng.normal(128, 20, (256, 256)))
    assert abs(noise["on the grid"]) < 0.05


@pytest.mark.parametrize("step", [3, 6, 10, 17])
def test_a_comb_and_its_step(step: int) -> None:
    rng = np.random.default_rng(step)
    smooth = rng.laplace(0, 25, (3000, 2))
    combed = np.rint(smooth / step) * step + rng.normal(0, 0.3, smooth.shape)
    strength, steps = comb(combed)
    assert steps.tolist() == [step, step]
    reach = np.abs(combed[:, 0]) > step / 2
    naive = np.cos(2 * np.pi * combed[reach, 0] / step).sum() / (reach.sum() + 25)
    assert strength[0] == pytest.approx(naive, abs=0.02)
    free, none = comb(smooth)
    assert none.tolist() == [1, 1]
    assert free.max() < 0.2


def test_quantised_once_is_as_rough_as_counting() -> None:
    rng = np.random.default_rng(0)
    once, twice = np.zeros((2, 4000, 8, 8))
    values = rng.laplace(0, 30, once.shape)
    once[:] = np.rint(values / 5) * 5
    twice[:] = np.rint(np.rint(values / 8) * 8 / 5) * 5
    assert double_quantisation(once)["roughness"] == pytest.approx(1, abs=0.25)
    assert double_quantisation(once)["holes"] == 0
    assert double_quantisation(twice)["roughness"] > 4
    assert double_quantisation(twice)["holes"] > 0.1
    assert double_quantisation(np.zeros((10, 8, 8))) == {"roughness": 1.0, "holes": 0.0}


def test_a_lower_quality_is_seen() -> None:
    steps, strength, edges = [], [], []
    for quality in (95, 85, 70, 50):
        made = [compressed(each, quality) for each in PICTURES]
        steps.append(mean("DCT histogram", "step", made))
        strength.append(mean("DCT histogram", "comb", made))
        edges.append(mean("blockiness", "on the grid", made))
    assert steps == sorted(steps)
    assert edges == sorted(edges)
    assert strength[-1] > 0.7
    assert mean("DCT histogram", "comb", PICTURES) < 0.15


def test_a_crop_moves_the_grid() -> None:
    made = [compressed(each, 60) for each in PICTURES]
    moved = [each[3:, 5:] for each in made]
    assert mean("blockiness", "on the grid", made) > 0.3
    assert mean("blockiness", "on the grid", moved) < 0.05
    assert mean("blockiness", "off the grid", moved) > 0.2


def test_chroma_is_coarser_after_subsampling() -> None:
    full, half = ([compressed(each, 95, way) for each in PICTURES] for way in (0, 2))
    assert mean("chroma detail", "across", full) - mean("chroma detail", "across", half) > 0.5
    grey = np.repeat(PICTURES[0][..., :1], 3, axis=2)
    assert chroma_detail(grey)["down"] < -5


@pytest.mark.parametrize("kernel", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_upsampling_gives_a_peak_where_theory_puts_it(kernel: Image.Resampling) -> None:
    """A factor s makes the second difference's variance periodic with s pixels: 1/s, seen at 1 - 1/s."""
    made = [resized(208, kernel)(each) for each in PICTURES]
    found = [interpolation(each @ LUMA) for each in made]
    plain = [interpolation(each @ LUMA) for each in PICTURES]
    assert np.mean([each["peak"] for each in found]) > np.mean([each["peak"] for each in plain]) + 1
    assert np.median([each["period"] for each in found]) == pytest.approx(1 - 160 / 208, abs=0.01)


def test_the_predictor_is_kirchners() -> None:
    luma = PICTURES[0] @ LUMA
    kernel = np.array([[-0.25, 0.5, -0.25], [0.5, 0, 0.5], [-0.25, 0.5, -0.25]])
    naive = signal.convolve2d(luma, kernel, mode="valid") - luma[1:-1, 1:-1]
    assert np.allclose(prediction_error(luma), naive)


def test_white_noise_has_the_predictors_own_correlations() -> None:
    """The error is the product of two second differences, whose autocorrelation is (6, -4, 1) / 6."""
    found = interpolation(np.random.default_rng(0).normal(128, 20, (256, 256)))
    for name, value in (("lag 1", -4 / 6), ("lag 2", 1 / 6), ("diagonal", 16 / 36)):
        assert found[name] == pytest.approx(value, abs=0.05)


def test_every_trace_is_finite_whatever_the_picture() -> None:
    for rgb in (
        np.zeros((40, 40, 3)),
        np.full((32, 300, 3), 255),
        np.indices((64, 64)).sum(0)[..., None] * [2, 2, 2],
    ):
        found = pixel_traces(rgb.astype(np.uint8), 256)
        assert {trace for trace, _ in found} == set(PIXELS)
        assert np.isfinite(list(found.values())).all()
    with pytest.raises(ImageError, match="smaller than the 32 px"):
        pixel_traces(np.zeros((31, 64, 3), np.uint8), 256)
    crop = picture(3, 160)
    assert pixel_traces(crop, 96) == pixel_traces(crop[32:128, 32:128], 96)
    assert dct_histogram(dct_blocks(np.full((64, 64), 7.0)))["zeros"] == 1
