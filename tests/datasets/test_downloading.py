"""Downloads against a real server on this machine: cut, slow, changed, refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pooch
import pytest
from data_server import DataServer

from bandprobe.datasets.downloading import Resumable
from bandprobe.errors import DiskError

BLOCK = 65_536  # what has come is written in such blocks; the rest of one is lost with the connection
CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def fetched(url: str, folder: Path, known: str | None = SHA256, **options: object) -> bytes:
    settings = {"size": len(CONTENT), "checked": known is not None, "wait": 0.01, "timeout": 5.0, **options}
    downloader = Resumable(folder / "file.part", **settings)
    return Path(pooch.retrieve(url, known, fname="file", path=folder, downloader=downloader)).read_bytes()


@pytest.fixture(autouse=True)
def quiet() -> None:
    pooch.get_logger().setLevel("ERROR")


def ranges(server: DataServer) -> list[str]:
    return [wanted for _, wanted, _ in server.asked]


def test_whole_at_once(server: DataServer, tmp_path: Path) -> None:
    assert fetched(server.put("/a", CONTENT), tmp_path) == CONTENT
    assert ranges(server) == [""]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_connection_that_drops_is_taken_up_again(server: DataServer, tmp_path: Path) -> None:
    url = server.put("/a", CONTENT)
    server.drops["/a"] = [20 * BLOCK, 10 * BLOCK]
    assert fetched(url, tmp_path) == CONTENT
    first, *later = server.asked
    assert first[1:] == ("", "")
    assert [wanted for _, wanted, _ in later] == [f"bytes={20 * BLOCK}-", f"bytes={30 * BLOCK}-"]
    assert all(condition.startswith('"') for *_, condition in later)  # If-Range: the ETag


def test_a_stopped_download_goes_on_in_the_next_process(server: DataServer, tmp_path: Path) -> None:
    url = server.put("/a", CONTENT)
    server.drops["/a"] = [13 * BLOCK, 0]
    with pytest.raises(DiskError, match="851,968 bytes are kept, and the same command goes on"):
        fetched(url, tmp_path, tries=1)
    assert (tmp_path / "file.part").stat().st_size == 13 * BLOCK
    assert fetched(url, tmp_path) == CONTENT
    assert ranges(server)[-1] == f"bytes={13 * BLOCK}-"


def test_a_file_that_changed_meanwhile_is_begun_anew(server: DataServer, tmp_path: Path) -> None:
    old = bytes(3_000_000)
    url = server.put("/a", old)
    server.drops["/a"] = [13 * BLOCK]
    with pytest.raises(DiskError):
        fetched(url, tmp_path, known=None, tries=1)
    server.put("/a", CONTENT)
    assert fetched(url, tmp_path) == CONTENT


def test_without_ranges_or_without_anything_that_tells_a_version(server: DataServer, tmp_path: Path) -> None:
    url = server.put("/a", CONTENT)
    server.ranges = False
    server.drops["/a"] = [13 * BLOCK]
    assert fetched(url, tmp_path) == CONTENT
    server.ranges, server.validators = True, False
    server.asked.clear()
    server.drops["/a"] = [13 * BLOCK]
    assert fetched(url, tmp_path / "b", known=None) == CONTENT
    assert ranges(server) == ["", ""]  # nobody could tell whether the parts belong together
    server.asked.clear()
    server.drops["/a"] = [13 * BLOCK]
    assert fetched(url, tmp_path / "c") == CONTENT  # here the checksum tells
    assert ranges(server) == ["", f"bytes={13 * BLOCK}-"]


def test_a_part_of_another_url_or_longer_than_the_file(server: DataServer, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    assert fetched(server.put("/a", CONTENT), tmp_path) == CONTENT
    assert ranges(server) == [""]
    server.drops["/b"] = [2_000_000]
    url = server.put("/b", CONTENT)
    with pytest.raises(DiskError):
        fetched(url, tmp_path / "b", known=None, tries=1, size=None)
    with (tmp_path / "b/file.part").open("ab") as file:
        file.write(bytes(2_000_000))
    assert fetched(url, tmp_path / "b", size=None) == CONTENT


def test_a_whole_part_is_not_fetched_again(server: DataServer, tmp_path: Path) -> None:
    url = server.put("/a", CONTENT)
    server.drops["/a"] = [45 * BLOCK]
    with pytest.raises(DiskError):
        fetched(url, tmp_path, tries=1)
    with (tmp_path / "file.part").open("ab") as file:
        file.write(CONTENT[45 * BLOCK :])
    server.asked.clear()
    assert fetched(url, tmp_path) == CONTENT
    assert server.asked == []
    assert fetched(url, tmp_path / "b", size=None) == CONTENT


def test_a_server_that_is_busy_is_asked_again(server: DataServer, tmp_path: Path) -> None:
    server.statuses["/a"] = [503, 429]
    assert fetched(server.put("/a", CONTENT), tmp_path) == CONTENT
    server.statuses["/a"] = [503] * 9
    with pytest.raises(DiskError, match="cannot be had whole: the server answered 503"):
        fetched(f"{server.url}/a", tmp_path / "b")


def test_what_cannot_be_had_is_one_line(server: DataServer, tmp_path: Path) -> None:
    server.put("/slow", CONTENT)
    server.slow["/slow"] = 1.0
    cases = {
        f"{server.url}/gone": "answered 404: nothing is there",
        f"{server.url}/slow": "does not answer",
        "http://127.0.0.1:9/closed": "cannot be reached: Connection refused",
    }
    for url, said in cases.items():
        with pytest.raises(DiskError, match=said) as caught:
            fetched(url, tmp_path, timeout=0.3)
        assert url in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*"))


def test_another_file_than_announced(server: DataServer, tmp_path: Path) -> None:
    url = server.put("/a", CONTENT + b"more")
    with pytest.raises(DiskError, match=r"is 3,000,004 bytes, and 3,000,000 were announced"):
        fetched(url, tmp_path)
    url = server.put("/b", bytes(3_000_000))
    with pytest.raises(ValueError, match="does not match"):  # pooch's own word
        fetched(url, tmp_path)
    assert list(tmp_path.iterdir()) == []
