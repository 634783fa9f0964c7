"""The commands behind docs/findings.md: each is run once, and what a stopped run has done is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bandprobe.recipes import RECIPES
from docs_tools.blocks import ROOT

WORLD = "src/bandprobe/embedded/images"
STUDIES = ("layers", "spectral", "robustness")
ENCODERS = ("micro-dino", "micro-clip")
ATTACKED = ("plain", "bands", "radii", "random-lowpass", "leace")  # recipes on the encoder below
ATTACKED_ENCODER = "micro-clip"


@dataclass(frozen=True)
class Size:
    """How much is run: whole, or little, to see that everything works.

    Attributes:
        limit: options that leave out images of studies and stores.
        pictures: images a source that gradients, Shapley values and attacks are taken of.
        replicates: trainings on resamples behind `openset`'s intervals.
        openset: options that leave recipes and protocols out.
        selftest: options of the planted truths.
    """

    limit: tuple[str, ...] = ()
    pictures: dict[str, int] = field(default_factory=lambda: {"sensitivity": 64, "shapley": 60, "attack": 8})
    replicates: int = 2
    openset: tuple[str, ...] = ()
    selftest: tuple[str, ...] = ("--full",)


WHOLE = Size()
QUICK = Size(
    limit=("--limit", "12"),
    pictures=dict.fromkeys(("sensitivity", "shapley", "attack"), 2),
    openset=("--recipe", "radii", "stacked", "--by", "generator"),
    selftest=(),
)


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: of the step, and of the folder that it fills.
        command: bandprobe's arguments, from the repository's root.
    """

    name: str
    command: tuple[str, ...]


def chains(out: Path, size: Size) -> list[list[Step]]:
    """What may run side by side, each in its own order.

    Args:
        out: the folder of all that is made.
        size: how much.
    """

    def of(name: str, *words: str | Path) -> Step:
        return Step(name, (*map(str, words), "--quiet"))

    def study(name: str) -> Step:
        return of(name, "study", f"studies/findings/{name}.toml", *size.limit, "--out", out / name)

    def samples(name: str) -> tuple[str, str]:
        return "--samples", str(size.pictures[name])

    probes = [
        word
        for encoder in ENCODERS
        for word in ("--probes", str(out / "layers" / "probes" / f"{encoder}__all__none.safetensors"))
    ]
    attacked = [word for name in ATTACKED for word in ("--probes", str(out / f"recipe-{name}"))]
    store, bands = out / "recipes-store", ("--bands", "0,0.05,0.15,0.3,0.5,0.75,1.5")
    looked_at = [
        *(study(name) for name in ("layers", "spectral")),
        of("leaderboard", "leaderboard", out / "layers", out / "spectral", "--out", out / "leaderboard"),
        of("sensitivity", "sensitivity", WORLD, *probes, *samples("sensitivity"), "--out", out / "sensitivity"),
        of("shapley", "shapley", WORLD, *probes, *bands, *samples("shapley"), "--store", out / "shapley-store",
           "--out", out / "shapley"),
        of("selftest", "selftest", "--only", "attribution", *size.selftest, "--out", out / "selftest"),
    ]  # fmt: skip
    better = [
        of("recipes-store", "embed", WORLD, "--encoder", *ENCODERS, "--geometry", "squash:64", "--filter", "recipes",
           *size.limit, "--store", store),
        of("openset", "openset", "--store", store, "--replicates", str(size.replicates), *size.openset,
           "--out", out / "openset"),
        *(
            of(f"recipe-{name}", "train", "--store", store, "--encoder", ATTACKED_ENCODER, "--recipe", name, "--out",
               out / f"recipe-{name}")
            for name in ATTACKED
        ),
        of("attack", "attack", WORLD, *attacked, *bands, *samples("attack"), "--steps", "10", "--out", out / "attack"),
        study("robustness"),
    ]  # fmt: skip
    unknown = set(ATTACKED) - set(RECIPES)
    if unknown:
        raise ValueError(f"there is no recipe {', '.join(sorted(unknown))}")
    return [looked_at, better]


def run(out: Path, size: Size, say: Callable[[str], None]) -> None:
    """Run what is not done yet.

    Args:
        out: the folder of all that is made.
        size: how much.
        say: told what begins and what ended.

    Raises:
        RuntimeError: a command failed; its last words are in the message.
    """
    (out / "done").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_chain, chain, out, say) for chain in chains(out, size)]:
            done.result()


def _chain(steps: Sequence[Step], out: Path, say: Callable[[str], None]) -> None:
    for step in steps:
        record = out / "done" / f"{step.name}.json"
        if record.exists() and json.loads(record.read_text(encoding="utf-8"))["command"] == list(
            step.command
        ):
            continue
        say(f"bandprobe {' '.join(step.command)}")
        begun = time.perf_counter()
        program = Path(sys.executable).with_name("bandprobe")
        done = subprocess.run(
            [str(program), *step.command],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        # The planted truths end with 1 where a share is too low: a finding like any other.
        if done.returncode not in ((0, 1) if step.command[0] == "selftest" else (0,)):
            raise RuntimeError(f"{step.name} ended with {done.returncode}: {done.stderr[-2000:]}")
        seconds = round(time.perf_counter() - begun)
        record.write_text(json.dumps({"command": list(step.command), "seconds": seconds}), encoding="utf-8")
        say(f"{step.name}: {seconds} s")
