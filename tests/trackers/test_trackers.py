"""What trackers are told, read back by their own readers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tracked_runs import FILTERS, GENERATORS, auroc, wandb_records, write_finished

from bandprobe.cli import run as command
from bandprobe.errors import InputError
from bandprobe.trackers import NAMES, log_finished, require
from bandprobe.trackers import tracking as tracking_module

ENCODER = "facebook-tiny-x"
PAIRS = [(a, b) for a in GENERATORS for b in GENERATORS]
OWN = {px: np.mean([auroc(a, a, px) for a in GENERATORS]) for px in FILTERS.values()}
ACROSS = {
    px: np.mean([auroc(a, b, px) for a, b in PAIRS if GENERATORS[a] != GENERATORS[b]])
    for px in FILTERS.values()
}
CURVE = f"{ENCODER}/lowpass/reliance/across"
CLAIM = "claims/ratio-of-cut-offs-micro-dino-micro-clip"


@pytest.fixture(scope="module")
def tensorboard_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_finished(tmp_path_factory.mktemp("tensorboard"))
    log_finished(folder, ["tensorboard"])
    return folder


def test_tensorboard_reads_the_numbers_the_curves_and_the_figure(tensorboard_run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tensorboard_run / "tracking" / "tensorboard")).Reload()
    (own,) = events.Scalars(f"{ENCODER}/auroc/own")
    assert own.value == pytest.approx(OWN[None], abs=1e-6)
    (low,) = events.Scalars(f"{ENCODER}/auroc/own_low")
    assert low.value == pytest.approx(OWN[None] - 0.05, abs=1e-6)
    curve = events.Scalars(CURVE)
    assert [point.step for point in curve] == [5, 10, 30]
    assert [point.value for point in curve] == pytest.approx(
        [ACROSS[px] for px in (4.8, 10.0, 30.0)], abs=1e-6
    )
    assert [point.value for point in events.Scalars("seconds/embed")] == [12.5]
    assert [point.value for point in events.Scalars(CLAIM)] == pytest.approx([0.4])
    (picture,) = events.Images("figures/heatmap-tiny-auroc")
    assert (picture.width, picture.height) == (30, 20)
    assert (
        picture.encoded_image_string == (tensorboard_run / "figures" / "heatmap-tiny-auroc.png").read_bytes()
    )
    said = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]
    }
    assert said["data.root/text_summary"].strip() == "photos & more"
    assert said[f"{CLAIM}_verdict/text_summary"].strip() == "supported: DINO resists"


def mlflow_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(folder / "tracking" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("bandprobe")
    return client, client.search_runs([experiment.experiment_id])


def test_mlflow_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_finished(tmp_path / "run")
    log_finished(folder, ["mlflow"])
    client, (run,) = mlflow_runs(folder, monkeypatch)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["data.root"] == "photos & more"
    assert run.data.params["filters.test"] == "none, lowpass:10px"
    assert run.data.params["inputs"] == "abc123"
    assert run.data.params["data.fakes..._Pro GAN__"] == "f"
    assert "data.limit" not in run.data.params
    assert run.data.metrics[f"{ENCODER}/auroc/across"] == pytest.approx(ACROSS[None])
    assert run.data.metrics["seconds/train"] == 3.0
    curve = client.get_metric_history(run.info.run_id, CURVE)
    assert {point.step: point.value for point in curve} == pytest.approx(
        {round(px): ACROSS[px] for px in (4.8, 10.0, 30.0)}
    )
    assert run.data.metrics[f"{CLAIM}_high"] == 0.5
    assert run.data.tags[f"{CLAIM}_verdict"] == "supported: DINO resists"
    assert run.data.tags["claims/no-value_verdict"].startswith("undecided")
    assert "claims/no-value" not in run.data.metrics
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert kept == {"claims.csv", "figures", "report.html", "results.parquet", "run.json"}
    pictures = client.list_artifacts(run.info.run_id, "figures")
    assert [file.path for file in pictures] == ["figures/heatmap-tiny-auroc.png"]


def written_by_wandb(place: Path, seconds: float = 60) -> list[Any]:
    """All records of a run; a process of W&B's own writes the last ones when the run has ended."""
    end = time.monotonic() + seconds
    while True:
        records = [record for path in place.glob("*.wandb") for record in wandb_records(path)]
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        assert time.monotonic() < end, "the run's end was never written"
        time.sleep(0.1)


