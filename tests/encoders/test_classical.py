from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image

from bandprobe import encoders
from bandprobe.errors import EncoderError
from bandprobe.seeding import generator

KINDS = ("pixel", "dct", "log-dct", "fft", "log-fft")


def by_scipy(kind: str, grey: np.ndarray) -> np.ndarray:
    """(64, 64) in [-1, 1] -> 4096 values."""
    values = {
        "pixel": grey,
        "dct": scipy.fft.dctn(grey, type=2, norm="ortho"),
        "fft": np.abs(scipy.fft.fft2(grey, norm="ortho")),
    }[kind.removeprefix("log-")]
    return (np.log(np.abs(values) + 1e-12) if kind.startswith("log-") else values).ravel()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (65, 90), (224, 224)])
def test_against_scipy(kind: str, size: tuple[int, int]) -> None:
    images = generator(0, "classical", size).uniform(-0.1, 1.1, (3, 3, *size)).astype(np.float32)
    top, left = (size[0] - 64) // 2, (size[1] - 64) // 2
    crops = images[:, :, top : top + 64, left : left + 64].astype(np.float64)
    greys = (0.299 * crops[:, 0] + 0.587 * crops[:, 1] + 0.114 * crops[:, 2]) * 2 - 1
    encoder = encoders.load(kind, device="cpu")
    vectors = encoder.encode(images)
    assert vectors.shape == (3, 4096) == (3, encoder.dim)
    np.testing.assert_allclose(vectors, [by_scipy(kind, grey) for grey in greys], rtol=1e-5, atol=1e-6)


def test_grey_is_pillows_but_for_rounding() -> None:
    rgb = generator(1, "pillow").integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(rgb).convert("L"), np.float64) / 127.5 - 1
    images = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    vector = encoders.load("pixel", device="cpu").encode(images).reshape(64, 64).numpy()
    assert np.abs(vector - expected).max() <= 0.51 / 127.5


def test_black_and_white_are_the_ends() -> None:
    pixel = encoders.load("pixel", device="cpu")
    ends = pixel.encode(torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64)]))
    torch.testing.assert_close(ends, torch.tensor([[-1.0], [1.0]]).expand(2, 4096))


@pytest.mark.parametrize("kind", ["dct", "fft"])
def test_energy_is_kept(kind: str) -> None:
    images = torch.from_numpy(generator(2, "energy").uniform(0, 1, (2, 3, 64, 64)))
    pixel = encoders.load("pixel", device="cpu").encode(images)
    torch.testing.assert_close(
        encoders.load(kind, device="cpu").encode(images).square().sum(1),
        pixel.square().sum(1),
        rtol=1e-5,
        atol=1e-5,
    )


def test_small_images_are_refused(make_images: Any) -> None:
    for kind in KINDS:
        with pytest.raises(EncoderError, match=f"^{kind} takes images of at least 64 x 64.*got 63 x 64"):
            encoders.load(kind, device="cpu").encode(make_images(1, 63, 64))


def test_kinds_are_told_apart_and_precision_is_single() -> None:
    prints = [encoders.load(kind, device="cpu", precision="fp16").fingerprint for kind in KINDS]
    assert len({print_["model_type"] for print_ in prints}) == len({p["vector"] for p in prints}) == 5
    assert {print_["precision"] for print_ in prints} == {"fp32"}
    assert encoders.load("c=dct", device="cpu").name == "c"
