"""`bandprobe fetch` from a server on this machine to what `index` finds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_server import DataServer
from PIL import Image
from typer.testing import CliRunner

from bandprobe.cli import run
from bandprobe.cli.app import app
from bandprobe.datasets import registry
from bandprobe.datasets.tree_hash import tree_hash
from bandprobe.errors import InputError
from bandprobe.images import Manifest

PREFIX = "diffusion_model_deepfakes_lsun_bedroom/test"


def png(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


TREE = {
    f"{name}/{number}.png": png(100 * at + number)
    for at, name in enumerate(("Real", "ProGAN", "DDPM", "ADM"))
    for number in range(15)
}


def zipped(files: dict[str, bytes], prefix: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in files.items():
            file.writestr(f"{prefix}/{name}" if prefix else name, content)
    return out.getvalue()


def by_the_authors_command(files: dict[str, bytes]) -> str:
    """find -type f -print0 | sort -z | xargs -0 sha1sum | cut -d " " -f 1 | sha1sum, in the C locale."""
    digests = [hashlib.sha1(files[name]).hexdigest() for name in sorted(files, key=str.encode)]
    return hashlib.sha1("".join(f"{one}\n" for one in digests).encode()).hexdigest()


def write_registry(folder: Path, server: DataServer, **changes: object) -> Path:
    """LSUN Bedroom's own registry, with its test set's hash that of the small tree, and the server in place."""
    text = (Path(registry.__file__).parent / "registries/lsun-bedroom.toml").read_text()
    known = str(changes.get("tree", by_the_authors_command(TREE)))
    text = text.replace("68bd7326113b9cde3cd4eadf1e10e5fca77df751", known)
    path = folder / "bedroom.toml"
    path.write_text(f'{text}\n[servers]\nzenodo = "{server.url}"\n')
    return path


@pytest.fixture
def bedroom(server: DataServer, tmp_path: Path) -> Path:
    """A registry whose record has a test set and a train set."""
    train = {name: content for name, content in TREE.items() if not name.startswith("Real")}
    train_set = zipped(train, PREFIX.replace("test", "train"))
    server.zenodo(
        7528113, {"test.zip": zipped(TREE, PREFIX), "train.zip": train_set, "val.zip": zipped(train)}
    )
    return write_registry(tmp_path, server)


def fetched(*words: object) -> dict:
    result = CliRunner().invoke(app, ["fetch", *map(str, words), "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failing(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = run(["fetch", *map(str, words), "--quiet"])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return code, said


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_test_set_into_the_layout_that_index_finds(
    bedroom: Path, server: DataServer, tmp_path: Path
) -> None:
    done = fetched(bedroom, "--out", tmp_path / "data", "--subset", "test")
    root = tmp_path / "data" / "diffusion_model_deepfakes_lsun_bedroom"
    assert files_in(root / "test") == TREE
    [part] = done["parts"]
    assert (part["state"], part["files"], part["bytes"]) == ("fetched", 60, sum(map(len, TREE.values())))
    assert "as published (md5:" in part["checks"][0]
    assert by_the_authors_command(TREE) in part["checks"][1]
    assert (done["licence"], done["folder"]) == ("cc-by-4.0", str(root))
    assert done["citation"].startswith("@inproceedings{ricker2024")
    assert names_in(tmp_path / "data") == {root.name, f"{root.name}.fetched.json"}
    run(["index", str(root), "--out", str(tmp_path / "m.parquet"), "--quiet"])
    table = Manifest.load(tmp_path / "m.parquet").table
    assert set(table["generator"]) == {"Real", "ProGAN", "DDPM", "ADM"}
    assert len(table) == 60


def test_a_second_call_does_nothing_and_verify_hashes_again(
    bedroom: Path, server: DataServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (bedroom, "--out", tmp_path / "data", "--subset", "test")
    fetched(*words)
    server.asked.clear()
    [part] = fetched(*words)["parts"]
    assert (part["state"], part["files"], server.asked) == ("there", 60, [])
    [part] = fetched(*words, "--verify")["parts"]
    assert by_the_authors_command(TREE) in part["checks"][0]
    changed = tmp_path / "data/diffusion_model_deepfakes_lsun_bedroom/test/DDPM/3.png"
    changed.write_bytes(TREE["DDPM/3.png"][:-1] + b"x")
    code, said = failing(capsys, *words, "--verify")
    assert (code, "has changed: its tree hash is" in said) == (3, True)
    changed.unlink()
    code, said = failing(capsys, *words, "--verify")
    assert (code, "is not as it was when it was fetched" in said) == (3, True)
    assert fetched(*words)["parts"][0]["state"] == "fetched"
    assert changed.read_bytes() == TREE["DDPM/3.png"]


def test_all_parts_by_default_and_a_hash_that_holds_later(bedroom: Path, tmp_path: Path) -> None:
    done = fetched(bedroom, "--out", tmp_path / "data")
    assert [(part["part"], part["files"]) for part in done["parts"]] == [
        ("test", 60),
        ("train", 45),
        ("val", 45),
    ]
    root = Path(done["folder"])
    assert names_in(root / "train") == names_in(root / "val") == {"ProGAN", "DDPM", "ADM"}
    assert "with the reals that recreate_train_data.py adds" in done["parts"][1]["checks"][1]
    (root / "train/ADM/a_real.png").write_bytes(png(9))  # as that script does
    assert {part["state"] for part in fetched(bedroom, "--out", tmp_path / "data")["parts"]} == {"there"}


def test_what_is_not_what_was_published(
    server: DataServer, tmp_path: Path, bedroom: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    (tmp_path / "wrong").mkdir()
    wrong = write_registry(tmp_path / "wrong", server, tree="0" * 40)
    code, said = failing(capsys, wrong, "--out", out, "--subset", "test")
    assert code == 3
    assert "is not what its authors published: its tree hash is" in said
    assert not (out / "diffusion_model_deepfakes_lsun_bedroom").exists()
    path = "/api/records/7528113/files/train.zip/content"
    server.put(path, server.files[path][:-4] + b"xxxx")
    code, said = failing(capsys, bedroom, "--out", out, "--subset", "train")
    assert code == 3
    assert "is not what its authors published (md5:" in said
    server.put(path, b"short")
    assert "were announced: another file lies there now" in failing(capsys, bedroom, "--out", out)[1]
    del server.files[path]
    assert (
        failing(capsys, bedroom, "--out", out, "--subset", "train")[1].count("answered 404: nothing is there")
        == 1
    )
    del server.files["/api/records/7528113"]
    code, said = failing(capsys, bedroom, "--out", tmp_path / "other")
    assert (code, "/api/records/7528113 answered 404" in said) == (3, True)


def own_registry(folder: Path, url: str) -> Path:
    path = folder / "ours.toml"
    part = f'[[parts]]\nname = "all"\n[[parts.files]]\nurl = "{url}/ours.zip?x=1"\n'
    path.write_text(f'title = "Ours"\nhomepage = "{url}"\n{part}')
    return path


def test_a_checksum_that_nobody_publishes_is_kept(
    server: DataServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = zipped(TREE)
    server.put("/ours.zip", first)
    ours = own_registry(tmp_path, server.url)
    result = CliRunner().invoke(app, ["fetch", str(ours), "--out", str(tmp_path / "data")])
    digest = hashlib.sha256(first).hexdigest()
    assert f"no checksum is published; sha256:{digest} was recorded for the next time" in result.stdout
    assert "licence: not named; ask its authors" in result.stdout
    assert f"next: bandprobe index {tmp_path}/data/ours" in result.stdout
    record = json.loads((tmp_path / "data/ours.fetched.json").read_text())
    archive = record["parts"]["all"]["archives"]["ours.zip"]
    assert (archive["checksum"], archive["checksum_from"]) == (f"sha256:{digest}", "first use")
    assert record["parts"]["all"]["tree_sha1"] == by_the_authors_command(TREE)
    (tmp_path / "data/ours/ADM/1.png").unlink()
    server.put("/ours.zip", zipped({**TREE, "ADM/1.png": b"other"}))
    code, said = failing(capsys, ours, "--out", tmp_path / "data")
    assert code == 3
    assert f"is not what it was when it was first fetched (sha256:{digest})" in said
    server.put("/ours.zip", first)
    assert fetched(ours, "--out", tmp_path / "data")["parts"][0]["files"] == 60


def test_two_parts_in_one_folder(server: DataServer, tmp_path: Path) -> None:
    fakes = {name: content for name, content in TREE.items() if not name.startswith("Real")}
    reals = {name: content for name, content in TREE.items() if name.startswith("Real")}
    server.hub(
        "owner/set",
        {"data/fakes.zip": zipped(fakes), "data/Reals.ZIP": zipped(reals, "x"), "README.md": b"#"},
    )
    path = tmp_path / "two.toml"
    path.write_text(
        'title = "Two"\nhomepage = "https://example.org"\n[servers]\nhuggingface = "http://127.0.0.1:9"\n'
        '[[parts]]\nname = "fakes"\nhuggingface = "owner/set"\nmatch = ["fakes*"]\n'
        '[[parts]]\nname = "reals"\nhuggingface = "owner/set"\nmatch = ["reals.zip"]\ninto = "Real"\n'
        'strip = ["x", "Real"]\n'
    )
    words = (path, "--out", tmp_path / "data", "--server", server.url)
    for name in ("reals", "fakes"):
        assert fetched(*words, "--subset", name)["parts"][0]["state"] == "fetched"
    assert files_in(tmp_path / "data/two") == TREE
    done = fetched(*words)
    assert [part["state"] for part in done["parts"]] == ["there", "there"]
    assert done["licence"] == "mit"
    assert {part["files"] for part in fetched(*words, "--verify")["parts"]} == {45, 15}


def test_a_folder_that_is_there_already(
    bedroom: Path, server: DataServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody's own copy is taken where its hash is the authors', and else left alone."""
    root = tmp_path / "data/diffusion_model_deepfakes_lsun_bedroom"
    for name, content in TREE.items():
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "test" / name).write_bytes(content)
    words = (bedroom, "--out", tmp_path / "data", "--subset", "test")
    [part] = fetched(*words)["parts"]
    assert (part["state"], server.asked) == ("there", [])
    assert "every file is its authors'" in part["checks"][0]
    (tmp_path / "data" / f"{root.name}.fetched.json").unlink()
    (root / "test/ADM/mine.png").write_bytes(b"mine")
    code, said = failing(capsys, *words)
    assert (code, "holds 'ADM' already, which was not fetched by this command" in said) == (2, True)
    assert (root / "test/ADM/mine.png").read_bytes() == b"mine"


