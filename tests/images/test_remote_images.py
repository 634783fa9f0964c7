"""Data behind URLs: the same as the folder they were copied from."""

from __future__ import annotations

import itertools
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands_on_roots import indexed_and_embedded
from PIL import Image
from small_pictures import image_table, pixels

from bandprobe import remote
from bandprobe.errors import DiskError, ImageError, InputError
from bandprobe.images import Manifest, build, decode, embedded, find

_numbers = itertools.count()


class Place:
    """A new bucket, or a new folder in memory."""

    def __init__(self, scheme: str) -> None:
        name = f"pictures-{next(_numbers)}"
        self.url = f"{scheme}://{name}"
        self._bucket = None
        if scheme == "s3":
            import boto3  # beside the server that the fixture starts

            self._bucket = name
            self._client = boto3.client("s3")
            self._client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> str:
        url = f"{self.url}/{key}"
        if self._bucket:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)
        else:
            fsspec.filesystem("memory").pipe_file(url, data)
        return url

    def copy(self, folder: Path) -> str:
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(file.relative_to(folder.parent).as_posix(), file.read_bytes())
        return f"{self.url}/{folder.name}"


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "s3":
        request.getfixturevalue("s3_server")
    return Place(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with pictures enough for every split, and what is no data beside them."""
    root = tmp_path / "faces"
    for name in ("Real", "Pro GAN"):
        (root / name / "deeper").mkdir(parents=True)
        for number in range(24):
            where = root / name / ("deeper" if number % 3 == 0 else "") / f"{number:03d} é.png"
            Image.fromarray(pixels(f"{name}{number}")).save(where)
    (root / "Real/.hidden.png").write_bytes(b"x")
    (root / "notes.md").write_bytes(b"x")
    return root


def test_index_and_embed_give_what_the_folder_gives(place: Place, folder: Path, tmp_path: Path) -> None:
    url = place.copy(folder)
    here, vectors = indexed_and_embedded(str(folder), tmp_path / "here")
    there, same = indexed_and_embedded(url, tmp_path / "there")
    pd.testing.assert_frame_equal(here, there)
    assert len(here) == 48
    np.testing.assert_array_equal(vectors, same)
    paths = Manifest.load(tmp_path / "there/manifest.parquet").table["path"]
    assert all(path.startswith(f"{url}/") for path in paths)


def test_shards_behind_a_url(place: Place, folder: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards/faces"
    for name in ("Real", "Pro GAN"):
        (shards / name).mkdir(parents=True)
        for number in range(2):
            with tarfile.open(shards / name / f"{number}.tar", "w") as tar:
                for file in sorted((folder / name).rglob("[!.]*.png"))[number::2]:
                    tar.add(file, file.name)
    url = place.copy(shards)
    here, vectors = indexed_and_embedded(str(folder), tmp_path / "here")
    there, same = indexed_and_embedded(url, tmp_path / "there")
    pd.testing.assert_frame_equal(here, there)
    np.testing.assert_array_equal(vectors, same)


def test_parquet_and_csv_behind_a_url(place: Place, tmp_path: Path) -> None:
    pq.write_table(image_table([("a", 0), ("b", 1), ("c", 1)]), tmp_path / "x.parquet", row_group_size=2)
    url = place.put("set/train.parquet", (tmp_path / "x.parquet").read_bytes())
    assert {(g.dataset, g.split, g.label, len(g.paths)) for g in find([url]).groups} == {
        ("set", "train", 0, 1), ("set", "train", 1, 2),
    }  # fmt: skip
    assert {g.folder for g in find([f"{place.url}/set"]).groups} == {url}
    np.testing.assert_array_equal(decode(f"{url}::2"), pixels("c"))
    with pytest.raises(ImageError, match="beyond the 3 rows"):
        decode(f"{url}::3")

    Image.fromarray(pixels("p")).save(tmp_path / "p.png")
    picture = place.put("csv/a/p.png", (tmp_path / "p.png").read_bytes())
    table = place.put("csv/list.csv", f"path,label\na/p.png,0\n{picture},1\n../set/q.png,1\n".encode())
    found = find([table])
    assert [path for g in found.groups for path in g.paths] == [picture, picture, f"{place.url}/set/q.png"]
    np.testing.assert_array_equal(decode(picture), pixels("p"))
    with pytest.raises(InputError, match="names images outside its own folder"):
        build([table])


def test_an_earlier_manifest_saves_the_reading(
    place: Place, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = place.copy(folder)
    first = build([url], near_duplicates=False)
    first.save(tmp_path / "m.parquet")
    read: list[str] = []
    real = embedded.read
    monkeypatch.setattr(embedded, "read", lambda file, at: (read.append(file), real(file, at))[1])
    again = build([url], near_duplicates=False, previous=tmp_path / "m.parquet")
    assert again.table.equals(first.table)
    assert not read
    # As the data themselves: a manifest of this disk that names files behind URLs.
    from_it = build([tmp_path / "m.parquet"], near_duplicates=False)
    assert set(from_it.table["image_id"]) == set(first.table["image_id"])
    assert not read

    Image.fromarray(pixels("another")).save(tmp_path / "new.png", compress_level=0)
    changed = place.put("faces/Real/001 é.png", (tmp_path / "new.png").read_bytes())
    build([url], near_duplicates=False, previous=tmp_path / "m.parquet")
    assert read == [changed]


def test_a_manifest_behind_a_url(place: Place, folder: Path, tmp_path: Path) -> None:
    first = build([place.copy(folder)], near_duplicates=False)
    first.save(tmp_path / "m.parquet")
    url = place.put("m.parquet", (tmp_path / "m.parquet").read_bytes())
    assert Manifest.load(url).table.equals(first.table)
    assert set(build([url], near_duplicates=False).table["image_id"]) == set(first.table["image_id"])


def test_named_roots_behind_urls(place: Place, folder: Path) -> None:
    url = place.copy(folder)
    found = find([f"Real={url}/Real", f"ProGAN={url}/Pro GAN"])
    assert {(g.generator, len(g.paths)) for g in found.groups} == {("Real", 24), ("ProGAN", 24)}


def test_what_is_not_there(place: Place, folder: Path) -> None:
    url = place.copy(folder)
    with pytest.raises(InputError, match="no such file or folder"):
        find([f"{place.url}/elsewhere"])
    with pytest.raises(ImageError, match="no such file or folder: "):
        decode(f"{url}/Real/none.png")
    with pytest.raises(ImageError, match="no such file or folder: "):
        decode(f"{place.url}/none.parquet::3")
    with pytest.raises(ImageError, match="no such file or folder: "):
        decode(f"{place.url}/none.tar::a.png")
    with pytest.raises(InputError, match="no such manifest"):
        Manifest.load(f"{place.url}/none.parquet")
    broken = place.put("broken.png", b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match="truncated or corrupt"):
        decode(broken)


@pytest.mark.usefixtures("s3_server")
def test_a_bucket_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"no such bucket \('no-such-bucket'\): s3://no-such-bucket/x"):
        find(["s3://no-such-bucket/x"])
    with pytest.raises(DiskError, match=r"'s3://no-such-bucket' failed: no such bucket\.$"):
        remote.listing("s3://no-such-bucket")
    with pytest.raises(ImageError, match="no such bucket"):
        decode("s3://no-such-bucket/x.png")


def test_a_server_that_does_not_answer(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(DiskError, match="no connection; check the network"):
        find(["s3://bucket/x"])


def test_urls() -> None:
    assert remote.is_remote("s3://b/k")
    assert remote.is_remote("simplecache+x.y://b")
    assert not remote.is_remote(r"C:\data")
    assert not remote.is_remote("c://data")
    assert not remote.is_remote("ProGAN=s3://b/k")
    assert not remote.is_remote("/a/b://c")
    assert remote.normal("s3://b/a/../c/./d/") == "s3://b/c/d"
    assert remote.normal("s3://b//a/") == "s3://b//a"
    for url, words in {
        "s3:///key": "names no bucket",
        "nowhere://x/y": "Protocol not known: nowhere",
        "plain/path": "must be a URL",
    }.items():
        with pytest.raises(InputError, match=words):
            remote.filesystem(url)


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(
        InputError, match=r"gs:// needs a package that is not installed .*pip install gcsfs\.$"
    ):
        find(["gs://bucket/x"])


def test_the_state_of_many_files_takes_one_listing(place: Place) -> None:
    urls = [place.put(f"a/{number}.txt", b"x" * number) for number in range(40)]
    urls += [place.put("b/0.txt", b"xyz"), f"{place.url}/a/none", f"{place.url}/none/none"]
    found = remote.statuses(urls)
    assert {url: state.size for url, state in found.items()} == {
        **{url: number for number, url in enumerate(urls[:40])},
        urls[40]: 3,
    }
    assert remote.status(urls[7]) == found[urls[7]]
    place.put("a/7.txt", b"another text")
    assert remote.status(urls[7], within=60) == found[urls[7]]
    assert remote.status(urls[7]) != found[urls[7]]
    with pytest.raises(FileNotFoundError):
        remote.status(urls[-1])
