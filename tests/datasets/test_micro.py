"""The image set that ships: opening a set, refusing a damaged one, and the shipped pictures themselves."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from bandprobe import images, shipped
from bandprobe.config import parse
from bandprobe.datasets import micro, photograph
from bandprobe.datasets.captions import caption
from bandprobe.errors import DiskError, InputError

SOURCES = {"Real": "real", "gan-x": "gan", "flow": "diffusion"}
COUNTS = {"train": 3, "val": 2, "test": 4}


@pytest.fixture(scope="module")
def pictures() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return {
        f"{split}/{source}/{number:04d}.png": rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for split, count in COUNTS.items()
        for source in SOURCES
        for number in range(count)
    }


@pytest.fixture(scope="module")
def root(pictures: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "images"
    folder.mkdir()
    for split in COUNTS:
        rows = []
        for name, picture in pictures.items():
            if name.startswith(f"{split}/"):
                source, file = name.split("/")[1], io.BytesIO()
                Image.fromarray(picture).save(file, "png")
                rows.append(
                    {
                        "image": {"bytes": file.getvalue(), "path": name},
                        "label": int(source != "Real"),
                        "generator": source,
                        "family": SOURCES[source],
                        "split": split,
                        "caption": "a red disc" if source == "Real" else None,
                        "dataset": "micro",
                    }
                )
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet", row_group_size=2)
    return folder


# --- a set


def test_a_set_is_its_rows_and_its_pictures(root: Path, pictures: dict[str, NDArray[np.uint8]]) -> None:
    opened = micro(root=root)
    assert len(opened) == len(pictures) == 27
    assert opened.table["name"].tolist() == list(pictures)
    np.testing.assert_array_equal(opened.images(), np.stack(list(pictures.values())))
    assert opened.images().dtype == np.uint8
    assert opened.families == {"diffusion": ["flow"], "gan": ["gan-x"]}
    assert opened.table.groupby("label")["caption"].agg(lambda given: given.isna().all()).tolist() == [
        False,
        True,
    ]


def test_one_split_and_one_generator(root: Path, pictures: dict[str, NDArray[np.uint8]]) -> None:
    test = micro("test", root=root)
    assert set(test.table["split"]) == {"test"}
    assert test.root == root / "test.parquet"
    expected = [picture for name, picture in pictures.items() if name.startswith("test/flow/")]
    np.testing.assert_array_equal(test.images("flow"), np.stack(expected))
    with pytest.raises(InputError, match=r"no picture of 'flaw'; there are .*Did you mean 'flow'"):
        test.images("flaw")
    with pytest.raises(InputError, match="split must be one of train, val, test; got 'tset'"):
        micro("tset")
    with pytest.raises(InputError, match=r"no such file: .*val\.parquet.*zoo\.package --out"):
        micro("val", root=root.parent)


def test_a_study_takes_the_set_as_it_is(root: Path) -> None:
    opened = micro(root=root)
    settings = parse({"data": {"root": str(opened.root)}, "families": opened.families})
    manifest = images.build(settings.data.sources)
    assert len(manifest.left_out) == 0
    found = manifest.table.groupby(["split", "generator", "family", "label"]).size().to_dict()
    assert found == {
        (split, source, family, int(source != "Real")): count
        for split, count in COUNTS.items()
        for source, family in SOURCES.items()
    }
    assert set(manifest.table["dataset"]) == {"micro"}


def test_written_as_folders_it_is_the_same_set(root: Path, tmp_path: Path) -> None:
    opened = micro(root=root)
    folders = images.build(opened.write(tmp_path / "set"), families=opened.families).table
    tables = images.build(root).table
    columns = ["image_id", "label", "generator", "family", "split"]
    assert sorted(folders[columns].to_numpy().tolist()) == sorted(tables[columns].to_numpy().tolist())


def test_a_sheet_has_a_row_of_pictures_for_each_generator(
    root: Path, pictures: dict[str, NDArray[np.uint8]]
) -> None:
    sheet = np.asarray(micro("test", root=root).sheet(columns=3))
    assert sheet.shape == (3 * (64 + 14), 3 * 64, 3)
    for row, source in enumerate(SOURCES):
        for column in range(3):
            top, left = row * 78 + 14, column * 64
            tile = sheet[top : top + 64, left : left + 64]
            np.testing.assert_array_equal(tile, pictures[f"test/{source}/{column:04d}.png"])
        assert sheet[row * 78 : row * 78 + 14].min() < 128  # its name


# --- what ships is checked


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "embedded"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "test.parquet").write_bytes(b"a few bytes")
    (folder / "images" / "README.md").write_text("for people")
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def test_the_manifest_holds_sizes_and_hashes_of_what_programs_read(folder: Path) -> None:
    size = shipped.seal(folder)
    assert size == 21 + (folder / "manifest.json").stat().st_size
    said = json.loads((folder / "manifest.json").read_text())
    assert said == {
        "images/test.parquet": {"bytes": 11, "sha256": hashlib.sha256(b"a few bytes").hexdigest()}
    }
    assert shipped.part("images") == folder / "images"
    (folder / "images" / "README.md").write_text("mended")
    assert shipped.part("images") == folder / "images"


def test_a_missing_or_damaged_file_is_one_line_that_names_it(folder: Path) -> None:
    file, manifest = folder / "images" / "test.parquet", folder / "manifest.json"

    def refused() -> str:
        with pytest.raises(DiskError) as caught:
            micro("test")
        message = str(caught.value)
        assert "\n" not in message
        assert message.endswith("Reinstall bandprobe, or make it again with python -m zoo.package.")
        return message

    assert f"{manifest} is missing." in refused()
    manifest.write_text("{")
    assert f"{manifest} is damaged." in refused()
    manifest.write_text('{"images/test.parquet": 3}')
    assert f"{manifest} is damaged." in refused()
    manifest.write_text("{}")
    assert f"{folder / 'images'} is missing." in refused()
    shipped.seal(folder)
    file.write_bytes(b"a few bytez")
    assert f"{file} is damaged: it is not the file that was shipped. " in refused()
    file.write_bytes(b"a few")
    assert f"{file} is damaged: it is not the file that was shipped; it has 5 bytes. " in refused()
    file.unlink()
    assert f"{file} is missing." in refused()


# --- the shipped set


GANS = ("gan-transposed", "gan-nearest", "gan-bilinear", "gan-shuffle", "gan-style")
DIFFUSION = ("ddpm", "ddim", "pndm", "flow", "latent")


def test_the_shipped_set_has_every_source_in_every_split() -> None:
    opened = micro()
    assert opened.families == {"diffusion": sorted(DIFFUSION), "gan": sorted(GANS), "vae": ["vae"]}
    counts = opened.table.groupby(["split", "generator"]).size()
    for split, least in {"train": 40, "val": 25, "test": 100}.items():
        fakes = counts[split].drop("Real")
        assert len(fakes) == 11
        assert fakes.nunique() == 1
        assert fakes.iloc[0] >= least
        assert counts[split]["Real"] == 2 * fakes.iloc[0]
    pictures = opened.images()
    assert pictures.shape[1:] == (64, 64, 3)
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures)
    assert all(content.startswith(b"\x89PNG") for content in opened.encoded)


def test_the_shipped_set_fits_a_study_without_a_word() -> None:
    opened = micro()
    manifest = images.build(opened.root)
    assert len(manifest.table) == len(opened)
    assert len(manifest.left_out) == 0
    assert manifest.table["image_id"].is_unique
    of_manifest = manifest.table.groupby(["split", "generator", "family"]).size().to_dict()
    assert of_manifest == opened.table.groupby(["split", "generator", "family"]).size().to_dict()


@pytest.mark.parametrize("split", list(COUNTS))
def test_the_shipped_reals_are_photographs_of_their_splits_own_scenes(split: str) -> None:
    opened = micro(split)
    reals = opened.table[opened.table["generator"] == "Real"].reset_index(drop=True)
    pictures = opened.images("Real")
    assert reals["caption"].notna().all()
    assert opened.table.loc[opened.table["label"] == 1, "caption"].isna().all()
    for number in (0, len(reals) - 1):
        picture, scene = photograph(number, split)
        assert reals["caption"][number] == caption(scene)
        # Another machine's transforms may round the last bit otherwise.
        assert np.abs(pictures[number].astype(int) - picture).max() <= 1


def test_everything_shipped_is_at_most_40_megabytes() -> None:
    shipped.part("images")
    for name in ("micro-dino", "micro-dino-noblur", "micro-clip", "micro-clip-notexture"):
        shipped.part(f"encoders/{name}")
    assert sum(file.stat().st_size for file in shipped.FOLDER.rglob("*") if file.is_file()) <= 40_000_000
