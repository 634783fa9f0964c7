from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pictures import image_table, pixels

from bandprobe.errors import DiskError, InputError
from bandprobe.images import Manifest, build, image_id, reading, split_of

COLUMNS = {
    "image_id", "path", "label", "generator", "family", "dataset", "split",
    "width", "height", "format", "file_bytes", "mtime_ns",
}  # fmt: skip


@pytest.fixture
def faces(tmp_path: Path, plant) -> Path:
    """40 reals, 40 of ProGAN and 30 of ADM in a folder `faces`."""
    for name, count in (("Real", 40), ("ProGAN", 40), ("ADM", 30)):
        plant(f"faces/{name}", count)
    return tmp_path / "faces"


def test_table(faces: Path) -> None:
    manifest = build([faces])
    table = manifest.table
    assert set(table.columns) == COLUMNS
    assert table["label"].dtype == np.int8
    assert dict(table["generator"].value_counts()) == {"Real": 40, "ProGAN": 40, "ADM": 30}
    assert dict(table.groupby("generator")["family"].first()) == {
        "ADM": "diffusion",
        "ProGAN": "gan",
        "Real": "real",
    }
    assert set(table["dataset"]) == {"faces"}
    assert (table["label"] == (table["generator"] != "Real")).all()
    for row in table.itertuples():
        path = Path(row.path)
        assert row.image_id == image_id(np.asarray(Image.open(path)))
        assert row.split == split_of(row.image_id)
        assert (row.width, row.height, row.format) == (4, 5, "PNG")
        assert (row.file_bytes, row.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert len(manifest.left_out) == 0
    assert any("70/10/20 by image hash" in note for note in manifest.notes)


def test_mapping_and_report(faces: Path) -> None:
    manifest = build([faces], splits=(0.6, 0.2, 0.2))
    mapping = manifest.mapping.set_index("generator")
    assert mapping.loc["ADM"].to_dict() == {
        "layout": "folders",
        "folder": (faces / "ADM").as_posix(),
        "label": 1,
        "family": "diffusion",
        "dataset": "faces",
        "split": "by hash",
        "n": 30,
    }
    text = manifest.report()
    assert text.count((faces / "ProGAN").as_posix()) == 1
    counts = manifest.table[manifest.table["generator"] == "ADM"]["split"].value_counts()
    numbers = [str(counts.get(split, 0)) for split in ("train", "val", "test")]
    assert ["faces", "ADM", "diffusion", *numbers, "30"] in [line.split() for line in text.splitlines()]
    assert "60/20/20 by image hash" in text


def test_images_added_later_change_nobodys_split(faces: Path, plant) -> None:
    before = build([faces]).table.set_index("path")["split"]
    plant("faces/ADM", 60)
    plant("faces/GLIDE", 20)
    after = build([faces]).table.set_index("path")["split"]
    assert len(after) == len(before) + 50
    pd.testing.assert_series_equal(after[before.index], before)


def test_copies_in_other_formats_are_one_image(faces: Path) -> None:
    first = faces / "ADM/000.png"
    Image.open(first).save(faces / "ADM/zz.bmp")
    shutil.copy(first, faces / "ADM/zzz.png")
    shutil.copy(first, faces / "ProGAN/other.png")  # another generator: both keep a row
    manifest = build([faces])
    rows = manifest.table[manifest.table["image_id"] == image_id(np.asarray(Image.open(first)))]
    assert sorted(Path(path).name for path in rows["path"]) == ["000.png", "other.png"]
    assert (
        "2 files repeat a picture of the same generator and dataset: the first of each was kept"
        in manifest.notes
    )
    assert len(manifest.left_out) == 0


def test_an_image_under_both_labels(faces: Path) -> None:
    shutil.copy(faces / "Real/003.png", faces / "ADM/stolen.png")
    shutil.copy(faces / "Real/003.png", faces / "ProGAN/stolen.png")
    manifest = build([faces])
    left = manifest.left_out.set_index("path")["reason"]
    assert set(left.index) == {
        (faces / n).as_posix() for n in ("Real/003.png", "ADM/stolen.png", "ProGAN/stolen.png")
    }
    fake = (faces / "ADM/stolen.png").as_posix()
    assert left[(faces / "Real/003.png").as_posix()] == f"the same image is real here and fake in {fake}"
    assert left[fake] == f"the same image is fake here and real in {(faces / 'Real/003.png').as_posix()}"
    assert len(manifest.table) == 110 - 1
    assert fake in manifest.report()
    with pytest.raises(InputError, match=r"stands under both labels, real in '.*Real/003.png' and fake in"):
        build([faces], strict=True)


def test_broken_files_are_listed_and_the_rest_goes_on(faces: Path) -> None:
    (faces / "ADM/000.png").write_bytes(b"")
    (faces / "ADM/001.png").write_bytes((faces / "ADM/001.png").read_bytes()[:60])
    (faces / "Real/notes.png").write_text("no picture")
    Image.new("RGB", (40, 40)).save(faces / "ProGAN/large.png")
    manifest = build([faces], max_pixels=1000)
    left = {Path(path).name: reason for path, reason in manifest.left_out.itertuples(index=False)}
    assert left["000.png"] == "empty file (0 bytes)"
    assert left["001.png"].startswith("truncated")
    assert left["notes.png"].startswith("not an image")
    assert left["large.png"] == "too many pixels: 40 x 40; the limit is 1,000"
    assert len(manifest.table) == 108
    assert "Left out: 4" in manifest.report()


def test_a_class_of_broken_images(faces: Path) -> None:
    for path in (faces / "Real").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        InputError, match=r"every real image of dataset 'faces' is unusable \(40 files\); the first"
    ):
        build([faces])


