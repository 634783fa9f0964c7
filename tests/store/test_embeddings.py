"""The store: round trips, stops, differences, and readers that know nothing of this package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandprobe.errors import DiskError, InputError, StoreError
from bandprobe.store import EmbeddingStore, Rows, difference, fingerprint

MADE = fingerprint(
    {"weights": "ab" * 32, "precision": "fp32"}, geometry="squash:224", background="white", filter="none"
)


def rows(ids: list[str], dim: int = 5, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(
        np.array(ids, dtype=object),
        rng.standard_normal((len(ids), dim)).astype(np.float32),
        rng.random(len(ids)).astype(np.float32),
        rng.random(len(ids)).astype(np.float32),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.text("0123456789abcdef", min_size=4, max_size=8), min_size=1, max_size=20, unique=True),
    dim=st.integers(1, 9),
    encoder=st.text("abc/+:=% ü.", min_size=1, max_size=8),
    spec=st.sampled_from(["none", "lowpass:30px", "highpass:0.25nyq:order=2", "lowpass:3px+highpass:1px"]),
    cut=st.integers(0, 20),
)
def test_what_is_written_is_read(
    tmp_path: Path, ids: list[str], dim: int, encoder: str, spec: str, cut: int
) -> None:
    store = EmbeddingStore(tmp_path / os.urandom(4).hex())
    made = {**MADE, "filter": spec}
    whole = rows(ids, dim)
    with store:
        for part in (slice(None, cut), slice(cut, None)):
            if len(ids[part]):
                columns = [getattr(whole, name)[part] for name in Rows.__dataclass_fields__]
                store.write(encoder, made, Rows(*columns))
    back = store.read(encoder, spec, ids)
    for name in Rows.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))
    assert store.conditions() == [(encoder, spec)]
    assert store.present(encoder, made) == set(ids)
    assert list(store.read(encoder, spec).image_id) == sorted(ids)
    assert list(store.verify()) == []
    assert not store.root.with_name(f"{store.root.name}.partial").exists()


@pytest.fixture
def filled(tmp_path: Path) -> EmbeddingStore:
    store = EmbeddingStore(tmp_path / "store")
    with store:
        for encoder in ("tiny", "a+b"):
            for spec in ("none", "lowpass:0.25nyq:order=2"):
                store.write(encoder, {**MADE, "filter": spec}, rows(["x", "y"], 4, seed=1))
                store.write(encoder, {**MADE, "filter": spec}, rows(["z"], 4, seed=2))
    return store


def test_duckdb_pandas_and_polars_read_it_unaided(filled: EmbeddingStore) -> None:
    root = str(filled.root)
    query = f"SELECT encoder, filter, count(*) n FROM '{root}/**/*.parquet' GROUP BY ALL ORDER BY ALL"
    expected = [(e, f, 3) for e in ("a+b", "tiny") for f in ("lowpass:0.25nyq:order=2", "none")]
    assert duckdb.sql(query).fetchall() == expected
    frame = pd.read_parquet(root)
    counts = frame.groupby(["encoder", "filter"], observed=True).size()
    assert [(*key, n) for key, n in counts.sort_index().items()] == expected
    lazy = pl.scan_parquet(root).group_by("encoder", "filter").len().sort("encoder", "filter")
    assert [tuple(row) for row in lazy.collect().rows()] == expected
    one = frame[(frame["encoder"] == "tiny") & (frame["filter"] == "none") & (frame["image_id"] == "z")]
    np.testing.assert_array_equal(np.stack(one["embedding"].to_list()), rows(["z"], 4, seed=2).embedding)
    schema = pq.read_schema(next(filled.root.rglob("*.parquet")))
    assert str(schema.field("embedding").type) == "fixed_size_list<element: float>[4]"


def test_a_store_made_otherwise_is_refused_with_the_difference(filled: EmbeddingStore) -> None:
    asked = {**MADE, "encoder.weights": "cd" * 32}
    with pytest.raises(StoreError) as caught:
        filled.present("tiny", asked)
    assert "encoder.weights" in str(caught.value)
    assert "'abababababababab...'" in str(caught.value)
    assert "geometry" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_difference_names_each_field_once() -> None:
    assert difference(MADE, MADE) == ""
    text = difference(MADE, {**MADE, "geometry": "squash:64", "new": "1"})
    assert text == "geometry: stored 'squash:224', asked 'squash:64'; new: stored nothing, asked '1'"


def test_a_missing_image_and_a_missing_condition_are_named(filled: EmbeddingStore) -> None:
    with pytest.raises(StoreError, match=r"1 of 2 images have no embedding of 'tiny' at 'none'.*, e\.g\. q"):
        filled.read("tiny", "none", ["x", "q"])
    with pytest.raises(StoreError, match=r"no embeddings of 'tiny' at 'identity'"):
        filled.read("tiny", "identity")


def test_no_image_is_stored_twice(filled: EmbeddingStore) -> None:
    assert filled.write("tiny", MADE, rows(["y", "x"], 4)) is None
    part = filled.write("tiny", MADE, rows(["y", "w", "w"], 4))
    assert part is not None
    assert pq.read_table(part, partitioning=None)["image_id"].to_pylist() == ["w"]
    part.unlink()
    assert list(filled.read("tiny", "none").image_id) == ["x", "y", "z"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "foreign"])
def test_damage_is_found_and_named(filled: EmbeddingStore, damage: str) -> None:
    part = sorted(filled.partition("tiny", "none").glob("*.parquet"))[0]
    content = bytearray(part.read_bytes())
    if damage == "truncate":
        part.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        values = filled.read("tiny", "none", pq.read_table(part)["image_id"].to_pylist()).embedding.tobytes()
        content[content.index(values[:8]) + 1] ^= 0xFF
        part.write_bytes(content)
    else:
        part.write_bytes(
            sorted(filled.partition("tiny", "lowpass:0.25nyq:order=2").glob("*.parquet"))[0].read_bytes()
        )
    found = dict(filled.verify())
    assert list(found) == [part]
    if damage != "foreign":
        with pytest.raises(StoreError, match=r"is damaged .*store verify .* --repair"):
            filled.read("tiny", "none")


def test_a_killed_writer_leaves_nothing_that_a_reader_sees(tmp_path: Path) -> None:
    script = f"""
