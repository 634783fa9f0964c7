"""A study that is tracked from its first stage, and what that changes about it: nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_trackers import mlflow_runs

import bandprobe as bp
from bandprobe.study import runner
from small_study import without_figures, write_study

STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral"]
geometry = "squash:32"
[filters]
test = ["none", "identity", "lowpass:3..15/6px"]
[probes]
seeds = 1
[analysis]
audit = false
bands = false
entropy = false
mmd = false
calibration = false
spectrum = false
information = false
"""


def test_a_study_is_logged_as_it_runs_and_once(
    tmp_path: Path,
    world: Path,
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("bandprobe.report.build", without_figures)
    study = bp.Study.from_toml(write_study(tmp_path, world, checkpoint, STUDY))
    tracked, out = study.with_options(track=["mlflow"]), tmp_path / "run"

    def fails(*_: object) -> None:
        raise RuntimeError("stopped here")

    with monkeypatch.context() as broken:
        broken.setattr(runner, "write_results", fails)
        with pytest.raises(RuntimeError, match="stopped here"):
            tracked.run(out)
    (begun,) = mlflow_runs(out, monkeypatch)[1]
    assert begun.info.status == "FAILED"
    assert {"seconds/index", "seconds/embed", "seconds/train"} <= set(begun.data.metrics)
    assert "seconds/report" not in begun.data.metrics

    run = tracked.run(out)
    (ended,) = mlflow_runs(out, monkeypatch)[1]
    assert (ended.info.run_id, ended.info.status) == (begun.info.run_id, "FINISHED")
    results = run.results.query("metric == 'auroc' and filter == 'none' and train_filter == 'none'")
    own = results[results["trained_on"] == results["tested_on"]]["value"].mean()
    assert ended.data.metrics["spectral/auroc/own"] == pytest.approx(own)
    assert ended.data.params["encoders.names"] == "spectral"

    capsys.readouterr()
    assert tracked.run(out).record["encoder_passes"]["done"] == 0
    assert study.run(out).record["encoder_passes"]["done"] == 0  # tracking is no input
    assert capsys.readouterr().err.count("nothing to do") == 2
    (same,) = mlflow_runs(out, monkeypatch)[1]
    assert same.data.metrics == ended.data.metrics

    study.with_options(track=["tensorboard"]).run(out)  # asked for later: what lies there is logged
    kept = json.loads((out / "tracking" / "runs.json").read_text())
    assert {name: entry["whole"] for name, entry in kept.items()} == {"mlflow": True, "tensorboard": True}
