"""Pictures in tar files: found by folders or by the members beside them, read in place, hostile files left out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands_on_roots import indexed_and_embedded
from small_pictures import pixels, png

from bandprobe.errors import ImageError, InputError
from bandprobe.images import Manifest, build, decode, find
from bandprobe.images.archive import contents, key_of, locate
from bandprobe.images.containment import check_contained
from bandprobe.images.found import Found


def pack(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def pictures(what: str, count: int) -> list[tuple[str, bytes]]:
    return [(f"{what}{number:03d}.png", png(f"{what}{number}")) for number in range(count)]


def kinds(found: Found) -> set[tuple[str, str, str, int]]:
    return {(g.dataset, g.generator, g.split, len(g.paths)) for g in found.groups}


def reasons(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two classes in shards of their own, with pictures enough for every split."""
    for name in ("Real", "ProGAN"):
        every = pictures(name, 24)
        for number in range(3):
            pack(tmp_path / f"many/{name}/shard-{number:06d}.tar", every[8 * number : 8 * number + 8])
    return tmp_path / "many"


# --- where the class comes from ---------------------------------------------------------------------


def test_folders_of_shards_are_the_folders_of_their_pictures(many: Path) -> None:
    found = find([many])
    assert kinds(found) == {("many", "Real", "", 24), ("many", "ProGAN", "", 24)}
    [real] = [g for g in found.groups if g.label == 0]
    assert real.paths[0] == f"{many}/Real/shard-000000.tar::Real000.png"
    np.testing.assert_array_equal(decode(real.paths[9]), pixels("Real9"))


def test_folders_within_shards_and_splits_in_their_names(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(2):
            at = f"{split}{number}"
            members = [
                *((f"./Real/{name}", data) for name, data in pictures(f"r{at}", 3)),
                *((f"./ADM/deeper/{name}", data) for name, data in pictures(f"a{at}", 2)),
            ]
            pack(tmp_path / f"data/{split}-{number:05d}.tar", members)
    assert kinds(find([tmp_path / "data"])) == {
        ("data", "Real", "train", 6), ("data", "ADM", "train", 4),
        ("data", "Real", "test", 6), ("data", "ADM", "test", 4),
    }  # fmt: skip


def test_one_archive_of_class_folders(tmp_path: Path) -> None:
    members = [(f"{kind}/{name}", data) for kind in ("real", "DDPM") for name, data in pictures(kind, 2)]
    path = pack(tmp_path / "faces.tar", [*members, ("._junk.png", b"x"), ("__MACOSX/real/._r.png", b"x")])
    assert kinds(find([path])) == {("faces", "Real", "", 2), ("faces", "DDPM", "", 2)}
    named = find([f"Real={pack(tmp_path / 'a.tar', pictures('x', 2))}", f"LDM={path}"])
    assert {(g.generator, len(g.paths)) for g in named.groups} == {("Real", 2), ("LDM", 4)}


def test_json_beside_each_picture(tmp_path: Path) -> None:
    members = []
    for number, (label, generator, split) in enumerate(
        [(0, None, "train"), (1, "ProGAN", "train"), (0, None, "test"), (1, "ADM", "test")]
    ):
        said = {"label": label, "generator": generator, "split": split, "caption": "a dog", "width": 4}
        members += [
            (f"{number:04d}.png", png(str(number))),
            (f"{number:04d}.json", json.dumps(said).encode()),
            (f"{number:04d}.txt", b"a dog on grass"),
            (f"{number:04d}.seg.png", png("mask")),
        ]
    pack(tmp_path / "set/shard-0.tar", members[:8])
    pack(tmp_path / "set/shard-1.tar", members[8:])
    found = find([tmp_path / "set"])
    assert kinds(found) == {
        ("set", "Real", "train", 1), ("set", "ProGAN", "train", 1),
        ("set", "Real", "test", 1), ("set", "ADM", "test", 1),
    }  # fmt: skip
    assert all(g.layout == "table" for g in found.groups)


def test_cls_and_txt_are_labels_only_where_they_can_be(tmp_path: Path) -> None:
    def shard(texts: dict[str, list[str]]) -> Path:
        members = [(f"{number}.jpg", png(str(number))) for number in range(2)]
        for ending, of in texts.items():
            members += [(f"{number}.{ending}", text.encode()) for number, text in enumerate(of)]
        return pack(tmp_path / f"{'-'.join(texts)}{len(members)}.tar", members)

    assert {g.generator for g in find([shard({"cls": ["0", "1"]})]).groups} == {"Real", "fake"}
    assert {g.generator for g in find([shard({"txt": ["real", "ProGAN\n"]})]).groups} == {"Real", "ProGAN"}
    both = shard({"cls": ["207", "1"], "txt": ["real", "ADM"]})
    assert {g.generator for g in find([both]).groups} == {"Real", "ADM"}
    with pytest.raises(InputError, match="no layout fits"):
        find([shard({"cls": ["207", "1"]})])


def test_the_split_of_a_labelled_shard_is_in_its_name(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        members = [
            m
            for n in (0, 1)
            for m in ((f"{split}{n}.png", png(f"{split}{n}")), (f"{split}{n}.cls", b"%d" % n))
        ]
        pack(tmp_path / f"set/{split}-000.tar", members)
    assert {(g.split, g.label) for g in find([tmp_path / "set"]).groups} == {
        (split, label) for split in ("train", "val", "test") for label in (0, 1)
    }


def test_an_archive_beside_loose_pictures_is_what_they_came_from(tmp_path: Path, plant) -> None:
    plant("set/Real", 2)
    pack(tmp_path / "set/ADM/0.tar", pictures("a", 2))
    pack(tmp_path / "set/all.tar", pictures("b", 3))
    found = find([tmp_path / "set"])
    assert kinds(found) == {("set", "Real", "", 2), ("set", "ADM", "", 2)}
    assert any("passed over" in note for note in found.notes)


def test_a_table_may_name_members(tmp_path: Path) -> None:
    pack(tmp_path / "set/x.tar", pictures("x", 2))
    (tmp_path / "set/list.csv").write_text("path,label\nx.tar::x000.png,0\nx.tar::x001.png,1\n")
    found = find([tmp_path / "set/list.csv"])
    check_contained(found)
    assert [path for g in found.groups for path in g.paths] == [
        f"{tmp_path}/set/x.tar::x000.png", f"{tmp_path}/set/x.tar::x001.png",
    ]  # fmt: skip


def test_keys_and_places() -> None:
    assert key_of("a.b/c.d.seg.PNG") == ("a.b/c", "d.seg.png")
    assert locate("/x/a.tar::b/c.png") == ("/x/a.tar", "b/c.png")
    assert locate("s3://x/a.TAR::b::c.png") == ("s3://x/a.TAR", "b::c.png")
    assert locate("/x/a.tar") == ("/x/a.tar", "")
    assert locate("/x/a.tar.gz") is None
    assert locate("/x/a.png") is None


def test_names_with_more_full_stops(tmp_path: Path) -> None:
    path = pack(
        tmp_path / "x.tar", [("a_0.5_1.png", png("a")), ("b.png", png("b")), ("b.mask.png", png("c"))]
    )
    assert contents(str(path)).pictures(frozenset({".png"})) == ["a_0.5_1.png", "b.png"]


# --- reading ----------------------------------------------------------------------------------------


def test_members_are_read_from_many_threads_and_nothing_is_written(many: Path, monkeypatch) -> None:
    before = sorted(many.rglob("*"))
    paths = [path for g in find([many]).groups for path in g.paths] * 4
    opened = []
    real = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: (opened.append(1), real(*a, **k))[1])
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(decode, paths))
    for path, rgb in zip(paths, got, strict=True):
        name = path.rpartition("::")[2].removesuffix(".png")
        np.testing.assert_array_equal(rgb, pixels(name[:-3] + str(int(name[-3:]))))
    assert sorted(many.rglob("*")) == before
    assert not opened  # each table of contents was read once, to find the pictures


