"""What goes to which stream: results to standard output, all else to standard error, on any machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main

from bandprobe.cli import run
from bandprobe.cli.app import app
from small_study import without_figures

CLI = [sys.executable, "-c", "from bandprobe.cli import main; main()"]
SMALL = ("--geometry", "squash:32")
STUDY = """
[data]
root = "world"
near_duplicates = false
[encoders]
names = ["spectral"]
geometry = "squash:32"
[filters]
test = ["none", "lowpass:8px"]
train = ["none"]
[probes]
train_on = ["all"]
seeds = 1
[analysis]
audit = false
mmd = false
entropy = false
claims = false
calibration = false
bands = false
spectrum = false
"""
# Each command that gives results, in an order in which one can use what another has made.
CALLS = {
    "encoders": ["encoders"],
    "filters": ["filters"],
    "index": ["index", "world", "--out", "m.parquet"],
    "audit": ["audit", "world", "--samples", "20", "--out", "audit.csv"],
    "filter": ["filter", "world/Real/000.png", "--filter", "lowpass:5px", "--out", "filtered"],
    "embed": ["embed", "world", "--encoder", "spectral", "--filter", "none,identity,lowpass:8px", "--store",
              "emb", *SMALL],
    "train": ["train", "--store", "emb", "--train-on", "all", "--out", "p"],
    "evaluate": ["evaluate", "--store", "emb", "--probes", "p", "--out", "steps"],
    "spectrum": ["spectrum", "world", "--samples", "10", "--kind", "density", "--out", "spectra"],
    "mmd": ["mmd", "--store", "emb", "--filter", "none", "--experiment", "fake_vs_real", "--permutations", "9",
            "--samples", "20", "--out", "mmd"],
    "entropy": ["entropy", "--store", "emb", "--filter", "none,identity", "--no-images", "--out", "entropy"],
    "sensitivity": ["sensitivity", "world", "--encoder", "spectral", "--method", "perturb", "--rings", "1",
                    "--sectors", "1", "--samples", "2", "--draws", "1", "--no-agreement",
                    "--geometry", "squash:32", "--out", "sensitivity"],
    "project": ["project", "--store", "emb", "--method", "pca", "--samples", "20", "--out", "projection"],
    "openset": ["openset", "--store", "emb", "--recipe", "plain", "--by", "generator", "--replicates", "0",
                "--out", "openset"],
    "score": ["score", "world/Real/000.png", "--probe", "p/spectral__all__none.safetensors"],
    "import-probe": ["import-probe", "fc_weights.pth", "--out", "imported"],
    "plan": ["plan", "study.toml", "--no-calibrate"],
    "study": ["study", "study.toml", "--out", "run"],
    "report": ["report", "run"],
    "leaderboard": ["leaderboard", "run", "--out", "board"],
    "store verify": ["store", "verify", "emb"],
}  # fmt: skip
ELSEWHERE = {
    "shapley": "needs a trained probe of whole images; test_band_commands.py",
    "attack": "needs an encoder with gradients; test_band_commands.py",
    "demo": "takes minutes; test_commands.py",
    "selftest": "takes a minute; test_selftest_command.py",
    "layers": "needs an encoder with blocks; test_layered_study.py",
    "explore": "serves a page, and gives no result",
    "fetch": "needs a server; its own tests",
    "publish": "needs a probe with its validation set; its own tests",
}


@pytest.fixture(scope="module")
def workplace(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with what the commands need; the figures of the report, which take long, left out."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "world").symlink_to(world)
    (folder / "study.toml").write_text(STUDY)
    torch.save({"weight": torch.randn(1, 768), "bias": torch.zeros(1)}, folder / "fc_weights.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bandprobe.report.build", without_figures)
        patch.setattr(
            "bandprobe.report.figures.PlannedFigure.write", lambda figure, out: Path(out) / "left-out.png"
        )
        yield folder


def test_every_command_is_called() -> None:
    group = typer.main.get_command(app)
    names = {name for name, command in group.commands.items() if not hasattr(command, "commands")}
    assert names <= {*CALLS, *ELSEWHERE}, "say above how the command is called"
    for name in names:
        flags = {flag for param in group.commands[name].params for flag in param.opts}
        assert {"--quiet"} | ({"--json"} if name != "explore" else set()) <= flags, name


@pytest.mark.parametrize("name", CALLS)
def test_json_is_one_document_and_nothing_else(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CALLS[name], "--json", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) or json.loads(out) == []
    assert out.endswith(("}\n", "]\n"))


@pytest.mark.parametrize(
    "name", ["encoders", "index", "train", "evaluate", "score", "report", "store verify"]
)
def test_quiet_takes_nothing_from_the_results(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(CALLS[name]) == 0
    loud = capsys.readouterr()
    assert run([*CALLS[name], "-q"]) == 0
    soft = capsys.readouterr()
    assert soft.out == loud.out != ""
    assert soft.err == ""
    assert "\x1b" not in loud.out + loud.err


def test_a_study_says_its_stages_and_quiet_says_none(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", "study.toml", "--out", "staged", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["study", "study.toml", "--out", "staged", "--seed", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == "staged/report.html\n"
    said = [re.match(r"(\d+)/(\d+) (\w+)", line) for line in err.splitlines() if re.match(r"\d+/\d+ ", line)]
    assert [(int(found[1]), int(found[2])) for found in said] == [
        (n + 1, len(said)) for n in range(len(said))
    ]
    names = [found[3] for found in said]
    assert [name for name in names if name in ("index", "embed", "train", "evaluate", "report")] == [
        "index", "embed", "train", "evaluate", "report",
    ]  # fmt: skip
    assert set(names) == set(json.loads(Path("staged/run.json").read_text())["timings"])
    assert "left if it takes what it took before" in err.splitlines()[0]


# Below: processes of their own, as a server without a desktop, a home or a language starts them.


def process(
    *arguments: str, prefix: str = "", environment: dict[str, str] | None = None, **options: Any
) -> Any:
    line = " ".join([prefix, "exec", *map(_quoted, [*CLI, *arguments])])
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **(environment or {})}, **options,
    )  # fmt: skip


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def test_colours_come_only_where_they_are_wanted() -> None:
    plain = process("embd")
    assert plain.returncode == 2
    assert plain.stderr.startswith("error: unknown command 'embd'. Did you mean 'embed'?")
    forced = process("embd", environment={"FORCE_COLOR": "1"})
    assert forced.stderr.startswith("\x1b[31merror:\x1b[0m unknown")
    neither = process("embd", environment={"FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert neither.stderr == plain.stderr
    assert "\x1b" not in process("--help", environment={"FORCE_COLOR": "1"}).stdout


def test_a_terminal_gets_a_bar_a_dumb_one_none(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("pty", reason="this system has no terminals to try")
    shown = {}
    for term in ("xterm-256color", "dumb"):
        shown[term] = _on_terminal(
            tmp_path, term, "filter", str(world / "Real"), "--filter", "identity", "--out", term
        )
    assert re.search(r"70/70", shown["xterm-256color"])
    assert "\x1b[?25h" in shown["xterm-256color"]  # the cursor is back
    assert "\x1b" not in shown["dumb"]
    assert "70 images written" in shown["dumb"]


def _on_terminal(folder: Path, term: str, *arguments: str) -> str:
    """What a command writes on a terminal of 40 columns."""
    import pty

    leader, follower = pty.openpty()
    started = subprocess.Popen(
        [*CLI, *arguments], cwd=folder, stdout=follower, stderr=follower, stdin=follower,
        env={**os.environ, "TERM": term, "COLUMNS": "40"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # Linux's word for a terminal whose last user has left
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert started.wait(timeout=60) == 0, shown
    return shown.decode()


def test_no_home_no_display_no_language_no_place_to_write() -> None:
    bare = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    place = "/proc" if Path("/proc/self").exists() else "/"  # nobody, not even root, can write there
    for words in (["--version"], ["--help"], ["filters"], ["encoders", "--json"]):
        done = subprocess.run(
            ["env", "-i", *(f"{name}={value}" for name, value in bare.items()), *CLI, *words],
            capture_output=True, check=False, cwd=place, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        assert done.stdout.decode()


def test_a_closed_stream_is_no_failure(tmp_path: Path) -> None:
    tool = " ".join(map(_quoted, CLI))
    for line, code in {
        f"{tool} encoders >&-": 0,
        f"{tool} encoders 2>&-": 0,
        f"{tool} encoders | head -n 1": 0,
        f"{tool} embd 2>&-": 2,
        f"{tool} embd >&-": 2,
    }.items():
        done = subprocess.run(
            ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == code, line
        assert b"Traceback" not in done.stderr, line
        assert done.stderr == b"" or "embd >" in line, line


def test_a_name_that_the_terminal_cannot_show_is_escaped(
    workplace: Path, world: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "\u65e5.png"
    picture.write_bytes((world / "Real/000.png").read_bytes())
    narrow = {"PYTHONIOENCODING": "iso8859-1:strict"}
    done = process("score", str(picture), "--probe", CALLS["score"][-1], environment=narrow, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("\\u65e5.png")


def test_numbers_agree_between_text_and_json(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*CALLS["score"], "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    [row] = found if isinstance(found, list) else [found]
    assert run([*CALLS["score"], "-q"]) == 0
    assert np.isclose(float(capsys.readouterr().out.split()[0]), row["probability"], atol=6e-4)
