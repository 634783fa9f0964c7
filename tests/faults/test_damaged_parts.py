"""Parts whose bytes changed: found, named, and made anew, they alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fault_commands import EMBED, STUDY, Server, content

from bandprobe.errors import StoreError
from bandprobe.store import EmbeddingStore, Rows, fingerprint, is_sealed

MADE = fingerprint({"weights": "w"}, geometry="squash:8", background="white", filter="none")


def rows(ids: list[str], seed: int) -> Rows:
    n, rng = len(ids), np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 6)).astype(np.float32)
    return Rows(np.array(ids, dtype=object), vectors, np.zeros(n, np.float32), np.zeros(n, np.float32))


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    made = EmbeddingStore(tmp_path / "store")
    with made:
        made.write("e", MADE, rows(["a", "b", "c"], 0))
        made.write("e", MADE, rows(["d", "e"], 1))
    return made


def every_flip_is_found(store: EmbeddingStore, places: list[int]) -> None:
    part, other = store.parts()
    whole = part.read_bytes()
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        part.write_bytes(content)
        found = dict(store.verify())
        assert list(found) == [part], place
        assert "is damaged" in found[part]
    for size in range(0, len(whole), max(1, len(whole) // 20)):
        part.write_bytes(whole[:size])
        assert list(dict(store.verify())) == [part], size
    part.write_bytes(whole)
    assert list(store.verify()) == []
    assert is_sealed(part)
    assert is_sealed(other)


def test_a_flipped_bit_is_found_wherever_it_is(store: EmbeddingStore) -> None:
    size = len(store.parts()[0].read_bytes())
    every_flip_is_found(store, list(range(0, size, 37)))


@pytest.mark.trust
def test_a_flipped_bit_is_found_in_every_byte(store: EmbeddingStore) -> None:
    every_flip_is_found(store, list(range(len(store.parts()[0].read_bytes()))))


def test_an_earlier_versions_part_is_read_and_its_values_are_checked(store: EmbeddingStore) -> None:
    part = store.parts()[0]
    old = part.rename(part.with_name("part-0123456789abcdef.parquet"))
    assert not is_sealed(old)
    assert list(store.verify()) == []
    assert list(store.read("e", "none").image_id) == ["a", "b", "c", "d", "e"]
    ids = pq.ParquetFile(old).read(["image_id"])["image_id"].to_pylist()
    values = store.read("e", "none", ids).embedding.tobytes()
    content = bytearray(old.read_bytes())
    content[content.index(values[:8]) + 9] ^= 4
    old.write_bytes(content)
    assert list(dict(store.verify())) == [old]
    with pytest.raises(StoreError, match=r"part-0123456789abcdef.*is damaged.*store verify .*store --repair"):
        store.read("e", "none")


def test_images_that_stand_twice_are_found(store: EmbeddingStore) -> None:
    """As two processes of an earlier version could leave them."""
    other = EmbeddingStore(store.root.with_name("other"))
    twin = other.write("e", MADE, rows(["e", "x"], 1))
    assert twin is not None
    twin.rename(store.partition("e", "none") / twin.name)
    assert list(store.read("e", "none").image_id) == ["a", "b", "c", "d", "e", "x"]
    [(part, reason)] = store.verify()
    assert "1 images that stand in another part" in reason
    store.set_aside(part)
    assert list(store.verify()) == []


def damage(part: Path) -> None:
    """One bit of one value of an embedding."""
    table = pq.ParquetFile(part).read()
    value = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)[0, :4].tobytes()
    content = bytearray(part.read_bytes())
    content[content.index(value) + 2] ^= 1
    part.write_bytes(content)


def test_a_damaged_part_and_only_it_is_computed_again(server: Server, pictures: Path, tmp_path: Path) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store")
    server.run(*arguments, folder=tmp_path, flush=0.02, delay=0.01)
    before, store = content(tmp_path / "store"), EmbeddingStore(tmp_path / "store")
    victim = sorted(store.partition("spectral", "none").iterdir())[0]
    lost = pq.read_metadata(victim).num_rows
    assert lost < 64
    damage(victim)
    met = server.start("train", "--store", "store", "--out", "probes", "--quiet", folder=tmp_path)
    assert met.wait() == 2
    for words in (victim.name, "is damaged", f"bandprobe store verify {tmp_path / 'store'} --repair"):
        assert words in met.err
    assert len(met.err.strip().splitlines()) == 1
    found = server.start("store", "verify", "store", folder=tmp_path)
    assert found.wait() == 2
    assert victim.name in found.out
    assert "1 of " in found.err
    mended = server.run("store", "verify", "store", "--repair", folder=tmp_path)
    assert re.search(r"1 of \d+ parts set aside", mended.out)
    assert [path.name for path in (tmp_path / "store.damaged").rglob("*.parquet")] == [victim.name]
    again = server.run(*arguments, folder=tmp_path)
    assert again.passes() == lost
    assert content(tmp_path / "store") == before
    assert "every one whole" in server.run("store", "verify", "store", folder=tmp_path).out


def test_a_study_is_mended(server: Server, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(root=pictures))
    arguments = ("study", "study.toml", "--out", "run", "--quiet")
    server.run(*arguments, folder=tmp_path, figures=False)
    before, results = content(tmp_path / "run/store"), (tmp_path / "run/results.csv").read_bytes()
    victim = EmbeddingStore(tmp_path / "run/store").parts()[0]
    lost = pq.read_metadata(victim).num_rows
    victim.write_bytes(victim.read_bytes()[:-100])
    shown = json.loads(server.run("store", "verify", "run", "--repair", "--json", folder=tmp_path).out)
    assert len(shown["damaged"]) == len(shown["set_aside"]) == 1
    assert server.run(*arguments, folder=tmp_path, figures=False).passes() == lost
    assert content(tmp_path / "run/store") == before
    assert (tmp_path / "run/results.csv").read_bytes() == results
