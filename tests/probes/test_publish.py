"""A published probe: what `score` makes of the folder, and what the card says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bandprobe.cli import run as command
from bandprobe.cli.app import app
from bandprobe.errors import DiskError, EncoderError, InputError
from bandprobe.probes import LinearProbe, ProbeFile, load, save
from bandprobe.probes.judged import Judged
from bandprobe.report.card_facts import facts_of
from bandprobe.report.publication import publish
from bandprobe.report.run_directory import Run, prepare_results
from bandprobe.store import EmbeddingStore


@pytest.fixture(scope="module")
def trained(world: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Probes of two encoders, one without weights and one in a folder of its own, and results of the first."""
    folder = tmp_path_factory.mktemp("run")
    store = ["--store", str(folder / "store")]
    grid = ["--encoder", "spectral", str(checkpoint), "--geometry", "squash:32"]
    for step in (
        ["embed", str(world), *grid, *store],
        ["train", *store, "--out", str(folder / "first"), "--train-on", "each", "--encoder", "spectral"],
        ["evaluate", *store, "--probes", str(folder / "first"), "--out", str(folder)],
        ["train", *store, "--out", str(folder / "probes"), "--train-on", "each"],
    ):
        assert command([*step, "--quiet"]) == 0
    return folder


def probe_of(run: Path, encoder: str) -> Path:
    [path] = run.glob(f"probes/{encoder}__ProGAN__none.safetensors")
    return path


