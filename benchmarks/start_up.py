"""How long a user waits before anything begins: help, a list, a study that is finished."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from bandprobe.seeding import generator
from side_by_side import Row, device, times

_COMMAND = (sys.executable, "-c", "from bandprobe.cli import main; main()")
_NOTHING = (sys.executable, "-c", "pass")
_MORE = 0.4  # seconds that help may take beyond Python's own start
_AGAIN = 3.0  # seconds that a finished study may take
_STUDY = """
[data]
root = "images"
[encoders]
names = ["spectral"]
geometry = "squash:32"
[families]
GAN = ["A", "B"]
[filters]
test = ["none", "lowpass:2..8/2px"]
"""


def rows(*, images: int = 60, rounds: int = 7) -> list[Row]:
    """`--help` and `filters` against a Python that does nothing; a finished study against three seconds.

    Args:
        images: of each of the study's three sources.
        rounds: how often each side runs.
    """
    found = []
    for words in (("--help",), ("filters",)):
        sides = {"ours": partial(run, [*_COMMAND, *words]), "nothing": partial(run, _NOTHING)}
        for side in sides.values():
            side()
        taken = times(sides, rounds)
        more = statistics.median(a - b for a, b in zip(taken["ours"], taken["nothing"], strict=True))
        name = f"bandprobe {' '.join(words)}"
        unit = "s; the ratio is 0.4 s to what it takes beyond `python -c pass`"
        ours, other = (statistics.median(taken[side]) for side in ("ours", "nothing"))
        found.append(Row(name, _MORE / more, 1.0, ours, other, unit, device()))
    with TemporaryDirectory() as name:
        study = written(Path(name), images)
        command = [*_COMMAND, "study", str(study), "--out", str(Path(name) / "run"), "--quiet"]
        first = seconds(command)
        again = statistics.median(seconds(command) for _ in range(rounds))
        unit = "s; other: the first run; the ratio is 3 s to the second"
        found.append(Row("re-run of a finished study", _AGAIN / again, 1.0, again, first, unit, device()))
    return found


def run(command: Sequence[str]) -> None:
    """A command to its end.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run(command, check=True, capture_output=True)


def seconds(command: Sequence[str]) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    run(command)
    return time.perf_counter() - start


def written(folder: Path, images: int) -> Path:
    """A study file beside noise of three colours."""
    draw = generator(0, "start-up benchmark")
    for level, name in zip((1.0, 0.8, 0.6), ("Real", "A", "B"), strict=True):
        place = folder / "images" / name
        place.mkdir(parents=True)
        for number in range(images):
            pixels = draw.integers(0, int(256 * level), (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number:03d}.png")
    path = folder / "study.toml"
    path.write_text(_STUDY, encoding="utf-8")
    return path
