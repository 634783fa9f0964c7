"""`shapley` and `attack` as commands: tables, figures, what lies in the store already, and wrong use in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe import cli
from small_detector import micro_table, write_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    [path] = write_probe(tmp_path_factory.mktemp("bands"), micro_table(40))
    return path


def test_what_bands_add_sums_to_the_whole_and_is_not_computed_twice(
    probe: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = [
        "shapley",
        str(world),
        "--probes",
        str(probe),
        "--store",
        str(tmp_path / "store"),
        "--out",
        str(out),
    ]
    command += ["--bands", "0,0.15,0.5,2", "--samples", "6", "--json"]
    assert cli.run(command) == 0
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(out / "shapley.csv", keep_default_na=False)
    assert said["rows"] == len(table) == 2 * 3 * 3  # test sets, quantities, bands
    assert said["passes"] % 8 == 0  # coalitions; a picture may stand in two sources
    assert 8 * 12 < said["passes"] <= 3 * 6 * 8
    assert set(table["quantity"]) == {"auroc", "logit real", "logit fake"}
    for _, rows in table.groupby(["tested_on", "quantity"]):
        assert rows["value"].sum() == pytest.approx((rows["whole"] - rows["bare"]).iloc[0], abs=1e-6)
    assert (table["low"] <= table["high"]).all()
    assert (table["sampling_error"] == 0).all()
    [figure] = said["figures"]
    assert Image.open(figure).width == 1400
    again = [*command[:-1], "--json"]
    assert cli.run(again) == 0
    repeated = json.loads(capsys.readouterr().out)
    assert (repeated["passes"], repeated["saved"]) == (0, said["passes"])


def test_many_bands_are_sampled(probe: Path, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        "shapley",
        str(world),
        "--probes",
        str(probe),
        "--store",
        str(tmp_path / "store"),
        "--out",
        str(out),
    ]
    assert cli.run([*command, "--bands", "11", "--orders", "4", "--samples", "2", "-q"]) == 0
    table = pd.read_csv(out / "shapley.csv", keep_default_na=False)
    assert set(table["method"]) == {"sampled"}
    assert table["band"].nunique() == 11
    for _, rows in table.groupby(["tested_on", "quantity"]):
        assert rows["value"].sum() == pytest.approx((rows["whole"] - rows["bare"]).iloc[0], abs=1e-6)


def test_how_little_of_a_band_flips(
    probe: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["attack", str(world), "--probes", str(probe), "--out", str(out), "--samples", "3", "--json"]
    assert cli.run([*command, "--bands", "3", "--steps", "5"]) == 0
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(out / "attack.csv", keep_default_na=False)
    assert said["rows"] == len(table) == 3 * 3 * 5  # sources, bands, measures
    assert set(table["source"]) == {"Real", "ProGAN", "DDPM"}
    assert (table["n"] == 3).all()
    found = table.pivot_table("value", ["source", "band"], "measure")
    assert (found["survives"] <= found["flipped"]).all()
    assert np.isfinite(found.loc[found["flipped"] > 0.7, "rms"]).all()
    assert (found["rms"][np.isfinite(found["rms"])] <= 8).all()
    assert found["flipped"].max() > 0
    [figure] = said["figures"]
    assert Image.open(figure).width == 1400


@pytest.mark.parametrize(
    ("bands", "said"),
    [("0.5,0.2", "must rise"), ("many", "a number of them, or edges"), ("2,3", "holds a coefficient")],
)
def test_bands_that_are_none(
    bands: str, said: str, probe: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.run(["attack", str(world), "--probes", str(probe), "--out", str(out), "--bands", bands]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()


def test_an_encoder_without_gradients_cannot_be_attacked(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, probes = tmp_path / "store", tmp_path / "probes"
    small = ["--geometry", "squash:32", "-q"]
    assert cli.run(["embed", str(world), "--encoder", "spectral", "--store", str(store), *small]) == 0
    assert cli.run(["train", "--store", str(store), "--train-on", "all", "--out", str(probes), "-q"]) == 0
    capsys.readouterr()
    assert cli.run(["attack", str(world), "--probes", str(probes), "--out", str(tmp_path / "o"), "-q"]) == 2
    error = capsys.readouterr().err
    assert "no encoder with gradients" in error
    # Shapley values need none.
    command = ["shapley", str(world), "--probes", str(probes), "--store", str(store), "--bands", "2"]
    assert cli.run([*command, "--samples", "4", "--out", str(tmp_path / "o"), "-q"]) == 0
