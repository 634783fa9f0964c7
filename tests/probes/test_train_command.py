"""`bandprobe train` with heads, losses, switches, and on images."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandprobe.cli import run
from bandprobe.probes import load_folder


@pytest.fixture(scope="module")
def store(world: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command") / "emb"
    names = ["--encoder", str(checkpoint), "--encoder", f"{checkpoint}#tokens", "--filter", "none", "flip"]
    assert (
        run(["embed", str(world), *names, "--geometry", "squash:32", "--store", str(folder), "--quiet"]) == 0
    )
    return folder


def train(store: Path, out: Path, *more: str, encoder: str = "tiny-dinov2") -> int:
    arguments = [
        "--store",
        str(store),
        "--out",
        str(out),
        "--encoder",
        encoder,
        "--train-on",
        "all",
        "--quiet",
    ]
    return run(["train", *arguments, *more])


def test_heads_losses_and_switches(store: Path, tmp_path: Path) -> None:
    assert train(store, tmp_path / "1", "--head", "mlp", "--loss", "triplet") == 0
    assert train(store, tmp_path / "2", "--head", "attention", encoder="tiny-dinov2#tokens") == 0
    assert (
        train(store, tmp_path / "3", "--protocol", "thesis_optimiser,threshold_half", "--replicate", "2") == 0
    )
    found = [load_folder(tmp_path / name)[0] for name in "123"]
    assert [(probe.training["head"], probe.training["loss"]) for probe in found] == [
        ("mlp", "triplet"), ("attention", "bce"), ("linear", "bce"),
    ]  # fmt: skip
    assert found[1].probe.sizes["tokens"] == 17  # a class token and 4 x 4 patches of 8 px
    assert found[2].replicate == 2
    assert found[2].training["protocol"] == ["threshold_half", "thesis_optimiser"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--head", "attention"], "embed with tiny-dinov2#tokens, or take head linear or mlp"),
        (["--loss", "hinge"], "loss must be one of bce, focal, supcon, triplet"),
        (["--protocol", "sigmoid_hed"], "Did you mean 'sigmoid_head'"),
        (["--protocol", "adm_validation"], "the validation split has no image of ADM"),
        (["--augment", "flip"], "--augment is for training on images"),
        (["--end-to-end", "photos"], "train takes --store (embeddings) or --end-to-end (images)"),
    ],
)
def test_wrong_use_is_one_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    assert train(store, tmp_path / "p", *more) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "p").exists()


def test_images_instead_of_a_store(world: Path, checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="training on images needs the extra train")
    given = ["--end-to-end", str(world), "--encoder", str(checkpoint), "--geometry", "squash:32"]
    more = ["--augment", "flip", "--augment", "blur:1@0.2", "--epochs", "1", "--out", str(tmp_path / "p")]
    assert run(["train", *given, *more, "--quiet"]) == 0
    [probe] = load_folder(tmp_path / "p")
    assert (probe.encoder, probe.trained_on) == ("tiny-dinov2", "all")
    assert probe.training["end_to_end"]["augment"] == ["flip@0.5", "blur:1@0.2"]
    assert (
        run(["score", str(world / "Real" / "000.png"), "--probe", str(tmp_path / "p" / probe.file_name)]) == 0
    )
