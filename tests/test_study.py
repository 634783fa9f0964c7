"""A whole study: what it leaves behind, what it does not do twice, and how it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import bandprobe as bp
from bandprobe.errors import InputError
from small_study import write_study

STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral", "tiny-dinov2"]
geometry = "squash:32"
[filters]
test = ["none", "identity", "lowpass:3..15/4px"]
[probes]
seeds = 1
[run]
batch_size = 16
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: Path, checkpoint: Path) -> bp.Run:
    folder = tmp_path_factory.mktemp("study")
    return bp.Study.from_toml(write_study(folder, world, checkpoint, STUDY)).run(folder / "run")


def test_a_run_directory_holds_what_is_promised(run: bp.Run) -> None:
    for name in ("run.json", "manifest.parquet", "store", "probes", "scores.parquet", "results.parquet",
                 "results.csv", "spectra.npz", "figures", "report.html"):  # fmt: skip
        assert (run.folder / name).exists(), name
    assert len(list((run.folder / "probes").glob("*.safetensors"))) == 2 * 6 * 5
    for kind in ("png", "pdf"):
        assert len(list((run.folder / "figures").glob(f"*.{kind}"))) >= 2 * 2 * 3
    manifest = run.manifest
    assert list(manifest.columns[:7]) == [
        "image_id",
        "path",
        "label",
        "generator",
        "family",
        "dataset",
        "split",
    ]
    assert manifest["family"].loc[manifest["generator"] == "DDPM"].eq("diffusion").all()


def test_results_are_tidy_and_the_same_in_both_files(run: bp.Run) -> None:
    from_csv = pd.read_csv(run.folder / "results.csv", keep_default_na=False, na_values=[""])
    assert list(from_csv.columns[:16]) == [
        "encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
        "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake",
    ]  # fmt: skip
    np.testing.assert_allclose(from_csv["value"], run.results["value"].astype(float))
    assert set(from_csv["trained_on"]) == {"ProGAN", "DDPM", "family:gan", "family:diffusion", "all"}
    spectral = run.results.query("encoder == 'spectral' and metric == 'auroc' and trained_on == tested_on")
    seen = spectral.query("train_filter == 'none'").set_index(["tested_on", "filter"])["value"]
    for generator in ("ProGAN", "DDPM"):
        assert seen[generator, "none"] > 0.9
        assert seen[generator, "identity"] == pytest.approx(seen[generator, "none"], abs=0.02)


def test_run_json_says_what_was_done(run: bp.Run) -> None:
    record = json.loads((run.folder / "run.json").read_text())
    images, conditions = len(run.manifest), 6
    assert record["encoder_passes"] == {"done": images * conditions * 2, "saved": 0}
    assert set(record["timings"]) == {
        "index",
        "audit",
        "embed",
        "train",
        "evaluate",
        "mmd",
        "entropy",
        "claims",
        "calibration",
        "bands",
        "spectrum",
        "radius",
        "mistakes",
        "report",
    }
    assert record["seed"] == 0
    assert record["versions"]["bandprobe"] == bp.__version__
    assert {"torch", "transformers", "scikit-learn", "python"} <= set(record["versions"])
    assert record["left_out"] == 0


def test_a_finished_run_is_recognised_without_loading_an_encoder(
    run: bp.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an encoder was loaded")

    before = (run.folder / "results.csv").stat().st_mtime_ns
    monkeypatch.setattr("bandprobe.encoders.load", fail)
    again = bp.Study.from_toml(run.folder.parent / "study.toml").run(run.folder)
    assert again.record["encoder_passes"] == {"done": 0, "saved": len(run.manifest) * 12}
    assert (run.folder / "results.csv").stat().st_mtime_ns == before


@pytest.mark.usefixtures("no_figures")
def test_two_runs_give_the_same_bytes(run: bp.Run, tmp_path: Path, world: Path, checkpoint: Path) -> None:
    path = write_study(tmp_path, world, checkpoint, STUDY)
    other = bp.Study.from_toml(path).with_options(workers=1).run(tmp_path / "other")
    assert (other.folder / "results.csv").read_bytes() == (run.folder / "results.csv").read_bytes()


def test_more_filters_compute_only_what_is_new(
    run: bp.Run, tmp_path: Path, world: Path, checkpoint: Path
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    path = write_study(
        tmp_path, world, checkpoint, STUDY.replace('"identity"', '"identity", "highpass:4..8/4px"')
    )
    more = bp.Study.from_toml(path).run(tmp_path / "run")
    images = len(run.manifest)
    assert more.record["encoder_passes"] == {"done": images * 4, "saved": images * 12}
    assert "highpass:8px" in set(more.results["filter"])
    assert {"lowpass", "highpass"} == {
        name.split("-")[-2]
        for name in (p.stem for p in (more.folder / "figures").glob("curves-spectral-auroc-*.png"))
    }


@pytest.mark.usefixtures("no_figures")
def test_a_run_stopped_by_a_signal_goes_on(
    tmp_path: Path, world: Path, checkpoint: Path, run: bp.Run
) -> None:
    """Killed outright in the middle of embedding; the second run ends with the first run's results."""
    path = write_study(tmp_path, world, checkpoint, STUDY)
    script = f"""
import os
import bandprobe as bp
from bandprobe.extract import pending
pending._FLUSH_SECONDS = 0.0
real, count = pending.Pending.flush_if_due, []
def flush_then_die(self):
    real(self); count.append(1)
    if len(count) == 40:
        os._exit(9)
pending.Pending.flush_if_due = flush_then_die
bp.Study.from_toml({str(path)!r}).run({str(tmp_path / "run")!r})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    done = bp.Study.from_toml(path).run(tmp_path / "run")
    passes = done.record["encoder_passes"]
    assert 0 < passes["saved"] <= 40 * 16
    assert passes["done"] + passes["saved"] == len(run.manifest) * 12
    assert (done.folder / "results.csv").read_bytes() == (run.folder / "results.csv").read_bytes()


def test_broken_images_are_left_out_and_listed(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    (tmp_path / "world" / "ProGAN" / "000.png").write_bytes(b"")
    (tmp_path / "world" / "Real" / "001.png").write_text("no image")
    text = STUDY.replace('["spectral", "tiny-dinov2"]', '["spectral"]')
    done = bp.Study.from_toml(write_study(tmp_path, world, checkpoint, text)).run(tmp_path / "run")
    assert done.exit_code == 1
    assert {Path(path).name for path in done.left_out} == {"000.png", "001.png"}
    assert len(done.manifest) == 158
    assert "000.png" in (done.folder / "report.html").read_text()
    again = bp.Study.from_toml(tmp_path / "study.toml").run(tmp_path / "run")
    assert again.exit_code == 1


@pytest.mark.usefixtures("no_figures")
def test_other_weights_in_the_same_run_are_refused(run: bp.Run, tmp_path: Path, world: Path) -> None:
    from random_encoder import write_random_encoder

    write_random_encoder(tmp_path / "tiny-dinov2", "random-clip")
    shutil.copytree(run.folder, tmp_path / "run")
    path = write_study(tmp_path, world, tmp_path / "tiny-dinov2", STUDY)
    with pytest.raises(bp.errors.StoreError, match=r"made otherwise .*encoder\.weights"):
        bp.Study.from_toml(path).run(tmp_path / "run")


def test_native_geometry_makes_no_cutoff_claim(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    text = STUDY.replace('["spectral", "tiny-dinov2"]', '["tiny-dinov2"]').replace("squash:32", "native")
    folder = tmp_path / "tiny-dinov2"
    shutil.copytree(checkpoint, folder)
    facts = json.loads((folder / "preprocessor_config.json").read_text())
    facts |= {"do_resize": True, "do_center_crop": True}
    facts |= {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    done = (
        bp.Study.from_toml(write_study(tmp_path, world, folder, text))
        .with_options(limit=30)
        .run(tmp_path / "r")
    )
    made = bp.store.EmbeddingStore(done.folder / "store").fingerprint("tiny-dinov2", "none") or {}
    assert made["geometry"] == "shortest-edge:40:bicubic:crop:32"
    assert "no cut-off" in (done.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[data]", "[dat]"), ["unknown key 'dat'", "'data'"]),
        (('root = "world"', 'rot = "world"'), ["unknown key 'rot' in [data]", "'root'"]),
        (('root = "world"', ""), ["[data]", "one of root, roots, manifest"]),
        (("batch_size = 16", "batch_size = 0"), ["[run.batch_size]", "greater than 0", "got 0"]),
        (("batch_size = 16", "batchsize = 4"), ["unknown key 'batchsize'", "'batch_size'"]),
        (("[run]", "[run"), ["not valid TOML"]),
        (("lowpass:3..15/4px", "lowpas:3px"), ["unknown filter 'lowpas'", "'lowpass'"]),
        (("spectral", "spectrall"), ["spectrall", "'spectral'"]),
        (("squash:32", "squish:32"), ["squish:32"]),
        (("lowpass:3..15/4px", "ideal-highpass:99px"), ["removes everything on a 32 x 32 grid"]),
        (('root = "world"', 'root = "nowhere"'), ["no such file or folder", "nowhere"]),
    ],
)
def test_wrong_study_files(
    tmp_path: Path, world: Path, checkpoint: Path, change: tuple[str, str], words: list[str]
) -> None:
    path = write_study(tmp_path, world, checkpoint, STUDY.replace(*change))
    with pytest.raises(bp.errors.BandprobeError) as caught:
        bp.Study.from_toml(path).run(tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.usefixtures("no_figures")
def test_families_can_be_named(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    text = STUDY.replace('["spectral", "tiny-dinov2"]', '["spectral"]')
    text += '[families]\nstripes = ["ProGAN", "DDPM"]\n[analysis]\ninformation = false\n'
    done = bp.Study.from_toml(write_study(tmp_path, world, checkpoint, text)).run(tmp_path / "r")
    assert set(done.results["family_to"]) == {"stripes"}
    assert "family:stripes" in set(done.results["trained_on"])


def test_opening_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run in"):
        bp.Run.open(tmp_path)


@pytest.mark.usefixtures("no_figures")
def test_on_real_photographs(tmp_path: Path, photos: Path, checkpoint: Path) -> None:
    """Both data sets of photographs with the spectral baseline and a transformer; few conditions, to be quick."""
    text = f"""
