"""What a study keeps for the page's gallery and slider, while its images are at hand."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import bandprobe as bp
from bandprobe.analysis.radius_pictures import RadiusSpectra

STUDY = """
[data]
root = "{root}"
[encoders]
names = ["spectral"]
geometry = "squash:32"
[filters]
test = ["none", "identity", "lowpass:3px", "lowpass:8px", "jpeg:50"]
[probes]
train_on = ["each"]
[analysis]
information = false
spectrum = false
mmd = false
entropy = false
claims = false
audit = false
calibration = false
bands = false
"""


def test_pictures_are_kept_and_the_page_is_made_again_without_the_images(world, tmp_path, monkeypatch):
    build = importlib.import_module("bandprobe.report.build")
    monkeypatch.setattr(
        build, "_draw", lambda planned, folder: [folder / f"{one.stem}.png" for one in planned]
    )
    root = tmp_path / "data"
    shutil.copytree(world, root)
    (tmp_path / "study.toml").write_text(STUDY.format(root=root.as_posix()), encoding="utf-8")
    run = bp.Study.from_toml(tmp_path / "study.toml").run(tmp_path / "run")
    assert {"radius", "mistakes"} <= set(run.record["timings"])
    spectra = RadiusSpectra.load(run.folder / "radius.npz")
    assert spectra.filters == ("lowpass:3px", "lowpass:8px")
    assert spectra.generators == ("Real", "DDPM", "ProGAN")
    assert spectra.side == 32
    assert (spectra.left[:, 0] < spectra.left[:, 1]).all()
    measured = run.results[run.results["filter"].isin(spectra.filters)].groupby("filter")["ac_removed"].mean()
    np.testing.assert_allclose(1 - measured[list(spectra.filters)], spectra.left.mean(0), atol=0.1)
    table = pd.read_csv(run.folder / "mistakes.csv", keep_default_na=False)
    assert set(table["filter"]) == {"none", "identity", "lowpass:3px", "lowpass:8px"}
    listed = set(table.loc[table["rank"] > 0, "image_id"])
    assert listed == set(pd.read_parquet(run.folder / "mistakes.parquet")["image_id"])
    assert listed <= set(run.manifest.query("split == 'test'")["image_id"])
    for file in ("radius.npz", "mistakes.csv", "report.html"):
        assert (run.folder / file).is_file()
    first = Path(run.report).read_text(encoding="utf-8")
    shutil.rmtree(root)
    again = build.build(run.folder).read_text(encoding="utf-8")
    for text in (first, again):
        assert text.count("data:image/webp") > 5
    assert first.count("data:image/webp") == again.count("data:image/webp")


def test_sensitivity_can_be_asked_of_a_study(world, tmp_path, monkeypatch):
    build = importlib.import_module("bandprobe.report.build")
    monkeypatch.setattr(
        build, "_draw", lambda planned, folder: [folder / f"{one.stem}.png" for one in planned]
    )
    text = STUDY.format(root=world.as_posix()).replace(
        "[analysis]", "[analysis]\nsensitivity = true\nsamples = 2"
    )
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    run = bp.Study.from_toml(tmp_path / "study.toml").with_options(limit=30).run(tmp_path / "run")
    assert "sensitivity" in run.record["timings"]
    profiles = pd.read_csv(run.folder / "sensitivity.csv", keep_default_na=False)
    assert set(profiles["trained_on"]) == {"DDPM", "ProGAN", ""}
    with np.load(run.folder / "sensitivity.npz") as maps:
        assert len(maps.files) > 0