def test_two_folders_mixed_up(tmp_path: Path, plant) -> None:
    plant("d/Real", 5)
    shutil.copytree(tmp_path / "d/Real", tmp_path / "d/ADM")
    with pytest.raises(InputError, match="also stands under the other label; were two folders mixed up"):
        build([tmp_path / "d"])


def test_given_splits_and_leakage(tmp_path: Path, plant) -> None:
    for split in ("train", "val", "test"):
        plant(f"d/{split}/Real", 3)
        plant(f"d/{split}/ADM", 3)
    for split in ("train", "val"):
        shutil.copy(tmp_path / "d/test/Real/000.png", tmp_path / f"d/{split}/Real/leak.png")
    shutil.copy(tmp_path / "d/val/ADM/001.png", tmp_path / "d/train/ADM/leak.png")
    manifest = build([tmp_path / "d"])
    table = manifest.table
    assert len(table) == 18
    assert all(f"/{row.split}/" in row.path for row in table.itertuples())
    assert not table["path"].str.endswith("leak.png").any()
    kept = "kept in test rather than val, in val rather than train (3 rows dropped)"
    assert f"2 images stood in several splits: {kept}" in manifest.notes
    assert set(manifest.mapping["split"]) == {"train", "val", "test"}


def test_test_is_not_trained_on_in_another_dataset(tmp_path: Path, plant) -> None:
    for name in ("a", "b"):
        for split in ("train", "val", "test"):
            plant(f"d/{name}/{split}/Real", 3)
            plant(f"d/{name}/{split}/ADM", 3)
    shutil.copy(tmp_path / "d/a/test/Real/000.png", tmp_path / "d/b/train/Real/leak.png")
    shutil.copy(tmp_path / "d/a/test/Real/001.png", tmp_path / "d/b/test/Real/twin.png")
    table = build([tmp_path / "d"]).table
    assert not table["path"].str.endswith("leak.png").any()
    assert table["path"].str.endswith("twin.png").any()


def test_genimage_val_becomes_test(tmp_path: Path, plant) -> None:
    for split, count in (("train", 60), ("val", 4)):
        for side in ("ai", "nature"):
            plant(f"G/imagenet_ai_0508_adm/{split}/{side}", count)
    manifest = build([tmp_path / "G"], splits=(0.6, 0.2, 0.2))
    table = manifest.table
    assert set(table[table["path"].str.contains("/val/")]["split"]) == {"test"}
    carved = table[table["path"].str.contains("/train/")]
    want = [int(i[16:32], 16) / 2**64 < 0.25 for i in carved["image_id"]]
    assert list(carved["split"] == "val") == want
    assert 0 < sum(want) < 120
    assert set(manifest.mapping["split"]) == {"train -> train + val", "val -> test"}
    assert any(
        note.startswith("adm: val becomes test; val is 25% of the given 'train'") for note in manifest.notes
    )


