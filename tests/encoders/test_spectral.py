from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bandprobe import encoders
from bandprobe.encoders.spectral import log_power
from bandprobe.errors import EncoderError
from bandprobe.seeding import generator


def naive(image: np.ndarray) -> np.ndarray:
    """The definition in loops, on the complex spectrum in float64."""
    grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    height, width = grey.shape
    power = np.abs(np.fft.fft2(grey - grey.mean(), norm="ortho")) ** 2
    cells = np.empty((32, 17))
    half = width // 2 + 1
    for i in range(32):
        for j in range(17):
            rows = range(i * height // 32, -(-(i + 1) * height // 32))
            columns = range(j * half // 17, -(-(j + 1) * half // 17))
            # Row r of the shifted spectrum is the signed frequency r - height // 2.
            cells[i, j] = np.mean([power[(r - height // 2) % height, c] for r in rows for c in columns])
    return np.log(cells.ravel() + (1 / 255) ** 2 / 12)


@pytest.mark.parametrize("size", [(32, 32), (33, 40), (56, 47), (64, 64)])
def test_against_the_definition(size: tuple[int, int]) -> None:
    images = generator(1, "spectral", size).uniform(-0.1, 1.1, (3, 3, *size))
    vectors = encoders.load("spectral", device="cpu").encode(images)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 544)
    np.testing.assert_allclose(vectors, [naive(image) for image in images], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("u", "v"), [(0, 10), (10, 0), (-20, 16), (24, 8)])
@pytest.mark.parametrize("size", [64, 128])
def test_a_sinusoid_lights_up_its_cell_on_every_grid(u: int, v: int, size: int) -> None:
    u, v = u * size // 64, v * size // 64  # the same fraction of Nyquist
    y, x = np.mgrid[:size, :size]
    wave = 0.5 + 0.4 * np.cos(2 * np.pi * (u * y + v * x) / size)
    images = torch.from_numpy(np.broadcast_to(wave, (1, 3, size, size)).copy())
    cells = encoders.load("spectral", device="cpu").encode(images).reshape(32, 17)
    row, column = divmod(int(cells.argmax()), 17)
    if v == 0:  # a real image holds +u and -u
        assert row in {(u + size // 2) * 32 // size, (-u + size // 2) * 32 // size}
    else:
        assert row == (u + size // 2) * 32 // size
    assert column == v * 17 // (size // 2 + 1)


def test_a_flat_image_is_at_the_floor() -> None:
    vectors = encoders.load("spectral", device="cpu").encode(torch.full((1, 3, 40, 40), 0.5))
    torch.testing.assert_close(
        vectors, torch.full((1, 544), float(np.log((1 / 255) ** 2 / 12))), rtol=1e-5, atol=0
    )


def test_phase_is_not_seen() -> None:
    rng = generator(2, "phase")
    image = rng.uniform(size=(48, 48))
    spectrum = np.fft.fft2(image)
    noise = np.fft.fft2(rng.uniform(size=(48, 48)))
    scrambled = np.fft.ifft2(np.abs(spectrum) * noise / np.abs(noise)).real
    assert np.abs(scrambled - image).max() > 0.3
    pair = torch.from_numpy(np.stack([image, scrambled]))[:, None].repeat(1, 3, 1, 1)
    one, other = log_power(pair)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_shift_changes_nothing_and_a_blur_lowers_high_cells() -> None:
    images = torch.from_numpy(generator(3, "shift").uniform(size=(1, 3, 64, 64)))
    vector = log_power(images)
    torch.testing.assert_close(log_power(images.roll((5, 9), (2, 3))), vector, rtol=1e-4, atol=1e-4)
    blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    cells, low = (v.reshape(32, 17) for v in (vector, log_power(blurred)))
    assert (low[:8, 8:] < cells[:8, 8:]).all()


def test_small_images_are_refused(make_images: Any) -> None:
    encoder = encoders.load("spectral", device="cpu")
    for size in ((31, 64), (64, 31)):
        with pytest.raises(EncoderError, match=f"at least 32 x 32; got {size[0]} x {size[1]}"):
            encoder.encode(make_images(1, *size))


def test_precision_is_always_single(make_images: Any) -> None:
    half = encoders.load("spectral", device="cpu", precision="fp16")
    assert half.precision == half.fingerprint["precision"] == "fp32"
    images = make_images(2, 40, 40)
    assert torch.equal(half.encode(images), encoders.load("spectral", device="cpu").encode(images))
