"""Data as a list on standard input, or in a text file: what `find` and `ls` write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_pictures import image_table
from typer.testing import CliRunner

from bandprobe.cli.app import app
from bandprobe.errors import InputError
from bandprobe.images import Manifest, find
from bandprobe.images.path_lists import listed, tree_of
from bandprobe.images.pictures import picture_files
from bandprobe.store import EmbeddingStore


def told(manifest: Path) -> set[tuple[str, str, str, str]]:
    table = Manifest.load(manifest).table
    return set(zip(table["dataset"], table["generator"], table["split"], table["path"], strict=True))


def index(text: bytes | str, out: Path, *options: str) -> str:
    result = CliRunner().invoke(
        app, ["index", "-", "--out", str(out), "--quiet", *options], input=text, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_a_list_is_read_as_the_folders_it_names(tmp_path: Path, plant, monkeypatch) -> None:
    """Whole, in any order, with the folders `find` names too, absolute or not, the list is the data set."""
    for split in ("train", "val", "test"):
        for name in ("Real", "ADM"):
            plant(f"set/{split}/{name}", 3)
    (tmp_path / "set/notes.txt").write_text("nothing")
    every = [str(path) for path in sorted((tmp_path / "set").rglob("*"), reverse=True)]
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["index", "set", "--out", "folder.parquet", "--quiet"])
    want = told(tmp_path / "folder.parquet")
    assert len(want) == 18
    assert {(name, split) for _, name, split, _ in want} == {
        (name, split) for name in ("Real", "ADM") for split in ("train", "val", "test")
    }
    relative = [os.path.relpath(path) for path in every]
    for number, text in enumerate(
        ("\n".join(every), "\r\n".join(relative) + "\r\n", "\0".join(every) + "\0")
    ):
        index(text, tmp_path / f"{number}.parquet")
        assert told(tmp_path / f"{number}.parquet") == want
    (tmp_path / "list.txt").write_text("path\n" + "\n".join(f'"{path}"' for path in relative))
    assert {p for g in find("list.txt").groups for p in g.paths} == {path for *_, path in want}


def test_a_part_of_the_files_is_taken_and_no_more(tmp_path: Path, plant) -> None:
    reals, fakes = plant("set/Real", 20), plant("set/ADM", 20)
    index("\n".join(map(str, [*reals[:12], *fakes[5:17]])), tmp_path / "m.parquet")
    assert {path for *_, path in told(tmp_path / "m.parquet")} == set(map(str, [*reals[:12], *fakes[5:17]]))


def test_lines_of_path_and_label_and_csv(tmp_path: Path, plant) -> None:
    reals, fakes = plant("set/a", 20), plant("set/b", 20)
    lines = [f"{path} 0" for path in reals] + [f"{path} 1" for path in fakes]
    output = index("\n".join(lines), tmp_path / "m.parquet")
    assert "standard input" in output
    assert {name for _, name, *_ in told(tmp_path / "m.parquet")} == {"Real", "b"}
    rows = [f"{path},real" for path in reals] + [f"{path},StyleGAN" for path in fakes]
    index("file,generator\n" + "\n".join(rows), tmp_path / "n.parquet")
    assert {name for _, name, *_ in told(tmp_path / "n.parquet")} == {"Real", "StyleGAN"}


def test_a_list_of_shards_and_of_members(tmp_path: Path, plant) -> None:
    import tarfile

    import pyarrow.parquet as pq

    (tmp_path / "hub").mkdir()
    for split in ("train", "test"):
        rows = [(f"{split}{number}", number % 2) for number in range(12)]
        pq.write_table(image_table(rows, ["real", "ADM"]), tmp_path / f"hub/{split}-00000-of-00001.parquet")
    groups = find_listed("\n".join(map(str, sorted((tmp_path / "hub").iterdir()))), tmp_path)
    assert {(g.generator, g.split, len(g.paths)) for g in groups} == {
        (name, split, 6) for name in ("Real", "ADM") for split in ("train", "test")
    }
    plant("set/real", 2)
    plant("set/ADM", 2)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(tmp_path / "set", arcname=".")
    members = [f"{tmp_path}/set.tar::{member}" for member in ("./real/000.png", "./ADM/001.png")]
    groups = find_listed("\n".join(members), tmp_path)
    assert {(g.generator, g.paths) for g in groups} == {("Real", (members[0],)), ("ADM", (members[1],))}


def find_listed(text: str, folder: Path) -> list:
    (folder / "list.txt").write_text(text)
    return list(find(folder / "list.txt").groups)


def test_the_pipe_itself(tmp_path: Path, plant) -> None:
    """`find ... -print0 | bandprobe embed -`, with a name that holds a line's end."""
    for name in ("Real", "ProGAN"):
        paths = plant(f"set/{name}", 14)
        paths[0].rename(paths[0].with_name("a\nb.png"))
    command = f"find '{tmp_path}/set' -name '*.png' -print0 | '{sys.executable}' -c "
    command += "'from bandprobe.cli import main; main()' embed - "
    command += f"--encoder spectral --geometry squash:32 --store '{tmp_path}/s' --quiet --json"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    store = EmbeddingStore(tmp_path / "s")
    [(encoder, spec)] = store.conditions()
    table = Manifest.load(tmp_path / "s.manifest.parquet").table
    assert len(store.read(encoder, spec, table["image_id"].tolist()).embedding) == 28
    assert sum("\n" in path for path in table["path"]) == 2