def test_splits_without_a_class(tmp_path: Path, plant) -> None:
    for split in ("train", "val", "test"):
        plant(f"d/{split}/Real", 2)
        if split != "val":
            plant(f"d/{split}/ADM", 2)
    with pytest.raises(
        InputError, match="split 'val' of dataset 'd' has no generated image; every split needs"
    ):
        build([tmp_path / "d"])
    plant("lsun/test/Real", 2)
    for split in ("train", "val", "test"):
        plant(f"lsun/{split}/DDPM", 2)
    with pytest.raises(InputError, match="split 'train' of dataset 'lsun' has no real image") as caught:
        build([tmp_path / "lsun"])
    assert "\n" not in str(caught.value)


def test_too_few_images_for_a_hash(tmp_path: Path, plant) -> None:
    plant("d/ADM", 60)
    for number in range(50):  # reals whose hashes all say train
        rgb = pixels(f"r{number}")
        if split_of(image_id(rgb)) == "train":
            (tmp_path / "d/Real").mkdir(exist_ok=True)
            Image.fromarray(rgb).save(tmp_path / f"d/Real/{number}.png")
    with pytest.raises(
        InputError, match=r"split 'test' of dataset 'd' has no real image: \d+ real images fell"
    ):
        build([tmp_path / "d"])
    # A validation set without a class is no fault: small ones are cross-fitted.
    rgb = next(p for n in range(99) if split_of(image_id(p := pixels(f"t{n}"))) == "test")
    Image.fromarray(rgb).save(tmp_path / "d/Real/test.png")
    table = build([tmp_path / "d"]).table
    assert not ((table["split"] == "val") & (table["label"] == 0)).any()


def test_limit_is_a_fixed_choice_and_not_the_first_by_name(faces: Path, tmp_path: Path) -> None:
    def taken(root: Path, **options) -> list[str]:
        table = build([root], limit=25, **options).table
        assert dict(table["generator"].value_counts()) == {"Real": 25, "ProGAN": 25, "ADM": 25}
        return sorted("/".join(Path(path).parts[-2:]) for path in table["path"])

    first = taken(faces)
    assert first == taken(faces)
    assert first != taken(faces, seed=1)
    assert [each for each in first if "ADM" in each] != [f"ADM/{n:03d}.png" for n in range(25)]
    shutil.copytree(faces, tmp_path / "elsewhere/faces")
    assert taken(tmp_path / "elsewhere/faces") == first
    assert any(note.startswith("limit: 75 of 110 images") for note in build([faces], limit=25).notes)


