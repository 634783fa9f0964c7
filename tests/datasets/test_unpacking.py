"""Archives of strangers: unpacked where they should be, or not at all."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from bandprobe.datasets.unpacking import is_archive, merge, unpack
from bandprobe.errors import DiskError, InputError


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def tarred(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


FILES = {
    "top/test/ADM/1.png": b"a" * 1000,
    "top/test/Real/ä 2.png": b"b",
    "__MACOSX/x": b"c",
    "top/.DS_Store": b"",
}
WANT = {"ADM/1.png": b"a" * 1000, "Real/ä 2.png": b"b"}


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_the_folders_at_the_top_are_stripped(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    if ending == "zip":
        zipped(path, FILES)
    else:
        kind = ending.rpartition(".")[2]
        mode = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[kind]
        tarred(path, [(tarfile.TarInfo(name), content) for name, content in FILES.items()], mode)
    assert is_archive(path.name)
    assert unpack(path, tmp_path / "out", ("top", "test")) == 2
    assert files_in(tmp_path / "out") == WANT
    assert unpack(path, tmp_path / "whole") == 2
    assert set(files_in(tmp_path / "whole")) == {"top/test/ADM/1.png", "top/test/Real/ä 2.png"}


OUTSIDE = ["../x.png", "a/../../x.png", "/etc/x.png", "a\\..\\x.png", "C:/x.png", "a\nb.png"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_name_leads_out(name: str, kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        info = zipfile.ZipInfo("x")
        info.filename = name
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(info, b"evil")
    else:
        tarred(path, [(tarfile.TarInfo(name), b"evil")])
    with pytest.raises(InputError, match="leads out of the folder") as caught:
        unpack(path, folder)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*.png")) == []


def test_links_devices_and_files_that_stand_in_for_folders(tmp_path: Path) -> None:
    link = tarfile.TarInfo("a")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    hard = tarfile.TarInfo("b")
    hard.type, hard.linkname = tarfile.LNKTYPE, "/etc/passwd"
    device = tarfile.TarInfo("c")
    device.type = tarfile.CHRTYPE
    for number, info in enumerate((link, hard, device)):
        path = tarred(tmp_path / f"{number}.tar", [(info, b"")])
        with pytest.raises(InputError, match="is a link or a device"):
            unpack(path, tmp_path / "out")
    info = zipfile.ZipInfo("a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as file:
        file.writestr(info, "/etc")
    with pytest.raises(InputError, match="is a link"):
        unpack(tmp_path / "l.zip", tmp_path / "out")
    both = zipped(tmp_path / "f.zip", {"a": b"1", "a/b": b"2"})
    with pytest.raises(DiskError, match="cannot be unpacked"):
        unpack(both, tmp_path / "out")


def test_bombs_are_seen_before_they_go_off(tmp_path: Path) -> None:
    """A GB of zeros is a MB on disk: a zip says so at once, a tar file while it is written."""
    many = tmp_path / "x.zip"
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"{number}.png", bytes(40_000_000))
    with pytest.raises(InputError, match="unpacks to more than"):
        unpack(many, tmp_path / "out")
    assert not files_in(tmp_path / "out")
    path = tarred(
        tmp_path / "x.tar.gz", [(tarfile.TarInfo(f"{n}.png"), bytes(40_000_000)) for n in range(3)], "w:gz"
    )
    with pytest.raises(InputError, match="unpacks to more than"):
        unpack(path, tmp_path / "out")
    assert sum(map(len, files_in(tmp_path / "out").values())) < 80_000_001


def test_damaged_encrypted_and_doubled(tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.zip", FILES).read_bytes()
    (tmp_path / "cut.zip").write_bytes(good[:-30])
    (tmp_path / "crc.zip").write_bytes(good.replace(b"aaaa", b"aaab", 1))
    locked = bytearray(good)
    central = good.index(b"PK\1\2")
    locked[central + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    (tmp_path / "not.tar.gz").write_bytes(b"not")
    path = tarred(tmp_path / "cut.tar", [(tarfile.TarInfo("a.png"), b"a" * 5000)])
    path.write_bytes(path.read_bytes()[:3000])
    two = zipped(tmp_path / "two.zip", {"a.png": b"1", "b.png": b"2"}).read_bytes()
    (tmp_path / "two.zip").write_bytes(two.replace(b"b.png", b"a.png"))
    said = {
        "cut.zip": "not a zip",
        "crc.zip": "CRC",
        "locked.zip": "encrypted",
        "not.tar.gz": "",
        "cut.tar": "",
    }
    for name, reason in {**said, "two.zip": "two files called 'a.png'"}.items():
        with pytest.raises(InputError, match=f"'{name}' is no archive that can be trusted: .*{reason}"):
            unpack(tmp_path / name, tmp_path / "out")


def test_folders_are_merged(tmp_path: Path) -> None:
    for name, files in {"new": ["a/1", "b/2"], "old": ["a/3", "b/2", "c/4"]}.items():
        for file in files:
            place = tmp_path / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(name)
    merge(tmp_path / "new", tmp_path / "old")
    assert files_in(tmp_path / "old") == {"a/1": b"new", "b/2": b"new", "a/3": b"old", "c/4": b"old"}
    assert not (tmp_path / "new").exists()