def scores(probe: Path, images: Path) -> list[tuple[str, float, float]]:
    result = CliRunner().invoke(app, ["score", str(images), "--probe", str(probe), "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    return [(row["path"], row["logit"], row["probability"]) for row in json.loads(result.stdout)]


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoder", ["spectral", "tiny-dinov2"])
def test_scores_from_the_folder_are_those_from_the_file(
    encoder: str, trained: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an encoder of one's own the folder holds it, and works from anywhere."""
    probe = probe_of(trained, encoder)
    out = tmp_path / "detector"
    result = CliRunner().invoke(app, ["publish", str(probe), "--out", str(out), "--licence", "mit", "--json"])
    assert result.exit_code == 0, result.output
    files = {"README.md", "config.json", "model.safetensors"}
    if encoder == "tiny-dinov2":
        files |= {
            f"encoder/{name}" for name in ("config.json", "model.safetensors", "preprocessor_config.json")
        }
    told = json.loads(result.stdout)
    assert set(told["files"]) == files
    assert told["run"] == str(trained)
    moved = tmp_path / "elsewhere" / "detector"
    moved.parent.mkdir()
    out.rename(moved)
    monkeypatch.chdir(tmp_path)
    images = world / "ProGAN"
    want = scores(probe, images)
    assert len(want) == 45
    assert scores(moved, images) == want
    assert scores(moved / "model.safetensors", images) == want
    for text in (
        card(moved),
        (moved / "config.json").read_text(),
        (moved / "model.safetensors").read_bytes()[:9000],
    ):
        assert str(tmp_path.parent.parent) not in str(text)  # no path of this machine


def test_a_folder_is_a_probe_in_python(trained: Path, tmp_path: Path) -> None:
    import bandprobe as bp

    probe = probe_of(trained, "spectral")
    publish(probe, tmp_path / "m")
    found, want = bp.probes.load(tmp_path / "m"), load(probe)
    assert replace(found, probe=want.probe) == want
    np.testing.assert_array_equal(found.probe.weight, want.probe.weight)
    assert found.probe.threshold == want.probe.threshold


def test_the_front_matter_is_the_hubs(trained: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    publish(
        probe_of(trained, "spectral"), tmp_path / "m", name='Spectral, for ProGAN: "it\'s"', licence="mit"
    )
    found = ModelCard(card(tmp_path / "m"), ignore_metadata_errors=False)
    assert found.data.license == "mit"
    assert found.data.library_name == "bandprobe"
    assert found.data.pipeline_tag == "image-classification"
    assert found.data.model_name == 'Spectral, for ProGAN: "it\'s"'
    results = pd.read_parquet(trained / "results.parquet")
    mine = results[
        (results["encoder"] == "spectral")
        & (results["trained_on"] == "ProGAN")
        & (results["train_filter"] == "none")
        & (results["filter"] == "none")
        & (results["metric"] == "auroc")
    ].set_index("tested_on")
    told = {one.dataset_config: one for one in found.data.eval_results if one.metric_type == "roc_auc"}
    assert set(told) == set(mine.index) == {"ProGAN", "DDPM"}
    for name, one in told.items():
        assert one.metric_value == pytest.approx(mine.loc[name, "value"], abs=5e-5)
        assert one.dataset_type == "world"
        row = mine.loc[name]
        assert f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})" in card(tmp_path / "m")
    assert "| ProGAN | gan | own |" in card(tmp_path / "m")
    assert "| DDPM | diffusion | other family |" in card(tmp_path / "m")


def test_the_settings_are_the_probes(trained: Path, tmp_path: Path) -> None:
    probe = probe_of(trained, "tiny-dinov2")
    publish(probe, tmp_path / "m")
    told = json.loads((tmp_path / "m/config.json").read_text())
    file = load(probe)
    assert told["preprocessing"] == {"geometry": "squash:32", "background": "white", "filter": "none"}
    assert told["threshold"] == file.probe.threshold
    assert (told["calibration"]["slope"], told["calibration"]["intercept"]) == (
        file.probe.slope,
        file.probe.intercept,
    )
    assert told["encoder"]["weights"] == file.fingerprint["encoder.weights"]
    assert told["encoder"]["source"] == "./encoder"
    assert len(told["encoder"]["mean"]) == 3
    judged = file.probe.judged
    assert judged is not None
    alarms = told["calibration"]["false_alarm_rate"]
    assert alarms["n"] == judged.n_real
    assert alarms["value"] == pytest.approx((judged.real >= file.probe.threshold).mean())
    assert alarms["low"] <= alarms["value"] < alarms["high"]


def test_without_a_run_the_card_says_so(trained: Path, tmp_path: Path, capsys) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(probe_of(trained, "spectral").read_bytes())
    assert command(["publish", str(alone), "--out", str(tmp_path / "m")]) == 0
    said = capsys.readouterr().err
    assert "no run is known" in said
    assert "no licence is given" in said
    assert "No results came with this probe" in card(tmp_path / "m")
    assert "license: other\nlicense_name: not-stated" in card(tmp_path / "m")
    done = publish(alone, tmp_path / "m", run=trained, licence="cc-by-4.0", data_licence="CC0")
    assert done.notes == ()
    assert "Licence of the images: CC0." in card(tmp_path / "m")


RESULTS = ["encoder", "trained_on", "train_filter", "tested_on", "dataset", "family_from", "family_to", "filter",
           "cutoff_px", "cutoff_nyq", "metric", "value", "low", "high", "n_real", "n_fake"]  # fmt: skip


def cell(
    tested: str, family: str, value: float, spec: str = "none", nyq: float = float("nan")
) -> list[object]:
    ends = (value - 0.05, value + 0.05)
    return [
        "e",
        "ADM",
        "none",
        tested,
        "d",
        "diffusion",
        family,
        spec,
        nyq * 16,
        nyq,
        "auroc",
        value,
        *ends,
        400,
        90,
    ]


def probe_file(**changes: object) -> ProbeFile:
    judged = Judged(np.linspace(-2, 1, 200), np.linspace(0, 3, 200), 200, 200)
    probe = LinearProbe(np.zeros(3), np.ones(3), np.ones(3), 0.0, 0.5, 1.0, 0.0, 1.0, "split", judged)
    training = {"generators": ["ADM"], "datasets": ["d"], "head": "linear"}
    file = ProbeFile(probe, "e", "spectral", "ADM", "diffusion", "none", {"geometry": "squash:32"}, training)
    return replace(file, **changes)


def test_the_facts_are_the_tables() -> None:
    """Kinds of transfer, the curve in words, bands, false alarms and warnings, from tables written here."""
    curve = [(1.0, 0.94), (0.5, 0.93), (0.3, 0.89), (0.2, 0.95), (0.1, 0.6)]
    rows = [cell("ADM", "diffusion", 0.95), cell("LDM", "diffusion", 0.8), cell("ProGAN", "gan", 0.6)]
    rows += [cell("ADM", "diffusion", value, f"lowpass:{nyq}nyq", nyq) for nyq, value in curve]
    rows += [
        cell("ADM", "diffusion", 0.7, "ideal-lowpass:0.4nyq", 0.4),
        cell("ADM", "diffusion", 0.9, "jpeg:75"),
    ]
    rows += [
        [*cell("ADM", "diffusion", 0.1)[:1], "LDM", *cell("ADM", "diffusion", 0.1)[2:]]
    ]  # another probe's
    keys = {"encoder": "e", "trained_on": "ADM", "train_filter": "none", "tested_on": "ADM"}
    analyses = {
        "bands": pd.DataFrame([{**keys, "low_nyq": 0.2, "high_nyq": 0.5, "p_value": 0.001}]),
        "audit": pd.DataFrame(
            [
                {"trace": "JPEG grid", "dataset": "d", "auroc": 0.8, "warning": "w"},
                {"trace": "dimensions", "dataset": "d", "auroc": 0.5, "warning": ""},
            ]
        ),
        "calibration": pd.DataFrame(
            [
                {**keys, "dataset": "d", "filter": "none", "measure": "false_alarm", "promised": promised,
                 "value": value, "low": 0.1, "high": 0.3, "n_real": 400}
                for promised, value in ((np.nan, 0.2), (0.1, 0.9))
            ]
        ),
    }  # fmt: skip
    results = prepare_results(pd.DataFrame(rows, columns=RESULTS))
    facts = facts_of(
        probe_file(), Run(Path(), results, {"images_left_out": {"x.png": "broken"}}, analyses=analyses)
    )
    assert [(c.tested_on, c.kind, c.values[0][0]) for c in facts.cells] == [
        ("ADM", "own", 0.95), ("LDM", "same family", 0.8), ("ProGAN", "other family", 0.6),
    ]  # fmt: skip
    assert facts.curve is not None
    assert [cut.cutoff_nyq for cut in facts.curve.cuts] == [0.1, 0.2, 0.3, 0.5, 1.0]
    assert facts.curve.keeps is not None
    assert facts.curve.keeps.cutoff_nyq == 0.5  # 0.89 at 0.3 is below 95 % of 0.95, whatever 0.2 has
    assert [(band.low_nyq, band.high_nyq) for band in facts.bands] == [(0.2, 0.5)]
    assert facts.false_alarms is not None
    assert (facts.false_alarms.value, facts.false_alarms.n) == (0.2, 400)
    assert facts.warnings == (("JPEG grid", "d", 0.8),)
    assert facts.degradations == ("jpeg",)
    assert facts.n_left_out == 1


def test_hostile_names_mean_nothing_in_the_card(tmp_path: Path) -> None:
    evil = "a|b`c <script>alert(1)</script> [x](http://evil)\n---\nlicense: none\n# !"
    training = {"generators": [evil], "datasets": [evil], "images": {"train fake": 3}, "head": evil}
    file = probe_file(encoder=evil, family=evil, fingerprint={"geometry": evil, "encoder.vector": evil})
    path = save(replace(file, training=training), tmp_path)
    publish(path, tmp_path / "m", name=evil, licence="mit", data_licence=evil)
    text = card(tmp_path / "m")
    front, body = re.fullmatch(r"---\n(.*?)\n---\n\n(.*)", text, re.DOTALL).groups()
    import yaml

    assert yaml.safe_load(front)["license"] == "mit"
    assert re.search(r"(?<!\\)<script", re.sub(r"`[^`\n]*`", "", body)) is None
    assert re.search(r"(?<!\\)\[x", re.sub(r"`[^`\n]*`", "", body)) is None
    assert "\nlicense: none" not in body


WRONG = {
    "no probe": (["gone.safetensors"], "no probe at"),
    "no run": (["probe.safetensors", "--run", "nowhere"], "nowhere"),
    "a licence in words": (
        ["probe.safetensors", "--licence", "do what you like"],
        "a word of the Hugging Face Hub",
    ),
    "a folder of something else": (["probe.safetensors", "--out", "."], "which is not of a published probe"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_line(case: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    save(probe_file(), tmp_path).rename(tmp_path / "probe.safetensors")
    words, said = WRONG[case]
    code = command(["publish", *words, *([] if "--out" in words else ["--out", "m"]), "--quiet"])
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert said in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["probe.safetensors"]


def test_what_cannot_be_used_elsewhere(tmp_path: Path) -> None:
    path = save(probe_file(train_filter="fda:0.01:reference=/home/me/x.png"), tmp_path)
    with pytest.raises(InputError, match="draws on images that nobody else has"):
        publish(path, tmp_path / "m")
    path = save(probe_file(encoder="mine", source="/home/me/secret/mine"), tmp_path)
    done = publish(path, tmp_path / "m", licence="mit")
    assert any("say where it is with `--encoder`" in note for note in done.notes)
    assert b"secret" not in b"".join(file.read_bytes() for file in (tmp_path / "m").iterdir())


def test_folders_and_ids_that_hold_no_probe(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"model\.safetensors is not in it; it holds 'a\.safetensors'"):
        load(tmp_path / "x")
    with pytest.raises(
        (DiskError, EncoderError), match="probe 'owner/name', which is no file or folder here"
    ) as told:
        load("owner/name")  # offline, as the tests are
    assert "\n" not in str(told.value)


def test_publishing_again_replaces_and_leaves_a_repository_alone(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "m/.git").mkdir(parents=True)
    publish(probe_of(trained, "tiny-dinov2"), tmp_path / "m")
    assert (tmp_path / "m/encoder").is_dir()
    publish(probe_of(trained, "spectral"), tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        ".git", "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert EmbeddingStore(trained / "store").conditions()  # the run itself is as it was
