"""References drawn from sources: seeded by id, from the split asked for, never the image itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.errors import InputError
from bandprobe.filters import References, Step, parse
from bandprobe.images import Geometry, decode, image_id


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("sources")
    rows = []
    for number in range(24):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        source = "Real" if number < 12 else "GAN"
        split = "train" if number % 12 < 6 else "test"
        rows.append((image_id(decode(path)), str(path), source, split))
    return pd.DataFrame(rows, columns=["image_id", "path", "generator", "split"])


def made(table: pd.DataFrame | None, **options: object) -> References:
    return References(table, geometry=Geometry.squash(16), **options)  # type: ignore[arg-type]


def step(spec: str) -> Step:
    return parse(spec).steps[0]


def test_draws_come_from_the_source_and_split_and_never_are_the_image_itself(table: pd.DataFrame) -> None:
    references, spec = made(table), step("fda:0.1:reference=Real")
    pool = set(table.query("generator == 'Real' and split == 'train'")["image_id"])
    ids = [*table["image_id"], *(f"other {n}" for n in range(400))]
    drawn = {image: references.drawn(spec, image)[0] for image in ids}  # type: ignore[index]
    assert set(drawn.values()) == pool
    assert all(image != found for image, found in drawn.items())
    counts = pd.Series(drawn).value_counts()
    assert counts.min() > 0.6 * len(ids) / len(pool)
    tests = {references.drawn(step("fda:0.1:reference=Real:split=test"), image)[0] for image in ids}  # type: ignore[index]
    assert tests == set(table.query("generator == 'Real' and split == 'test'")["image_id"])


def test_draws_depend_on_seed_and_id_alone(table: pd.DataFrame) -> None:
    ids = table["image_id"].tolist()
    one, two = made(table), made(table.sample(frac=1, random_state=0))
    spec = step("fda:0.1:reference=GAN")
    found = [one.drawn(spec, image) for image in ids]
    assert found == [two.drawn(spec, image) for image in reversed(ids)][::-1]
    assert found == [one.drawn(step("inject:9px:reference=GAN"), image) for image in ids]
    assert found != [one.drawn(step("fda:0.1:reference=GAN:seed=1"), image) for image in ids]


def test_pictures_are_those_drawn_on_the_grid(table: pd.DataFrame) -> None:
    references, spec = made(table), step("fda:0.1:reference=GAN")
    ids = table["image_id"].tolist()[:5]
    images = references(spec, ids)
    assert images.shape == (5, 3, 16, 16)
    for image, mine in zip(ids, images, strict=True):
        _, path = references.drawn(spec, image)  # type: ignore[misc]
        small = Image.open(path).resize((16, 16), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(mine.permute(1, 2, 0) * 255, np.asarray(small), atol=1e-4)


def test_a_file_serves_all_images(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "r.png")
    references = made(table, folder=tmp_path)
    images = references(step("fda:0.1:reference=r.png"), ["a", "b"])
    assert images.shape == (1, 3, 16, 16)
    np.testing.assert_allclose(images[0].permute(1, 2, 0) * 255, picture, atol=1e-4)
    assert capsys.readouterr().err == ""  # it had the grid's size
    assert references.identity(parse("fda:0.1:reference=r.png")) == image_id(picture)


def test_identity_tells_references_apart(table: pd.DataFrame) -> None:
    whole, part = made(table), made(table[2:])
    spec = parse("fda:0.1:reference=Real")
    assert whole.identity(parse("lowpass:3px+jpeg:75")) == ""
    assert whole.identity(spec) == whole.identity(parse("jpeg:75+fda:0.2:reference=Real")) != ""
    assert whole.identity(spec) != part.identity(spec)
    both = whole.identity(parse("fda:0.1:reference=Real+fda:0.1:reference=GAN"))
    assert both.split() == [whole.identity(spec), whole.identity(parse("fda:0:reference=GAN"))]
    assert whole.identity(spec) == made(table[::-1]).identity(spec)


def test_wrong_references_in_one_line(table: pd.DataFrame, tmp_path: Path) -> None:
    references = made(table)
    cases = [
        ("fda:0.1:reference=Reel", "no source of the data, which holds GAN, Real. Did you mean 'Real'?"),
        ("fda:0.1:reference=Real:split=val", "no image in the split 'val' (it has train 6, test 6)"),
        ("fda:0.1:reference=missing.png", "reference 'missing.png' is no image file"),
    ]
    for spec, words in cases:
        with pytest.raises(InputError) as caught:
            references.identity(parse(spec))
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="needs the data it stands in"):
        made(None).identity(parse("fda:0.1:reference=Real"))
    only = table.query("generator == 'Real'")[:1]
    with pytest.raises(InputError, match="cannot be its own reference"):
        made(only)(step("fda:0.1:reference=Real"), only["image_id"].tolist())
    moved = tmp_path / "moved.png"
    Image.new("RGB", (8, 8)).save(moved)
    changed = table.assign(path=str(moved))
    with pytest.raises(InputError, match="has changed since it was indexed"):
        made(changed)(step("fda:0.1:reference=Real"), ["x"])