[data]
root = "{photos}"
[encoders]
names = ["spectral", "{checkpoint}"]
geometry = "squash:64"
[filters]
test = ["none", "identity", "lowpass:8px", "lowpass:24px"]
[analysis]
information = false
"""
    (tmp_path / "photos.toml").write_text(text)
    done = bp.Study.from_toml(tmp_path / "photos.toml").run(tmp_path / "run")
    assert len(done.manifest) == 730
    assert set(done.results["dataset"]) == {"faces", "scenes"}
    own = done.results.query(
        "encoder == 'spectral' and metric == 'auroc' and trained_on == tested_on and filter == 'none'"
    )
    assert len(own) == 4
    # A spectrum-only probe was measured at 0.76 to 0.85 on these images.
    assert own["value"].mean() > 0.65
    faces = done.results.query("tested_on == 'StyleGAN2' and metric == 'auroc'")
    assert (faces["n_real"] < 60).all()  # tested against the reals of its own data set


@pytest.mark.usefixtures("no_figures")
def test_images_that_are_gone_after_indexing(tmp_path: Path, world: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    manifest = bp.images.build([tmp_path / "world"])
    manifest.save(tmp_path / "m.parquet")
    victim = Path(manifest.table["path"].iloc[0])
    Image.new("RGB", (8, 8)).save(victim)
    study = bp.Study.from_dict(
        {
            "data": {"manifest": str(tmp_path / "m.parquet")},
            "encoders": {"names": ["spectral"], "geometry": "squash:32"},
            "filters": {"test": ["none"]},
        }
    )
    done = study.run(tmp_path / "run")
    assert len(done.manifest) == 160


@pytest.mark.usefixtures("no_figures")
def test_a_generator_for_testing_alone_is_tested_and_said_to_have_no_probe(
    tmp_path: Path, world: Path
) -> None:
    for split, sources in {
        "train": ["Real", "ProGAN"],
        "val": ["Real", "ProGAN"],
        "test": ["Real", "ProGAN", "DDPM"],
    }.items():
        for source in sources:
            (tmp_path / "data" / split / source).mkdir(parents=True)
            files = sorted((world / source).iterdir())
            part = {"train": files[:25], "val": files[25:30], "test": files[30:45]}[split]
            for file in part:
                shutil.copy(file, tmp_path / "data" / split / source)
    study = bp.Study.from_dict(
        {
            "data": {"root": str(tmp_path / "data")},
            "encoders": {"names": ["spectral"], "geometry": "squash:32"},
            "filters": {"test": ["none"]},
        }
    )
    done = study.run(tmp_path / "run")
    assert set(done.results["trained_on"]) == {"ProGAN", "family:gan", "all"}
    assert set(done.results["tested_on"]) == {"ProGAN", "DDPM"}
    assert any("no train image of DDPM" in warning for warning in done.record["warnings"])


@pytest.mark.usefixtures("no_figures")
def test_the_pixel_limit_holds_in_every_stage_and_stale_probes_go(tmp_path: Path, world: Path) -> None:
    shutil.copytree(world, tmp_path / "world")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "world/Real/large.png")
    content = {
        "data": {"root": str(tmp_path / "world"), "max_pixels": 1100},
        "encoders": {"names": ["spectral"], "geometry": "squash:32"},
        "filters": {"test": ["none", "identity"]},
    }
    done = bp.Study.from_dict(content).run(tmp_path / "run")
    assert "too many pixels" in done.left_out[(tmp_path / "world/Real/large.png").as_posix()]
    assert len(list((tmp_path / "run/probes").iterdir())) == 2 * 5
    content["data"]["max_pixels"] = 2000
    content["filters"]["test"] = ["none"]
    more = bp.Study.from_dict(content).run(tmp_path / "run")
    assert (more.left_out, len(more.manifest)) == ({}, 161)
    assert len(list((tmp_path / "run/probes").iterdir())) == 5


def test_wrong_names_are_found_before_any_embedding(tmp_path: Path, world: Path) -> None:
    content = {
        "data": {"root": str(world)},
        "encoders": {"names": ["spectral"], "geometry": "squash:32"},
        "probes": {"train_on": ["eech"]},
    }
    with pytest.raises(InputError, match=r"no set 'eech'.*'each'"):
        bp.Study.from_dict(content).run(tmp_path / "run")
    assert not (tmp_path / "run/store").exists()
    content = {**content, "probes": {}, "encoders": {"names": ["spectral", "spectral"]}}
    with pytest.raises(bp.errors.EncoderError, match="'spectral' more than once"):
        bp.Study.from_dict(content).run(tmp_path / "run2")
    assert not (tmp_path / "run2/manifest.parquet").exists()
