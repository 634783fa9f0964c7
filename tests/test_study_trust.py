"""A study's audit, bands, promises and common history, from pictures with planted traces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import bandprobe as bp
from bandprobe.datasets import photograph
from bandprobe.errors import InputError
from bandprobe.images import Geometry, decode
from bandprobe.images.equalise import Equalise
from bandprobe.selftest import Artefact, plant
from bandprobe.store import EmbeddingStore

N = 90


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reals saved as JPEG, fakes as PNG with noise in one ring of frequencies, on 64 px."""
    root = tmp_path_factory.mktemp("trust") / "planted"
    rng = np.random.default_rng(0)
    pictures = np.stack([photograph(number, "trust", size=64)[0] for number in range(2 * N)])
    fakes = plant(pictures[N:], Artefact("ring-noise", 0.55, 0.7, 6.0), rng)
    for name, group, kind in (("Real", pictures[:N], "jpg"), ("RingGAN", fakes, "png")):
        (root / name).mkdir(parents=True)
        for number, picture in enumerate(group):
            Image.fromarray(picture).save(root / name / f"{number:03d}.{kind}", quality=92)
    return root


def study(root: Path, **data: Any) -> bp.Study:
    return bp.Study.from_dict(
        {
            "data": {"root": str(root), "splits": [0.4, 0.2, 0.4], **data},
            "families": {"gan": ["RingGAN"]},
            "encoders": {"names": ["spectral"], "geometry": "squash:64"},
            "filters": {"test": ["none", "identity"]},
            "analysis": {"information": False, "mmd": False, "entropy": False, "claims": False},
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, planted: Path) -> bp.Run:
    return study(planted).run(tmp_path_factory.mktemp("trust-run") / "run")


def test_the_audit_names_the_planted_confound_above_the_results(run: bp.Run) -> None:
    audit = pd.read_csv(run.folder / "audit.csv")
    assert list(audit.columns[:6]) == ["trace", "dataset", "auroc", "low", "high", "warning"]
    found = audit.set_index("trace")
    assert found.loc["format", "auroc"] == 1
    assert "JPEG" in found.loc["format", "warning"]
    page = run.report.read_text(encoding="utf-8")
    assert page.index('id="audit"') < page.index('id="headlines"')
    assert "format differs" in page


def test_the_planted_band_is_in_the_tables_and_on_the_page(run: bp.Run) -> None:
    bands = pd.read_csv(run.folder / "bands.csv")
    assert list(bands.columns) == [
        "encoder", "trained_on", "train_filter", "tested_on", "centre_nyq", "low_nyq", "high_nyq", "strength",
        "p_value",
    ]  # fmt: skip
    mine = bands[(bands["trained_on"] == "RingGAN") & (bands["tested_on"] == "RingGAN")]
    assert len(mine) == 1
    assert abs(mine["centre_nyq"].iloc[0] - 0.625) < 0.08
    assert mine["low_nyq"].iloc[0] <= 0.625 <= mine["high_nyq"].iloc[0]
    tested = pd.read_csv(run.folder / "bands_tested.csv")
    assert set(tested["kind"]) == {"pass", "stop", "random"}
    page = run.report.read_text(encoding="utf-8")
    assert f"{mine['low_nyq'].iloc[0]:.2f}–{mine['high_nyq'].iloc[0]:.2f}" in page
    assert (run.folder / "figures" / "bands-spectral.png").exists()


def test_promises_are_listed(run: bp.Run) -> None:
    table = pd.read_csv(run.folder / "calibration.csv")
    assert set(table["measure"]) == {"false_alarm", "detection", "ece", "brier"}
    own = table[(table["measure"] == "false_alarm") & table["promised"].isna()]
    assert own["value"].between(0, 1).all()
    assert "Do thresholds and probabilities hold elsewhere?" in run.report.read_text(encoding="utf-8")


def test_a_second_run_does_nothing(run: bp.Run, planted: Path) -> None:
    again = study(planted).run(run.folder)
    assert again.record["encoder_passes"]["done"] == 0


def test_equalised_pictures_share_a_history(planted: Path, tmp_path: Path) -> None:
    done = study(planted, equalise="auto").run(tmp_path / "run")
    recipe = Equalise(64, 32, 75)
    assert done.record["config"]["data"]["equalise"] == str(recipe)
    audit = pd.read_csv(done.folder / "audit.csv").set_index("trace")
    assert audit.loc["format", ["auroc_found", "auroc"]].tolist() == [1, 0.5]
    assert audit.loc["metadata", "low"] <= 0.5 <= audit.loc["metadata", "high"]
    assert f"Equalised by {recipe}" in done.report.read_text(encoding="utf-8")
    # What was embedded is what the recipe makes of a file.
    row = done.manifest[done.manifest["split"] == "test"].iloc[0]
    rgb = Geometry.squash(64).apply(recipe.apply(decode(row["path"])))
    expected = bp.encoders.load("spectral").encode(rgb.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    stored = EmbeddingStore(done.folder / "store", {"spectral": "spectral"}).read(
        "spectral", "none", [row["image_id"]]
    )
    np.testing.assert_allclose(stored.embedding, expected, atol=1e-5)


def test_native_grids_cannot_be_equalised(planted: Path, tmp_path: Path) -> None:
    settings = study(planted, equalise="auto").config.model_dump(mode="json")
    settings["encoders"]["geometry"] = "native"
    with pytest.raises(InputError, match="equalise needs one grid"):
        bp.Study.from_dict(settings).run(tmp_path / "run")
    with pytest.raises(InputError, match="equalise must be"):
        study(planted, equalise="jpeg:75")
