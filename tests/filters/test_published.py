"""The published code's filtering, re-derived: equal to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bandprobe.filters import FilterBank, abs_uint8, expand, gain, parse


def published_mask(D0: int, rows: int, columns: int) -> np.ndarray:
    """First-order Butterworth low-pass, pixel by pixel around the centre."""
    mask = np.zeros((rows, columns))
    for u in range(rows):
        for v in range(columns):
            D = np.sqrt((u - rows // 2) ** 2 + (v - columns // 2) ** 2)
            mask[u, v] = 1 / (1 + (D / D0) ** 2)
    return mask


def published(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) -> uint8 (h, w, 3), channel by channel; the wrap spelt out as a remainder."""
    out = np.zeros_like(image)
    for channel in range(3):
        shifted = np.fft.fftshift(np.fft.fft2(image[:, :, channel])) * mask
        back = np.abs(np.fft.ifft2(np.fft.ifftshift(shifted)))
        out[:, :, channel] = np.mod(np.floor(back), 256).astype(np.uint8)
    return out


@pytest.mark.parametrize("D0", [1, 30, 185])
def test_equal_to_the_last_bit(D0: int) -> None:
    rng = np.random.default_rng(D0)
    images = rng.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    mask = published_mask(D0, 224, 224)
    expected = np.stack([published(image, mask) for image in images])
    planes = images.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(abs_uint8(planes, np.fft.ifftshift(mask)).transpose(0, 2, 3, 1), expected)
    ours = gain(parse(f"lowpass:{D0}px").steps[0], (224, 224))
    np.testing.assert_array_equal(abs_uint8(planes, ours).transpose(0, 2, 3, 1), expected)
    bank = FilterBank([parse(f"lowpass:{D0}px")], (224, 224), abs_uint8=True)
    [(_, filtered)] = bank(torch.from_numpy(planes.copy()).float() / 255)
    np.testing.assert_array_equal((filtered * 255).round().numpy(), expected.transpose(0, 3, 1, 2))


def test_values_above_255_wrap_and_negative_ones_are_mirrored() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 2, (3, 32, 32), dtype=np.uint8) * np.uint8(255)
    mask = np.full((32, 32), 1.5)
    changed = abs_uint8(image, mask)
    assert set(np.unique(changed)) <= {0, 125, 126, 127}  # 382.5 - 256, less rounding
    high = gain(parse("highpass:3px:dc=zero").steps[0], (32, 32))
    plain = np.fft.ifft2(np.fft.fft2(image) * high).real
    assert plain.min() < -20
    np.testing.assert_allclose(abs_uint8(image, high), np.abs(plain) % 256, atol=1)


def test_the_bank_leaves_none_and_pixel_operations_as_they_are() -> None:
    levels = np.random.default_rng(3).integers(0, 256, (2, 3, 40, 40), dtype=np.uint8)
    images = torch.from_numpy(levels).float() / 255
    specs = expand(["none", "identity", "flip", "jpeg:80+lowpass:6px", "fda:0.1:reference=r",
                    "inject:9px:reference=r", "random-lowpass:3..9px", "random-bandstop:3..9px:width=4px"])  # fmt: skip
    bank = FilterBank(specs, (40, 40), references=lambda step, ids: images.flip(0), abs_uint8=True)
    found = {str(done.filter): done for done in bank.measured(images, ["a", "b"])}
    torch.testing.assert_close(found["none"].images, images, atol=0, rtol=0)
    torch.testing.assert_close(found["flip"].images, images.flip(-1), atol=0, rtol=0)
    identity = (found["identity"].images * 255).round().numpy()
    np.testing.assert_array_equal(identity, abs_uint8(levels, np.ones((40, 40))))
    assert 0 < (identity != levels).mean() < 1  # truncation takes a level where rounding fell short
    plain = FilterBank(specs, (40, 40), references=lambda step, ids: images.flip(0))
    for done in plain.measured(images, ["a", "b"]):
        if done.filter.transforms:
            published = found[str(done.filter)].images * 255
            torch.testing.assert_close(published, published.round(), atol=1e-4, rtol=0)
            difference = ((done.images.abs() * 255 - published) % 256).abs()
            assert (torch.minimum(difference, 256 - difference) < 1.01).all(), str(done.filter)
