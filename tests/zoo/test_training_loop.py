"""The loop: seeded a step at a time, resumable, stoppable."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bandprobe.errors import InputError
from zoo import training


class Fit:
    """A line fitted to noisy numbers: each step draws from both generators."""

    def __init__(self) -> None:
        self.line = nn.Linear(1, 1)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)
        self.modules: dict[str, nn.Module] = {"line": self.line}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.Adam(self.line.parameters(), 0.05)
        }
        self.stop_in: int | None = None

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        if number == self.stop_in:
            os.kill(os.getpid(), signal.SIGTERM)
        x = torch.from_numpy(rng.normal(size=(16, 1)).astype(np.float32))
        loss = (self.line(x) - 3 * x + 1 + 0.1 * torch.randn(16, 1)).square().mean()
        self.optimisers["adam"].zero_grad()
        loss.backward()
        self.optimisers["adam"].step()
        return {"loss": loss.detach()} | ({"lazy": loss.detach()} if number % 30 == 29 else {})


def weights(folder: Path) -> tuple[float, float]:
    fit = Fit()
    training.restore(folder, line=fit.line)
    return fit.line.weight.item(), fit.line.bias.item()


def test_a_stopped_run_that_goes_on_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    training.train(Fit(), tmp_path / "whole", label="fit", seed=3, steps=60)
    training.train(Fit(), tmp_path / "parts", label="fit", seed=3, steps=60, stop_at=25)
    assert training.steps_done(tmp_path / "parts") == 25
    stopped = Fit()
    stopped.stop_in = 40
    with pytest.raises(KeyboardInterrupt):
        training.train(stopped, tmp_path / "parts", label="fit", seed=3, steps=60)
    assert training.steps_done(tmp_path / "parts") == 41  # the step under way was finished, and saved
    training.train(Fit(), tmp_path / "parts", label="fit", seed=3, steps=60)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    training.train(Fit(), tmp_path / "other", label="fit", seed=4, steps=60)
    assert weights(tmp_path / "other") != weights(tmp_path / "whole")


def test_the_signals_are_handed_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    training.train(Fit(), tmp_path, label="fit", seed=0, steps=3)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_curve_is_the_mean_of_25_steps_each_and_falls(tmp_path: Path) -> None:
    training.train(Fit(), tmp_path, label="fit", seed=0, steps=60)
    with (tmp_path / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [25, 50, 60]
    losses = [float(row["loss"]) for row in rows]
    assert losses[-1] < losses[0] / 2
    assert [bool(row["lazy"]) for row in rows] == [False, True, True]  # steps 29 and 59


def test_another_schedule_is_refused_in_one_line(tmp_path: Path) -> None:
    training.train(Fit(), tmp_path, label="fit", seed=0, steps=10)
    with pytest.raises(
        InputError, match=r"belongs to a schedule of 10 steps, not 20\. Give --steps 10"
    ) as error:
        training.train(Fit(), tmp_path, label="fit", seed=0, steps=20)
    assert "\n" not in str(error.value)


def test_an_untrained_model_is_an_error_that_says_so(tmp_path: Path) -> None:
    assert training.steps_done(tmp_path) == 0
    with pytest.raises(InputError, match="no trained model in"):
        training.restore(tmp_path, line=nn.Linear(1, 1))
