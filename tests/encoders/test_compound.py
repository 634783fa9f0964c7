from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.errors import EncoderError, FilterError
from bandprobe.filters import parse
from bandprobe.images.geometry import Geometry
from bandprobe.protocol import Protocol
from random_encoder import write_random_encoder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A DINOv2 and a CLIP with random weights, for 64 px, their statistics unlike each other's."""
    root = tmp_path_factory.mktemp("encoders")
    for name in ("random-dinov2", "random-clip"):
        write_random_encoder(root / name, name)
    file = root / "random-clip" / "preprocessor_config.json"
    file.write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}')
    return root / "random-dinov2", root / "random-clip"


@pytest.fixture(scope="module")
def pictures(make_images: Any) -> Tensor:
    pictures: Tensor = make_images(3, 64, 64)
    return pictures


def lowpassed(images: Tensor, radius: float) -> Tensor:
    """Butterworth, first order, by NumPy in float64."""
    height, width = images.shape[-2:]
    u, v = np.meshgrid(np.fft.fftfreq(height) * height, np.fft.fftfreq(width) * width, indexing="ij")
    distance = min(height, width) * np.hypot(u / height, v / width)
    gain = 1 / (1 + (distance / radius) ** 2)
    return torch.from_numpy(np.fft.ifft2(np.fft.fft2(images.double().numpy()) * gain).real).float()


def test_each_part_sees_its_own_filter(folders: tuple[Path, Path], pictures: Tensor) -> None:
    dino, clip = folders
    both = encoders.load(f"{dino}@lowpass:7px+{clip}", device="cpu")
    one, other = (encoders.load(str(folder), device="cpu") for folder in folders)
    expected = torch.cat([one.encode(lowpassed(pictures, 7)), other.encode(pictures)], 1)
    vectors = both.encode(pictures)
    assert both.name == "random-dinov2@lowpass:7px+random-clip"
    assert both.dim == one.dim + other.dim == vectors.shape[1] == 96 + 128
    torch.testing.assert_close(vectors, expected, rtol=1e-4, atol=1e-4)
    assert (one.encode(pictures) - vectors[:, :96]).abs().max() > 1e-2  # the filter is there


def test_a_condition_comes_before_the_own_filter(folders: tuple[Path, Path], pictures: Tensor) -> None:
    dino, _ = folders
    both = encoders.load(f"{dino}@lowpass:7px+{dino}", device="cpu")
    alone = encoders.load(str(dino), device="cpu")
    condition = parse("highpass:3px")(pictures)
    expected = torch.cat([alone.encode(lowpassed(condition, 7)), alone.encode(condition)], 1)
    torch.testing.assert_close(both.encode(condition), expected, rtol=1e-4, atol=1e-4)


def test_chains_and_more_than_two_parts(folders: tuple[Path, Path], pictures: Tensor) -> None:
    dino, _ = folders
    name = f"pixel@highpass:2px+lowpass:9px+spectral+{dino}@identity:bits=8"
    three = encoders.load(name, device="cpu")
    pixel, spectral, alone = (
        encoders.load(part, device="cpu").encode for part in ("pixel", "spectral", str(dino))
    )
    expected = torch.cat(
        [
            pixel(parse("highpass:2px+lowpass:9px")(pictures)),
            spectral(pictures),
            alone((pictures.clamp(0, 1) * 255).round() / 255),
        ],
        1,
    )
    torch.testing.assert_close(three.encode(pictures), expected, rtol=1e-4, atol=1e-4)


def test_one_encoder_behind_a_filter(folders: tuple[Path, Path], pictures: Tensor) -> None:
    dino, _ = folders
    behind = encoders.load(f"{dino}@lowpass:7px", device="cpu")
    torch.testing.assert_close(
        behind.encode(pictures),
        encoders.load(str(dino), device="cpu").encode(lowpassed(pictures, 7)),
        rtol=1e-4,
        atol=1e-4,
    )


