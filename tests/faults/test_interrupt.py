"""Ctrl-C: the command is gone within two seconds, says how to go on, and does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_commands import EMBED, STUDY, Command, Server, content

from bandprobe.machine import cores
from bandprobe.store import EmbeddingStore

SECONDS = 2.0
WORDS = "error: stopped; what was finished is kept, and the same command goes on from there."
MANY = ("--encoder", "spectral", "--filter", "lowpass:2..16/2px", "--geometry", "squash:32")


def until(true: Callable[[], bool], command: Command) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, command.err
        time.sleep(0.005)


def stops(command: Command, *, group: bool = False, may_finish: bool = False) -> float | None:
    """How long a command takes to be gone after Ctrl-C; None where it came after the last file was written."""
    pressed = command.interrupt(group=group)
    status = command.wait()
    if status == 0 and may_finish:
        return None
    assert status == 130, (status, command.err)
    assert command.err.strip() == WORDS
    seconds = command.ended - pressed
    # On a crowded machine each process gets its share of a core.
    assert seconds < SECONDS * max(1.0, os.getloadavg()[0] / cores())
    print(f"stopped after {seconds:.2f} s")
    return seconds


def workers(command: Command) -> list[int]:
    """Its child processes that have loaded what they work with: a starting Python says when it is stopped."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    return [int(pid) for pid in children if "sklearn" in Path(f"/proc/{pid}/maps").read_text()]


SWALLOWED = """
import os, signal
import bandprobe.cli as cli
from bandprobe.cli import app

def command(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        raise ValueError("what a library makes of any exception") from None

app.app = command
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
cli.main()
"""


def test_a_library_that_makes_another_error_of_it_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, WORDS)


def test_embed_stops_and_goes_on(server: Server, pictures: Path, tmp_path: Path) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    whole = server.run(*arguments[:-2], "alone", "--quiet", folder=tmp_path)
    command = server.start(*arguments, folder=tmp_path, delay=0.05)
    until(lambda: command.passes() > 16, command)
    stops(command)
    assert list(EmbeddingStore(tmp_path / "store").verify()) == []
    again = server.run(*arguments, folder=tmp_path)
    assert command.passes() + again.passes() - whole.passes() <= 8
    assert content(tmp_path / "store") == content(tmp_path / "alone")


def test_a_call_that_hears_nothing_is_left(server: Server, pictures: Path, tmp_path: Path) -> None:
    """What was finished before it is in the journal."""
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    command = server.start(*arguments, folder=tmp_path, stuck=True)
    until(lambda: Path(command.log).read_text() != "", command)
    stops(command)
    assert server.run(*arguments, folder=tmp_path).passes() == 192
    assert not (tmp_path / "store.partial").exists()


@pytest.mark.parametrize("group", [True, False])
def test_train_stops_with_its_worker_processes(
    server: Server, pictures: Path, tmp_path: Path, group: bool
) -> None:
    server.run("embed", pictures, *MANY, "--store", "store", "--quiet", folder=tmp_path)
    arguments = ("train", "--store", "store", "--out", "probes", "--workers", "2", "--quiet",
                 "--train-filter", "lowpass:2..16/2px")  # fmt: skip
    command = server.start(*arguments, folder=tmp_path)
    until(lambda: len(workers(command)) >= 2, command)
    time.sleep(0.3)
    pids = workers(command)
    stops(command, group=group)
    end = time.monotonic() + 10
    while alive := [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < end, f"worker processes {alive} live on"
        time.sleep(0.05)
    server.run(*arguments, folder=tmp_path)
    assert len(list((tmp_path / "probes").glob("*.safetensors"))) == 8 * 3


def study_stops(server: Server, pictures: Path, folder: Path, times: int) -> None:
    """At moments drawn evenly from the time that a study takes; resumed, it gives what an undisturbed one does."""
    (folder / "study.toml").write_text(STUDY.format(root=pictures))
    arguments = ("study", "study.toml", "--quiet", "--out")
    whole = server.run(*arguments, "whole", folder=folder, figures=times > 3)
    rng, longest = np.random.default_rng(0), 0.0
    stopped = 0
    while stopped < times:
        command = server.start(*arguments, "run", folder=folder, figures=times > 3, delay=0.02)
        time.sleep(float(rng.uniform(0, whole.ended - whole.started)))
        if Path(f"/proc/{command.pid}/exe").exists():
            seconds = stops(command, may_finish=True)
        else:
            seconds = None
            assert command.wait() == 0
        if seconds is None:
            (folder / "run/run.json").unlink()
        else:
            longest, stopped = max(longest, seconds), stopped + 1
    server.run(*arguments, "run", folder=folder, figures=times > 3)
    assert (folder / "run/results.csv").read_bytes() == (folder / "whole/results.csv").read_bytes()
    assert content(folder / "run/store") == content(folder / "whole/store")
    print(f"{times} times, the longest {longest:.2f} s")


def test_a_study_stops(server: Server, pictures: Path, tmp_path: Path) -> None:
    study_stops(server, pictures, tmp_path, 2)


@pytest.mark.trust
def test_a_study_stops_at_any_moment(server: Server, pictures: Path, tmp_path: Path) -> None:
    study_stops(server, pictures, tmp_path, 25)
