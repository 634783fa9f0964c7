from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandprobe.encoders.preprocessing import from_config, read
from bandprobe.errors import EncoderError
from bandprobe.seeding import generator

ODD: dict[str, Any] = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}


def test_the_file_beside_the_weights_is_data(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(ODD))
    found = read(tmp_path, "dinov2", "x")
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_the_processor_file_of_newer_transformers(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": ODD, "processor_class": "A"})
    )
    assert read(tmp_path, "clip", "x").mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("model_type", "mean"), [("dinov2", 0.485), ("vit_mae", 0.485), ("clip", 0.48145466), ("siglip2", 0.5)]
)
def test_published_statistics_are_said(
    model_type: str, mean: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(tmp_path, model_type, "my-model").mean[0] == mean
    assert capsys.readouterr().err.startswith("my-model has no preprocessor_config.json; mean and std are ")


def test_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no mean and std are known for model_type 'swin'.*image_mean"):
        read(tmp_path, "swin", "x")


@pytest.mark.parametrize(
    "settings",
    [
        ODD,
        {**ODD, "do_normalize": False},
        {**ODD, "do_rescale": False},
        {**ODD, "rescale_factor": 1 / 127.5, "rescale_offset": True},
        {"do_normalize": False},
        {"image_mean": 0.5, "image_std": 0.25},
    ],
)
def test_the_same_pixels_as_the_processor_makes(settings: dict[str, Any]) -> None:
    """From 8-bit pixels by the processor's steps, and from [0, 1] by ours."""
    pixels = generator(4, "pixels").integers(0, 256, (3, 5, 5)).astype(np.float64)
    value = pixels.copy()
    if settings.get("do_rescale", True):
        value = value * settings.get("rescale_factor", 1 / 255) - settings.get("rescale_offset", False)
    if settings.get("do_normalize", True):
        mean, std = (np.broadcast_to(settings[key], 3)[:, None, None] for key in ("image_mean", "image_std"))
        value = (value - mean) / std
    found = from_config(settings, "x")
    ours = (pixels / 255 - np.array(found.mean)[:, None, None]) / np.array(found.std)[:, None, None]
    np.testing.assert_allclose(ours, value, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {**ODD, "image_mean": [0.1, 0.2]},
        {**ODD, "image_std": None},
        {**ODD, "image_std": ["a", "b", "c"]},
        {**ODD, "image_std": [0.0, 1, 1]},
    ],
)
def test_unusable_statistics(settings: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match=r"image_(mean|std)"):
        from_config(settings, "x: preprocessor_config.json")


SHORTEST = {"size": {"shortest_edge": 256}, "resample": 3}
CROPPED = {**SHORTEST, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}


@pytest.mark.parametrize(
    ("settings", "geometry"),
    [
        (CROPPED, "shortest-edge:256:bicubic:crop:224"),
        ({**CROPPED, "size": 224, "crop_size": 224}, "shortest-edge:224:bicubic:crop:224"),
        ({"size": {"height": 384, "width": 384}, "resample": 2}, "squash:384"),
        ({"size": 224, "resample": 2, "do_center_crop": False}, "squash:224"),
        (SHORTEST, None),  # the size depends on the picture
        ({"max_num_patches": 256, "resample": 2}, None),
        ({"size": {"height": 8, "width": 8}, "resample": 2, "do_resize": False}, None),
        ({**CROPPED, "size": {"shortest_edge": 200}}, None),
    ],
)
def test_native_geometry(settings: dict[str, Any], geometry: str | None) -> None:
    found = from_config({**ODD, **settings}, "x").geometry
    assert (None if found is None else str(found)) == geometry
