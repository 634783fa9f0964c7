from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pictures import IMAGE, hugging_face, image_table, pixels, png

from bandprobe.errors import ImageError, InputError
from bandprobe.images import decode, embedded, find
from bandprobe.images.found import Found


def kinds(found: Found) -> set[tuple[str, str, str, int]]:
    return {(g.dataset, g.generator, g.split, len(g.paths)) for g in found.groups}


def paths(found: Found, generator: str) -> list[str]:
    return [path for g in found.groups for path in g.paths if g.generator == generator]


# --- CSV --------------------------------------------------------------------------------------------


def test_headerless_space_delimited_with_quoted_paths(tmp_path: Path, plant) -> None:
    plant("imgs/lsun/0_real", 2)
    plant("imgs/Pro GAN, v1/1_fake", 2)
    plant("imgs/ADM/1_fake", 1)
    lines = [
        '"imgs/Pro GAN, v1/1_fake/000.png" 1',
        "imgs/Pro GAN, v1/1_fake/001.png 1",
        "imgs/ADM/1_fake/000.png 1",
    ]
    lines += [f"imgs/lsun/0_real/00{n}.png 0" for n in range(2)]
    (tmp_path / "thesis.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = find([tmp_path / "thesis.csv"])
    assert kinds(found) == {
        ("thesis", "Real", "", 2), ("thesis", "Pro GAN, v1", "", 2), ("thesis", "ADM", "", 1),
    }  # fmt: skip
    assert all(Path(path).is_file() for g in found.groups for path in g.paths)
    assert {g.layout for g in found.groups} == {"table"}


def test_filename_and_type(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("filename,typ\na.png,real\nb.png,ProGAN\nsub/c.png,ADM\n")
    found = find([tmp_path / "x.csv"])
    assert kinds(found) == {("x", "Real", "", 1), ("x", "ProGAN", "", 1), ("x", "ADM", "", 1)}
    assert paths(found, "ADM") == [(tmp_path / "sub/c.png").as_posix()]


def test_image_class_split_with_tabs_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "image\tclass\tsplit\na.png\treal\ttraining\nb.png\tADM\tvalid\nc.png\tADM\ttest\n"
    (tmp_path / "x.tsv").write_text(text, encoding="utf-8-sig")
    assert kinds(find([tmp_path / "x.tsv"])) == {
        ("x", "Real", "train", 1), ("x", "ADM", "val", 1), ("x", "ADM", "test", 1),
    }  # fmt: skip


def test_every_column_at_once_and_odd_ones(tmp_path: Path) -> None:
    text = (
        "id;Path;label;class;generator;dataset;family;subset\n"
        "1;a.png;0;dog;none;cats;;small\n"
        "2;b.png;1;cat;MyNet;cats;gan;big\n"
        "3;c.png;1;cat;ADM;dogs;;big\n"
    )
    (tmp_path / "x.csv").write_text(text)
    found = find_any(tmp_path / "x.csv", reals={"dogs"})
    assert {(g.dataset, g.generator, g.split, g.family) for g in found} == {
        ("cats", "Real", "", ""), ("cats", "MyNet", "", "gan"), ("dogs", "ADM", "", ""),
    }  # fmt: skip
    (tmp_path / "y.csv").write_text("path,class,generator\na.png,dog,real\nb.png,cat,ADM\n")
    assert kinds(find([tmp_path / "y.csv"])) == {("y", "Real", "", 1), ("y", "ADM", "", 1)}
    (tmp_path / "z.csv").write_text("file,is_fake\na.png,False\nb.png,True\n")
    assert {each[3] for each in kinds(find([tmp_path / "z.csv"]))} == {1}


def find_any(table: Path, reals: set[str]) -> list:
    """Groups of a table, also where a data set lacks its reals."""
    from bandprobe.images.tables import read_table

    groups = read_table(table.as_posix())
    with pytest.raises(InputError, match=f"dataset '{next(iter(reals))}' has no real image"):
        find([table])
    return groups


GENERATORS = {
    "known name above a class": ("imgs/ProGAN/cars/1.png", "ProGAN"),
    "folder above the label word": ("imgs/mynet/1_fake/1.png", "mynet"),
    "folder below the label word": ("imgs/fake/mynet/1.png", "mynet"),
    "split between": ("imgs/mynet/train/fake/1.png", "mynet"),
    "its own folder": ("imgs/theirnet/1.png", "theirnet"),
    "only folders with reals": ("imgs/1.png", "fake"),
}


@pytest.mark.parametrize("case", GENERATORS)
def test_generator_from_folders(case: str, tmp_path: Path) -> None:
    path, want = GENERATORS[case]
    (tmp_path / "x.csv").write_text(f"path,label\nimgs/0.png,0\nimgs/lsun/0_real/0.png,0\n{path},1\n")
    [group] = [g for g in find([tmp_path / "x.csv"]).groups if g.label]
    assert group.generator == want


def test_paths_below_the_table_or_the_working_directory(tmp_path: Path, plant, monkeypatch) -> None:
    plant("tables/Real", 1)
    plant("work/ADM", 1)
    absolute = plant("else/ADM", 1)[0]
    monkeypatch.chdir(tmp_path / "work")
    table = tmp_path / "tables/x.csv"
    table.write_text(f"path,label\nReal/000.png,0\nADM/000.png,1\n{absolute},1\nADM/../ADM/000.png,1\n")
    found = find([table])
    assert paths(found, "Real") == [(tmp_path / "tables/Real/000.png").as_posix()]
    beside = (tmp_path / "work/ADM/000.png").as_posix()
    assert paths(found, "ADM") == [beside, absolute.as_posix(), beside]


def test_tables_named_like_splits_are_one_dataset(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text("a.png 0\nADM/b.png 1\n")
    want = {(tmp_path.name, who, split, 1) for who in ("Real", "ADM") for split in ("train", "val", "test")}
    assert kinds(find([tmp_path])) == want
    assert kinds(find([tmp_path / f"{split}.csv" for split in ("test", "val", "train")])) == want


def test_flat_images_with_a_table_beside_them(tmp_path: Path, plant) -> None:
    plant("mine", 3)
    (tmp_path / "mine/metadata.csv").write_text(
        "file_name,generator\n000.png,real\n001.png,ADM\n002.png,ADM\n"
    )
    assert kinds(find([tmp_path / "mine"])) == {("mine", "Real", "", 1), ("mine", "ADM", "", 2)}


BAD_TABLES = {
    "": "is empty; a line is a path and a label",
    "a,b,c\n1,2,3\n": "starts with 'a,b,c'; expected a header with a column of paths",
    "path,label\n": "has no row",
    "path,label\na.png,2\n": r"label must be 0 \(real\), 1 \(fake\) or a name; got '2'",
    "path,label,split\na.png,0,trian\n": "split must be train, val or test; got 'trian'",
    "path,label\na,b.png,0\n": "row 2: 3 fields under 2 headings",
    "path,label\na.png,0\n": "dataset 'x' has no generated image",
    "path,generator\na.png,\n": "neither a label nor a generator",
}


@pytest.mark.parametrize("text", BAD_TABLES)
def test_tables_that_cannot_be_used(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=BAD_TABLES[text]) as caught:
        find([tmp_path / "x.csv"])
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"path,label\n\xff\xfe.png,0\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "x.zip").write_bytes(b"PK")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "y.parquet")
    pq.write_table(pa.table({"path": ["a.png"]}), tmp_path / "z.parquet")
    for name, message in {
        "x.csv": "not UTF-8",
        "x.parquet": "cannot be read",
        "x.zip": "neither a folder nor a table",
        "y.parquet": "has columns a; expected one with images",
        "z.parquet": "expected one that tells real from fake",
    }.items():
        with pytest.raises(InputError, match=message):
            find([tmp_path / name])
    with pytest.raises(InputError, match="layout 'folders' is one of folders; got the file"):
        find([tmp_path / "z.parquet"], layout="folders")


# --- Parquet and Arrow --------------------------------------------------------------------------------


def test_parquet_with_paths(tmp_path: Path, plant) -> None:
    plant("imgs", 3)
    frame = pd.DataFrame(
        {
            "image": [f"imgs/00{n}.png" for n in range(3)],
            "generator": ["real", "ADM", "ADM"],
            "label": [0, 1, 1],
        }
    )
    frame.to_parquet(tmp_path / "x.parquet")
    found = find([tmp_path / "x.parquet"])
    assert kinds(found) == {("x", "Real", "", 1), ("x", "ADM", "", 2)}
    assert paths(found, "Real") == [(tmp_path / "imgs/000.png").as_posix()]


def test_parquet_with_images_and_class_labels(tmp_path: Path) -> None:
    rows = [(f"p{n}", n % 3) for n in range(7)]
    file = tmp_path / "x.parquet"
    pq.write_table(image_table(rows, ["ADM", "real", "ProGAN"]), file, row_group_size=2)
    found = find([file])
    assert kinds(found) == {("x", "ADM", "", 3), ("x", "Real", "", 2), ("x", "ProGAN", "", 2)}
    assert paths(found, "Real") == [f"{file.as_posix()}::{row}" for row in (1, 4)]
    for row, (name, _) in enumerate(rows):
        np.testing.assert_array_equal(decode(f"{file}::{row}"), pixels(name))


def test_parquet_with_plain_binary_and_numbers(tmp_path: Path) -> None:
    table = pa.table({"jpg": pa.array([png("a"), png("b")], pa.binary()), "label": [0, 1]})
    pq.write_table(table, tmp_path / "x.parquet")
    found = find([tmp_path / "x.parquet"])
    assert kinds(found) == {("x", "Real", "", 1), ("x", "fake", "", 1)}
    np.testing.assert_array_equal(decode(tmp_path / "x.parquet::1"), pixels("b"))


def test_hub_folder_of_shards(tmp_path: Path) -> None:
    (tmp_path / "hub/data").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        for shard in range(2):
            table = image_table([(f"{split}{shard}{n}", n % 2) for n in range(2)], ["real", "ADM"])
            pq.write_table(table, tmp_path / f"hub/data/{split}-0000{shard}-of-00002.parquet")
    found = find([tmp_path / "hub"])
    assert {(d, g, s) for d, g, s, _ in kinds(found)} == {
        ("hub", who, split) for who in ("Real", "ADM") for split in ("train", "val", "test")
    }
    assert sum(each[3] for each in [(g, 0, 0, len(g.paths)) for g in found.groups]) == 12


def save_to_disk(folder: Path, table: pa.Table, batches: int) -> None:
    """The files that `datasets` writes: an Arrow stream, and a state that names it."""
    folder.mkdir(parents=True)
    file = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(file, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
        for batch in table.to_batches(max_chunksize=max(1, len(table) // batches)):
            out.write_batch(batch)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    )
    (folder / "dataset_info.json").write_text("{}")


def test_saved_datasets(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [(f"{split}{n}", n % 2) for n in range(6)]
        save_to_disk(tmp_path / "saved" / split, image_table(rows, ["real", "ADM"]), batches=3)
    (tmp_path / "saved/dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    found = find([tmp_path / "saved"])
    assert kinds(found) == {
        ("saved", who, split, 3) for who in ("Real", "ADM") for split in ("train", "test")
    }
    for path in paths(found, "ADM"):
        file, row = path.split("::")
        split = Path(file).parent.name
        np.testing.assert_array_equal(decode(path), pixels(f"{split}{row}"))
    alone = find([tmp_path / "saved/test"])
    assert kinds(alone) == {("test", who, "", 3) for who in ("Real", "ADM")}


def test_rows_read_in_order_read_each_row_group_once(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "x.parquet"
    pq.write_table(image_table([(f"p{n}", n % 2) for n in range(60)]), file, row_group_size=10)
    reads: list[int] = []
    original = pq.ParquetFile.read_row_group

    def counted(self, group: int, **options):
        reads.append(group)
        return original(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    for row in range(60):
        np.testing.assert_array_equal(decode(f"{file}::{row}"), pixels(f"p{row}"))
    assert reads == [0, 1, 2, 3, 4, 5]
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda row: decode(f"{file}::{row}"), range(60)))
    for n, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture, pixels(f"p{n}"))
    assert len(reads) < 20  # a thread that was held up may read a group again, never each row's


def test_rows_that_hold_no_picture(tmp_path: Path, plant) -> None:
    [beside] = plant("imgs", 1)
    values = [
        {"bytes": None, "path": None},
        {"bytes": b"junk", "path": None},
        {"bytes": None, "path": "imgs/000.png"},
    ]
    values += [{"bytes": None, "path": "gone.png"}]
    file = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": pa.array(values, IMAGE)}), file)
    np.testing.assert_array_equal(decode(f"{file}::2"), np.asarray(Image.open(beside)))
    cases = {
        "::0": "holds no picture",
        "::1": "not an image",
        "::3": "gone.png",
        "::9": "row 9 is beyond the 4 rows",
    }
    for place, message in cases.items():
        with pytest.raises(ImageError, match=message):
            decode(f"{file}{place}")
    with pytest.raises(ImageError, match="no such file"):
        decode(tmp_path / "gone.parquet::0")
    (tmp_path / "bad.arrow").write_bytes(b"not an arrow file")
    with pytest.raises(ImageError, match=r"bad\.arrow cannot be read"):
        decode(tmp_path / "bad.arrow::0")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "none.parquet")
    with pytest.raises(ImageError, match=r"no column of none\.parquet holds pictures"):
        decode(tmp_path / "none.parquet::0")


def test_a_rewritten_file_is_read_again(tmp_path: Path) -> None:
    import os

    file = tmp_path / "x.parquet"
    for name, when in (("old", 1), ("new", 2)):
        pq.write_table(image_table([(name, 0)]), file)
        os.utime(file, (when, when))
        np.testing.assert_array_equal(decode(f"{file}::0"), pixels(name))


def test_the_column_of_images() -> None:
    schema = pa.schema([("mask", pa.binary()), ("thumb", IMAGE), ("label", pa.int64())])
    assert embedded.image_column(schema) == "mask"
    said = schema.with_metadata(hugging_face({"thumb": {"_type": "Image"}}))
    assert embedded.image_column(said) == "thumb"
    assert embedded.image_column(pa.schema([("x", pa.binary()), ("Image", pa.large_binary())])) == "Image"
    assert embedded.image_column(pa.schema([("image", pa.string())])) is None
    assert embedded.locate("/a/b::c.parquet::12") == ("/a/b::c.parquet", 12)
    assert embedded.locate("/a/b.png") is None


def test_arrow_files_of_two_columns_of_a_name_and_of_offsets_out_of_the_file(tmp_path: Path) -> None:
    def write(table: pa.Table) -> str:
        path = tmp_path / "data.arrow"
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
        return path.as_posix()

    twice = pa.table([["a.png"], [0], [1]], names=["path", "label", "label"])
    with pytest.raises(InputError, match=r"cannot be read: .*label.* exists 2 times"):
        find(write(twice))
    text, offsets = pa.py_buffer(b"a.pngb"), pa.py_buffer(np.array([0, 2**30, 6], np.int32))
    lying = pa.StringArray.from_buffers(2, offsets, text)
    with pytest.raises(InputError, match="cannot be read"):
        find(write(pa.table({"path": lying, "label": [0, 1]})))
