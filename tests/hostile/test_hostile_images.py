"""Hostile files: left out with a reason or handled, never silently different, never half a row."""

from __future__ import annotations

import csv
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpus import MAX_PIXELS, PLACES, Specimen, corpus, plant_places
from encoded_files import PNG_SIGNATURE, chunk, encoded, flat_png, ico, noise, png, smooth
from PIL import Image

from bandprobe.cli import run
from bandprobe.errors import ImageError, InputError
from bandprobe.images import Manifest, build, decode_bytes, image_id
from bandprobe.images.walk import scan
from bandprobe.store import EmbeddingStore

CORPUS = corpus()
SECONDS = 2.0  # of a processor, that one hostile file may take


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The corpus as a generator's folder beside sound reals, and the names that lead to no file."""
    root = tmp_path_factory.mktemp("hostile") / "data"
    (root / "Real").mkdir(parents=True)
    fakes = root / "Hostile"
    fakes.mkdir()
    for number in range(40):
        Image.fromarray(noise(900 + number, 20, 20, 3)).save(root / f"Real/{number}.png")
    for each in CORPUS:
        (fakes / each.name).write_bytes(each.data)
    return root, plant_places(fakes)


def allowed(each: Specimen, got: np.ndarray | None) -> bool:
    if got is None:
        return each.picture is None or each.perhaps
    return each.picture is not None and got.dtype == np.uint8 and np.array_equal(got, each.picture)


def test_there_are_more_than_three_hundred() -> None:
    assert len(CORPUS) >= 300
    assert sum(each.name.startswith("cut-") for each in CORPUS) >= 95
    assert sum(each.picture is None for each in CORPUS) >= 60


@pytest.mark.filterwarnings("ignore")  # Pillow's, of what is odd in the files
@pytest.mark.parametrize("each", CORPUS, ids=lambda each: ascii(each.name)[1:40])
def test_left_out_with_a_reason_or_the_one_right_picture(each: Specimen) -> None:
    start = time.process_time()
    try:
        got = decode_bytes(each.data, max_pixels=MAX_PIXELS)
    except ImageError as error:
        got = None
        reason = str(error)
        assert "\n" not in reason
        assert 5 < len(reason) < 250
    assert allowed(each, got)
    assert time.process_time() - start < SECONDS


