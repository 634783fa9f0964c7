"""`bandprobe audit` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.cli import run
from small_picture import small_picture


@pytest.fixture(scope="module")
def confounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reals as JPEG, fakes as PNG, else alike."""
    root = tmp_path_factory.mktemp("audited") / "faces"
    rng = np.random.default_rng(0)
    for folder, ending in (("Real", "jpg"), ("ProGAN", "png")):
        (root / folder).mkdir(parents=True)
        for number in range(24):
            Image.fromarray(small_picture(rng, "Real", 64)).save(root / folder / f"{number:02d}.{ending}")
    return root


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def test_the_confound_is_named(confounded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", confounded) == 0
    out = capsys.readouterr().out
    assert "format differs: PNG in 100 % of fakes and 0 % of reals" in out
    assert "headers of 24 reals and 24 fakes" in out
    table = pd.read_csv("audit.csv", keep_default_na=False)
    assert table.columns[:6].tolist() == ["trace", "dataset", "auroc", "low", "high", "warning"]
    row = table[table["trace"] == "format"].iloc[0]
    assert (float(row["auroc"]), row["dataset"]) == (1.0, "faces")
    assert float(row["low"]) > 0.6


def test_equalised(confounded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", confounded, "--equalise", "--json", "--out", "made/eq.csv", "--workers", "1") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["audit"], said["equalise"]) == ("made/eq.csv", "crop:64+squash:32+jpeg:75")
    rows = {row["trace"]: row for row in said["rows"]}
    assert rows["metadata"]["auroc_found"] == 1
    assert rows["metadata"]["low"] < 0.5 < rows["metadata"]["high"]
    assert call("audit", confounded, "--equalise-to", "squash:40+jpeg:90", "--out", "made") == 0
    out = capsys.readouterr().out
    assert "Equalised by squash:40+jpeg:90: faces, metadata, from 1.000 to AUROC 0.500" in out
    assert Path("made/audit.csv").is_file()


def test_left_out_and_limit(confounded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "faces"
    for path in confounded.rglob("*.*"):
        target = copy / path.relative_to(confounded)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (copy / "Real" / "00.jpg").write_bytes(b"no image")
    assert call("audit", copy, "--json", "--limit", "22", "--samples", "21", "--seed", "1") in (0, 1)
    said = json.loads(capsys.readouterr().out)
    assert "21 reals and 21 fakes" in said["notes"][0] or "22 reals" in said["notes"][0]
    assert call("audit", copy, "--quiet") == 1
    assert "00.jpg" in capsys.readouterr().err
    fake = copy / "ProGAN" / "01.png"
    Image.open(copy / "Real" / "02.jpg").save(fake)
    assert call("audit", copy, "--strict", "--quiet", "--out", "strict.csv") == 2
    err = capsys.readouterr().err
    assert "under both labels" in err
    assert not Path("strict.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--equalise-to", "jpeg:75"], "crop:256+squash:224+jpeg:75"),
        (["--equalise-to", "crop:500+jpeg:75"], "smaller than the common crop"),
        (["--background", "whit"], "background must be a colour"),
        (["--samples", "0"], "--samples"),
    ],
)
def test_wrong_use_is_one_line(
    confounded: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("audit", confounded, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert words in err


def test_no_such_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("audit", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
