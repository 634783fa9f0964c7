"""One history for all pictures: the recipe's text, its pixels, and its place in a geometry."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_pictures import pixels

from bandprobe.errors import ImageError, InputError
from bandprobe.images import Geometry
from bandprobe.images.equalise import Equalise

SIDES = st.one_of(st.none(), st.integers(8, 16_384))


@given(SIDES, SIDES, st.integers(1, 100))
def test_text_and_recipe_round_trip(crop: int | None, squash: int | None, quality: int) -> None:
    if crop is None and squash is None:
        with pytest.raises(InputError, match="needs a crop or a squash"):
            Equalise(crop, squash, quality)
        return
    recipe = Equalise(crop, squash, quality)
    assert Equalise.parse(str(recipe)) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "", "auto", "jpeg:75", "+jpeg:75", "crop:64", "crop:64squash:32+jpeg:75", "squash:32+crop:64+jpeg:75",
        "crop:64+jpeg:101", "crop:7+jpeg:75", "crop:64+jpeg:0", "crop:64+jpeg:75 ", "crop:64+squash:99999+jpeg:9",
    ],
)  # fmt: skip
def test_wrong_recipes_are_one_line(text: str) -> None:
    with pytest.raises(InputError) as raised:
        Equalise.parse(text)
    assert "\n" not in str(raised.value)


def test_pixels_as_pillow_makes_them() -> None:
    rgb = pixels("a", (70, 90))
    centre = Image.fromarray(rgb).crop((13, 3, 77, 67))
    stream = io.BytesIO()
    centre.resize((32, 32), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=60, subsampling=2)
    expected = np.asarray(Image.open(stream).convert("RGB"))
    assert np.array_equal(Equalise.parse("crop:64+squash:32+jpeg:60").apply(rgb), expected)


def test_every_stream_has_the_same_header() -> None:
    recipe = Equalise.parse("squash:48+jpeg:80")
    tables = set()
    for size in ((48, 48), (100, 60), (33, 300)):
        image = Image.open(io.BytesIO(recipe.encode(pixels("b", size))))
        tables.add((image.size, str(image.quantization), str(image.layer), tuple(image.info)))
    assert len(tables) == 1


def test_a_picture_too_small_is_left_out() -> None:
    with pytest.raises(ImageError, match="smaller than the common crop of 64 px: 90 x 63"):
        Equalise(64).apply(pixels("c", (63, 90)))
    assert Equalise(squash=64).apply(pixels("c", (63, 90))).shape == (64, 64, 3)


def test_auto_takes_what_99_percent_hold() -> None:
    assert Equalise.common([10] + [200] * 150) == Equalise(192, 96, 75)
    for sides, words in (([], "got none"), ([15] * 9, "finds no common crop")):
        with pytest.raises(InputError, match=words):
            Equalise.common(sides)


def test_before_a_geometry() -> None:
    recipe, grid = Equalise.parse("crop:64+jpeg:75"), Geometry.squash(40, resample="bicubic")
    both = recipe.before(grid)
    rgb = pixels("d", (80, 100))
    assert np.array_equal(both.apply(rgb), grid.apply(recipe.apply(rgb)))
    assert str(both) == "crop:64+jpeg:75+squash:40:bicubic"
    assert both.size == (40, 40)
    assert both != grid
    assert both == recipe.before(grid)
    assert len({both, recipe.before(grid), replace(recipe, quality=50).before(grid)}) == 2
    assert str(both.aliased) == "crop:64+jpeg:75+squash:40:bicubic:aliased"
