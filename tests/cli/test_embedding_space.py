"""`entropy` and `project` from data to table and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from bandprobe.analysis.entropy import COLUMNS
from bandprobe.cli.embedding_space import entropy, project
from bandprobe.errors import InputError

FILTERS = ("lowpass:0.15nyq", "lowpass:0.5nyq")


def run(*arguments: object) -> str:
    app = typer.Typer()
    for command in (entropy, project):
        app.command()(command)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test images alone: 14 of each source."""
    root, rng = tmp_path_factory.mktemp("space"), np.random.default_rng(0)
    for source in ("Real", "ProGAN", "DDPM"):
        for split in ("train", "val", "test"):
            place = root / "data" / split / source
            place.mkdir(parents=True)
            for number in range(14 if split == "test" else 2):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return root


def test_entropy_embeds_measures_and_draws(folder: Path, checkpoint: Path) -> None:
    specs = [word for spec in FILTERS for word in ("--filter", spec)]
    out = run("entropy", folder / "data", "--encoder", checkpoint, *specs, "--geometry", "squash:32", "--store",
              folder / "store", "--out", folder / "entropy", "--json", "--quiet")  # fmt: skip
    said = json.loads(out)
    table = pd.read_csv(said["entropy"], keep_default_na=False)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == said["rows"]
    # The twin, the identity and the high-passes came by themselves.
    assert set(table["encoder"]) == {"tiny-dinov2", "random:tiny-dinov2", "images"}
    assert set(table.loc[table["measure"] == "cka", "filter"]) == set(FILTERS)
    assert set(table.loc[table["measure"] == "knn_entropy", "reason"]) == {""}
    drawn = {Path(path).stem for path in said["figures"]}
    assert {"entropy-lowpass", "correspondence-lowpass", "entropy-rings-data"} <= drawn
    assert all(Path(path).with_suffix(".pdf").is_file() for path in said["figures"])
    # The store is enough the second time; without twins the encoder alone.
    out = run("entropy", "--store", folder / "store", "--out", folder / "again", "--no-twin", "--no-images",
              "--json")  # fmt: skip
    again = pd.read_csv(json.loads(out)["entropy"], keep_default_na=False)
    assert set(again["encoder"]) == {"tiny-dinov2"}
    with pytest.raises(InputError, match="name one with --encoder"):
        run("entropy", folder / "data", "--store", folder / "store", "--out", folder / "none")
    assert not (folder / "none").exists()

    out = run("project", "--store", folder / "store", "--encoder", "tiny-dinov2", "--method", "tsne,pca", "--filter",
              "lowpass:0.15nyq,identity", "--out", folder / "plane", "--json")  # fmt: skip
    said = json.loads(out)
    points = pd.read_csv(said["projection"])
    assert len(points) == said["points"] == 2 * 2 * 3 * 14
    assert [Path(path).name for path in said["figures"]] == [
        "projection-tiny-dinov2-tsne.png",
        "projection-tiny-dinov2-pca.png",
    ]
    with pytest.raises(InputError, match="fewer images than perplexity"):
        run("project", "--store", folder / "store", "--perplexity", "900", "--out", folder / "none",
            "--filter", "identity")  # fmt: skip
    assert not (folder / "none").exists()