BAD = {
    "": "standard input is empty; it must be a list",
    "no such thing\n": "table '-' starts with 'no such thing'; expected a header",
    "gone/a.png\ngone/b.png\n": "paths of images that are there",
    "one/000.png\n": "no layout fits",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_list_is_one_line(text: str, tmp_path: Path, plant, monkeypatch) -> None:
    plant("one", 1)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["index", "-", "--quiet"], input=text)
    assert isinstance(result.exception, InputError)
    assert BAD[text] in str(result.exception)
    assert "\n" not in str(result.exception)


def test_files_that_are_gone_are_left_out_with_the_reason(tmp_path: Path, plant) -> None:
    reals, fakes = plant("set/Real", 20), plant("set/ADM", 20)
    text = "\n".join(map(str, [*reals, *fakes, tmp_path / "set/ADM/gone.png"]))
    result = CliRunner().invoke(app, ["index", "-", "--out", str(tmp_path / "m.parquet")], input=text)
    assert result.exit_code == 1
    assert "gone.png: no such file" in result.stderr


def test_a_list_in_a_file_may_not_name_files_elsewhere(tmp_path: Path, plant, monkeypatch) -> None:
    from bandprobe.images import build

    every = [*plant("set/Real", 12), *plant("set/ADM", 12)]
    lists = tmp_path / "lists"
    lists.mkdir()
    monkeypatch.chdir(lists)
    (lists / "list.txt").write_text("\n".join(map(str, every)))
    with pytest.raises(InputError, match="names images outside its own folder"):
        build("list.txt")
    assert len(build("list.txt", outside=True).table) == 24
    with pytest.raises(InputError, match="hand its paths over on standard input"):
        picture_files(["list.txt"])
    assert (
        len(build([], real=str(tmp_path / "set/Real"), fakes={"ADM": str(tmp_path / "set/ADM")}).table) == 24
    )


def test_the_folder_that_all_lie_in() -> None:
    paths = ["/a/b/real/1.png", "/a/b/x/y/2.png", "/a/b/real/.hidden.png", "/a/b/x/z"]
    tree = tree_of(paths)
    assert tree.path == "/a/b"
    assert {name for folder in tree.walk() for name in folder.paths()} == {
        "/a/b/real/1.png",
        "/a/b/x/y/2.png",
    }
    assert tree_of(["s3://bucket/real/1.png", "s3://bucket/x/2.png"]).path == "s3://bucket"
    with pytest.raises(InputError, match="behind URLs"):
        tree_of(["s3://bucket/real/1.png", "/a/x/2.png"])
    assert listed("a b\nc d\n", "-") is None
