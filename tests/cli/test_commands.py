"""The commands as a user types them: output, files and exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.cli import run
from bandprobe.datasets import micro
from bandprobe.filters import parse

CLI = [sys.executable, "-c", "from bandprobe.cli import main; main()"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def fails(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """The one line that a failing command prints."""
    assert call(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_from_images_to_report_step_by_step(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("index", world, "--out", "m.parquet") == 0
    printed = capsys.readouterr().out
    assert "ProGAN" in printed
    assert "70/10/20 by image hash" in printed
    common = ("--geometry", "squash:32", "--quiet", "--json")
    filters = ("--filter", "none,identity", "--filter", "lowpass:4..12/4px")
    assert call("embed", "m.parquet", "--encoder", "spectral", *filters, "--store", "emb", *common) == 0
    assert json.loads(capsys.readouterr().out)["passes"] == 160 * 5
    assert call("embed", "m.parquet", "--encoder", "spectral", *filters, "--store", "emb", *common) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["passes"], again["saved"]) == (0, 160 * 5)
    assert (
        call("train", "--store", "emb", "--out", "probes", "--quiet", "--train-filter", "none,lowpass:8px")
        == 0
    )
    assert len(list(Path("probes").glob("*.safetensors"))) == 2 * 5
    assert call("evaluate", "--store", "emb", "--probes", "probes", "--out", "run", "--quiet") == 0
    results = pd.read_csv("run/results.csv")
    assert set(results["filter"]) == {"none", "identity", "lowpass:4px", "lowpass:8px", "lowpass:12px"}
    assert len(results) == 2 * 5 * 5 * 2 * 15
    assert call("report", "run", "--quiet") == 0
    assert Path("run/report.html").stat().st_size > 10_000
    assert call("store", "verify", "emb") == 0


def test_filter_writes_eight_bit_images_and_their_index(world: Path) -> None:
    source = world / "Real" / "000.png"
    assert (
        call("filter", source, "--filter", "lowpass:5px,highpass:0.25nyq:dc=zero", "--out", "o", "--show")
        == 0
    )
    with Path("o/index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["filter"]) for row in rows] == [
        ("000__lowpass-5px.png", "lowpass:5px"),
        ("000__highpass-0-25nyq-dc-zero.png", "highpass:0.25nyq:dc=zero"),
    ]
    pixels = np.asarray(Image.open(source)).transpose(2, 0, 1)[None] / 255
    for row in rows:
        filtered = parse(row["filter"])(pixels)
        expected = np.round(filtered.clip(0, 1) * 255)[0].transpose(1, 2, 0)
        written = np.asarray(Image.open(Path("o") / row["file"]))
        assert np.abs(written - expected).max() <= 1  # float32 may round a tie the other way
        assert (written == expected).mean() > 0.999
        assert float(row["clipped_share"]) == pytest.approx(
            ((filtered < 0) | (filtered > 1)).mean(), abs=1e-3
        )
    assert float(rows[1]["clipped_share"]) > 0.3
    shown = {path.name for path in Path("o/show").iterdir()}
    assert {"mask__lowpass-5px__32x32.png", "000__lowpass-5px__spectrum.png"} <= shown
    mask = np.asarray(Image.open("o/show/mask__lowpass-5px__32x32.png"))
    assert mask[16, 16] == 255
    assert mask[16, 21] == 128  # half the gain at the cut-off


def test_filter_at_a_size_and_with_names_that_meet(world: Path) -> None:
    folders = [world / "Real", world / "ProGAN"]
    assert (
        call("filter", *folders, "--filter", "identity", "--out", "o", "--size", "20", "--limit", "72") == 0
    )
    names = sorted(path.name for path in Path("o").glob("*.png"))
    assert len(names) == 72
    assert "000-2__identity.png" in names
    assert Image.open(Path("o") / names[0]).size == (20, 20)


def test_spectrum_and_score(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("spectrum", world, "--out", "sp", "--json", "--quiet") == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["slopes"]) == {"world/Real", "world/ProGAN", "world/DDPM"}
    assert all(Path(path).is_file() for path in said["figures"])
    with np.load("sp/spectra.npz", allow_pickle=False) as arrays:
        assert arrays["world/Real/fft_hp"].shape == (32, 32)
        assert int(arrays["world/Real/n"]) == int(arrays["world/ProGAN/n"]) == 45
    call("embed", world, "--encoder", "spectral", "--store", "emb", "--geometry", "squash:32", "--quiet")
    call("train", "--store", "emb", "--out", "p", "--train-on", "all", "--quiet")
    capsys.readouterr()
    (world.parent / "broken.png").write_bytes(b"no image")
    probe = Path("p") / "spectral__all__none.safetensors"
    code = call("score", world / "ProGAN", world.parent / "broken.png", "--probe", probe, "--json", "--quiet")
    out, err = capsys.readouterr()
    assert code == 1
    assert "broken.png" in err
    rows = json.loads(out)
    assert len(rows) == 45
    assert all(0 <= row["probability"] <= 1 and row["verdict"] in ("fake", "real", "abstain") for row in rows)
    assert np.mean([row["logit"] >= row["threshold"] for row in rows]) > 0.6


def test_encoders_and_filters_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("encoders", "--json") == 0
    names = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert names["dinov2-giant"]["dim"] == 1536
    assert names["openclip-vit-g-14"]["dim"] == 1024
    assert call("filters", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["presets"]["thesis"]) == 39
    assert call("filters") == call("encoders") == call("--version") == 0


def test_broken_images_are_listed_and_the_run_goes_on(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world, "data")
    Path("data/ProGAN/zero.png").write_bytes(b"")
    Path("data/DDPM/text.png").write_text("this is no image")
    whole = (world / "Real" / "000.png").read_bytes()
    Path("data/Real/cut.png").write_bytes(whole[: len(whole) // 2])
    assert call("index", "data", "--quiet") == 1
    err = capsys.readouterr().err
    for name in ("zero.png", "text.png", "cut.png"):
        assert name in err
    assert "3 images left out" in err
    left_out = pd.read_csv("manifest-left-out.csv")
    assert len(left_out) == 3
    assert left_out["reason"].str.len().gt(5).all()
    assert len(pd.read_parquet("manifest.parquet")) == 160


def test_an_image_in_both_classes(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(world, "data")
    shutil.copy("data/Real/000.png", "data/ProGAN/copy.png")
    assert call("index", "data", "--quiet") == 1
    err = capsys.readouterr().err
    assert "000.png" in err
    assert "copy.png" in err
    assert len(pd.read_parquet("manifest.parquet")) == 159
    assert "--strict" not in fails(capsys, "index", "data", "--strict", "--quiet")


def prepare_bad_data(world: Path) -> None:
    Path("empty").mkdir()
    for place in (
        "noreal/Real",
        "noreal/ProGAN",
        "nosplit/train/Real",
        "nosplit/train/ProGAN",
        "nosplit/test/Real",
    ):
        Path(place).mkdir(parents=True)
    source = sorted((world / "Real").iterdir())
    shutil.copy(source[0], "noreal/ProGAN")
    for number, place in enumerate(("nosplit/train/Real", "nosplit/train/ProGAN", "nosplit/test/Real")):
        shutil.copy(source[number], place)
    Path("file").write_text("")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["index", "empty"], ["no image", "empty"]),
        (["index", "nowhere"], ["no such file or folder", "nowhere"]),
        (["index", "noreal"], ["no real image", "Real"]),
        (["index", "nosplit"], ["'test'", "no generated image"]),
        (["index", "WORLD", "--out", "file/m.parquet"], ["cannot write to the output folder"]),
        (["index", "WORLD", "--splits", "1,2"], ["three"]),
        (["index", "WORLD", "--layout", "ricker2"], ["'ricker2'", "'ricker'"]),
        (["embed", "WORLD", "--encoder", "dinov2-smal", "--store", "s"], ["dinov2-smal", "'dinov2-small'"]),
        (["embed", "WORLD", "--encoder", "spectral", "--filter", "lowpss:3px", "--store", "s"], ["'lowpass'"]),
        (
            ["embed", "WORLD", "--encoder", "spectral", "--filter", "ideal-highpass:900px", "--store", "s"],
            ["removes everything on a 224 x 224 grid"],
        ),
        (["embed", "WORLD", "--encoder", "spectral", "--store", "file/s"], ["cannot write to the output folder"]),
        (["filter", "WORLD/Real/000.png", "--filter", "lowpass:3px", "--out", "file/o"], ["cannot write"]),
        (["filter", "nowhere.png", "--filter", "lowpass:3px", "--out", "o"], ["nowhere.png"]),
        (["filter", "WORLD/Real/000.png", "--filter", "lowpass:3px", "--out", "o", "--size", "big"], ["'big'"]),
        (["filter", "file", "--filter", "lowpass:3px", "--out", "o"], ["none of 1 images could be read"]),
        (["train", "--store", "nostore", "--out", "p"], ["no embeddings in 'nostore'"]),
        (["evaluate", "--store", "nostore", "--probes", "p", "--out", "r"], ["no probe", "'p'"]),
        (["report", "empty"], ["results.parquet", "bandprobe study"]),
        (["score", "WORLD/Real/000.png", "--probe", "file"], ["is no probe"]),
        (["study", "nowhere.toml"], ["nowhere.toml"]),
        (["store", "verify", "empty"], ["no embeddings"]),
        (["stdy"], ["'stdy'", "'study'"]),
        (["index", "WORLD", "--strct"], ["--strct", "--strict"]),
        (["embed", "WORLD", "--store", "s"], ["--encoder"]),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_with_the_way_out(
    world: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    prepare_bad_data(world)
    before = {path for path in Path().rglob("*") if path.is_file()}
    line = fails(capsys, *(argument.replace("WORLD", str(world)) for argument in arguments))
    for word in words:
        assert word in line
    left = {path for path in Path().rglob("*") if path.is_file()} - before
    assert left == set()  # nothing half-written stays behind


def test_a_store_from_other_weights(
    world: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(checkpoint, "model")
    options = ("--store", "s", "--geometry", "squash:32", "--quiet", "--limit", "20")
    assert call("embed", world, "--encoder", "model", *options) == 0
    capsys.readouterr()
    line = fails(capsys, "embed", world, "--encoder", "model", "--precision", "bf16", *options)
    assert "encoder.precision: stored 'fp32', asked 'bf16'" in line
    line = fails(capsys, "embed", world, "--encoder", "model", *options[:3], "squash:40", *options[4:])
    assert "geometry: stored 'squash:32', asked 'squash:40'" in line
    from safetensors.numpy import load_file, save_file

    weights = load_file("model/model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, "model/model.safetensors", {"format": "pt"})
    assert "encoder.weights" in fails(capsys, "embed", world, "--encoder", "model", *options)


def test_ctrl_c_says_that_work_is_kept(world: Path) -> None:
    arguments = ["embed", str(world), "--encoder", "spectral", "--store", "s"]
    much = ["--filter", "thesis,highpass:1..100/1px", "--geometry", "squash:256", "--batch-size", "1"]
    process = subprocess.Popen([*CLI, *arguments, *much], stderr=subprocess.PIPE, text=True)
    while not Path("s").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(2)  # some batches
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (
        err.strip() == "error: stopped; what was finished is kept, and the same command goes on from there."
    )
    assert call(*arguments, "--filter", "identity", "--geometry", "squash:256", "--quiet") == 0


def test_help_is_quick_to_load() -> None:
    """No command's help needs torch, transformers, scikit-learn or pandas."""
    script = (
        "import sys; from bandprobe.cli import run; "
        "codes = [run([c, '--help']) for c in ('study', 'embed', 'filter')] + [run(['filters']), run(['encoders'])]; "
        "heavy = {'torch', 'transformers', 'sklearn', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules); "
        "sys.exit(f'{codes} {heavy}' if any(codes) or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_output_can_be_piped_away() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -c 'from bandprobe.cli import main; main()' encoders | head -1"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.long
def test_demo_runs_offline_and_again_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandprobe.demo.ENCODERS", ["spectral", "micro-dino"])
    monkeypatch.setattr("bandprobe.demo.TEST", ["none", "identity", "lowpass:7px", "lowpass:21px"])
    monkeypatch.setattr("bandprobe.demo.TRAIN", ["none"])
    test = micro("test").table
    every = micro().table
    assert call("demo", "--out", "d", "--quiet", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert "A small world" in Path(first["report"]).read_text()
    passes = 2 * (4 * len(test) + len(every) - len(test))
    assert first["encoder_passes"] == {"done": passes, "saved": 0}
    assert call("demo", "--out", "d", "--quiet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["encoder_passes"]["done"] == 0


def test_a_store_keeps_its_manifest_through_refusals_and_second_data_sets(
    world: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world, "other")
    for number, path in enumerate(sorted(Path("other").rglob("*.png"))):  # other pictures, the same folders
        picture = np.asarray(Image.open(path)).copy()
        picture[0, 0] = number % 256, number // 256, 7
        Image.fromarray(picture).save(path)
    shutil.copytree(checkpoint, "model")
    options = ("--store", "s", "--geometry", "squash:32", "--quiet")
    assert call("embed", world, "--encoder", "model", *options) == 0
    before = Path("s.manifest.parquet").read_bytes()
    assert call("embed", "other", "--encoder", "model", "--precision", "bf16", *options) == 2
    assert Path("s.manifest.parquet").read_bytes() == before
    assert call("embed", "other", "--encoder", "model", *options) == 0
    assert set(pd.read_parquet("s.manifest.parquet")["dataset"]) == {"world", "other"}
    assert call("train", "--store", "s", "--out", "p", "--train-on", "all", "--quiet") == 0
    # The probe knows what loads its encoder, a folder here.
    probe = Path("p/model__all__none.safetensors")
    capsys.readouterr()
    assert call("score", world / "Real" / "000.png", "--probe", probe, "--quiet") == 0
    shutil.move("model", "moved")
    capsys.readouterr()
    assert "--encoder" in fails(capsys, "score", world / "Real" / "000.png", "--probe", probe, "--quiet")
    assert call("score", world / "Real" / "000.png", "--probe", probe, "--encoder", "moved", "--quiet") == 0


def test_a_filter_that_fails_on_a_later_image_leaves_nothing(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save("a.png")
    Image.new("RGB", (16, 16), "red").save("b.png")
    assert call("filter", "a.png", "b.png", "--filter", "ideal-highpass:25px", "--out", "o", "--show") == 2
    assert [path for path in Path("o").rglob("*") if path.is_file()] == []
