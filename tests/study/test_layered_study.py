"""A study with layers: the passes of one without, a probe at each, a section of the report; and the leaderboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bandprobe as bp
from bandprobe.analysis.leaderboard import STATISTICS
from bandprobe.cli import run as command
from bandprobe.errors import EncoderError, InputError
from bandprobe.report import build
from bandprobe.store import EmbeddingStore
from bandprobe.study.forecast import forecast
from bandprobe.study.plan import Plan
from small_study import write_study

STUDY = """
[data]
root = "world"
near_duplicates = false
[encoders]
names = [{names}]
geometry = "squash:32"
{layers}
[filters]
test = ["none", "identity", "lowpass:0.15nyq", "lowpass:0.3nyq", "lowpass:0.5nyq", "lowpass:0.9nyq",
        "highpass:0.15nyq", "highpass:0.5nyq"]
[probes]
seeds = 1
train_on = ["each"]
[analysis]
information = ["highpass:0.5nyq"]
audit = false
bands = false
claims = false
mmd = false
spectrum = false
pictures = false
entropy = true
samples = 20
"""


def study(folder: Path, world: Path, checkpoint: Path, layers: str, names: str = '"tiny-dinov2"') -> bp.Study:
    path = write_study(folder, world, checkpoint, STUDY.format(names=names, layers=layers))
    return bp.Study.from_toml(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, world: Path, checkpoint: Path) -> tuple[bp.Run, bp.Run]:
    """Without layers, and with."""
    folder = tmp_path_factory.mktemp("layered")
    plain = study(folder / "plain", world, checkpoint, "").run(folder / "plain" / "run")
    return plain, study(folder / "all", world, checkpoint, 'layers = "all"').run(folder / "all" / "run")


def layers_of(run: bp.Run) -> list[str]:
    return [one["name"] for one in run.record["encoders"]]


def test_the_passes_are_those_of_a_study_without_layers(runs: tuple[bp.Run, bp.Run]) -> None:
    plain, layered = runs
    for passes in ("encoder_passes", "twin_passes"):
        assert layered.record[passes] == plain.record[passes]
        assert plain.record[passes]["done"] > 0
    names = layers_of(layered)
    assert names[-1] == "tiny-dinov2"
    assert names[:-1] == [f"tiny-dinov2#layer{number}" for number in range(1, len(names))]
    assert len(names) > 2


def test_the_encoders_own_numbers_are_those_of_a_study_without_layers(runs: tuple[bp.Run, bp.Run]) -> None:
    plain, layered = runs
    own = layered.results[layered.results["encoder"] == "tiny-dinov2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, plain.results, check_exact=False, atol=1e-6)
    for name in layers_of(layered):
        assert (layered.results["encoder"] == name).any()


def test_layers_csv_holds_every_layer(runs: tuple[bp.Run, bp.Run]) -> None:
    plain, layered = runs
    assert not (plain.folder / "layers.csv").exists()
    table = pd.read_csv(layered.folder / "layers.csv", keep_default_na=False, na_values=[""])
    depth = len(layers_of(layered)) - 1
    assert list(dict.fromkeys(table["layer"])) == [*map(str, range(1, depth + 1)), "output"]
    aurocs = table[(table["measure"] == "auroc") & (table["layer"] == "1") & (table["curve"] == "reliance")]
    results = layered.results
    for _, row in aurocs.iterrows():
        cells = results[
            (results["encoder"] == "tiny-dinov2#layer1") & (results["filter"] == row["filter"])
            & (results["train_filter"] == "none") & (results["metric"] == "auroc")
            & (results["trained_on"] == results["tested_on"])
        ]  # fmt: skip
        assert row["value"] == pytest.approx(cells["value"].mean(), abs=1e-6)
    assert {"kept_cutoff", "high_frequency_dependence", "high_alone", "high_alone_change"} <= set(
        table.loc[table["value"].notna(), "measure"]
    )
    few = table[table["measure"].isin(["effective_rank_share", "cka"])]
    assert few["note"].str.contains("test images where 20 are needed").all()


def test_the_report_shows_layers_in_a_section_of_their_own(runs: tuple[bp.Run, bp.Run]) -> None:
    page = runs[1].report.read_text(encoding="utf-8")
    section = page[page.index('<section id="layers"') :]
    section = section[: section.index("</section>")]
    assert "Layer by layer" in section
    assert section.count("<img ") == 2
    assert "best behind" in section
    without = page.replace(section, "")
    provenance = without.index('id="provenance"')
    assert "#layer1" not in without[:provenance]
    assert (runs[1].folder / "figures" / "layers-measures-butterworth.pdf").is_file()
    assert build(runs[1].folder) == runs[1].report


def test_run_again_nothing_is_done_and_a_lost_layer_is_one_pass(
    runs: tuple[bp.Run, bp.Run], world: Path, checkpoint: Path, tmp_path: Path
) -> None:
    layered = runs[1]
    again = study(layered.folder.parent, world, checkpoint, 'layers = "all"')
    assert again.run(layered.folder).record["encoder_passes"]["done"] == 0
    store = EmbeddingStore(layered.folder / "store")
    images = len(store.read("tiny-dinov2#layer1", "none").image_id)
    for name in ("tiny-dinov2#layer1", "tiny-dinov2"):
        store.remove(name, "none")
    (layered.folder / "scores.parquet").unlink()
    passes = again.run(layered.folder).record["encoder_passes"]
    assert passes["done"] == images


def test_the_plan_counts_what_the_run_does(
    runs: tuple[bp.Run, bp.Run], world: Path, checkpoint: Path
) -> None:
    layered = runs[1]
    asked = study(layered.folder.parent, world, checkpoint, 'layers = "all"')
    found = forecast(Plan.of(asked.config, layered.folder, asked.folder), calibrated=False).costs
    done = {name: sum(layered.record[name].values()) for name in ("encoder_passes", "twin_passes")}
    for stage, name in (("study", "encoder_passes"), ("twins", "twin_passes")):
        shares = [share for share in found.shares if share.stage == stage]
        assert sum(share.to_do + share.saved for share in shares) == done[name]
        (share,) = shares
        dims = [one["dim"] for one in layered.record["encoders"]]
        assert share.values == (sum(dims) if stage == "study" else dims[-1])  # twins are of whole encoders
        assert share.to_do == 0


def test_bad_layers_are_refused_in_a_line(world: Path, checkpoint: Path, tmp_path: Path) -> None:
    for number, (layers, names, error, message) in enumerate(
        (
            ('layers = "all"', '"tiny-dinov2", "spectral"', EncoderError, "spectral gives no layers here"),
            ("layers = [1, 99]", '"tiny-dinov2"', EncoderError, "tiny-dinov2 has layers 1 to .*; got 99"),
            ('layers = "some"', '"tiny-dinov2"', InputError, r"\[encoders.layers"),
        )
    ):
        with pytest.raises(error, match=message) as caught:
            study(tmp_path / str(number), world, checkpoint, layers, names).run(
                tmp_path / str(number) / "run"
            )
        assert "\n" not in str(caught.value)
        assert not (tmp_path / str(number) / "run" / "store").exists()


def test_a_leaderboard_of_runs(
    runs: tuple[bp.Run, bp.Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, layered = runs
    out = tmp_path / "board"
    assert command(["leaderboard", str(plain.folder), str(layered.folder), "--out", str(out), "-q"]) == 0
    assert "1 encoder:" in capsys.readouterr().out  # on the same images, made alike
    board = pd.read_csv(out / "leaderboard.csv", keep_default_na=False, na_values=[""])
    (row,) = board.to_dict("records")
    assert (row["encoder"], row["run"], row["objective"]) == ("tiny-dinov2", "run", "unknown")
    own = layered.results.query(
        "encoder == 'tiny-dinov2' and filter == 'identity' and train_filter == 'none' and metric == 'auroc'"
    )
    own = own[own["trained_on"] == own["tested_on"]]
    assert row["own_auroc"] == pytest.approx(own["value"].mean(), abs=1e-6)
    for one in STATISTICS:
        assert (
            row[one.name] != row[one.name]
            or row[f"{one.name}_low"] <= row[one.name] <= row[f"{one.name}_high"]
        )
        assert row[f"{one.name}_note"]
    layers = pd.read_csv(layered.folder / "layers.csv", keep_default_na=False, na_values=[""])
    output = layers[(layers["layer"] == "output") & (layers["measure"] == "high_frequency_dependence")].iloc[
        0
    ]
    assert row["high_frequency_dependence"] == pytest.approx(output["value"], abs=1e-6)
    assert "20 are needed" in row["effective_rank_share_note"]
    assert re.search(r"<table class=\"sortable\">", (out / "leaderboard.html").read_text(encoding="utf-8"))
    assert np.isfinite(pd.read_csv(out / "traits.csv")["n"]).all()
    assert command(["leaderboard", str(out), "--out", str(tmp_path / "next"), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["encoders"] == ["tiny-dinov2"]
    assert (tmp_path / "next" / "leaderboard.csv").read_bytes() == (out / "leaderboard.csv").read_bytes()


def test_a_leaderboard_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["leaderboard", str(tmp_path), "--out", str(tmp_path / "board")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "neither a run's folder" in said
    assert not (tmp_path / "board").exists()


def test_the_command_alone(
    runs: tuple[bp.Run, bp.Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs[1].folder
    asked = ["layers", "--store", str(run / "store"), "--probes", str(run / "probes"), "--manifest",
             str(run / "manifest.parquet"), "--out", str(tmp_path / "layers")]  # fmt: skip
    assert command([*asked, "-q"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("tiny-dinov2: probes re-trained on highpass:0.5nyq are best behind ")
    found = pd.read_csv(tmp_path / "layers" / "layers.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(
        found,
        pd.read_csv(run / "layers.csv", keep_default_na=False, na_values=[""]),
        check_exact=False,
        atol=1e-9,
    )
    assert command([*asked, "--json", "-q"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == len(found)
    assert all(Path(figure).is_file() for figure in content["figures"])


def test_the_command_without_layers(
    runs: tuple[bp.Run, bp.Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs[0].folder
    asked = ["layers", "--store", str(run / "store"), "--probes", str(run / "probes"), "--manifest",
             str(run / "manifest.parquet"), "--out", str(tmp_path / "layers")]  # fmt: skip
    assert command([*asked, "-q"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "embed with --layers all first" in said
    assert not (tmp_path / "layers").exists()


def test_embedding_layers_by_command(
    world: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["embed", str(world), "--encoder", str(checkpoint), "--geometry", "squash:32",
             "--store", str(tmp_path / "store"), "-q"]  # fmt: skip
    said = []
    for options in (["--layers", "1"], ["--layers", "all", "--dry-run"], ["--layers", "all"], []):
        assert command([*asked, *options, "--json"]) == 0, capsys.readouterr().err
        said.append(json.loads(capsys.readouterr().out))
    first, dry, rest, last = said
    images = first["passes"]
    assert images > 6
    assert first["saved"] == 0
    assert dry["passes"] == rest["passes"] == images  # one pass for the layers that lacked
    assert (last["passes"], last["saved"]) == (0, images)
    assert ("tiny-dinov2#layer2", "none") in EmbeddingStore(tmp_path / "store").conditions()
    assert command([*asked, "--encoder", "spectral", "--layers", "all"]) == 2
    assert "spectral gives no layers here" in capsys.readouterr().err
