"""What ships, written from stand-ins for trained models: the tables, the cards, and the whole command."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from bandprobe import encoders, images, shipped
from bandprobe.datasets import micro, photograph
from bandprobe.datasets.captions import caption
from bandprobe.errors import InputError
from zoo import package, training
from zoo.encoders import NAMES, folder_of
from zoo.photographs import SETS
from zoo.samples import FAMILIES
from zoo.tables import write_table
from zoo.vit import new_vit

GENERATORS = {"gan-transposed": "gan", "flow": "diffusion"}
COUNTS = {"train": 6, "val": 4, "test": 1}  # of 11


def draw(work: Path, name: str, count: int, *, seed: int = 0, device: str = "cpu") -> NDArray[np.uint8]:
    """Smooth noise, other for every name and seed; the first of a larger count are those of a smaller one."""
    rng = np.random.default_rng([seed, *name.encode()])
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "images"
    package.write_images(folder, folder, 11, generators=GENERATORS, draw=draw)
    return folder


# --- the image set


def test_every_source_is_in_every_split_and_reals_are_twice_as_many(written: Path) -> None:
    for split, count in COUNTS.items():
        table = pq.read_table(written / f"{split}.parquet").to_pandas()
        assert table.groupby("generator").size().to_dict() == {
            "Real": 2 * count,
            "gan-transposed": count,
            "flow": count,
        }
        assert set(table["split"]) == {split}
        assert (table["label"] == (table["generator"] != "Real")).all()
        assert (table["caption"].isna() == (table["label"] == 1)).all()
        assert set(table["dataset"]) == {"micro"}
        assert table.groupby("generator")["family"].unique().str[0].to_dict() == {
            "Real": "real",
            **GENERATORS,
        }
        expected = [
            f"{split}/{source}/{n:04d}.png"
            for source, times in (("Real", 2), ("gan-transposed", 1), ("flow", 1))
            for n in range(times * count)
        ]
        assert [image["path"] for image in table["image"]] == expected


def test_a_larger_set_only_adds_to_each_split() -> None:
    splits = [package.split_of(number) for number in range(1000)]
    assert {split: splits[:250].count(split) for split in COUNTS} == {"train": 60, "val": 40, "test": 150}
    assert {split: splits.count(split) for split in COUNTS} == {"train": 240, "val": 160, "test": 600}


def test_reals_are_photographs_of_scenes_that_nothing_else_shows(written: Path) -> None:
    assert not set(COUNTS) & set(SETS)  # what generators and encoders are trained on
    seen: set[tuple[float, ...]] = set()
    for split, count in COUNTS.items():
        reals = micro(split, root=written)
        for number in (0, 2 * count - 1):
            picture, scene = photograph(number, split)
            np.testing.assert_array_equal(reals.images("Real")[number], picture)
            assert reals.table["caption"][number] == caption(scene)
            seen.add(tuple(scene.leaves.radii[:5]))
    assert len(seen) == 6


def test_fakes_are_the_generators_pictures_each_in_one_split(written: Path) -> None:
    drawn = {name: draw(written, name, 11) for name in GENERATORS}
    found: dict[str, list[bytes]] = {name: [] for name in GENERATORS}
    for split in COUNTS:
        for name in GENERATORS:
            found[name] += [picture.tobytes() for picture in micro(split, root=written).images(name)]
    for name, pictures in drawn.items():
        assert sorted(found[name]) == sorted(picture.tobytes() for picture in pictures)


def test_a_study_reads_it_without_a_word(written: Path) -> None:
    manifest = images.build(written)
    assert manifest.table["image_id"].is_unique
    assert len(manifest.table) == 44
    assert len(manifest.left_out) == 0
    assert manifest.table.groupby("generator")["family"].first().to_dict() == {"Real": "real", **GENERATORS}
    assert manifest.table.groupby("split").size().to_dict() == {s: 4 * n for s, n in COUNTS.items()}


def test_hugging_faces_datasets_are_told_what_the_columns_are(written: Path) -> None:
    schema = pq.read_schema(written / "test.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": ["real", "fake"], "_type": "ClassLabel"}
    assert {features[name]["dtype"] for name in schema.names if name not in ("image", "label")} == {"string"}
    assert str(schema.field("image").type) == "struct<bytes: binary, path: string>"
    card = (written / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "| Real | real | 12 | 8 | 2 |" in card
    assert "| flow | diffusion | 6 | 4 | 1 |" in card


def test_pictures_are_small_png_files(written: Path) -> None:
    opened = micro("val", root=written)
    for content, picture in zip(opened.encoded, opened.images(), strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png")
        assert content.startswith(b"\x89PNG")
        assert len(content) <= len(file.getvalue())
    # Little is added to the pictures themselves.
    size = (written / "val.parquet").stat().st_size
    assert size < sum(map(len, opened.encoded)) + 12_000


def test_writing_again_gives_the_same_files(written: Path, tmp_path: Path) -> None:
    package.write_images(tmp_path, tmp_path, 11, generators=GENERATORS, draw=draw)
    for split in COUNTS:
        name = f"{split}.parquet"
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_what_is_not_fit_to_ship_is_refused(tmp_path: Path) -> None:
    def collapsed(*given: Any, **more: Any) -> NDArray[np.uint8]:
        return draw(*given, **more)[np.r_[:10, 3]]

    with pytest.raises(InputError, match="flow drew one picture twice"):
        package.write_images(tmp_path, tmp_path, 11, generators={"flow": "diffusion"}, draw=collapsed)
    with pytest.raises(InputError, match="per-source must be 11 or more"):
        package.write_images(tmp_path, tmp_path, 10, generators=GENERATORS, draw=draw)
    assert not list(tmp_path.glob("*.parquet"))


# --- all that ships


class Untrained:
    """A trainee that holds one network under a name and does nothing."""

    def __init__(self, name: str, seed: int) -> None:
        self.modules: dict[str, torch.nn.Module] = {name: new_vit(seed)}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, float]:
        return {"loss": 0.0}


def test_the_command_writes_a_package_that_its_own_checks_accept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    for seed, name in enumerate(NAMES):
        trainee = Untrained("teacher" if "dino" in name else "image_tower", seed)
        training.train(trainee, folder_of(work, name, 2), label=name, seed=2, steps=3)
    numbers = {"value": 0.5, "low": 0.4, "high": 0.6}
    differences = {"difference": 0.2, "difference_low": 0.1, "difference_high": 0.3}
    rows = [
        {"encoder": name, "seed": seed, "attribute": "shape", **numbers, **differences}
        for name in NAMES
        for seed in (2, "mean")
    ]
    write_table(work / "judged" / "encoders", pd.DataFrame(rows))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "embedded")
    monkeypatch.setattr(package, "samples", draw)
    command = ["--work", str(work), "--per-source", "11", "--encoder-seed", "2", "--quiet"]
    app = package.typer.Typer()
    app.command()(package.main)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output

    opened = micro()
    assert opened.families == {
        family: sorted(name for name in FAMILIES if FAMILIES[name] == family)
        for family in ("diffusion", "gan", "vae")
    }
    for seed, name in enumerate(NAMES):
        folder = shipped.part(f"encoders/{name}")
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        assert (card["name"], card["seed"], card["dim"]) == (name, 2, 128)
        assert card["parameters"] == sum(weight.numel() for weight in new_vit(seed).parameters())
        assert card["seeds"][0]["images_seen"] == 3 * (256 if "clip" in name else 64)
        assert card["probes"][0]["value"] == 0.5
        assert [picture.split("/")[1] for picture in card["embeddings"]] == [
            "Real", "gan-transposed", "ddpm", "vae"
        ]  # fmt: skip
        rows = [opened.table.index[opened.table["name"] == picture][0] for picture in card["embeddings"]]
        pixels = torch.from_numpy(opened.images()[rows]).permute(0, 3, 1, 2) / 255
        # Independent of the loader: the tower itself, normalised by hand.
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.inference_mode():
            vit = new_vit(seed).half().float().eval()
            expected = vit((pixels - mean[:, None, None]) / std[:, None, None]).last_hidden_state[:, 0]
        np.testing.assert_allclose(list(card["embeddings"].values()), expected, atol=1e-4)
        np.testing.assert_allclose(encoders.load(name, device="cpu").encode(pixels), expected, atol=1e-4)
        text = (folder / "README.md").read_text(encoding="utf-8")
        assert f'encoders.load("{name}")' in text
        assert "{" not in text
        assert "| shape | 0.50 [0.40, 0.60] | 0.50 | 0.20 [0.10, 0.30] |" in text


def test_a_generator_that_is_not_trained_is_told_in_one_line(tmp_path: Path) -> None:
    app = package.typer.Typer()
    app.command()(package.main)
    done = CliRunner().invoke(
        app, ["--out", str(tmp_path / "set"), "--work", str(tmp_path), "--per-source", "11"]
    )
    assert done.exit_code == 2
    assert "no trained model" in done.output
    assert not list((tmp_path / "set").glob("*.parquet"))
