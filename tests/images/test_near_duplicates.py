"""Copies planted among pictures (crops, flips, recompressions ...) are found; what is merely alike is not."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.datasets.photographs import photograph
from bandprobe.errors import InputError
from bandprobe.images.near_duplicates import COLUMNS, leaders, near_duplicates
from bandprobe.images.thumbnails import Grey, thumbnail

Change = Callable[[Image.Image, np.random.Generator], Image.Image]

N = 24


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return Image.open(encoded).convert("RGB")


def crop(image: Image.Image, kept: float, rng: np.random.Generator) -> Image.Image:
    w, h = round(image.width * kept), round(image.height * kept)
    x, y = rng.integers(0, image.width - w + 1), rng.integers(0, image.height - h + 1)
    return image.crop((x, y, x + w, y + h))


def levels(image: Image.Image, gain: float, offset: float) -> Image.Image:
    return Image.fromarray((np.asarray(image, dtype=float) * gain + offset).clip(0, 255).astype(np.uint8))


MIRROR, UPSIDE = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
CHANGES: dict[str, tuple[Change, float]] = {  # and the least share that must be found
    "jpeg 50": (lambda image, _: jpeg(image, 50), 1.0),
    "jpeg 95": (lambda image, _: jpeg(image, 95), 1.0),
    "mirrored": (lambda image, _: image.transpose(MIRROR), 1.0),
    "upside down": (lambda image, _: image.transpose(UPSIDE), 1.0),
    "cropped to 90 %": (lambda image, rng: crop(image, 0.9, rng), 0.95),
    "cropped to 80 %": (lambda image, rng: crop(image, 0.8, rng), 0.95),
    "cropped to a narrower shape": (
        lambda image, _: image.crop((0, 0, round(0.8 * image.width), image.height)),
        0.95,
    ),
    "cropped and brought back to size": (lambda image, rng: crop(image, 0.85, rng).resize(image.size), 0.95),
    "reduced": (lambda image, _: image.resize((58, 58), Image.Resampling.BICUBIC), 1.0),
    "enlarged": (lambda image, _: image.resize((83, 83), Image.Resampling.BICUBIC), 1.0),
    "darker": (lambda image, _: levels(image, 0.7, 0), 1.0),
    "brighter": (lambda image, _: levels(image, 1, 35), 1.0),
    "everything at once": (
        lambda image, rng: jpeg(levels(crop(image, 0.82, rng).transpose(MIRROR), 0.9, 12), 75),
        0.9,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [Image.fromarray(photograph(number, "near-duplicates", size=64)[0]) for number in range(N)]


def grey(image: Image.Image) -> Grey:
    return thumbnail(np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", CHANGES)
def test_planted_copies_are_found_and_nothing_else(name: str, pictures: list[Image.Image]) -> None:
    change, least = CHANGES[name]
    rng = np.random.default_rng(0)
    held = {f"{number:02d}-whole": grey(image) for number, image in enumerate(pictures)}
    held |= {f"{number:02d}-copy": grey(change(image, rng)) for number, image in enumerate(pictures)}
    links = near_duplicates(held)
    assert tuple(links.columns) == COLUMNS
    linked = list(zip(links["image_id"].str[:2], links["within"].str[:2], strict=True))
    assert all(first == second for first, second in linked)
    assert len(set(linked)) >= least * N


def test_a_link_says_where_the_copy_lies(pictures: list[Image.Image]) -> None:
    """Margins as planted, in the whole's own frame, to a pixel and a half of the thumbnail's 64."""
    for number in range(6):
        whole = Image.fromarray(photograph(number, "near-duplicates", size=96)[0])
        copy = whole.crop((12, 5, 90, 96)).transpose(MIRROR)
        [row] = near_duplicates({"a": grey(whole), "b": grey(copy)}).to_dict("records")
        assert (row["image_id"], row["within"], row["flip"]) == ("b", "a", "left-right")
        planted = {"top": 5 / 96, "bottom": 0, "left": 12 / 96, "right": 6 / 96}
        for side, share in planted.items():
            assert row[side] == pytest.approx(share, abs=1.5 / 64), side


def test_unrelated_pictures_are_not_linked() -> None:
    """Photographs, and textures alike in kind: noise of one spectrum, stripes of unlike period."""
    rng = np.random.default_rng(1)
    held = {
        f"photo{number}": grey(Image.fromarray(photograph(number, "alike", size=64)[0]))
        for number in range(40)
    }
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.rfftfreq(64), indexing="ij"))
    for number in range(40):
        noise = np.fft.irfft2(
            np.fft.rfft2(rng.standard_normal((64, 64))) / np.maximum(frequency, 1 / 64), s=(64, 64)
        )
        held[f"noise{number}"] = (noise / noise.std() * 40 + 128).clip(0, 255).astype(np.uint8)
    for period in (5, 7, 9, 12, 16):
        stripes = 128 + 80 * np.sin(2 * np.pi * np.arange(64) / period)
        held[f"stripes{period}"] = np.tile(stripes, (64, 1)).astype(np.uint8)
    assert near_duplicates(held).empty


def test_blank_pictures_are_nobodys_copies() -> None:
    held = {f"{level}": np.full((64, 64), level, np.uint8) for level in (0, 1, 128, 254, 255)}
    assert near_duplicates(held).empty
    assert near_duplicates({}).empty
    assert leaders(near_duplicates({})) == {}


def test_order_and_names_do_not_matter(pictures: list[Image.Image]) -> None:
    copies = [pictures[0].transpose(MIRROR), jpeg(pictures[0], 60), jpeg(pictures[1], 60)]
    shown = [grey(image) for image in [*pictures[:8], *copies]]
    named = {hashlib.sha256(picture.tobytes()).hexdigest(): picture for picture in shown}
    links = near_duplicates(named)
    again = near_duplicates(dict(reversed(named.items())))
    pd.testing.assert_frame_equal(links, again)
    ids = list(named)
    groups = leaders(links)
    assert {ids[0], ids[8], ids[9]} == {image for image in groups if groups[image] == groups[ids[0]]}
    assert groups[ids[0]] == min(ids[0], ids[8], ids[9])
    assert groups[ids[1]] == groups[ids[10]] == min(ids[1], ids[10])
    assert len(groups) == 5


def test_many_copies_of_one_picture_are_one_group(pictures: list[Image.Image]) -> None:
    """More than are looked at of one hash: links join them all the same."""
    rng = np.random.default_rng(2)
    held = {f"{quality}-{shift}": grey(levels(jpeg(pictures[3], quality), 1, shift))
            for quality, shift in itertools.product(range(55, 95, 5), range(-12, 13, 2))}  # fmt: skip
    held |= {f"crop{number}": grey(crop(pictures[3], 0.9, rng)) for number in range(10)}
    links = near_duplicates(held)
    groups = leaders(links)
    assert len(groups) == len(held)
    assert len(links) == len(held) - 1
    assert set(groups.values()) == {min(held)}


def test_groups_against_a_naive_closure() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        pairs = [tuple(map(str, pair)) for pair in rng.integers(10, 40, (18, 2)) if pair[0] != pair[1]]
        links = pd.DataFrame(pairs, columns=["image_id", "within"])
        group = {image: {image} for pair in pairs for image in pair}
        for _ in group:
            for first, second in pairs:
                joined = group[first] | group[second]
                for image in joined:
                    group[image] = joined
        assert leaders(links) == {image: min(members) for image, members in group.items()}


@pytest.mark.parametrize("alike", [0.0, 1.0, -0.5, float("nan")])
def test_wrong_threshold(alike: float) -> None:
    with pytest.raises(InputError, match="alike must lie between 0 and 1"):
        near_duplicates({}, alike=alike)


def test_photographs_of_one_kind_are_not_linked(photos: Path) -> None:
    """Aligned portraits are the hardest: eyes, mouth and outline fall in one place."""
    files = [
        *sorted((photos / "faces" / "Real").glob("*.png"))[:60],
        *sorted((photos / "scenes" / "Real").glob("*.png"))[:60],
    ]
    held = {f"{file.parts[-3]}/{file.name}": grey(Image.open(file)) for file in files}
    assert near_duplicates(held).empty
