"""`kill -9` at random moments, and the same command again: nothing is lost, doubled, or done over but a batch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fault_commands import EMBED, STUDY, Command, Server, content

from bandprobe.store import EmbeddingStore

BATCH = 8


def killed(
    start: Callable[[Path], Command], kills: int, folder: Path, seed: int, check: Callable[[Path, Path], None]
) -> dict[str, int]:
    """Kill a command at moments drawn evenly from the time it takes, resume it, and so on until it ends.

    Args:
        start: starts it; its store lies in the folder given.
        kills: how many kills to make, in as many runs as it takes.
        folder: where the runs go.
        seed: of the moments.
        check: told of an undisturbed run's folder and of that of a run that was killed, and has ended.

    Returns:
        Kills made, runs ended, passes of one run, and passes done over in all.
    """
    rng = np.random.default_rng(seed)
    whole = start(folder / "whole")
    assert whole.wait() == 0, whole.err
    seconds, needed = whole.ended - whole.started, whole.passes()
    done = runs = over = 0
    while done < kills:
        run, passes, mine = folder / f"run{runs}", 0, 0
        while True:
            command = start(run)
            if done < kills:
                time.sleep(float(rng.uniform(0, seconds)))
                command.kill()  # of no effect where it has ended
            status = command.wait()
            passes += command.passes()
            if status == 0:
                break
            assert status == -9, command.err
            done, mine = done + 1, mine + 1
            assert list(EmbeddingStore(run / "store").verify()) == []
            content(run / "store")
        assert passes - needed <= mine * BATCH, f"{passes - needed} passes done over in {mine} kills"
        assert content(run / "store") == content(folder / "whole/store")
        assert not (run / "store.partial").exists()
        check(folder / "whole", run)
        over, runs = over + passes - needed, runs + 1
        shutil.rmtree(run)
    return {"kills": done, "runs": runs, "passes": needed, "done over": over}


def embed_is_killed(server: Server, pictures: Path, folder: Path, kills: int) -> None:
    def start(run: Path) -> Command:
        run.mkdir(exist_ok=True)
        return server.start("embed", pictures, *EMBED, "--store", "store", folder=run, flush=0.1, delay=0.03)

    def same_manifest(whole: Path, run: Path) -> None:
        one, two = (pd.read_parquet(at / "store.manifest.parquet") for at in (whole, run))
        pd.testing.assert_frame_equal(one, two)

    print("embed:", killed(start, kills, folder, 1, same_manifest))


def study_is_killed(server: Server, pictures: Path, folder: Path, kills: int, *, figures: bool) -> None:
    (folder / "study.toml").write_text(STUDY.format(root=pictures))

    def start(run: Path) -> Command:
        return server.start(
            "study",
            "study.toml",
            "--out",
            run,
            "--quiet",
            folder=folder,
            flush=0.1,
            delay=0.01,
            figures=figures,
        )

    def same_results(whole: Path, run: Path) -> None:
        assert (run / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
        names = sorted(path.name for path in (whole / "probes").iterdir())
        assert names == sorted(path.name for path in (run / "probes").iterdir())
        for name in names:
            assert (run / "probes" / name).read_bytes() == (whole / "probes" / name).read_bytes(), name
        for name in ("scores.parquet", "results.parquet", "manifest.parquet"):
            pd.testing.assert_frame_equal(pd.read_parquet(whole / name), pd.read_parquet(run / name))
        left = [path for path in run.rglob("*") if path.name.startswith(".")]
        assert left == [], "half-written files stay behind"

    print("study:", killed(start, kills, folder, 2, same_results))


@pytest.mark.parametrize(
    ("dies", "over"),
    [
        (("a pass is done", 5), BATCH),
        (("half a record is written", 8), BATCH),  # header and content are written apart
        (("a record is written", 7), 0),
        (("a part is written", 2), 0),
        (("a part is there", 3), 0),
        (("the journal is cleared", 1), 0),
    ],
    ids=lambda value: value[0].replace(" ", "-") if isinstance(value, tuple) else None,
)
def test_the_moments_at_which_a_kill_costs_most(
    server: Server, pictures: Path, tmp_path: Path, alone: Path, dies: tuple[str, int], over: int
) -> None:
    arguments = ("embed", pictures, *EMBED, "--store", "store")
    command = server.start(*arguments, folder=tmp_path, dies=dies)
    assert command.wait() == -9, command.err
    assert list(EmbeddingStore(tmp_path / "store").verify()) == []
    content(tmp_path / "store")
    again = server.run(*arguments, folder=tmp_path)
    assert content(tmp_path / "store") == content(alone)
    assert command.passes() + again.passes() == 192 + over
    assert not (tmp_path / "store.partial").exists()


@pytest.fixture(scope="module")
def alone(server: Server, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed run."""
    folder = tmp_path_factory.mktemp("alone")
    server.run("embed", pictures, *EMBED, "--store", "store", folder=folder)
    return folder / "store"


def test_embed_goes_on_after_kills(server: Server, pictures: Path, tmp_path: Path) -> None:
    embed_is_killed(server, pictures, tmp_path, 3)


def test_study_goes_on_after_kills(server: Server, pictures: Path, tmp_path: Path) -> None:
    study_is_killed(server, pictures, tmp_path, 2, figures=False)


@pytest.mark.trust
def test_embed_goes_on_after_fifty_kills(server: Server, pictures: Path, tmp_path: Path) -> None:
    embed_is_killed(server, pictures, tmp_path, 50)


@pytest.mark.trust
def test_study_goes_on_after_fifty_kills(server: Server, pictures: Path, tmp_path: Path) -> None:
    study_is_killed(server, pictures, tmp_path, 50, figures=True)
