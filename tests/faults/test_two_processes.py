"""Two processes that fill one store at the same time."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pandas as pd
import pytest
from fault_commands import EMBED, STUDY, Server, content

from bandprobe.errors import DiskError
from bandprobe.files import locked


def both_finish(server: Server, pictures: Path, folder: Path) -> int:
    """Two commands with the same work; how many passes they did in all."""
    server.run("embed", pictures, *EMBED, "--store", "alone", folder=folder)
    arguments = ("embed", pictures, *EMBED, "--store", "store", "--quiet")
    two = [server.start(*arguments, folder=folder, flush=0.05, delay=0.01) for _ in range(2)]
    assert [command.wait() for command in two] == [0, 0], [command.err for command in two]
    assert content(folder / "store") == content(folder / "alone")
    assert not (folder / "store.partial").exists()
    return sum(command.passes() for command in two)


def test_no_row_is_doubled(server: Server, pictures: Path, tmp_path: Path) -> None:
    passes = both_finish(server, pictures, tmp_path)
    assert 192 <= passes <= 2 * 192


def test_different_data_in_one_store(server: Server, pictures: Path, tmp_path: Path) -> None:
    """Each keeps the other's embeddings and the other's rows in the manifest beside the store."""
    for name, keep in (("a", 0), ("b", 1)):
        for source in ("Real", "ProGAN"):
            (tmp_path / name / source).mkdir(parents=True)
            for number, path in enumerate(sorted((pictures / source).iterdir())):
                if number % 2 == keep:
                    (tmp_path / name / source / path.name).write_bytes(path.read_bytes())
    two = [
        server.start("embed", tmp_path / name, *EMBED, "--store", "store", folder=tmp_path, flush=0.05)
        for name in ("a", "b")
    ]
    assert [command.wait() for command in two] == [0, 0]
    assert {len(ids) for ids, _ in content(tmp_path / "store").values()} == {64}
    assert len(pd.read_parquet(tmp_path / "store.manifest.parquet")) == 64


def hold(path: str, held: object, release: object) -> None:
    with locked(path):
        held.set()  # type: ignore[attr-defined]
        release.wait()  # type: ignore[attr-defined]


def test_waiting_ends_and_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(tmp_path / "s.partial" / "lock"), held, release))
    other.start()
    held.wait(60)
    wait = locked(tmp_path / "s.partial" / "lock", timeout=0.1)
    with pytest.raises(DiskError, match=r"has held '.*lock' for 0\.1 seconds; run again"), wait:
        pass
    other.kill()
    other.join()
    with locked(tmp_path / "s.partial" / "lock", timeout=5):
        assert (tmp_path / "s.partial" / "lock").exists()
    assert not (tmp_path / "s.partial").exists()


def test_two_studies_in_one_folder(server: Server, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(root=pictures))
    arguments = ("study", "study.toml", "--quiet", "--out")
    server.run(*arguments, "alone", folder=tmp_path, figures=False)
    two = [server.start(*arguments, "run", folder=tmp_path, figures=False, delay=0.02) for _ in range(2)]
    assert [command.wait() for command in two] == [0, 0], [command.err for command in two]
    assert content(tmp_path / "run/store") == content(tmp_path / "alone/store")
    assert (tmp_path / "run/results.csv").read_bytes() == (tmp_path / "alone/results.csv").read_bytes()


@pytest.mark.trust
@pytest.mark.parametrize("time", range(15))
def test_no_row_is_doubled_time_after_time(server: Server, pictures: Path, tmp_path: Path, time: int) -> None:
    both_finish(server, pictures, tmp_path)
