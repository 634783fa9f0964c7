"""The loop that every model of the zoo is trained by: seeded a step at a time, saved often, resumable."""

from __future__ import annotations

import csv
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch

from bandprobe import progress, seeding
from bandprobe.errors import InputError
from bandprobe.files import output_folder, replacing

_STATE, _CURVE = "state.pt", "curve.csv"
_LOGGED_EVERY = 25  # steps whose mean is one row of the curve
_SAVED_EVERY = 120.0  # seconds


class Trainee(Protocol):
    """What is trained: its networks, their optimisers, and one update."""

    modules: dict[str, torch.nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def step(
        self, number: int, steps: int, rng: np.random.Generator
    ) -> dict[str, torch.Tensor] | dict[str, float]:
        """Make update `number` of `steps`; returns the losses to log."""


def train(
    trainee: Trainee, folder: Path, *, label: str, seed: int, steps: int, stop_at: int | None = None
) -> None:
    """Train to the end, going on from what `folder` holds.

    Every step draws from generators named after (seed, label, step), torch's global one included: a run
    that was stopped and started again makes the same updates as one that was not.

    Args:
        trainee: networks, optimisers and the update.
        folder: gets `state.pt` (replaced as a whole, every two minutes and at the end) and `curve.csv`
            (step, seconds, losses; a row is the mean of 25 steps).
        label: the model's name.
        seed: of the run.
        steps: of the whole schedule.
        stop_at: end before this step, the schedule staying that of all `steps`.

    Raises:
        KeyboardInterrupt: on SIGINT or SIGTERM, after the state was saved.
        InputError: `state.pt` belongs to another schedule.
    """
    output_folder(folder)
    start, rows, seconds = _resume(trainee, folder, steps)
    last = min(steps, steps if stop_at is None else stop_at)
    stop = threading.Event()
    before = _on_signals(stop)
    began, saved = time.monotonic() - seconds, time.monotonic()
    pending: list[dict[str, float]] = []
    try:
        with progress.bar(label, last, unit="steps") as advance:
            advance(min(start, last))
            for number in range(start, last):
                rng = seeding.generator(seed, label, number)
                torch.manual_seed(int(rng.integers(2**63)))
                losses = trainee.step(number, steps, rng)
                pending.append({name: float(value) for name, value in losses.items()})
                done = number + 1
                if done % _LOGGED_EVERY == 0 or done == last:
                    rows.append(_row(done, time.monotonic() - began, pending))
                    pending = []
                if stop.is_set() or done == last or time.monotonic() - saved > _SAVED_EVERY:
                    _save(trainee, folder, steps, done, rows, time.monotonic() - began)
                    saved = time.monotonic()
                advance(1)
                if stop.is_set():
                    raise KeyboardInterrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def steps_done(folder: Path) -> int:
    """How many updates the state in `folder` has behind it; 0 without one."""
    path = folder / _STATE
    return int(_read(path)["done"]) if path.exists() else 0


def restore(folder: Path, **modules: torch.nn.Module) -> int:
    """Load the named modules from a folder that `train` wrote.

    Args:
        folder: of one model.
        modules: networks by the name they were saved under; changed in place.

    Returns:
        The number of updates they have behind them.

    Raises:
        InputError: the folder holds no state; says how to train one.
    """
    path = folder / _STATE
    if not path.exists():
        raise InputError(f"no trained model in {folder}. Train it first: its script in zoo/ makes it.")
    state = _read(path)
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    return int(state["done"])


def _resume(trainee: Trainee, folder: Path, steps: int) -> tuple[int, list[dict[str, float]], float]:
    path = folder / _STATE
    if not path.exists():
        return 0, [], 0.0
    state = _read(path)
    if state["steps"] != steps:
        raise InputError(
            f"{path} belongs to a schedule of {state['steps']} steps, not {steps}. "
            f"Give --steps {state['steps']}, or remove the folder to start anew."
        )
    for name, module in trainee.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimiser in trainee.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    return int(state["done"]), list(state["rows"]), float(state["seconds"])


def _save(
    trainee: Trainee, folder: Path, steps: int, done: int, rows: list[dict[str, float]], seconds: float
) -> None:
    state = {
        "steps": steps,
        "done": done,
        "seconds": seconds,
        "rows": rows,
        "modules": {name: module.state_dict() for name, module in trainee.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in trainee.optimisers.items()},
    }
    with replacing(folder / _STATE) as temporary:
        torch.save(state, temporary)
    with replacing(folder / _CURVE) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _row(done: int, seconds: float, pending: list[dict[str, float]]) -> dict[str, float]:
    # A loss that is not computed at every step (a lazy penalty) is averaged over the steps that have it.
    names = sorted({name for losses in pending for name in losses})
    means = {name: np.mean([losses[name] for losses in pending if name in losses]) for name in names}
    return {"step": done, "seconds": round(seconds, 1)} | {
        name: float(f"{mean:.6g}") for name, mean in means.items()
    }


def _on_signals(stop: threading.Event) -> dict[int, Any]:
    """SIGINT and SIGTERM ask for a stop after the step under way; returns the handlers to put back."""
    if threading.current_thread() is not threading.main_thread():
        return {}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    return {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