def test_index_embed_and_filter_take_the_good_and_list_the_rest(
    planted: tuple[Path, set[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, no_files = planted
    here = tmp_path / "index.parquet"
    assert run(["index", str(root), "--out", str(here), "--json", "--quiet", "--workers", "2"]) == 1
    said = json.loads(capfd.readouterr().out)
    manifest = Manifest.load(here)
    table = manifest.table
    fakes = table[table["label"] == 1]

    # Each picture's row is whole and its own: the identity is that of the picture it should be.
    wanted = {each.name: image_id(each.picture) for each in CORPUS if each.picture is not None}
    wanted |= {
        name: image_id(noise(seed, 5, 4, 3))
        for name, seed in zip(("target-of-links.png", "inside.png"), PLACES, strict=True)
    }
    wanted["good-link.png"] = wanted["target-of-links.png"]
    honest = {
        "bomb-honest.png",
        "bomb-honest-alpha.png",
        "bomb.ico",
    }  # below the limit of pixels that holds here
    for row in fakes.itertuples():
        assert Path(row.path).name in honest or wanted[Path(row.path).name] == row.image_id
    assert not table.isna().any(axis=None)
    assert table["image_id"].str.fullmatch("[0-9a-f]{64}").all()

    # Left out is what must be, and nothing that must not.
    left_out = dict(zip(manifest.left_out["path"], manifest.left_out["reason"], strict=True))
    assert said["left_out"] == left_out
    names = {Path(path).name for path in left_out}
    assert no_files <= names
    assert {each.name for each in CORPUS if each.picture is None} - honest <= names
    assert names <= no_files | {each.name for each in CORPUS if each.picture is None or each.perhaps}
    must = {wanted[each.name] for each in CORPUS if each.picture is not None and not each.perhaps}
    assert must <= set(fakes["image_id"])
    assert all(reason and "\n" not in reason for reason in left_out.values())
    with (tmp_path / "index-left-out.csv").open(newline="", encoding="utf-8") as file:
        assert dict(csv.reader(file)) == {"path": "reason", **left_out}

    # The same manifest's pictures under two filters: every condition holds every picture once.
    store = tmp_path / "store"
    arguments = [
        "--encoder",
        "spectral",
        "--filter",
        "none",
        "lowpass:3px",
        "--geometry",
        "squash:32",
        "--quiet",
    ]
    assert run(["embed", str(here), *arguments, "--store", str(store)]) == 0
    held = EmbeddingStore(store)
    assert [spec for _, spec in held.conditions()] == ["lowpass:3px", "none"]
    for name, spec in held.conditions():
        rows = held.read(name, spec)
        assert rows.image_id.tolist() == sorted(set(table["image_id"]))
        assert np.isfinite(rows.embedding).all()
        files = [pq.ParquetFile(part).read() for part in held.partition(name, spec).glob("*.parquet")]
        assert sum(map(len, files)) == len(rows.image_id)
    assert not list(held.verify())


def test_filter_writes_the_good_and_lists_the_rest(
    planted: tuple[Path, set[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = planted[0] / "Hostile"
    out = tmp_path / "filtered"
    assert run(["filter", str(folder), "--filter", "none", "--out", str(out), "--json", "--quiet"]) == 1
    said = json.loads(capfd.readouterr().out)
    right = {each.name: each.picture for each in CORPUS}
    with (out / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == said["written"] == len(list(out.glob("*.png")))
    assert len({row["file"] for row in rows}) == len(rows)
    for row in rows:
        name = Path(row["source"]).name
        if right.get(name) is not None:
            np.testing.assert_array_equal(np.asarray(Image.open(out / row["file"])), right[name])
    sources = {Path(row["source"]).name for row in rows}
    sound = {each.name for each in CORPUS if each.picture is not None and not each.perhaps}
    assert sound - sources == set()
    assert planted[1] <= {Path(path).name for path in said["left_out"]}


def test_what_a_terminal_shows_stays_on_its_line(
    planted: tuple[Path, set[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    for name in ("Real", "Fake\nNotes: all is well\x1b[2J"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            picture = Image.fromarray(noise(len(name) * 100 + number, 20, 20, 3))
            picture.save(folder / name / f"{number}.png")
    (folder / "Real/bad\nwritten: elsewhere\x1b]0;x\x07.png").write_bytes(b"x")
    with open(os.fsencode(folder) + b"/Real/\xfe\xff.png", "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(b"x")
    assert run(["index", str(folder), "--out", str(tmp_path / "m.parquet"), "--quiet"]) == 1
    shown = capfd.readouterr()
    for text in (shown.out, shown.err):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\nNotes: all" not in text
        assert "\nwritten: elsewhere" not in text
        assert "\\xfe\\xff.png" in text


def test_a_generator_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "Real").mkdir(parents=True)
    Image.fromarray(noise(1, 9, 9, 3)).save(folder / "Real/a.png")
    odd = os.fsencode(folder) + b"/Gen\xff"
    os.mkdir(odd)  # noqa: PTH102 - a name of bytes
    with open(odd + b"/a.png", "wb") as file:  # noqa: PTH123
        file.write(encoded(noise(2, 9, 9, 3), "PNG"))
    with pytest.raises(InputError, match=r"every generated image .* not UTF-8 text") as caught:
        build(folder)
    str(caught.value).encode()


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    folders = [tmp_path / f"root/{number}" for number in range(12)]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.fromarray(noise(1, 3, 3, 3)).save(folder / "a.png")
    for folder in folders:
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    found = scan(tmp_path / "root")
    assert {str(folder / "a.png") for folder in folders} <= set(found.paths())
    assert found.count < 12**3


def test_folders_without_end(tmp_path: Path) -> None:
    os.chdir(start := Path.cwd())
    try:
        os.chdir(tmp_path)
        for _ in range(600):
            os.mkdir("d")  # noqa: PTH102 - deeper than a path may be long
            os.chdir("d")
    finally:
        os.chdir(start)
    with pytest.raises(InputError, match="folders deep") as caught:
        scan(tmp_path)
    assert "\n" not in str(caught.value)


# --- memory -----------------------------------------------------------------------------------------

_MEASURED = """
import resource, sys, time, warnings
import PIL.Image
from bandprobe.errors import ImageError
from bandprobe.images import decode
warnings.simplefilter("ignore")
PIL.Image.init()
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = mapped + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
kept, longest = 0, 0.0
for path in sys.argv[2:]:
    before = time.process_time()
    try:
        kept += decode(path).size
    except ImageError:
        pass
    longest = max(longest, time.process_time() - before)
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024, longest)
"""


def measured(limit: int, paths: list[Path]) -> tuple[int, int, float]:
    """Samples decoded, bytes that the process grew by at most, and the longest seconds that a file took.

    In a process that may map `limit` bytes more than it has, and is stopped after two minutes.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(limit), *map(str, paths)],
        capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    kept, grown, longest = done.stdout.split()
    return int(kept), int(grown), float(longest)


linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits and units of memory are those of Linux"
)


@linux
def test_the_corpus_takes_little_memory_and_time(tmp_path: Path) -> None:
    for number, each in enumerate(CORPUS):
        (tmp_path / f"{number}{Path(each.name).suffix}").write_bytes(each.data)
    (tmp_path / "large.ico").write_bytes(ico(png(9000, 8000, b"", kind=6)))
    _, grown, longest = measured(256 * 2**20, sorted(tmp_path.iterdir()))
    assert grown < 100 * 2**20
    assert longest < SECONDS


@linux
def test_bombs_come_to_nothing(tmp_path: Path) -> None:
    names = ("bomb", "claims")
    bombs = [each for each in CORPUS if each.name.startswith(names) and "honest" not in each.name]
    for each in bombs:
        (tmp_path / each.name).write_bytes(each.data)
    kept, grown, _ = measured(
        256 * 2**20, [path for path in sorted(tmp_path.iterdir()) if path.name != "bomb.ico"]
    )
    assert kept < 10**6
    assert grown < 64 * 2**20


@linux
def test_an_honest_picture_takes_at_most_eighteen_bytes_a_pixel(tmp_path: Path) -> None:
    path = tmp_path / "honest.png"
    path.write_bytes(flat_png(2500, 2400, 4))  # transparent, the kind that takes most
    kept, grown, _ = measured(256 * 2**20, [path])
    assert kept == 3 * 6_000_000
    assert grown < 18 * 6_000_000


def test_rows_that_are_missing_are_noticed_in_any_colour() -> None:
    for value in (0, 9, 255):
        rows = zlib.compress((b"\0" + bytes([value]) * 12) * 3)
        np.testing.assert_array_equal(decode_bytes(png(4, 3, rows)), np.full((3, 4, 3), value, np.uint8))
        with pytest.raises(ImageError, match="fewer rows"):
            decode_bytes(png(4, 4, rows))
    # Interlaced, as another library counts its rows: Pillow reads what it wrote in seven passes.
    whole = smooth(77, 13, 11)
    whole[-1] = 0
    np.testing.assert_array_equal(decode_bytes(adam7(whole)), whole)
    # Every pass that is missing, the last too, whose rows lie between others.
    for share in (0.99, 0.9, 0.7, 0.49, 0.1):
        with pytest.raises(ImageError):
            decode_bytes(adam7(smooth(77, 13, 11), share))


def adam7(picture: np.ndarray, share: float = 1.0) -> bytes:
    """An interlaced PNG by the standard's own table, with a share of its data."""
    starts = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    raw = b"".join(
        b"\0" + row.tobytes()
        for y, x, down, right in starts
        for row in picture[y::down, x::right]
        if row.size
    )
    raw = raw[: int(len(raw) * share)]
    height, width = picture.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