def test_an_earlier_manifest_saves_reading(faces: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "manifest.parquet"
    assert not out.exists()
    first = build([faces], previous=out)
    first.save(out)
    opened: list[str] = []
    original = reading.read

    def counted(path, **options):
        opened.append(Path(path).name)
        return original(path, **options)

    monkeypatch.setattr(reading, "read", counted)
    again = build([faces], previous=out)
    assert opened == []
    pd.testing.assert_frame_equal(again.table, first.table)

    Image.fromarray(pixels("changed")).save(faces / "ADM/004.png")
    os.utime(faces / "ADM/004.png", (1, 1))
    Image.fromarray(pixels("added")).save(faces / "ADM/new.png")
    third = build([faces], previous=out)
    assert sorted(opened) == ["004.png", "new.png"]
    assert image_id(pixels("changed")) in set(third.table["image_id"])

    opened.clear()
    build([faces], previous=out, background="black")
    assert len(opened) == 111  # another background is another identity
    opened.clear()
    with pytest.raises(InputError, match="unusable"):
        build([faces], previous=out, max_pixels=19)  # 20 pixels each: known ones are not exempt
    assert len(opened) == 111


def test_round_trip(faces: Path, tmp_path: Path) -> None:
    (faces / "Real/bad, very.png").write_bytes(b"")
    first = build([faces], background="#102030")
    path = tmp_path / "new/folder/m.parquet"
    first.save(path)
    second = Manifest.load(path)
    pd.testing.assert_frame_equal(second.table, first.table)
    pd.testing.assert_frame_equal(second.mapping, first.mapping)
    assert second.left_out.values.tolist() == first.left_out.values.tolist()
    assert second.notes == first.notes
    assert second.background == (16, 32, 48)
    assert second.report() == first.report()
    assert sorted(each.name for each in path.parent.iterdir()) == ["m-left-out.csv", "m.parquet"]
    assert list(pd.read_csv(path.parent / "m-left-out.csv").columns) == ["path", "reason"]
    assert pq.read_table(path, columns=["label"]).schema.field("label").type == "int8"

    (faces / "Real/bad, very.png").unlink()
    build([faces]).save(path)
    assert [each.name for each in path.parent.iterdir()] == ["m.parquet"]
    assert len(Manifest.load(path).left_out) == 0


def test_a_manifest_is_data_too(faces: Path, tmp_path: Path, monkeypatch) -> None:
    first = build([faces], families={"mine": ["ADM"]})
    first.save(tmp_path / "m.parquet")
    monkeypatch.setattr(reading, "read", lambda *_, **__: pytest.fail("nothing has changed"))
    second = build([tmp_path / "m.parquet"])
    pd.testing.assert_frame_equal(second.table, first.table)
    assert set(second.table.loc[second.table["generator"] == "ADM", "family"]) == {"mine"}


def test_families_of_a_study(faces: Path) -> None:
    table = build([faces], families={"ours": ["pro_gan"]}).table
    assert dict(table.groupby("generator")["family"].first()) == {
        "ADM": "diffusion",
        "ProGAN": "ours",
        "Real": "real",
    }
    with pytest.raises(InputError, match="Did you mean 'ProGAN'"):
        build([faces], families={"gan": ["PoGAN"]})


def test_images_inside_a_table(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(image_table([(f"p{n}", n % 2) for n in range(80)]), file, row_group_size=16)
    first = build([file])
    assert len(first.table) == 80
    row = first.table.iloc[0]
    assert row["image_id"] == image_id(pixels(f"p{row['path'].split('::')[1]}"))
    first.save(tmp_path / "m.parquet")
    again = build([file], previous=tmp_path / "m.parquet")
    pd.testing.assert_frame_equal(again.table, first.table)


def test_the_same_folder_twice_counts_once(faces: Path) -> None:
    assert len(build([faces, str(faces) + "/"]).table) == 110


def test_threads_change_nothing(faces: Path) -> None:
    pd.testing.assert_frame_equal(build([faces], workers=1).table, build([faces], workers=7).table)


def test_wrong_arguments(faces: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"limit": 0}, "limit must be 1 or more; got 0"),
        ({"max_pixels": -1}, "max_pixels must be 1 or more"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"splits": (0.5, 0.5, 0.5)}, "splits must sum to 1"),
        ({"background": "nocolour"}, "background must be a colour"),
    ):
        with pytest.raises(InputError, match=message):
            build([faces], **options)
    with pytest.raises(InputError, match="no such manifest"):
        Manifest.load(tmp_path / "none.parquet")
    pd.DataFrame({"path": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="is no manifest: it lacks the columns image_id"):
        Manifest.load(tmp_path / "other.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot be read"):
        Manifest.load(tmp_path / "junk.parquet")


def test_a_place_that_cannot_be_written(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"m.parquet cannot be written: .*give another folder"):
        build([faces]).save(tmp_path / "file/m.parquet")


def test_a_failed_write_leaves_the_old_file(faces: Path, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m.parquet"
    manifest = build([faces])
    manifest.save(path)
    before = path.read_bytes()

    def half(_table, where, **_options) -> None:
        Path(where).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(DiskError, match="No space left on device"):
        manifest.save(path)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.glob("*m.parquet*")) == ["m.parquet"]


def test_the_development_photographs(photos: Path) -> None:
    manifest = build([photos / "faces", photos / "scenes"])
    table = manifest.table
    assert len(table) == 730
    assert len(manifest.left_out) == 0
    counts = table.groupby(["dataset", "generator", "family"]).size().to_dict()
    assert counts == {
        ("faces", "Real", "real"): 150,
        ("faces", "StyleGAN2", "gan"): 150,
        ("scenes", "Real", "real"): 180,
        ("scenes", "LatentDiffusion", "diffusion"): 110,
        ("scenes", "Disco-ADM", "diffusion"): 80,
        ("scenes", "DALLE-mini", "autoregressive"): 60,
    }
    assert set(table["width"]) == set(table["height"]) == {256}
    assert set(build([photos], limit=40).table["dataset"]) == {"faces", "scenes"}
