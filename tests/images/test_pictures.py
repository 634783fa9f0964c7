"""What `filter` and `score` are given: pictures in files, folders, tables, tar files and lists."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pictures import IMAGE, image_table, png
from test_image_tables import save_to_disk
from typer.testing import CliRunner

from bandprobe.cli.app import app
from bandprobe.errors import InputError
from bandprobe.images import Manifest, image_id, read
from bandprobe.images.pictures import picture_files


@pytest.fixture
def forms(tmp_path: Path, plant) -> dict[str, tuple[str, list[str]]]:
    """The same four pictures in every form: what is given, and the places found in it."""
    files = plant("folder", 4)
    pictures = [{"bytes": path.read_bytes(), "path": None} for path in files]
    table = pa.table({"image": pa.array(pictures, IMAGE)})  # no label: none is needed
    pq.write_table(table, tmp_path / "one.parquet")
    (tmp_path / "hub/data").mkdir(parents=True)
    pq.write_table(table.slice(0, 2), tmp_path / "hub/data/train-00000-of-00002.parquet")
    pq.write_table(table.slice(2), tmp_path / "hub/data/train-00001-of-00002.parquet")
    save_to_disk(tmp_path / "saved", table, batches=2)
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for path in files:
            tar.add(path, path.name)
    (tmp_path / "table.csv").write_text("image,label\n" + "".join(f"{path},1\n" for path in files))
    (tmp_path / "list.txt").write_text("\n".join(map(str, files)))
    named = list(map(str, files))
    root = tmp_path.as_posix()
    hub = f"{root}/hub/data/train-0000"
    return {
        "folder": (f"{root}/folder", named),
        "parquet": (f"{root}/one.parquet", [f"{root}/one.parquet::{row}" for row in range(4)]),
        "hub": (
            f"{root}/hub",
            [f"{hub}{shard}-of-00002.parquet::{row}" for shard in range(2) for row in range(2)],
        ),
        "saved": (
            f"{root}/saved",
            [f"{root}/saved/data-00000-of-00001.arrow::{row}" for row in range(4)],
        ),
        "tar": (f"{root}/shard.tar", [f"{root}/shard.tar::{path.name}" for path in files]),
        "csv": (f"{root}/table.csv", named),
        "list": (f"{root}/list.txt", named),
    }


FORMS = ("folder", "parquet", "hub", "saved", "tar", "csv", "list")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_pictures(form: str, forms) -> None:
    given, places = forms[form]
    found = list(map(str, picture_files([given])))
    assert found == places
    want = [image_id(read(path).rgb) for path in forms["folder"][1]]
    assert [image_id(read(path).rgb) for path in found] == want


def test_one_row_or_member_by_its_place(forms) -> None:
    for form in ("parquet", "tar"):
        place = forms[form][1][2]
        assert list(map(str, picture_files([place]))) == [place]


def test_filter_takes_them_too(forms, tmp_path: Path) -> None:
    for form, text in (("hub", None), ("tar", None), ("-", "\n".join(forms["folder"][1]))):
        given = form if form == "-" else forms[form][0]
        out = tmp_path / f"out-{form}"
        words = ["filter", given, "--filter", "none", "--out", str(out), "--quiet"]
        result = CliRunner().invoke(app, words, input=text)
        assert result.exit_code == 0, result.output
        with (out / "index.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        names = [f"train-0000{n // 2}-of-00002-{n % 2}" if form == "hub" else f"{n:03d}" for n in range(4)]
        assert [row["file"] for row in rows] == [f"{name}__none.png" for name in names]
        for row, source in zip(rows, forms["folder"][1], strict=True):
            assert image_id(read(out / row["file"]).rgb) == image_id(read(source).rgb)


def test_what_cannot_be_pictures_is_one_line(tmp_path: Path, plant, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plant("elsewhere", 1)
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("nothing\n")
    for given, said in {
        "gone.png": "no such file or folder",
        "gone.parquet::3": "no such file or folder",
        "empty": "no image in",
        "a.parquet": "expected one with images",
        "b.csv": "expected a header",
    }.items():
        with pytest.raises(InputError, match=said):
            picture_files([given])
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    stolen = {"bytes": None, "path": str(tmp_path / "elsewhere/000.png")}
    pq.write_table(pa.table({"image": pa.array([stolen], IMAGE)}), "c.parquet")
    with pytest.raises(InputError, match="names images outside its own folder"):
        picture_files(["c.parquet"])


def test_rows_that_name_files_and_hold_no_bytes(tmp_path: Path, plant, monkeypatch) -> None:
    """As in the cache of `datasets`, and in what it writes of an image folder."""
    monkeypatch.chdir(tmp_path)
    files = [*plant("Real", 20), *plant("ADM", 20)]
    rows = [{"bytes": None, "path": str(path)} for path in files]
    labels = [0] * 20 + [1] * 20
    everything = pa.table({"image": pa.array(rows, IMAGE), "label": labels})
    some = [row if at % 2 else {"bytes": png(str(at)), "path": f"{at}.png"} for at, row in enumerate(rows)]
    some[3] = None
    mixed = pa.table({"image": pa.array(some, IMAGE), "label": labels})
    pq.write_table(everything, "all.parquet", row_group_size=7)
    pq.write_table(mixed, "some.parquet", row_group_size=7)
    pq.write_table(mixed, "unknown.parquet", row_group_size=7, write_statistics=False)
    save_to_disk(tmp_path / "saved", mixed, batches=5)
    assert list(map(str, picture_files(["all.parquet"]))) == list(map(str, files))
    for name in ("some.parquet", "unknown.parquet", "saved/data-00000-of-00001.arrow"):
        want = [str(path) if at % 2 and at != 3 else f"{name}::{at}" for at, path in enumerate(files)]
        assert list(map(str, picture_files([name]))) == want
    result = CliRunner().invoke(app, ["index", "all.parquet", "--out", "m.parquet", "--quiet"])
    assert result.exit_code == 0, result.output
    assert set(Manifest.load("m.parquet").table["path"]) == set(map(str, files))


def test_the_cache_of_datasets(tmp_path: Path) -> None:
    """Its files are called after the data set, and copies of what was computed lie beside them."""
    from bandprobe.images import find

    for name in ("set-train-00000-of-00002", "set-train-00001-of-00002", "set-test", "cache-0a1b2c"):
        save_to_disk(tmp_path / name, image_table([(f"{name}{n}", n % 2) for n in range(4)]), batches=1)
        (tmp_path / name / "data-00000-of-00001.arrow").rename(tmp_path / f"{name}.arrow")
        for left in (tmp_path / name).iterdir():
            left.unlink()
        (tmp_path / name).rmdir()
    found = find(tmp_path)
    assert {(g.split, g.label, len(g.paths)) for g in found.groups} == {
        (split, label, 2) for split in ("train", "test") for label in (0, 1)
    }
    assert sum(len(g.paths) for g in found.groups) == 12


def test_the_hub_offline_is_one_line() -> None:
    """`hf://` goes through huggingface_hub's file system; the tests' environment is offline."""
    result = CliRunner().invoke(app, ["index", "hf://datasets/owner/name", "--quiet"])
    assert getattr(result.exception, "exit_code", None) == 3
    assert "hf://datasets/owner/name" in str(result.exception)
    assert "offline" in str(result.exception)
    assert "\n" not in str(result.exception)
