"""Disks that are full, cannot be written, or lose what they held; pictures that change after indexing."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from fault_commands import EMBED, Command, Content, Server, content
from PIL import Image

from bandprobe.store import EmbeddingStore

BATCH, PASSES = 8, 192


@pytest.fixture(scope="module")
def undisturbed(server: Server, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert server.run("embed", pictures, *EMBED, "--store", "store", folder=folder).passes() == PASSES
    return folder


@pytest.fixture(scope="module")
def expected(undisturbed: Path) -> Content:
    return content(undisturbed / "store")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs rights that this user does not have")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def one_line(command: Command) -> str:
    """The one line that a command ended with."""
    lines = command.err.strip().splitlines()
    assert len(lines) == 1, command.err
    assert lines[0].startswith("error: ")
    return lines[0]


def goes_on(server: Server, pictures: Path, folder: Path, before: Command, expected: Content) -> None:
    """The store is whole, and the same command run again ends with all that an undisturbed one gives."""
    assert list(EmbeddingStore(folder / "store").verify()) == []
    content(folder / "store")
    again = server.run("embed", pictures, *EMBED, "--store", "store", folder=folder)
    assert content(folder / "store") == expected
    assert before.passes() + again.passes() - PASSES <= BATCH
    assert not (folder / "store.partial").exists()


def test_a_full_disk(server: Server, pictures: Path, disk: Path, expected: Content) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    full = server.start(*arguments, folder=disk, flush=0.1, delay=0.02)
    assert full.wait() == 3
    assert "No space left on device" in one_line(full)
    assert 0 < full.passes() < PASSES
    remount(disk, "size=3m")
    goes_on(server, pictures, disk, full, expected)


def test_a_file_that_may_not_grow(server: Server, pictures: Path, tmp_path: Path, expected: Content) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    full = server.start(*arguments, folder=tmp_path, largest_file=60_000)
    assert full.wait() == 3
    assert "File too large" in one_line(full)
    goes_on(server, pictures, tmp_path, full, expected)


def test_a_disk_that_can_only_be_read(
    server: Server, pictures: Path, disk: Path, undisturbed: Path, expected: Content
) -> None:
    remount(disk, "size=3m")
    shutil.copytree(undisturbed / "store", disk / "store")
    shutil.copy(undisturbed / "store.manifest.parquet", disk)
    next((disk / "store").rglob("*.parquet")).unlink()
    remount(disk, "ro")
    refused = server.start("embed", pictures, *EMBED, "--store", "store", "--quiet", folder=disk)
    assert refused.wait() == 2
    assert "cannot write to the output folder 'store': Read-only file system" in one_line(refused)
    assert server.run("store", "verify", "store", folder=disk).err == ""
    remount(disk, "rw")
    server.run("embed", pictures, *EMBED, "--store", "store", folder=disk)
    assert content(disk / "store") == expected


def test_a_store_that_is_removed_meanwhile(
    server: Server, pictures: Path, tmp_path: Path, expected: Content
) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    command = server.start(*arguments, folder=tmp_path, flush=0.1, delay=0.05)
    until(lambda: any((tmp_path / "store").rglob("*.parquet")))
    shutil.rmtree(tmp_path / "store")
    assert command.wait() == 3
    assert "removed while it was being filled" in one_line(command)
    assert not (tmp_path / "store").exists()
    server.run(*arguments, folder=tmp_path)
    assert content(tmp_path / "store") == expected
    assert not (tmp_path / "store.partial").exists()


def test_pictures_that_go_or_change_while_others_are_embedded(
    server: Server, pictures: Path, undisturbed: Path, tmp_path: Path, expected: Content
) -> None:
    shutil.copytree(pictures, tmp_path / "data")
    table = pd.read_parquet(undisturbed / "store.manifest.parquet").sort_values("image_id")
    last = [tmp_path / "data" / Path(path).relative_to(pictures) for path in table["path"].iloc[-2:]]
    arguments = ("embed", tmp_path / "data", *EMBED, "--store", "store", "--quiet")
    command = server.start(*arguments, folder=tmp_path, delay=0.05)
    until(lambda: command.passes() > 0)
    last[0].unlink()
    Image.new("RGB", (32, 32), "red").save(last[1])
    assert command.wait() == 1
    assert command.err.startswith("2 images left out:")
    assert f"{last[1]}: the picture has changed since it was indexed" in command.err
    assert str(last[0]) in command.err
    assert command.passes() == PASSES - 2 * 3
    assert all(len(ids) == 62 for ids, _ in content(tmp_path / "store").values())
    for path in last:  # as they were
        shutil.copy(pictures / path.relative_to(tmp_path / "data"), path)
    assert server.run(*arguments, folder=tmp_path).passes() == 2 * 3
    assert content(tmp_path / "store") == expected


def until(true: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.005)
