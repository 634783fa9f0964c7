"""`--dry-run`: the plan is that of the real run, and the disk is as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bandprobe.cli import run

GRID = ("--geometry", "squash:32")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").symlink_to(world)


def disk(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with what changes when it is written."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size if path.is_file() else 0, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """What a dry run says as JSON; it says the same numbers in words, and changes nothing."""
    before = disk(Path())
    assert run([*arguments, "--dry-run", "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    content = json.loads(out)
    assert content["dry_run"] is True
    assert run([*arguments, "--dry-run"]) == 0
    words = capsys.readouterr().out
    assert "would " in words
    assert disk(Path()) == before
    return content


def test_filter(capsys: pytest.CaptureFixture[str]) -> None:
    command = (
        "filter",
        "world/Real",
        "world/DDPM",
        "--filter",
        "lowpass:5..15/5px",
        "--limit",
        "72",
        "--out",
        "o",
    )
    content = planned(capsys, *command)
    assert (content["images"], len(content["filters"])) == (72, 3)
    assert run([*command, "--quiet"]) == 0
    assert {str(path) for path in Path("o").iterdir()} == set(content["would_write"])
    assert len(content["would_write"]) == 72 * 3 + 1


def test_embed_counts_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("embed", "world", "--encoder", "spectral", "other=spectral", *GRID, "--store", "emb")
    first = planned(capsys, *command, "--filter", "none")
    assert (first["passes"], first["saved"]) == (2 * 160, 0)
    assert (
        run(["embed", "world", "--encoder", "spectral", *GRID, "--store", "emb", "--filter", "none", "-q"])
        == 0
    )
    capsys.readouterr()
    second = planned(capsys, *command, "--filter", "none", "lowpass:5px")
    assert second["missing"] == {
        "spectral": {"none": 0, "lowpass:5px": 160},
        "other": {"none": 160, "lowpass:5px": 160},
    }
    assert (second["passes"], second["saved"]) == (480, 160)
    assert run([*command, "--filter", "none", "lowpass:5px", "--json", "-q"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["passes"], done["saved"]) == (second["passes"], second["saved"])


def test_embed_loads_no_encoder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> list[object]:
        raise AssertionError("weights are fetched")

    monkeypatch.setattr("bandprobe.encoders.registry.load", load)
    content = planned(capsys, "embed", "world", "--encoder", "dinov2-giant", "--store", "emb")
    assert content["missing"] == {"dinov2-giant": {"none": 160}}


def test_train(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", "world", "--encoder", "spectral", *GRID, "--store", "emb", "-q"]) == 0
    capsys.readouterr()
    command = ("train", "--store", "emb", "--train-on", "each", "all", "--out", "p")
    content = planned(capsys, *command)
    assert (content["probes"], content["there"]) == (3, 0)
    assert run([*command, "-q"]) == 0
    capsys.readouterr()
    assert {str(path) for path in Path("p").iterdir()} == set(content["would_write"])
    assert planned(capsys, *command)["there"] == 3


def test_train_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    content = planned(capsys, "train", "--end-to-end", "world", "--encoder", "dinov2-small", "--out", "p")
    assert content["would_write"] == ["p/dinov2-small__all__none.safetensors"]


def test_index(capsys: pytest.CaptureFixture[str]) -> None:
    content = planned(capsys, "index", "world", "--out", "m.parquet")
    assert content["images"] == 160
    assert not Path("m.parquet").exists()


def test_study(capsys: pytest.CaptureFixture[str]) -> None:
    Path("study.toml").write_text(
        '[data]\nroot = "world"\n[encoders]\nnames = ["spectral"]\ngeometry = "squash:32"\n'
        '[filters]\ntest = ["none", "lowpass:5px"]\n[analysis]\ninformation = false\n'
    )
    content = planned(capsys, "study", "study.toml", "--out", "run")
    assert content["would_write"] == ["run/"]
    train_val, test = 128, 32  # 70/10/20 of 160, by the pictures' hashes
    images = {"train": 0, "val": 0, "test": 0}
    for source in content["counted"]["images"]["sources"]:
        images[source["split"]] += source["n"]
    assert sum(images.values()) == train_val + test
    stages = [one for one in content["counted"]["passes"]["by_stage"] if one["stage"] != "bands"]
    assert sum(one["to_do"] for one in stages) == images["train"] + images["val"] + 2 * images["test"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["filter", "nowhere", "--filter", "none", "--out", "o"],
        ["embed", "world", "--encoder", "spectrl", "--store", "emb"],
        ["train", "--store", "emb", "--out", "p"],
    ],
)
def test_what_cannot_be_done_is_said_in_a_dry_run_too(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--dry-run"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert set(disk(Path())) == {"world"}
