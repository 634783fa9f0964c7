"""Near-duplicates in a data set on disk: one side of every split, said, listed, and not looked for twice."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.datasets import photograph
from bandprobe.images import Manifest, build, manifest

N = 30


def copies(picture: Image.Image) -> dict[str, Image.Image]:
    """What people make of a picture they take from elsewhere."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=60)
    width, height = picture.size
    cropped = picture.crop((round(0.1 * width), round(0.05 * height), round(0.95 * width), height))
    return {
        "flip": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "jpeg": Image.open(stream).convert("RGB"),
        "crop": cropped,
        "small": picture.resize((64, 64), Image.Resampling.BICUBIC),
        "bright": picture.point([min(255, round(1.15 * level)) for level in range(256)] * 3),
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reals, each with a copy or two; fakes without."""
    root = tmp_path_factory.mktemp("near")
    for label in ("Real", "GAN"):
        (root / label).mkdir()
        for number in range(N):
            picture = Image.fromarray(photograph(number, f"near {label}", size=96)[0])
            picture.save(root / label / f"{number:02d}.png")
            if label == "Real":
                made = list(copies(picture).items())
                for name, copy in (made[number % 5], made[(number + 2) % 5]):
                    copy.save(root / label / f"{number:02d}-{name}.png")
    return root


def stem(path: str) -> str:
    return Path(path).stem.partition("-")[0]


def test_copies_share_a_split(world: Path) -> None:
    found = build(world, splits=(0.5, 0.2, 0.3))
    reals = found.table[found.table["label"] == 0]
    assert len(reals) == 3 * N
    assert (reals.groupby(reals["path"].map(stem))["split"].nunique() == 1).all()
    without = build(world, splits=(0.5, 0.2, 0.3), near_duplicates=False).table
    reals = without[without["label"] == 0]
    assert (reals.groupby(reals["path"].map(stem))["split"].nunique() > 1).any()  # or the test shows nothing
    assert any(f"{3 * N} images in {N} groups" in note for note in found.notes)


def test_unrelated_pictures_keep_the_split_of_their_own_hash(world: Path) -> None:
    with_, without = (build(world, near_duplicates=on).table for on in (True, False))
    fakes = [table[table["label"] == 1].set_index("path")["split"] for table in (with_, without)]
    pd.testing.assert_series_equal(*fakes)


def test_what_leaks_from_given_training_images_is_left_out_and_listed(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for label in ("Real", "GAN"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
            for number in range(6):
                picture = Image.fromarray(photograph(number, f"{split} {label}", size=96)[0])
                picture.save(tmp_path / "data" / split / label / f"{number}.png")
    leaked = copies(Image.open(tmp_path / "data" / "test" / "GAN" / "3.png"))["crop"]
    leaked.save(tmp_path / "data" / "train" / "GAN" / "leak.png")
    found = build(tmp_path / "data")
    assert not found.table["path"].str.endswith("leak.png").any()
    assert found.table["path"].str.endswith("test/GAN/3.png").any()
    assert any("near-duplicates across given splits: 1 row of train left out" in note for note in found.notes)
    found.save(tmp_path / "manifest.parquet")
    listed = pd.read_csv(tmp_path / "manifest-near-duplicates.csv")
    assert dict(zip(listed["path"].map(lambda path: Path(path).name), listed["kept"], strict=True)) == {
        "leak.png": False,
        "3.png": True,
    }
    Manifest.load(tmp_path / "manifest.parquet").save(tmp_path / "again.parquet")
    assert (tmp_path / "again-near-duplicates.csv").read_text() == (
        tmp_path / "manifest-near-duplicates.csv"
    ).read_text()


def test_nothing_is_looked_for_twice(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.parquet"
    first = build(world)
    first.save(path)

    def never(_: object) -> pd.DataFrame:
        raise AssertionError("looked for again")

    monkeypatch.setattr(manifest, "linked", never)
    again = build(world, previous=path)
    pd.testing.assert_frame_equal(again.table, first.table)
    assert again.notes == first.notes
    from_manifest = build(path)
    assert set(from_manifest.table["image_id"]) == set(first.table["image_id"])
    assert dict(zip(from_manifest.table["path"], from_manifest.table["split"], strict=True)) == dict(
        zip(first.table["path"], first.table["split"], strict=True)
    )
    monkeypatch.undo()
    fewer = build(world, previous=path, limit=20)
    assert len(fewer.table) == 40


def test_thumbnails_come_from_the_one_decoding(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bandprobe.images import thumbnails

    def never(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("decoded twice")

    monkeypatch.setattr(thumbnails, "decode", never)
    assert len(build(world).near) == 3 * N