def test_a_dry_run_writes_nothing(bedroom: Path, server: DataServer, tmp_path: Path) -> None:
    done = fetched(bedroom, "--out", tmp_path / "data", "--dry-run", "--subset", "test")
    size = len(server.files["/api/records/7528113/files/test.zip/content"])
    [part] = done["parts"]
    assert (part["state"], part["files"], part["bytes"]) == ("planned", 1, size)
    assert not (tmp_path / "data").exists()
    assert [path for path, *_ in server.asked] == ["/api/records/7528113"]


def test_the_disk_is_asked_first(
    bedroom: Path, server: DataServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    code, said = failing(capsys, bedroom, "--out", tmp_path / "data", "--subset", "test")
    assert (code, "GB are free; free some, or give another --out" in said) == (3, True)
    assert [path for path, *_ in server.asked] == ["/api/records/7528113"]


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_ctrl_c_keeps_the_part_and_the_next_call_goes_on(server: DataServer, tmp_path: Path) -> None:
    content = zipped({**TREE, "ADM/large.png": np.random.default_rng(1).bytes(4_000_000)})
    server.put("/ours.zip", content)
    ours = own_registry(tmp_path, server.url)
    server.drops["/ours.zip"] = [2_000_000]
    server.slow_rest["/ours.zip"] = 30.0
    command = [sys.executable, "-c", "from bandprobe.cli import main; main()", "fetch", str(ours)]
    part = tmp_path / "data/.ours.downloads/all/ours.zip.part"
    process = subprocess.Popen([*command, "--out", str(tmp_path / "data")], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and size_of(part) <= 1_000_000:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    held = part.stat().st_size
    assert held > 1_000_000
    server.slow_rest.clear()
    server.asked.clear()
    fetched(ours, "--out", tmp_path / "data")
    assert server.asked[-1][1] == f"bytes={held}-"
    assert len(files_in(tmp_path / "data/ours")) == 61
    assert names_in(tmp_path / "data") == {"ours", "ours.fetched.json"}


def test_what_there_is() -> None:
    result = CliRunner().invoke(app, ["fetch"])
    assert result.exit_code == 0
    for name in registry.names():
        assert f"\n{name}: " in f"\n{result.stdout}"
    found = json.loads(CliRunner().invoke(app, ["fetch", "--list", "--json"]).stdout)
    assert [one["name"] for one in found] == registry.names()
    for one in found:
        assert one["title"], one["name"]
        assert one["homepage"].startswith("https://")
        assert one["citation"].strip().startswith("@")
    [bedroom] = [one for one in found if one["name"] == "lsun-bedroom"]
    assert {part["zenodo"] for part in bedroom["parts"]} == {7528113}


def test_what_cannot_be_fetched_says_how_to_get_it(
    server: DataServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = failing(capsys, "genimage", "--out", tmp_path)
    assert (code, "cannot be fetched by a program: from Google Drive (https://" in said) == (2, True)
    assert failing(capsys, "forensynths", "--subset", "train")[0] == 2
    server.hub("sywang/CNNDetection", {"CNN_synth_testset.zip": zipped(TREE), "progan_val.zip": zipped(TREE)})
    done = fetched("forensynths", "--out", tmp_path, "--server", server.url)
    assert [part["state"] for part in done["parts"]] == ["fetched", "fetched", "by hand"]
    assert done["licence"] == "CC BY-NC-SA 4.0"


BAD = {
    "no such set": ("lsun-bedrom", "Did you mean 'lsun-bedroom'?"),
    "no such part": ("lsun-bedroom --subset tets", "Did you mean 'test'?"),
    "no such file": ("gone.toml", "no registry at 'gone.toml'"),
    "a server that is none": ("lsun-bedroom --server zenodo.org", "expected a URL that begins with https://"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_use_is_one_line(case: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words, said = BAD[case]
    code, line = failing(capsys, *words.split())
    assert code == 2
    assert said in line


REGISTRIES = {
    'title = "x"': "homepage: Field required",
    "[[parts]": "cannot be read as TOML",
    'title="x"\nhomepage="ftp://x"\n[[parts]]\nname="a"\nzenodo=1': "begins with https://",
    'title="x"\nhomepage="https://x"\nfolder="../up"\n[[parts]]\nname="a"\nzenodo=1': "the name of a file or folder",
    'title="x"\nhomepage="https://x"\n[[parts]]\nname="a"\nzenodo=1\ninto="a/../../b"': "the name of a file or folder",
    'title="x"\nhomepage="https://x"\n[[parts]]\nname="a"': "one of zenodo, huggingface, files or by_hand; got none",
    'title="x"\nhomepage="https://x"\n[[parts]]\nname="a"\nzenodo=1\nurl="x"': "unknown key 'parts.0.url'",
    'title="x"\nhomepage="https://x"\n[[parts]]\nname="a"\n[[parts.files]]\nurl="file:///etc/passwd"': "https://",
    'title="x"\nhomepage="https://x"\n[[parts]]\nname="a"\n[[parts.files]]\nurl="https://x/y"\nchecksum="1"': "md5:",
}


@pytest.mark.parametrize("text", REGISTRIES)
def test_registries_that_cannot_be_used(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InputError, match=r"x\.toml") as caught:
        registry.load(tmp_path / "x.toml")
    assert REGISTRIES[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hostile_record_is_refused(server: DataServer, tmp_path: Path, bedroom: Path, capsys) -> None:
    record = json.loads(server.files["/api/records/7528113"])
    for change in (
        {"key": "../test.zip"},
        {"links": {"self": "file:///etc/test"}},
        {"size": -1},
        {"checksum": "x"},
    ):
        told = {**record, "files": [{**record["files"][0], **change}]}
        server.put("/api/records/7528113", json.dumps(told).encode())
        code, said = failing(capsys, bedroom, "--out", tmp_path / "data", "--subset", "test")
        assert (code, "something other than a listing of files" in said) == (3, True)
    for content in (b"<html>", b"[]", b'{"files": 3}'):
        server.put("/api/records/7528113", content)
        assert failing(capsys, bedroom, "--out", tmp_path / "data")[0] == 3
    evil = zipped({"../../evil.png": b"x", "ADM/1.png": b"y"})
    server.zenodo(7528113, {"test.zip": evil})
    code, said = failing(capsys, bedroom, "--out", tmp_path / "data", "--subset", "test")
    assert (code, "leads out of the folder" in said) == (2, True)
    assert not list(tmp_path.rglob("*.png"))


def test_the_tree_hash_is_the_shells(tmp_path: Path) -> None:
    """Against the authors' own command line, with names whose order differs between locales."""
    for name in ("b/1.png", "B/2.png", "a b/3.png", "ä/4.png", "b.png", "b/sub/5.png"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(name.encode())
    (tmp_path / "t/link.png").symlink_to(tmp_path / "t/b.png")
    line = 'find t/ -type f -print0 | sort -z | xargs -0 sha1sum | cut -d " " -f 1 | sha1sum'
    told = subprocess.run(
        line,
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert told.stdout.split()[0] == tree_hash(tmp_path / "t")
