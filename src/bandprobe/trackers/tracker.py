"""What every tracker can do, and which there are."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from bandprobe.errors import InputError, did_you_mean

Name = Literal["tensorboard", "mlflow", "wandb"]
NAMES: tuple[Name, ...] = ("tensorboard", "mlflow", "wandb")
PROJECT = (
    "bandprobe"  # MLflow's experiment and W&B's project, unless their environment variables name another
)


class Tracker(Protocol):
    """Where a run is logged."""

    def start(self, name: str, params: Mapping[str, str], previous: str | None = None) -> str:
        """Begin, or go on with, a run.

        Args:
            name: of the run, as people see it.
            params: what it is made from.
            previous: the identity of a run that was begun and not finished.

        Returns:
            The run's identity there.
        """

    def log(self, metrics: Mapping[str, float], step: float | None = None) -> None:
        """Numbers of the run, or of one step of a series; a step is a cut-off in px."""

    def note(self, words: Mapping[str, str]) -> None:
        """Facts that are no numbers."""

    def artifact(self, path: Path) -> None:
        """A file of the run's folder; pictures are shown."""

    def finish(self, whole: bool) -> None:
        """End; not `whole` where the study did not come to its end."""


def require(names: Sequence[str]) -> None:
    """See that trackers are known and installed, without importing them.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(
                f"unknown tracker {name!r}.{did_you_mean(name, NAMES)} Known: {', '.join(NAMES)}."
            )
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"tracker {name}: the package {'mlflow-skinny' if name == 'mlflow' else name} is not "
                'installed. Run pip install "bandprobe[trackers]".'
            )


def open_tracker(name: str, folder: Path) -> Tracker:
    """A tracker that keeps its files in a folder, where it keeps them on this machine.

    Args:
        name: of `NAMES`.
        folder: a run's `tracking/NAME`.
    """
    if name == "tensorboard":
        from bandprobe.trackers.tensorboard import TensorBoard

        return TensorBoard(folder)
    if name == "mlflow":
        from bandprobe.trackers.mlflow import MLflow

        return MLflow(folder)
    from bandprobe.trackers.wandb import WeightsAndBiases

    return WeightsAndBiases(folder)