def test_the_fingerprint_holds_every_parts(folders: tuple[Path, Path]) -> None:
    dino, clip = folders
    both = encoders.load(f"{dino}@lowpass:7px+{clip}", device="cpu").fingerprint
    parts = [encoders.load(str(folder), device="cpu").fingerprint for folder in folders]
    for number, part in enumerate(parts, 1):
        assert {f"part{number}.{key}": value for key, value in part.items()}.items() <= both.items()
    assert (both["part1.filter"], both["part2.filter"]) == ("lowpass:7px", "none")
    other = encoders.load(f"{dino}@lowpass:8px+{clip}", device="cpu").fingerprint
    assert {key for key in both if both[key] != other[key]} == {"part1.filter"}
    assert all(isinstance(value, str) for value in both.values())


def test_precision_is_each_parts(folders: tuple[Path, Path], pictures: Tensor) -> None:
    both = encoders.load(f"{folders[0]}+spectral", device="cpu", precision="bf16")
    assert both.precision == both.fingerprint["precision"] == both.fingerprint["part1.precision"] == "bf16"
    expected = encoders.load("spectral", device="cpu").encode(pictures)
    assert torch.equal(both.encode(pictures)[:, 96:], expected)  # no pixel went through bf16


def test_the_grid_has_to_fit_all(folders: tuple[Path, Path], make_images: Any) -> None:
    both = encoders.load(f"spectral+{folders[0]}", device="cpu")
    with pytest.raises(EncoderError, match="multiples of its patch, 8; got 60 x 64"):
        both.encode(make_images(1, 60, 64))
    with pytest.raises(FilterError, match="removes everything on a 64 x 64 grid"):
        encoders.load("spectral@ideal-highpass:90px+pixel", device="cpu").check_grid(64, 64)


def test_native_geometry_only_where_it_is_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    native = '{"image_mean": [0, 0, 0], "image_std": [1, 1, 1], "resample": 2, "size": %d}'
    for name, size in (("a", 64), ("b", 64), ("c", 128)):
        shutil.copytree(folders[0], tmp_path / name)
        (tmp_path / name / "preprocessor_config.json").write_text(native % size)
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert encoders.load(f"{a}+{b}", device="cpu").native_geometry == Geometry.squash(64)
    assert encoders.load(f"{a}+{c}", device="cpu").native_geometry is None
    assert encoders.load(f"{a}+spectral", device="cpu").native_geometry is None


def test_shared_parts_are_loaded_once(folders: tuple[Path, Path]) -> None:
    dino, clip = folders
    names = encoders.expand_names([f"{dino}@lowpass:5..9/2px+{clip}", str(clip)])
    loaded: list[Any] = encoders.load_all(names, device="cpu")
    assert [encoder.name for encoder in loaded] == [
        *(f"random-dinov2@lowpass:{radius}px+random-clip" for radius in (5, 7, 9)),
        "random-clip",
    ]
    assert len({id(encoder.parts[0][0]) for encoder in loaded[:3]}) == 1
    assert {id(encoder.parts[1][0]) for encoder in loaded[:3]} == {id(loaded[3])}


def test_own_filters_follow_the_published_code_where_asked(
    folders: tuple[Path, Path], pictures: Tensor
) -> None:
    eight_bit = (pictures.clamp(0, 1) * 255).round() / 255
    asked = encoders.load("pixel@lowpass:7px", device="cpu", protocol=Protocol(abs_uint8=True))
    values = np.abs(lowpassed(eight_bit, 7).double().numpy() * 255)
    luma = np.tensordot([0.299, 0.587, 0.114], np.floor(values + 1e-4) / 255, (0, 1))
    difference = np.abs(asked.encode(eight_bit).numpy() - (2 * luma - 1).reshape(3, -1))
    assert np.quantile(difference, 0.99) < 1e-5  # all but values that lie on a whole number
    plain = encoders.load("pixel@lowpass:7px", device="cpu")
    assert asked.fingerprint != plain.fingerprint
