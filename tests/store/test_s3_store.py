"""A store on S3: the same parts under the same names, each whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bandprobe as bp
from bandprobe.cli import run
from bandprobe.errors import StoreError
from bandprobe.remote import filesystem
from bandprobe.store import EmbeddingStore, Rows, fingerprint

SPECS = ("none", "lowpass:6px")


@pytest.fixture
def bucket(s3_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    client = boto3.client("s3", endpoint_url=s3_server)
    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    client.create_bucket(Bucket=name)
    yield f"s3://{name}"
    for item in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


def names(url: str, server: str) -> list[str]:
    """Every object, asked of the server itself."""
    import boto3

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    found = boto3.client("s3", endpoint_url=server).list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def made(spec: str) -> dict[str, str]:
    return fingerprint({"weights": "w"}, geometry="squash:32", background="white", filter=spec)


def rows(start: int, stop: int, seed: int = 0) -> Rows:
    ids = np.array([f"{n:04d}" for n in range(start, stop)], dtype=object)
    draw = np.random.default_rng(seed).standard_normal((10_000, 6)).astype(np.float32)
    return Rows(ids, draw[start:stop], np.zeros(stop - start, np.float32), np.ones(stop - start, np.float32))


def test_the_same_parts_as_on_a_disk(bucket: str, s3_server: str, tmp_path: Path) -> None:
    here, there = EmbeddingStore(tmp_path / "store"), EmbeddingStore(f"{bucket}/deep/store/")
    for store in (here, there):
        with store:
            for spec in SPECS:
                store.present("enc/oder", made(spec))
                store.write("enc/oder", made(spec), rows(0, 8))
                store.write("enc/oder", made(spec), rows(8, 20))
    assert names(f"{bucket}/deep", s3_server) == sorted(
        f"deep/store/{Path(str(part)).relative_to(str(here.root)).as_posix()}" for part in here.parts()
    )
    assert there.conditions() == here.conditions() == [("enc/oder", spec) for spec in sorted(SPECS)]
    for spec in SPECS:
        assert there.fingerprint("enc/oder", spec) == made(spec)
        one, two = (store.read("enc/oder", spec) for store in (here, there))
        assert (one.image_id == two.image_id).all()
        np.testing.assert_array_equal(one.embedding, two.embedding)
        assert there.present("enc/oder", made(spec)) == set(one.image_id)
    assert list(there.verify()) == []
    assert there.recover() == 0


def test_writers_side_by_side_double_nothing(bucket: str) -> None:
    one, two = EmbeddingStore(f"{bucket}/store"), EmbeddingStore(f"{bucket}/store")
    with one, two:
        for store in (one, two):
            store.present("e", made("none"))
        one.write("e", made("none"), rows(0, 10))
        assert two.write("e", made("none"), rows(0, 10)) is None
        two.write("e", made("none"), rows(5, 15))
    assert list(EmbeddingStore(f"{bucket}/store").verify()) == []
    assert len(two.read("e", "none").image_id) == 15
    with pytest.raises(StoreError, match="made otherwise"):
        one.present("e", {**made("none"), "geometry": "squash:64"})


def test_large_parts_go_up_in_pieces(bucket: str, s3_server: str) -> None:
    store = EmbeddingStore(f"{bucket}/store")
    store.write("e", made("none"), large())
    import boto3

    [key] = names(bucket, s3_server)
    head = boto3.client("s3", endpoint_url=s3_server).head_object(Bucket=bucket[5:], Key=key)
    assert "-" in head["ETag"]  # S3's sign of an upload in pieces
    np.testing.assert_array_equal(store.read("e", "none").embedding, large().embedding)
    assert list(store.verify()) == []


class Halfway:
    """A file system whose uploads end badly after half of the bytes, having begun in earnest."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __call__(self, url: str) -> tuple[Any, str]:
        system, path = filesystem(url)
        self._system = system
        return self, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def open_output_stream(self, path: str) -> Any:
        stream, end = self._system.open_output_stream(path), self._end

        class Stream:
            def write(self, content: bytes) -> None:
                stream.write(content[: len(content) // 2])
                end()

            def close(self) -> None:
                stream.close()

        return Stream()


def large() -> Rows:
    """16 MB, which go up in pieces."""
    ids = np.array([f"{n:05d}" for n in range(2_000)], dtype=object)
    wide = np.random.default_rng(0).standard_normal((2_000, 2_000)).astype(np.float32)
    return Rows(ids, wide, np.zeros(2_000, np.float32), np.zeros(2_000, np.float32))


class Refusing(BaseHTTPRequestHandler):
    """Passes requests on to the real server, but for some of the pieces of an upload."""

    real: str
    refused: range
    pieces: int
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self._body()
        if self.command == "PUT" and len(body) > 1000:
            type(self).pieces += 1
            if type(self).pieces in self.refused:
                self._answer(403, {}, b"")
                return
        drop = ("host", "content-length", "connection", "transfer-encoding")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in drop}
        asked = urllib.request.Request(self.real + self.path, body or None, kept, method=self.command)
        try:
            with urllib.request.urlopen(asked, timeout=20) as found:
                self._answer(found.status, found.headers, found.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers, error.read())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return found

    def _answer(self, status: int, headers: Any, content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        # What HEAD tells of an object is its size, not that of the answer.
        size = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_s3_store import large, made
from bandprobe.errors import DiskError
from bandprobe.store import EmbeddingStore
try:
    EmbeddingStore({store!r}).write("e", made("none"), large())
except DiskError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "refused",
    [range(0), range(1, 2), range(2, 3), range(2, 100)],
    ids=["none", "first", "second", "all-but-first"],
)
def test_an_upload_that_is_refused_half_way_leaves_nothing_to_see(
    bucket: str, s3_server: str, refused: range
) -> None:
    handler = type("Handler", (Refusing,), {"real": s3_server, "refused": refused, "pieces": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = WRITER.format(tests=str(Path(__file__).parent), store=f"{bucket}/store")
    there = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_MAX_ATTEMPTS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100, env=there
    )
    server.shutdown()
    assert handler.pieces > 1  # type: ignore[attr-defined]
    store = EmbeddingStore(f"{bucket}/store")
    if not refused:  # what stands in the way is honest: without a refusal all is well
        assert done.stdout == ""
        assert len(store.read("e", "none").image_id) == 2_000
        return
    [line] = done.stdout.splitlines()
    assert f"cannot write to the store '{bucket}/store'" in line
    assert "access denied" in line
    assert names(bucket, s3_server) == []
    assert store.conditions() == []
    store.write("e", made("none"), large())
    assert len(store.read("e", "none").image_id) == 2_000


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_s3_store import Halfway, large, made
import bandprobe.store.bucket as bucket
from bandprobe.store import EmbeddingStore
bucket.filesystem = Halfway(lambda: os.kill(os.getpid(), signal.SIGKILL))
EmbeddingStore({store!r}).write("e", made("none"), large())
"""


def test_a_writer_killed_in_the_middle_of_an_upload_leaves_nothing_to_see(
    bucket: str, s3_server: str
) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), store=f"{bucket}/store")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == -9, done.stderr
    assert names(bucket, s3_server) == []
    assert EmbeddingStore(f"{bucket}/store").conditions() == []


def test_damage_is_found_and_set_aside(bucket: str, s3_server: str) -> None:
    import boto3

    store = EmbeddingStore(f"{bucket}/store")
    store.write("e", made("none"), rows(0, 50))
    [key] = names(bucket, s3_server)
    client = boto3.client("s3", endpoint_url=s3_server)
    content = bytearray(client.get_object(Bucket=bucket[5:], Key=key)["Body"].read())
    content[len(content) // 2] ^= 1
    client.put_object(Bucket=bucket[5:], Key=key, Body=bytes(content))
    fresh = EmbeddingStore(f"{bucket}/store")
    [(part, reason)] = fresh.verify()
    assert "damaged" in reason
    aside = fresh.set_aside(part)
    assert str(aside) == f"{bucket}/store.damaged/{key.removeprefix('store/')}"
    assert fresh.conditions() == []


def test_a_store_is_taken_over_from_a_disk_and_back(bucket: str, tmp_path: Path) -> None:
    here, there = EmbeddingStore(tmp_path / "store"), EmbeddingStore(f"{bucket}/store")
    here.write("e", made("none"), rows(0, 20))
    assert there.adopt(here.root, "e", made("none"))
    assert not there.adopt(here.root, "e", made("none"))
    back = EmbeddingStore(tmp_path / "back")
    assert back.adopt(there.root, "e", made("none"))
    np.testing.assert_array_equal(back.read("e", "none").embedding, rows(0, 20).embedding)
    there.remove("e", "none")
    assert there.conditions() == []


@pytest.mark.usefixtures("s3_server")
def test_no_bucket_and_no_server_are_one_line(
    monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["embed", str(world), "--encoder", "spectral", "--geometry", "squash:32", "--quiet", "--store"]
    assert run([*asked, "s3://no-such-bucket/store"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "no such bucket" in said[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run([*asked, "s3://some-bucket/store"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "no connection" in said[0]


@pytest.mark.long
def test_commands_and_a_study_on_s3_give_what_they_give_on_a_disk(
    bucket: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for store in (f"{bucket}/store", "store"):
        common = ["--store", store, "--quiet"]
        name = "s3" if "://" in store else "disk"
        assert run(["embed", str(world), "--encoder", "spectral", "--filter", *SPECS, "--geometry", "squash:32",
                    *common]) == 0  # fmt: skip
        assert run(["train", "--out", f"probes-{name}", *common]) == 0
        assert run(["evaluate", "--probes", f"probes-{name}", "--out", f"run-{name}", *common]) == 0
    assert Path("run-s3/results.csv").read_bytes() == Path("run-disk/results.csv").read_bytes()
    assert run(["store", "verify", f"{bucket}/store", "--quiet"]) == 0
    monkeypatch.setattr("bandprobe.report.build", lambda folder: (folder / "report.html").write_text("none"))
    content: dict[str, Any] = {
        "data": {"root": str(world)},
        "encoders": {"names": ["spectral"], "geometry": "squash:32"},
        "filters": {"test": list(SPECS)},
        "analysis": {"entropy": False, "claims": False, "bands": False},
    }
    here = bp.Study.from_dict(content).run(tmp_path / "here")
    there = bp.Study.from_dict({**content, "run": {"store": f"{bucket}/study"}}).run(tmp_path / "there")
    assert not (there.folder / "store").exists()
    for file in ("results.csv", "mmd.csv"):
        assert (there.folder / file).read_bytes() == (here.folder / file).read_bytes()
    pd.testing.assert_frame_equal(here.results, there.results)
