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
    antialias=st.booleans(),
)
def test_text_and_geometry_round_trip(
    height: int, width: int, resample: str, edge: int | None, antialias: bool
) -> None:
    antialias = antialias or resample not in ("bilinear", "bicubic")
    geometry = Geometry(height, width, resample, edge, antialias)  # type: ignore[arg-type]
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
        ("squash:64:bilinear:aliased", "squash:64:aliased", (64, 64)),
        (
            "shortest-edge:256:bicubic:crop:224:aliased",
            "shortest-edge:256:bicubic:crop:224:aliased",
            (224, 224),
        ),
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


def two_taps(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear from the two nearest pixels of each side, half a pixel's shift between the grids."""
    out = np.zeros((height, width))
    H, W = plane.shape
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * H / height - 0.5, 0), H - 1)
            x = min(max((j + 0.5) * W / width - 0.5, 0), W - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
            upper = plane[top, left] * (1 - x % 1) + plane[top, right] * (x % 1)
            lower = plane[bottom, left] * (1 - x % 1) + plane[bottom, right] * (x % 1)
            out[i, j] = upper * (1 - y % 1) + lower * (y % 1)
    return out


@pytest.mark.parametrize("shape", [(90, 61), (20, 100), (15, 20)])
def test_aliased_takes_the_two_nearest_pixels_whatever_the_reduction(shape: tuple[int, int]) -> None:
    rgb = noise(*shape, 3)
    found = Geometry.parse("squash:20x30:aliased").apply(rgb)
    assert found.dtype == np.uint8
    for channel in range(3):
        want = two_taps(rgb[..., channel].astype(float), 20, 30)
        assert np.abs(found[..., channel] - want).max() <= 0.501
    board = np.repeat(((np.indices((96, 96)).sum(0) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    odd = Geometry.squash(32).aliased.apply(board)  # every third pixel: still black or white
    assert set(np.unique(odd)) == {0, 255}


def test_aliased_is_for_bilinear_and_bicubic() -> None:
    assert str(Geometry.crop(32, (24, 24), "bicubic").aliased) == "shortest-edge:32:bicubic:crop:24:aliased"
    assert Geometry.squash(32, resample="nearest").aliased == Geometry.squash(32, resample="nearest")
    with pytest.raises(InputError, match="bilinear or bicubic without anti-aliasing; got 'lanczos'"):
        Geometry.parse("squash:32:lanczos:aliased")
    whole = Geometry.parse("shortest-edge:20:crop:16:aliased").apply(noise(50, 70, 3))
    assert whole.shape == (16, 16, 3)


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
