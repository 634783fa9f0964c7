"""Procedural images: reproducible, natural in their spectrum, and fakes with the traces of their layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandprobe import seeding
from bandprobe.datasets import RESAMPLERS, dead_leaves, resample, write_world
from bandprobe.images import decode
from bandprobe.metrics import radial_power, spectral_slope


def test_a_seed_decides_every_pixel() -> None:
    one, two = (dead_leaves(64, seeding.generator(3, "scene")) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (64, 64, 3)
    assert 0 <= one.min() < one.max() <= 1
    assert (dead_leaves(64, seeding.generator(4, "scene")) != one).any()


def test_power_falls_as_in_natural_images() -> None:
    grey = np.stack([dead_leaves(64, seeding.generator(0, n)).mean(2) for n in range(60)]) * 2 - 1
    slope = spectral_slope(radial_power(grey).mean(0))
    assert -3.0 < slope < -1.5


@pytest.mark.parametrize("name", RESAMPLERS)
def test_resamplers_keep_size_range_and_flat_colour(name: str) -> None:
    flat = np.full((16, 24, 3), 0.4)
    out = resample(flat, name)
    assert out.shape == flat.shape
    assert abs(out.mean() - 0.4) < 0.05
    assert 0 <= out.min() <= out.max() <= 1


def test_nearest_and_bilinear_are_what_their_names_say() -> None:
    image = np.random.default_rng(0).random((8, 8, 3))
    half = image.reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(resample(image, "nearest"), half.repeat(2, 0).repeat(2, 1), atol=1e-12)
    inner = resample(image, "bilinear")[1, 1]
    expected = 0.75**2 * half[0, 0] + 0.75 * 0.25 * (half[0, 1] + half[1, 0]) + 0.25**2 * half[1, 1]
    np.testing.assert_allclose(inner, expected, atol=1e-12)


def test_a_transposed_convolution_leaves_its_checkerboard() -> None:
    """Uneven overlap changes the brightness with period 2: a peak at Nyquist on the axes."""
    spectrum = np.abs(np.fft.fft2(resample(np.full((32, 32, 3), 0.5), "transposed-convolution").mean(2)))
    spectrum[0, 0] = 0
    peaks = {(16, 0), (0, 16), (16, 16)}
    order = np.dstack(np.unravel_index(np.argsort(spectrum.ravel())[::-1][:2], spectrum.shape))[0]
    assert {tuple(int(i) for i in place) for place in order} <= peaks


def test_a_world_is_written_once(tmp_path: Path) -> None:
    root = write_world(tmp_path / "w", size=32, reals=4, fakes=2)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    assert len(files) == 4 + 2 * len(RESAMPLERS)
    before = {name: (root / name).read_bytes() for name in files}
    (root / "Real/00001.png").unlink()
    write_world(root, size=32, reals=4, fakes=2)
    assert {name: (root / name).read_bytes() for name in files} == before
    assert decode(root / "nearest/00000.png").shape == (32, 32, 3)
