from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bandprobe.errors import InputError, ShapeError
from bandprobe.images import Geometry


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@given(
    height=st.integers(1, 600),
    width=st.integers(1, 600),
    resample=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    edge=st.one_of(st.none(), st.integers(600, 900)),
)
def test_text_and_geometry_round_trip(height: int, width: int, resample: str, edge: int | None) -> None:
    geometry = Geometry(height, width, resample, edge)  # type: ignore[arg-type]
    assert Geometry.parse(str(geometry)) == geometry
    assert str(Geometry.parse(str(geometry))) == str(geometry)


@pytest.mark.parametrize(
    ("text", "canonical", "size"),
    [
        ("squash:224", "squash:224", (224, 224)),
        ("squash:224x224", "squash:224", (224, 224)),
        ("squash:192x224", "squash:192x224", (192, 224)),
        ("squash:64:bilinear", "squash:64", (64, 64)),
        ("squash:64:bicubic", "squash:64:bicubic", (64, 64)),
        ("shortest-edge:256:bicubic:crop:224", "shortest-edge:256:bicubic:crop:224", (224, 224)),
        ("shortest-edge:256:bilinear:crop:224x192", "shortest-edge:256:crop:224x192", (224, 192)),
    ],
)
def test_canonical_text(text: str, canonical: str, size: tuple[int, int]) -> None:
    geometry = Geometry.parse(text)
    assert str(geometry) == canonical
    assert geometry.size == size


def test_squash_is_pillows_bilinear_and_anti_aliased() -> None:
    rgb = noise(90, 61, 3)
    want = np.asarray(Image.fromarray(rgb).resize((30, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(Geometry.parse("squash:20x30").apply(rgb), want)
    # Anti-aliased: a one-pixel checkerboard becomes grey; two-tap bilinear would leave black or white.
    board = np.repeat(((np.indices((96, 96)).sum(0) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    small = Geometry.squash(24).apply(board)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_a_picture_of_the_right_size_is_untouched() -> None:
    rgb = noise(24, 32, 3)
    for resample in ("bilinear", "lanczos", "bicubic"):
        assert Geometry.squash(24, 32, resample).apply(rgb) is rgb  # type: ignore[arg-type]
    np.testing.assert_array_equal(Geometry.crop(24, (24, 24)).apply(rgb), rgb[:, 4:28])


@pytest.mark.parametrize("shape", [(50, 79), (79, 50), (33, 33), (40, 1000)])
@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
def test_shortest_edge_and_crop_as_in_transformers(shape: tuple[int, int], resample: str) -> None:
    from transformers.image_transforms import center_crop, get_resize_output_image_size

    rgb = noise(*shape, 3)
    out = Geometry.crop(32, (27, 24), resample).apply(rgb)  # type: ignore[arg-type]
    height, width = get_resize_output_image_size(
        rgb, 32, default_to_square=False, input_data_format="channels_last"
    )
    whole = np.asarray(
        Image.fromarray(rgb).resize((width, height), getattr(Image.Resampling, resample.upper()))
    )
    want = center_crop(whole, (27, 24), input_data_format="channels_last")
    np.testing.assert_array_equal(out, want)
    assert out.flags.c_contiguous


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("native", "geometry 'native' is each encoder's own"),
        ("sqash:224", "Did you mean 'squash'"),
        ("squash:", "squash:HEIGHTxWIDTH"),
        ("squash:0", "1 to 16384 px; got 0, 0"),
        ("squash:224:cubic", "squash:HEIGHTxWIDTH"),
        ("shortest-edge:224:crop:256", "crop must fit into the shortest edge of 224 px; got 256x256"),
        ("", "squash:224"),
    ],
)
def test_wrong_geometries(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Geometry.parse(text)
    assert "\n" not in str(caught.value)


def test_wrong_resample_and_wrong_pictures() -> None:
    with pytest.raises(InputError, match=r"resample must be one of .*Did you mean 'bicubic'"):
        Geometry.squash(8, resample="cubic")  # type: ignore[arg-type]
    for wrong in (noise(8, 8), noise(8, 8, 4), noise(8, 8, 3).astype(float)):
        with pytest.raises(ShapeError, match=r"rgb must be uint8 of shape \(H, W, 3\)"):
            Geometry.squash(4).apply(wrong)
