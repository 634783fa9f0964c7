"""`train --recipe`: detectors as probe files that score pictures as they score stored embeddings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe import cli
from bandprobe.cli.manifests import beside
from bandprobe.probes import load
from bandprobe.recipes import RECIPES
from bandprobe.store import EmbeddingStore

ENCODERS = ("spectral", "micro-clip")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Path:
    """Two encoders under every filter that recipes need."""
    place = tmp_path_factory.mktemp("recipes") / "store"
    command = ["embed", str(world), "--encoder", *ENCODERS, "--geometry", "squash:64", "--filter", "recipes"]
    assert cli.run([*command, "--store", str(place), "--quiet"]) == 0
    return place


def test_the_preset_holds_what_recipes_need(store: Path) -> None:
    held = set(EmbeddingStore(store).conditions())
    assert {one for recipe in RECIPES.values() for one in recipe.conditions(ENCODERS)} <= held


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_picture_scores_as_its_stored_embedding(
    recipe: str, store: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = tmp_path / "store", tmp_path / "probes"
    shutil.copytree(store, place)
    shutil.copy(beside(store), beside(place))
    command = ["train", "--store", str(place), "--recipe", recipe, "--out", str(out), "--json", "--quiet"]
    several = RECIPES[recipe].several
    if not several:
        command += ["--encoder", "spectral"]
    assert cli.run(command) == 0
    [said] = json.loads(capsys.readouterr().out)
    assert said["recipe"] == recipe
    [path] = out.glob("*.safetensors")
    assert path.stem.endswith(f"__recipe-{recipe}")
    file = load(path)
    assert file.trained_on == ("all" if recipe == "plain" else f"all ({recipe})")
    assert cli.run(["score", str(world / "DDPM"), "--probe", str(path), "--format", "json", "-q"]) == 0
    scored = {Path(row["path"]).name: row["logit"] for row in json.loads(capsys.readouterr().out)}
    manifest = pd.read_parquet(beside(place))
    mine = manifest[manifest["generator"] == "DDPM"]
    rows = EmbeddingStore(place).read(file.encoder, "none", list(mine["image_id"]))
    stored = dict(zip(rows.image_id, file.probe.logits(rows.embedding), strict=True))
    for image_id, picture in zip(mine["image_id"], mine["path"], strict=True):
        assert scored[Path(picture).name] == pytest.approx(stored[image_id], abs=2e-3)
    assert np.std(list(scored.values())) > 0.01
    # Made again nothing is fitted: the file is kept as it is.
    before = path.stat().st_mtime_ns
    assert cli.run(command) == 0
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "laece"], "there is no recipe 'laece'. Did you mean 'leace'?"),
        (["--recipe", "leace", "--head", "mlp"], "--recipe makes linear probes on a --store"),
        (["--recipe", "stacked", "--encoder", "spectral"], "joins two encoders or more; got spectral"),
        (["--recipe", "chosen-cutoff", "--train-on", "DDPM"], "needs at least 2 in the training set; it has 1 (DDPM)"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(
    arguments: list[str], said: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "probes"
    assert cli.run(["train", "--store", str(store), "--out", str(out), "-q", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(out.glob("*"))


def test_filters_that_are_missing_are_named(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "store"
    embed = ["embed", str(world), "--encoder", "spectral", "--geometry", "squash:64", "--filter", "none"]
    assert cli.run([*embed, "--store", str(place), "-q"]) == 0
    capsys.readouterr()
    assert (
        cli.run(["train", "--store", str(place), "--recipe", "leace", "--out", str(tmp_path / "p"), "-q"])
        == 2
    )
    error = capsys.readouterr().err
    assert (
        "lacks 'spectral' under highpass:0.15nyq highpass:0.5nyq; make them with `bandprobe embed DATA"
        in error
    )


def test_openset_writes_tables_figures_and_what_they_say(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "openset"
    command = [
        "openset",
        "--store",
        str(store),
        "--recipe",
        "radii",
        "stacked",
        "--replicates",
        "0",
        "--out",
        str(out),
    ]
    assert cli.run([*command, "--json", "-q"]) == 0
    said = json.loads(capsys.readouterr().out)
    rows = pd.read_csv(said["openset"], keep_default_na=False, na_values=[""])
    assert set(rows["left_out"]) == {"ProGAN", "DDPM", "gan", "diffusion"}
    assert set(zip(rows["encoder"], rows["recipe"], strict=True)) == {
        ("spectral", "radii"), ("micro-clip", "radii"), ("micro-clip+spectral", "stacked"),
    }  # fmt: skip
    assert rows.loc[rows["metric"] == "auroc", "value"].between(0, 1).all()
    summary = pd.read_csv(said["summary"], keep_default_na=False, na_values=[""])
    assert set(summary["verdict"]) == {"undecided"}  # of two generators nothing can be said
    assert any("no recipe is better than the plain probe" in one.lower() for one in said["said"])
    for figure in said["figures"]:
        assert Image.open(figure).width == 1400
    assert cli.run([*command, "--out", str(tmp_path / "text"), "-q"]) == 0
    assert "micro-clip+spectral" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recipe", "radi"], "there is no recipe 'radi'. Did you mean 'radii'?"),
        ([], "leaving a generator out needs at least 3 generators with training images"),
        (["--recipe", "radii", "--by", "familiy"], "must be generator or family; got 'familiy'."),
        (["--recipe", "stacked", "--encoder", "spectral"], "joins two encoders or more; got spectral"),
    ],
)
def test_openset_refuses_in_one_line(
    arguments: list[str], said: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "openset"
    assert cli.run(["openset", "--store", str(store), "--out", str(out), "-q", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(out.glob("*"))
