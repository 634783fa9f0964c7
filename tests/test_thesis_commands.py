"""Every command of docs/thesis.md runs, one after the other, on small data with small encoders."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe import cli
from bandprobe.encoders.catalogue import ENTRIES
from small_picture import small_picture

PAGE = Path(__file__).resolve().parents[1] / "docs" / "thesis.md"
LINES = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
]
ENCODERS = ("dinov2-giant", "openclip-vit-g-14")
GENERATORS = {"ProGAN": "ProGAN", "StyleGAN": "ProGAN", "DDPM": "DDPM", "ADM": "DDPM"}  # drawn like


def write_bedroom(root: Path) -> None:
    """Ricker et al.'s layout: test holds one shared Real, train and val reals of their own a generator."""
    rng = np.random.default_rng(0)

    def write(folder: Path, like: str, n: int) -> None:
        folder.mkdir(parents=True)
        for number in range(n):
            Image.fromarray(small_picture(rng, like, side=48)).save(folder / f"{number:03d}.png")

    for name, like in {"Real": "Real", **GENERATORS}.items():
        write(root / "test" / name, like, 14)
    for split, n in (("train", 5), ("val", 3)):
        for name, like in GENERATORS.items():
            write(root / split / name / "0_real", "Real", n)
            write(root / split / name / "1_fake", like, n)


def write_encoder(folder: Path, number: int) -> None:
    """A vision transformer with random weights and 16 patches at 224 px."""
    import torch

    from bandprobe.encoders.extras import hide_broken_torchvision

    hide_broken_torchvision()
    import transformers

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 56}
    with torch.random.fork_rng():
        torch.manual_seed(number)
        config = transformers.Dinov2Config(**shape, image_size=224, initializer_range=0.2)
        transformers.Dinov2Model(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    write_bedroom(folder / "lsun_bedroom")
    for number, name in enumerate(ENCODERS):
        write_encoder(folder / name, number)
    for name in ("photo.png", "reference.png"):
        Image.fromarray(small_picture(np.random.default_rng(1), "Real", side=64)).save(folder / name)
    return folder


def test_the_page_shows_every_script_of_the_thesis() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for script in ("train.py", "core/fft.py", "evaluation.py", "evaluation_fast.py", "frequency_analysis.py",
                   "calculate_MMD.py"):  # fmt: skip
        assert script in text
    assert len(LINES) >= 20
    assert all(line.startswith("bandprobe ") for line in LINES)


def test_every_command_runs(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    for name in ENCODERS:  # folders of that name stand in for the hub's models
        monkeypatch.delitem(ENTRIES, name)
    for line in LINES:
        words = shlex.split(line)[1:]
        small = ["--permutations", "50"] if words[0] == "mmd" else []
        assert cli.run([*words, *small, "--quiet"]) == 0, line
    results = pd.read_csv("runs/lowpass/results.csv")
    assert set(results["encoder"]) == set(ENCODERS)
    assert len(set(results["filter"])) == 40
    scores = pd.read_parquet("runs/lowpass/scores.parquet")
    assert {"image_id", "logit", "output"} <= set(scores.columns)
    assert Path("runs/lowpass/report.html").stat().st_size > 100_000
    assert {"ProGAN"} <= set(pd.read_csv("mmd/fakes/mmd.csv")["source"])
    measures = pd.read_csv("entropy/entropy.csv")
    assert {"effective_rank", "cka", "mutual_knn"} <= set(measures["measure"])
    assert {"random:dinov2-giant"} <= set(measures["encoder"])
    assert len(list(Path("filtered/injected").glob("*.png"))) == 10
