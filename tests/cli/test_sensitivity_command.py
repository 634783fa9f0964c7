"""`sensitivity` as a command: tables, maps and figures of probes and of bare encoders, and wrong use in one line."""

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
    [path] = write_probe(tmp_path_factory.mktemp("sensitivity"), micro_table(40))
    return path


def test_tables_maps_and_figures(
    probe: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--samples", "3", "--rings", "3", "--sectors", "2", "--draws", "1", "--curvature"]
    code = cli.run(["sensitivity", str(world), "--probes", str(probe), "--out", str(out), *options, "--json"])
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(out / "sensitivity.csv", keep_default_na=False)
    assert said["rows"] == len(table)
    own = {"logit amplitude", "auroc amplitude", "logit phase"}
    assert set(table["quantity"]) == {"logit", "auroc", "embedding"} | own
    assert set(table["source"]) == {"Real", "ProGAN", "DDPM"}
    assert (table["n"] == 3).all()
    radial = table.query("axis == 'radial' and quantity == 'logit' and source == 'Real'")
    assert len(radial) == 33
    with np.load(out / "sensitivity.npz", allow_pickle=False) as maps:
        whole = maps["micro-dino|all|none|logit|world|Real"]
        rings = np.rint(np.hypot(*np.meshgrid(np.arange(64) - 32, np.arange(64) - 32))).astype(int)
        means = [whole[rings == ring].mean() for ring in range(33)]
    np.testing.assert_allclose(radial["value"], means, rtol=1e-4)
    agreement = pd.read_csv(out / "sensitivity_agreement.csv")
    assert (agreement["spearman"].abs() <= 1).all()
    curved = pd.read_csv(out / "sensitivity_curvature.csv", keep_default_na=False)
    assert len(curved) == 3 * 6  # sources, bands
    assert ((curved["low"] <= curved["value"]) & (curved["value"] <= curved["high"])).all()
    assert len(said["figures"]) == 4  # logit, AUROC, embedding, and AUROC by the growth of what is there
    assert all(Image.open(path).width == 1400 for path in said["figures"])


def test_encoders_without_gradients_are_perturbed(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--encoder",
        "spectral",
        "--geometry",
        "squash:32",
        "--samples",
        "2",
        "--rings",
        "2",
        "--sectors",
        "2",
    ]
    assert cli.run(["sensitivity", str(world), "--out", str(tmp_path / "o"), *options]) == 0
    assert "spectral has no gradient" in capsys.readouterr().err
    assert set(pd.read_csv(tmp_path / "o" / "sensitivity.csv")["method"]) == {"perturb"}


def test_wrong_use_is_one_line(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["sensitivity", str(world), "--out", str(tmp_path / "o")]) == 2
    assert "nothing to ask" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
