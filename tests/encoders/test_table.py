from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandprobe import encoders
from bandprobe.errors import EncoderError
from bandprobe.seeding import generator

IDS = [f"{number:064x}" for number in range(4)]
PATHS = [f"/data/{number}.png" for number in range(4)]


@pytest.fixture
def vectors() -> np.ndarray:
    return generator(0, "table").normal(size=(8, 5))


def write(file: Path, **columns: Any) -> str:
    pq.write_table(pa.table(columns), file)
    return f"table:{file}"


def lists(vectors: np.ndarray) -> list[list[float]]:
    return [list(map(float, row)) for row in vectors]


def test_rows_by_id_in_the_order_asked(vectors: np.ndarray, tmp_path: Path) -> None:
    name = write(
        tmp_path / "theirs.parquet",
        image_id=[*IDS, *reversed(IDS)],
        filter=["none"] * 4 + ["lowpass:30.0px"] * 4,
        embedding=lists(vectors),
    )
    table = encoders.load_table(name)
    assert (table.name, table.dim, table.filters) == ("table:theirs", 5, ("lowpass:30px", "none"))
    found = table.rows("lowpass:30px", [IDS[2], IDS[0]], ["unused", "unused"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors[[5, 7]].astype(np.float32))
    np.testing.assert_array_equal(table.rows("none", IDS, PATHS), vectors[:4].astype(np.float32))
    digest = hashlib.sha256((tmp_path / "theirs.parquet").read_bytes()).hexdigest()
    assert table.fingerprint["weights"] == digest
    assert encoders.resolve(name).kind == "table"
    assert encoders.resolve(f"mine={name}").name == encoders.load_table(f"mine={name}").name == "mine"


def test_rows_by_path_without_filters(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = lists(vectors[:4])
    table = encoders.load_table(write(tmp_path / "a.parquet", path=PATHS, embedding=embedding))
    assert table.filters == ("none",)
    np.testing.assert_array_equal(table.rows("none", IDS, PATHS), vectors[:4].astype(np.float32))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0.png").touch()
    relative = [f"photos/{number}.png" for number in range(4)]
    absolute = [f"{tmp_path}/photos/{number}.png" for number in range(4)]
    beside = write(tmp_path / "b.parquet", path=relative, embedding=embedding)
    np.testing.assert_array_equal(
        encoders.load_table(beside).rows("none", IDS, absolute), vectors[:4].astype(np.float32)
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    here = write(tmp_path / "elsewhere" / "c.parquet", path=relative, embedding=embedding)
    assert encoders.load_table(here).rows("none", IDS[1:2], absolute[1:2]).shape == (1, 5)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 5), pa.list_(pa.int64())],
)
def test_every_type_of_list(kind: pa.DataType, vectors: np.ndarray, tmp_path: Path) -> None:
    whole = np.round(vectors[:4] * 10)
    values = whole.astype(int).tolist()
    column = pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])
    table = encoders.load_table(write(tmp_path / "t.parquet", image_id=IDS, embedding=column))
    np.testing.assert_array_equal(table.rows("none", IDS, PATHS), whole.astype(np.float32))


def test_what_pandas_writes(vectors: np.ndarray, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"image_id": IDS, "filter": pd.Categorical(["none"] * 4), "embedding": list(vectors[:4])}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = encoders.load_table(f"table:{tmp_path}/t.parquet")
    np.testing.assert_array_equal(table.rows("none", IDS, PATHS), vectors[:4].astype(np.float32))


def test_missing_images_and_filters_are_counted(vectors: np.ndarray, tmp_path: Path) -> None:
    table = encoders.load_table(write(tmp_path / "t.parquet", image_id=IDS, embedding=lists(vectors[:4])))
    with pytest.raises(EncoderError, match=r"no embedding at 'none' of 2 of 3 images, e\.g\. image_id 'aa'"):
        table.rows("none", ["aa", IDS[0], "bb"], ["", "", ""])
    with pytest.raises(EncoderError, match=r"at 2 of 3 filters, e\.g\. 'identity'; it holds none"):
        table.require(["none", "identity", "lowpass:5px"])
    with pytest.raises(EncoderError, match="no embeddings at 1 of 1 filters"):
        table.rows("identity", IDS, PATHS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_id": IDS}, "must have the columns embedding and image_id or path; it has image_id"),
        ({"name": IDS, "embedding": [[1.0]] * 4}, "it has embedding, name"),
        ({"image_id": IDS, "embedding": [1.0] * 4}, "must hold embedding as lists of numbers; got double"),
        ({"image_id": IDS, "embedding": [["a"]] * 4}, "must hold embedding as lists of numbers"),
        ({"image_id": IDS, "embedding": [[1.0], [1.0, 2.0]] * 2}, "of one length; got lengths of 1, 2"),
        ({"image_id": IDS, "embedding": [[1.0], None] * 2}, "got lengths of 1, nothing"),
        ({"image_id": IDS, "embedding": [[], []] * 2}, "got lengths of 0|must hold embedding as lists"),
        ({"image_id": IDS, "embedding": [[1.0], [float("nan")]] * 2}, "not finite, in row 1"),
        ({"image_id": IDS, "embedding": [[1.0], [None]] * 2}, "not finite, in row 1"),
        ({"image_id": IDS, "embedding": [[1e300]] * 4}, "not finite, in row 0"),
        ({"image_id": [*IDS[:3], IDS[0]], "embedding": [[1.0]] * 4}, f"{IDS[0]}' twice at 'none'"),
        (
            {"image_id": [IDS[0]] * 2, "filter": ["lowpass:5px", "lowpass:5.0px"], "embedding": [[1.0]] * 2},
            "twice at 'lowpass:5px'",
        ),
        ({"image_id": [*IDS[:3], None], "embedding": [[1.0]] * 4}, "must hold text; row 3 holds None"),
        ({"image_id": IDS, "filter": ["lowpas:5px"] * 4, "embedding": [[1.0]] * 4}, "Did you mean 'lowpass'"),
        (
            {"image_id": pa.array([], pa.string()), "embedding": pa.array([], pa.list_(pa.float32()))},
            "no row",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_files_that_cannot_be_used(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    name = write(tmp_path / "t.parquet", **columns)
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.load_table(name)
    assert "\n" not in str(caught.value)


def test_no_parquet_and_no_images(vectors: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "damaged.parquet").write_bytes(b"no table")
    with pytest.raises(EncoderError, match="cannot be read as Parquet"):
        encoders.load_table(f"table:{tmp_path}/damaged.parquet")
    name = write(tmp_path / "t.parquet", image_id=IDS, embedding=lists(vectors[:4]))
    with pytest.raises(EncoderError, match="holds embeddings computed elsewhere and encodes no image"):
        encoders.load(name, device="cpu")
    with pytest.raises(EncoderError, match="is no table"):
        encoders.load_table("spectral")
