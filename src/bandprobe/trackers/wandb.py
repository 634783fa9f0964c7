"""Weights & Biases: offline, unless `WANDB_MODE` says otherwise."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bandprobe.errors import InputError
from bandprobe.trackers.tracker import PROJECT

CUTOFF = "cut-off (px)"


class WeightsAndBiases:
    """One run of the project `bandprobe`, or of that which `WANDB_PROJECT` names.

    Offline it is a folder that `wandb sync` uploads. What is logged is the run alone: not the code, the
    repository, the console or the machine's load.

    Args:
        folder: where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, name: str, params: Mapping[str, str], previous: str | None = None) -> str:
        """Begin a run, or go on with one."""
        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        if mode == "disabled":
            raise InputError("WANDB_MODE is disabled.")
        online = mode in ("online", "shared", "run")
        if not online:
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=previous or uuid.uuid4().hex[:8],
            name=name,
            config=dict(params),
            dir=str(self._folder),
            mode=mode,
            resume="allow" if previous and online else None,
            reinit="create_new",  # a run of the caller's own goes on
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, save_code=False,
                x_disable_stats=True,
            ),
        )  # fmt: skip
        self._series: set[str] = set()
        return str(self._run.id)

    def log(self, metrics: Mapping[str, float], step: float | None = None) -> None:
        """Numbers of the run stand in its summary; a series is drawn against the cut-off."""
        if step is None:
            self._run.summary.update(dict(metrics))
            return
        for name in metrics.keys() - self._series:
            self._run.define_metric(name, step_metric=CUTOFF)
            self._series.add(name)
        self._run.log({CUTOFF: step, **metrics})

    def note(self, words: Mapping[str, str]) -> None:
        """Entries of the summary."""
        self._run.summary.update(dict(words))

    def artifact(self, path: Path) -> None:
        """A copy; pictures are shown."""
        if path.suffix == ".png":
            import wandb

            self._run.log({f"figures/{path.stem}": wandb.Image(str(path))})
        else:
            copy = shutil.copy(path, self._run.dir)
            self._run.save(str(copy), base_path=self._run.dir, policy="now")

    def finish(self, whole: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if whole else 1)
