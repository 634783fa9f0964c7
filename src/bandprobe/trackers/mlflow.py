"""MLflow: a run on the server that `MLFLOW_TRACKING_URI` names, else in a folder."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bandprobe.trackers.tracker import PROJECT

_SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # mlflow-skinny has no database to keep runs in
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a study does not wait for a server that is down
}
_BATCH = 100  # most tags or params, and few enough metrics, that MLflow takes at once
_LONGEST = 5000  # characters of a value


class MLflow:
    """One run of the experiment `bandprobe`, or of that which `MLFLOW_EXPERIMENT_NAME` names.

    Args:
        folder: where runs are kept that go to no server, as MLflow's own folders and files.
    """

    def __init__(self, folder: Path) -> None:
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri()
        with _settings():
            from mlflow import MlflowClient

            self._client: Any = MlflowClient(tracking_uri=self._uri)

    def start(self, name: str, params: Mapping[str, str], previous: str | None = None) -> str:
        """Begin a run, or go on with one."""
        from mlflow.entities import Param

        with _settings():
            if previous is not None and self._there(previous):
                self._run = previous
                self._client.update_run(previous, status="RUNNING")
                return previous
            wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
            found = self._client.get_experiment_by_name(wanted)
            experiment = found.experiment_id if found else self._client.create_experiment(wanted)
            self._run = self._client.create_run(experiment, run_name=name).info.run_id
            for some in _batches([Param(key, text[:_LONGEST]) for key, text in params.items()]):
                self._client.log_batch(self._run, params=some)
        return self._run

    def log(self, metrics: Mapping[str, float], step: float | None = None) -> None:
        """Metrics; a step is rounded to a whole number."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with _settings():
            for some in _batches(
                [Metric(key, value, now, round(step or 0)) for key, value in metrics.items()]
            ):
                self._client.log_batch(self._run, metrics=some)

    def note(self, words: Mapping[str, str]) -> None:
        """Tags."""
        from mlflow.entities import RunTag

        with _settings():
            for some in _batches([RunTag(key, text[:_LONGEST]) for key, text in words.items()]):
                self._client.log_batch(self._run, tags=some)

    def artifact(self, path: Path) -> None:
        """A copy; pictures in the folder `figures`."""
        with _settings():
            self._client.log_artifact(self._run, str(path), "figures" if path.suffix == ".png" else None)

    def finish(self, whole: bool) -> None:
        """End the run."""
        with _settings():
            self._client.set_terminated(self._run, "FINISHED" if whole else "FAILED")

    def _there(self, run: str) -> bool:
        """Whether a run is there: a folder or a server may have been emptied."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run).info.lifecycle_stage == "active")
        except MlflowException:
            return False


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """MLflow's environment variables that the user has not set, for this block."""
    ours = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