import os, numpy as np, pyarrow.parquet as pq
from bandprobe.store import EmbeddingStore, Rows
real = pq.write_table
def write_then_die(table, file, **options):
    real(table.slice(0, 1), file, **options); file.flush(); os._exit(9)
pq.write_table = write_then_die
with EmbeddingStore({str(tmp_path / "store")!r}) as store:
    one = np.ones(2, np.float32)
    store.write("tiny", {MADE!r}, Rows(np.array(["x", "y"], object), np.ones((2, 3), np.float32), one, one))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 9
    assert list((tmp_path / "store").rglob("*.parquet")) == []
    assert len(list((tmp_path / "store.partial").glob("*.parquet"))) == 1
    with EmbeddingStore(tmp_path / "store") as store:
        store.write("tiny", MADE, rows(["x"]))
    assert not (tmp_path / "store.partial").exists()
    assert list(store.read("tiny", "none").image_id) == ["x"]


def test_a_disk_that_fails_is_said(filled: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(DiskError, match="No space left on device") as caught:
        filled.write("tiny", MADE, rows(["new"]))
    assert caught.value.exit_code == 3


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot write to the output folder"),
        EmbeddingStore(tmp_path / "file" / "s"),
    ):
        pass


def test_encoders_of_different_dimension_are_read_one_by_one(filled: EmbeddingStore) -> None:
    with filled:
        filled.write("wide", MADE, rows(["x"], 7))
    for encoder, width in (("tiny", 4), ("wide", 7)):
        folder = filled.root / f"encoder={encoder}"
        assert len(pd.read_parquet(folder)["embedding"].iloc[0]) == width
        assert pl.read_parquet(folder)["embedding"].dtype.shape == (width,)
    found = duckdb.sql(
        f"SELECT DISTINCT encoder, len(embedding) FROM '{filled.root}/**/*.parquet' ORDER BY 1"
    )
    assert found.fetchall() == [("a+b", 4), ("tiny", 4), ("wide", 7)]


def test_what_another_process_made_otherwise_is_not_mixed(tmp_path: Path) -> None:
    one, two = EmbeddingStore(tmp_path / "s"), EmbeddingStore(tmp_path / "s")
    other = {**MADE, "encoder.weights": "cd" * 32}
    assert one.present("tiny", MADE) == two.present("tiny", other) == set()  # both find it empty
    one.write("tiny", MADE, rows(["x"]))
    with pytest.raises(StoreError, match=r"another process has stored 'tiny'.*encoder\.weights"):
        two.write("tiny", other, rows(["y"]))
    assert one.fingerprint("tiny", "none") == MADE


def test_a_journal_that_two_killed_writers_left(tmp_path: Path) -> None:
    """Rows that stand in both, and in a part, come once; the one that is still written is left alone."""
    script = f"""
import os, numpy as np
from bandprobe.store import EmbeddingStore, Rows
def rows(*ids):
    one = np.ones(len(ids), np.float32)
    return Rows(np.array(ids, object), np.ones((len(ids), 3), np.float32), one, one)
store = EmbeddingStore({str(tmp_path / "store")!r}, {{"tiny": "weights/tiny"}})
store.__enter__()
store.jot("tiny", {MADE!r}, rows("a", "b"))
store.jot("tiny", {MADE!r}, rows("c"))
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)  # a child that outlives its parent holds the journal's lock
store.write("tiny", {MADE!r}, rows("a", "b"))
os._exit(9)
"""
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    living = EmbeddingStore(tmp_path / "store")
    with living:
        living.jot("tiny", MADE, rows(["d"], 3))
        other = EmbeddingStore(tmp_path / "store")
        assert other.recover() == 0  # entering has recovered what there was
        assert len(list((tmp_path / "store.partial").glob("*.journal"))) == 1
        living.settle()
    assert list(living.read("tiny", "none").image_id) == ["a", "b", "c"]
    assert sum(pq.read_metadata(part).num_rows for part in living.parts()) == 3
    assert living.source("tiny") == "weights/tiny"
    assert not (tmp_path / "store.partial").exists()