def test_wandb_keeps_the_same_offline(tmp_path: Path) -> None:
    folder = write_finished(tmp_path / "run")
    log_finished(folder, ["wandb"])
    (place,) = (folder / "tracking" / "wandb").glob("wandb/offline-run-*")
    records = written_by_wandb(place)
    (started,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (started.project, started.display_name) == ("bandprobe", "run")
    config = {item.key: json.loads(item.value_json) for item in started.config.update}
    assert config["data.root"] == "photos & more"
    summary: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    for record in records:
        if record.WhichOneof("record_type") == "summary":
            summary |= {
                "/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.summary.update
            }
        if record.WhichOneof("record_type") == "history":
            steps.append(
                {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            )
    assert summary[f"{ENCODER}/auroc/own"] == pytest.approx(OWN[None])
    assert summary[f"{CLAIM}_verdict"] == "supported: DINO resists"
    curve = {step["cut-off (px)"]: step[CURVE] for step in steps if CURVE in step}
    assert curve == pytest.approx({px: ACROSS[px] for px in (4.8, 10.0, 30.0)})
    assert any(key.startswith("figures/heatmap-tiny-auroc") for step in steps for key in step)
    assert (place / "files" / "report.html").read_text() == "<p>report</p>"


def test_a_run_is_logged_once_and_new_inputs_are_a_new_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_finished(tmp_path / "run")
    assert command(["report", str(folder), "--track", "mlflow"]) == 0
    assert "logged to mlflow: run " in capsys.readouterr().err
    log_finished(folder, ["mlflow"])
    said = capsys.readouterr().err
    assert "logged" not in said
    assert "mlflow has this run already: " in said
    (first,) = mlflow_runs(folder, monkeypatch)[1]
    assert (
        len(mlflow_runs(folder, monkeypatch)[0].get_metric_history(first.info.run_id, "seconds/embed")) == 1
    )
    write_finished(folder, inputs="def456")
    log_finished(folder, ["mlflow"])
    assert len(mlflow_runs(folder, monkeypatch)[1]) == 2
    kept = json.loads((folder / "tracking" / "runs.json").read_text())["mlflow"]
    assert kept["inputs"] == "def456"
    assert kept["whole"] is True
    assert kept["id"] != first.info.run_id


def test_an_unfinished_run_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_finished(tmp_path / "run")

    def stopped() -> None:
        with tracking_module.tracked(["mlflow"], folder, "abc123", {"run": {"workers": 1}}) as tracking:
            tracking.stage("index", 2.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    (begun,) = mlflow_runs(folder, monkeypatch)[1]
    assert (begun.info.status, begun.data.metrics) == ("FAILED", {"seconds/index": 2.0})
    log_finished(folder, ["mlflow"])
    (ended,) = mlflow_runs(folder, monkeypatch)[1]
    assert (ended.info.run_id, ended.info.status) == (begun.info.run_id, "FINISHED")


class Failing:
    """A tracker that fails at one of its methods."""

    def __init__(self, at: str) -> None:
        self.at, self.told = at, []

    def __getattr__(self, name: str) -> Any:
        def told(*_: Any) -> str:
            self.told.append(name)
            if name == self.at:
                raise ConnectionError("the server\nhttp://me:secret@host/x is down")
            return "1"

        return told


@pytest.mark.parametrize("at", ["start", "log", "note", "artifact", "finish"])
def test_a_tracker_that_fails_is_said_and_the_others_go_on(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_finished(tmp_path)
    trackers = {"mlflow": Failing(at), "wandb": Failing("never")}
    monkeypatch.setattr(tracking_module, "open_tracker", lambda name, _: trackers[name])
    assert list(log_finished(folder, ["mlflow", "wandb"])) == ["mlflow"]
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "mlflow" in line] == [
        "warning: nothing more is logged to mlflow: the server http://host/x is down"
    ]
    assert trackers["mlflow"].told[-1] == at
    assert trackers["wandb"].told[-1] == "finish"
    kept = json.loads((folder / "tracking" / "runs.json").read_text())
    assert kept["wandb"]["whole"] is True
    assert not kept.get("mlflow", {}).get("whole")


def test_a_command_that_logged_nothing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking_module, "open_tracker", lambda *_: Failing("start"))
    assert command(["report", str(write_finished(tmp_path)), "--track", "mlflow"]) == 3
    assert "the same command tries again" in capsys.readouterr().err


def test_a_hostile_record_is_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_finished(tmp_path / "run")
    (folder / "tracking").mkdir()
    entry = {"id": "../../../etc", "inputs": "abc123", "whole": False}
    (folder / "tracking" / "runs.json").write_text(json.dumps({"mlflow": entry, "wandb": 3}))
    log_finished(folder, ["mlflow"])
    (run,) = mlflow_runs(folder, monkeypatch)[1]
    assert run.info.status == "FINISHED"
    (folder / "tracking" / "runs.json").write_text("[")
    log_finished(folder, ["mlflow"])
    assert len(mlflow_runs(folder, monkeypatch)[1]) == 2


def test_wrong_use_is_one_line_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"unknown tracker 'mlfow'\. Did you mean 'mlflow'\?"):
        require(["mlfow"])
    study = tmp_path / "study.toml"
    study.write_text('[data]\nroot = "nowhere"\n')
    assert command(["study", str(study), "--out", str(tmp_path / "out"), "--track", "comet"]) == 2
    found = tracking_module.require.__globals__["importlib"].util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *a: None if name == "wandb" else found(name, *a)
    )
    study.write_text('[data]\nroot = "nowhere"\n[run]\ntrack = ["wandb"]\n')
    capsys.readouterr()
    assert command(["study", str(study), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert 'pip install "bandprobe[trackers]"' in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    study.write_text('[data]\nroot = "nowhere"\n[run]\ntrack = ["neptune"]\n')
    assert command(["study", str(study)]) == 2
    assert "neptune" in capsys.readouterr().err
    write_finished(tmp_path / "unfinished", inputs="")
    with pytest.raises(InputError, match="not finished"):
        log_finished(tmp_path / "unfinished", NAMES[:1])
