"""What is not loaded: libraries that take seconds, where nothing is left to compute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bandprobe as bp
from small_study import write_study

STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral", "tiny-dinov2"]
geometry = "squash:32"
[filters]
test = ["none", "lowpass:6px"]
train = ["none"]
"""
SLOW = {"torch", "transformers", "sklearn", "matplotlib"}


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The slow libraries that a command has imported by its end, in a process of its own."""
    script = (
        "import sys; from bandprobe.cli import run; code = run(sys.argv[1:]); "
        "print(code, *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    code, *names = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stdout + done.stderr
    return SLOW & set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("filters",), ("study", "--help")])
def test_words_alone_load_nothing_slow(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(tmp_path, *arguments) == set()


def test_a_finished_study_is_recognised_with_nothing_slow(
    tmp_path: Path, world: Path, checkpoint: Path, no_figures: None
) -> None:
    bp.Study.from_toml(write_study(tmp_path, world, checkpoint, STUDY)).run(tmp_path / "run")
    before = (tmp_path / "run/results.csv").stat().st_mtime_ns
    assert loaded(tmp_path, "study", "study.toml", "--out", "run", "--quiet") == set()
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["encoder_passes"]["done"] == 0
    assert (tmp_path / "run/results.csv").stat().st_mtime_ns == before