def test_a_changed_archive_is_read_anew(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", [("a.png", png("first"))])
    np.testing.assert_array_equal(decode(f"{path}::a.png"), pixels("first"))
    pack(path, [("longer-name.png", png("other")), ("a.png", png("second"))])
    os.utime(path, ns=(1, 1))
    np.testing.assert_array_equal(decode(f"{path}::a.png"), pixels("second"))


def test_an_earlier_manifest_saves_the_reading(many: Path, tmp_path: Path, monkeypatch) -> None:
    first = build([many], near_duplicates=False)
    first.save(tmp_path / "m.parquet")
    read: list[str] = []
    from bandprobe.images import embedded

    monkeypatch.setattr(embedded, "read", lambda file, at: read.append(file) or pytest.fail("read again"))
    again = build([many], near_duplicates=False, previous=tmp_path / "m.parquet")
    assert again.table.equals(first.table)
    assert not read


# --- hostile archives -------------------------------------------------------------------------------


def test_what_is_no_plain_member_is_left_out_with_a_reason(many: Path) -> None:
    (many.parent / "secret.png").write_bytes(png("secret"))
    with tarfile.open(many / "ProGAN/shard-000000.tar", "w") as tar:
        for name, kind, target in (
            ("sym.png", tarfile.SYMTYPE, "../../secret.png"),
            ("hard.png", tarfile.LNKTYPE, "good.png"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
            ("hole.png", tarfile.GNUTYPE_SPARSE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        for name, text in (
            ("/etc/out.png", "0"), ("../up.png", "1"), ("twice.png", "2"), ("twice.png", "3"), ("good.png", "4"),
        ):  # fmt: skip
            data = png(text)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.addfile(tarfile.TarInfo("empty.png"))
    found = reasons(build([many], near_duplicates=False))
    short = {path.rpartition("::")[2]: why for path, why in found.items()}
    assert set(short) == {
        "sym.png", "hard.png", "pipe.png", "hole.png", "/etc/out.png", "../up.png", "twice.png", "empty.png",
    }  # fmt: skip
    for name, word in {
        "sym.png": "link", "hard.png": "link", "pipe.png": "no plain file", "hole.png": "no plain file",
        "/etc/out.png": "leads out", "../up.png": "leads out", "twice.png": "two members", "empty.png": "empty",
    }.items():  # fmt: skip
        assert word in short[name]
    assert all("\n" not in why for why in short.values())


@pytest.mark.parametrize("keep", [0.03, 0.3, 0.5, 0.8, 0.97])
def test_a_truncated_archive_gives_what_is_whole(keep: float, many: Path) -> None:
    whole = build([many], near_duplicates=False).table
    path = many / "Real/shard-000001.tar"
    data = path.read_bytes()
    end = sum(512 + -(-len(d) // 512) * 512 for _, d in pictures("Real", 8))  # about where its members end
    path.write_bytes(data[: int(keep * end)])
    manifest = build([many], near_duplicates=False)
    lost = reasons(manifest)
    assert "damaged" in lost[str(path)]
    assert all(each.startswith(str(path)) for each in lost)
    kept = manifest.table[manifest.table["path"].str.startswith(str(path))]
    before = whole.set_index("path")["image_id"]
    assert all(before[p] == i for p, i in zip(kept["path"], kept["image_id"], strict=True))
    assert len(manifest.table) + 8 - len(kept) == len(whole)


def test_what_is_no_archive_at_all(many: Path, tmp_path: Path) -> None:
    (many / "Real/notes.tar").write_bytes(b"\x1f\x8b\x08" + b"zipped" * 300)
    (many / "Real/none.tar").write_bytes(b"")
    lost = reasons(build([many], near_duplicates=False))
    assert set(lost) == {f"{many}/Real/notes.tar", f"{many}/Real/none.tar"}
    assert "compressed" in lost[f"{many}/Real/notes.tar"]
    with pytest.raises(ImageError, match=r"no member 'x\.png'"):
        decode(f"{many}/Real/shard-000000.tar::x.png")
    with pytest.raises(ImageError, match="is an archive"):
        decode(many / "Real/shard-000000.tar")
    with pytest.raises(ImageError, match="no such file"):
        decode(tmp_path / "gone.tar::x.png")
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    with pytest.raises(InputError, match="must not be compressed"):
        find([tmp_path / "x.tar.gz"])


def test_any_damage_is_met_with_a_reason(tmp_path: Path) -> None:
    """Bytes changed at random, in headers above all: never another exception, never an endless loop."""
    path = pack(tmp_path / "x.tar", [*pictures("x", 4), ("x000.json", b'{"label": 0}')])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(data) // 512, 3) * 512:
            at = int(place) + int(rng.choice([rng.integers(0, 512), rng.integers(124, 160)]))
            data[at] = int(rng.integers(0, 256))
            # A right checksum takes the damage past the first check.
            if trial % 2 and any(data[place : place + 100]):
                header = bytes(data[place : place + 148]) + b" " * 8 + bytes(data[place + 156 : place + 512])
                data[place + 148 : place + 156] = b"%06o\0 " % sum(header)
        path.write_bytes(bytes(data))
        os.utime(path, ns=(trial + 1, trial + 1))
        for name in contents(str(path)).members:
            with contextlib.suppress(ImageError):
                assert decode(f"{path}::{name}").dtype == np.uint8


def test_negative_sizes_lead_to_no_endless_loop(tmp_path: Path) -> None:
    """A header whose data end before it begins: its next header would be one that has been."""
    path = pack(tmp_path / "x.tar", pictures("x", 2))
    data = bytearray(path.read_bytes())
    data[124:136] = b"\xff" + (-1024).to_bytes(
        11, "big", signed=True
    )  # base 256, as GNU tar writes large numbers
    header = bytes(data[:148]) + b" " * 8 + bytes(data[156:512])
    data[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(data))
    assert contents(str(path)).damage


# --- the commands -----------------------------------------------------------------------------------


def test_index_and_embed_give_what_plain_folders_give(many: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain/many"
    for path in many.rglob("*.tar"):
        folder = plain / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path) as tar:
            for member in tar:
                (folder / member.name).write_bytes(tar.extractfile(member).read())
    (table, vectors), (same, again) = (
        indexed_and_embedded(str(root), tmp_path / name) for root, name in ((plain, "a"), (many, "b"))
    )
    pd.testing.assert_frame_equal(table, same)
    assert len(vectors) == 48
    np.testing.assert_array_equal(vectors, again)
