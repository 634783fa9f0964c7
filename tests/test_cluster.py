"""A cluster that is asked for: what is wrong is said in one line, before anything takes time."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bandprobe as bp
from bandprobe.cli import run
from bandprobe.cluster import Cluster
from bandprobe.errors import InputError

EMBED = ("--encoder", "spectral", "--geometry", "squash:32", "--engine", "ray")


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that ends with code 2, one line."""
    assert run(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    return said.err


def test_without_ray(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name.split(".", maxsplit=1)[0] == "ray":
            raise ModuleNotFoundError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    said = asked(capsys, "embed", str(world), *EMBED, "--store", str(tmp_path / "store"))
    assert 'Run pip install "bandprobe[ray]".' in said
    assert not (tmp_path / "store").exists()
    file = tmp_path / "study.toml"
    file.write_text(f'[data]\nroot = "{world}"\n[encoders]\nnames = ["spectral"]\ngeometry = "squash:32"\n')
    assert "bandprobe[ray]" in asked(
        capsys, "study", str(file), "--out", str(tmp_path / "run"), "--engine", "ray", "--quiet"
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:1", "no Ray cluster at 'localhost:1' (Connection refused)"),
        ("ray://localhost:1", "no Ray cluster at 'ray://localhost:1' (Connection refused)"),
        ("somewhere", "address must be auto, HOST:PORT or ray://HOST:PORT; got 'somewhere'"),
    ],
)
def test_no_cluster_at_the_address(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, said: str
) -> None:
    pytest.importorskip("ray", reason="Ray is an extra, and not installed")
    assert said in asked(
        capsys, "embed", str(world), *EMBED, "--store", str(tmp_path / "s"), "--address", address
    )


@pytest.mark.parametrize("options", [{"address": "auto"}, {"actors": 2}])
def test_options_of_a_cluster_without_one(options: dict[str, Any]) -> None:
    given = {"address": None, "actors": None, **options}
    with pytest.raises(InputError, match="is for the engine ray"):
        Cluster.asked("local", given["address"], device="auto", actors=given["actors"])


def test_a_study_file_names_the_cluster() -> None:
    run_ = {"engine": "ray", "address": "head:6379", "actors": 3, "device": "cpu"}
    study = bp.Study.from_dict({"data": {"root": "x"}, "run": run_})
    assert study.config.run.engine == "ray"
    with pytest.raises(InputError, match="engine"):
        bp.Study.from_dict({"data": {"root": "x"}, "run": {"engine": "spark"}})
