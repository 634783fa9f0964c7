"""Taking over another store's conditions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandprobe.store import EmbeddingStore, Rows, fingerprint


def rows(*ids: str) -> Rows:
    n = len(ids)
    vectors = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return Rows(np.array(ids, dtype=object), vectors, np.zeros(n, np.float32), np.zeros(n, np.float32))


def made(spec: str = "none", **more: object) -> dict[str, str]:
    return fingerprint({"weights": "w"}, geometry="squash:8", background="white", filter=spec, **more)  # type: ignore[arg-type]


def test_a_condition_made_just_so_is_taken_over_whole(tmp_path: Path) -> None:
    one, two = EmbeddingStore(tmp_path / "one"), EmbeddingStore(tmp_path / "two")
    one.write("e", made(), rows("a", "b"))
    one.write("e", made(), rows("c"))
    assert two.adopt(tmp_path / "one", "e", made())
    assert two.present("e", made()) == {"a", "b", "c"}
    np.testing.assert_array_equal(two.read("e", "none").embedding, one.read("e", "none").embedding)
    assert [*two.verify()] == []
    # The stores go on apart.
    two.write("e", made(), rows("d"))
    one.remove("e", "none")
    assert two.present("e", made()) == {"a", "b", "c", "d"}
    assert not [*tmp_path.glob("**/.*")]


def test_nothing_else_is_taken(tmp_path: Path) -> None:
    one, two = EmbeddingStore(tmp_path / "one"), EmbeddingStore(tmp_path / "two")
    assert not two.adopt(tmp_path / "one", "e", made())
    one.write("e", made("identity"), rows("a"))
    for wanted in (made(), made("identity", abs_uint8=True), made("identity", references="r")):
        assert not two.adopt(tmp_path / "one", "e", wanted)
    two.write("e", made("identity"), rows("b"))
    assert not two.adopt(tmp_path / "one", "e", made("identity"))  # what is here stays
    assert two.present("e", made("identity")) == {"b"}


def test_where_links_are_not_to_be_had_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = EmbeddingStore(tmp_path / "one"), EmbeddingStore(tmp_path / "two")
    part = one.write("e", made(), rows("a"))

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert two.adopt(tmp_path / "one", "e", made())
    taken = two.partition("e", "none") / part.name
    assert taken.read_bytes() == part.read_bytes()
    assert taken.stat().st_ino != part.stat().st_ino


def test_extra_fields_stand_only_where_they_apply() -> None:
    assert set(made()) == {"encoder.weights", "geometry", "background", "filter", "definition"}
    assert made(references="abc", abs_uint8=True) == {**made(), "references": "abc", "abs_uint8": "yes"}
