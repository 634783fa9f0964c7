"""A table from elsewhere names no file outside its own folder, unless that was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoded_files import noise
from PIL import Image

from bandprobe.cli import run
from bandprobe.errors import ImageError, InputError
from bandprobe.images import Manifest, build, decode


def plant(folder: Path, count: int, seed: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(noise(seed + number, 20, 20, 3)).save(path)
    return paths


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Path]]:
    """A downloaded data set, private pictures outside it, and a folder to work in that holds neither."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return {
        "real": plant(tmp_path / "got/Real", 20, 0),
        "fake": plant(tmp_path / "got/Fake", 20, 100),
        "own": plant(tmp_path / "private", 3, 200),
    }


def table(path: Path, places: dict[str, list[Path]], *named: str) -> Path:
    rows = [(f"Real/{each.name}", 0) for each in places["real"]] + [
        (f"Fake/{each.name}", 1) for each in places["fake"]
    ]
    frame = pd.DataFrame([*rows, *((name, 1) for name in named)], columns=["path", "label"])
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("how", ["absolute", "dots", "dots-within", "link", "link-to-folder", "home"])
def test_what_leaves_is_refused_and_nothing_opened(
    how: str, ending: str, places: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    got, own = tmp_path / "got", places["own"][0]
    monkeypatch.setenv("HOME", str(own.parent))
    (got / "Fake/link.png").symlink_to(own)
    (got / "Fake/folder").symlink_to(own.parent)
    name = {
        "absolute": str(own), "dots": "../private/0.png", "dots-within": "Fake/../../private/0.png",
        "link": "Fake/link.png", "link-to-folder": "Fake/folder/0.png", "home": "~/0.png",
    }[how]  # fmt: skip
    listed = table(got / f"list{ending}", places, name)
    os.chmod(own, 0)  # noqa: PTH101 - opening it would be noticed, but for root
    opened: list[object] = []
    real_open = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a, **k: (opened.append(self), real_open(self, *a, **k))[1]
    )
    with pytest.raises(InputError, match=r"outside its own folder .*\(1 of 41\).*--outside") as caught:
        build(listed)
    assert "\n" not in str(caught.value)
    assert str(listed) in str(caught.value)
    assert Path(name).name in str(caught.value)
    assert not [path for path in opened if Path(str(path)).suffix == ".png"]
    os.chmod(own, 0o600)  # noqa: PTH101
    assert len(build(listed, outside=True).table) == 41


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../../../../../../../etc/hostname", "/dev/zero", "/gone/x.png"]
)
def test_a_file_of_the_system_is_not_reached(
    name: str, places: dict[str, list[Path]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="outside its own folder"):
        build(table(tmp_path / "got/list.csv", places, name))


def test_commands_say_it_in_one_line_and_take_the_way_out(
    places: dict[str, list[Path]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listed = table(tmp_path / "got/list.csv", places, str(places["own"][0]))
    embed = ["embed", str(listed), "--encoder", "spectral", "--filter", "none", "--geometry", "squash:32",
             "--store", str(tmp_path / "store"), "--quiet"]  # fmt: skip
    spectrum = ["spectrum", str(listed), "--out", str(tmp_path / "spectra"), "--quiet"]
    for command in (["index", str(listed), "--out", str(tmp_path / "m.parquet"), "--quiet"], embed, spectrum):
        assert run(command) == 2
        said = capfd.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        assert "--outside" in said
        assert "private/0.png" in said
    assert run([*embed, "--outside"]) == 0


def test_a_study_asks_in_its_file(places: dict[str, list[Path]], tmp_path: Path) -> None:
    from bandprobe import config

    file = tmp_path / "study.toml"
    file.write_text('[data]\nroot = "got/list.csv"\noutside = true\n')
    assert config.read(file).data.outside
    assert not config.parse({"data": {"root": "x"}}).data.outside


def test_tables_beside_their_images_and_above_the_folder_worked_in(
    places: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"got/Real/{each.name},0" for each in places["real"]]
    rows += [f"{each},1" for each in places["fake"]]  # from the root on, but below the folder
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "lists/deep"
    elsewhere.mkdir(parents=True)
    (elsewhere / "list.csv").write_text("\n".join(["path,label", *rows]))
    assert len(build(elsewhere / "list.csv").table) == 40
    monkeypatch.chdir("/")  # working in the root of all files opens nothing
    with pytest.raises(InputError, match="outside"):
        build(elsewhere / "list.csv")


def test_a_manifest_made_here_works_from_anywhere(places: dict[str, list[Path]], tmp_path: Path) -> None:
    here = tmp_path / "elsewhere/manifest.parquet"
    here.parent.mkdir()
    made = build(tmp_path / "got")
    made.save(here)
    assert build(here).table["image_id"].tolist() == made.table["image_id"].tolist()
    # What is not there any more is left out; what became another file since is not opened.
    places["real"][0].unlink()
    assert build(here).left_out["path"].tolist() == [places["real"][0].as_posix()]
    Image.fromarray(noise(999, 21, 21, 3)).save(places["real"][1])
    with pytest.raises(InputError, match=r"not as they were indexed \(1 of 40\).*Real/1\.png"):
        build(here)
    assert len(build(here, outside=True).table) == 39


def test_a_manifest_from_elsewhere_does_not_work(places: dict[str, list[Path]], tmp_path: Path) -> None:
    """Its writer can know where a private picture lies, but neither its size nor when it was changed."""
    made = build(tmp_path / "got")
    forged = made.table.copy()
    forged.loc[0, "path"] = places["own"][0].as_posix()
    there = tmp_path / "got/manifest.parquet"
    Manifest(forged).save(there)
    with pytest.raises(InputError, match=r"\(1 of 40\).*private/0\.png"):
        build(there)
    for column in ("file_bytes", "mtime_ns"):
        forged.loc[0, column] = getattr(
            places["own"][0].stat(), {"file_bytes": "st_size"}.get(column, "st_mtime_ns")
        )
        Manifest(forged).save(there)
        if column == "file_bytes":
            with pytest.raises(InputError, match="not as they were indexed"):
                build(there)
    build(there)  # who knows both has seen it
    # A Parquet table that only says it is a manifest, with columns of its own.
    bare = pa.table({"path": [str(places["own"][0])], "label": [1]})
    pq.write_table(bare.replace_schema_metadata({b"bandprobe.manifest": b"{}"}), there)
    with pytest.raises(InputError) as caught:
        build(there)
    assert "\n" not in str(caught.value)


def test_rows_of_a_table_of_pictures_name_nothing_outside(
    places: dict[str, list[Path]], tmp_path: Path
) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    (tmp_path / "got/link.png").symlink_to(places["own"][0])
    names = ["Real/0.png", str(places["own"][0]), "../private/0.png", "link.png", "Real", "a\0b"]
    values = pa.array([{"bytes": None, "path": name} for name in names], kind)
    pq.write_table(pa.table({"image": values}), tmp_path / "got/x.parquet")
    assert decode(tmp_path / "got/x.parquet::0").shape == (20, 20, 3)
    for row in range(1, len(names)):
        with pytest.raises(ImageError) as caught:
            decode(tmp_path / f"got/x.parquet::{row}")
        if row < 4:
            assert "outside the table's folder" in str(caught.value)
