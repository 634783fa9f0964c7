"""What a shell offers: asked as the shells' own scripts ask it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bandprobe.cli import completion

TOOL = Path(sys.executable).with_name("bandprobe")


def asked(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from bandprobe.cli import main; main()", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env={**{n: v for n, v in os.environ.items() if n not in ("TERM", "SHELL")}, **environment},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


def offered(line: str) -> list[str]:
    """What bash offers behind a line typed so far; a blank at its end begins a new word."""
    words = line.split(" ")
    found = asked({
        "_BANDPROBE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    })  # fmt: skip
    return found.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bandprobe e", ["embed", "evaluate", "entropy", "encoders"]),
        ("bandprobe store v", ["verify"]),
        ("bandprobe embed --fil", ["--filter"]),
        ("bandprobe embed d --filter low", ["lowpass"]),
        ("bandprobe embed d --filter jpeg:75+ideal-h", ["jpeg:75+ideal-highpass"]),
        ("bandprobe embed d --filter none,the", ["none,thesis"]),
        ("bandprobe embed d --encoder dinov2-", ["dinov2-small", "dinov2-base", "dinov2-large", "dinov2-giant"]),
        ("bandprobe embed d --encoder openc", ["openclip-vit-g-14", "openclip:"]),
        ("bandprobe index d --layout f", ["forensynths", "folders"]),
        ("bandprobe train --head m", ["mlp"]),
        ("bandprobe train --augment blu", ["blur"]),
        ("bandprobe embed d --protocol the", ["thesis"]),
        ("bandprobe embed d --engine r", ["ray"]),
        ("bandprobe mmd --kernel r", ["rational-quadratic"]),
        ("bandprobe plan s.toml --gpu h1", ["h100"]),
    ],
)  # fmt: skip
def test_what_is_offered(line: str, words: list[str]) -> None:
    found = offered(line)
    assert set(words) <= set(found)
    begun = line.rpartition(" ")[2]
    assert all(word.startswith(begun) for word in found)


def test_files_are_left_to_the_shell() -> None:
    assert offered("bandprobe index pho") == []


@pytest.mark.parametrize(
    ("shell", "variables", "shown"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "bandprobe embed d --filter lowp"}, '"lowpass"'),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "bandprobe embed d --filter lowp", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "lowpass",
        ),
    ],
)  # fmt: skip
def test_other_shells(shell: str, variables: dict[str, str], shown: str) -> None:
    assert shown in asked({"_BANDPROBE_COMPLETE": f"complete_{shell}", **variables})
    script = asked({"_BANDPROBE_COMPLETE": f"source_{shell}"})
    assert "_BANDPROBE_COMPLETE" in script
    assert "bandprobe" in script


def test_bash_takes_the_script_and_asks_through_it(tmp_path: Path) -> None:
    if not TOOL.is_file():
        pytest.skip("the command is not installed beside this Python")
    asking = (
        'eval "$(_BANDPROBE_COMPLETE=source_bash bandprobe)"; COMP_WORDS=(bandprobe embed d --encoder micro-d); '
        'COMP_CWORD=4; _bandprobe_completion bandprobe; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", asking], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PATH": f"{TOOL.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout.split() == ["micro-dino", "micro-dino-noblur"]


def test_completion_is_installed_for_the_shell_that_asks(tmp_path: Path) -> None:
    if not TOOL.is_file():
        pytest.skip("the command is not installed beside this Python")
    done = subprocess.run(
        ["bash", "-c", f"'{TOOL}' --install-completion; '{TOOL}' --show-completion; true"],
        capture_output=True, text=True, check=True, timeout=60,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert "bash completion installed" in done.stdout, done.stderr
    assert "complete -o default -F _bandprobe_completion bandprobe" in done.stdout
    script = tmp_path / ".bash_completions/bandprobe.sh"
    assert "_BANDPROBE_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_words_said_again_are_those_of_their_rooms() -> None:
    from bandprobe.images.layouts import LAYOUTS
    from bandprobe.metrics.kernels import KERNELS
    from bandprobe.metrics.spectrum_kinds import WORDS
    from bandprobe.probes.heads import HEADS
    from bandprobe.probes.losses import LOSSES
    from bandprobe.recipes import RECIPES
    from bandprobe.study.devices import DEVICES

    assert completion.LAYOUTS == LAYOUTS
    assert tuple(KERNELS) == completion.KERNELS
    assert completion.SPECTRA == WORDS
    assert completion.HEADS == HEADS
    assert tuple(RECIPES) == completion.RECIPES
    assert tuple(LOSSES) == completion.LOSSES
    assert tuple(DEVICES) == completion.GPUS


def test_a_key_is_answered_without_an_array_library() -> None:
    script = (
        "import sys; from bandprobe.cli import completion as c; "
        "c.filters('low'); c.encoders('dino'); c.protocols('t'); c.among('a')('a'); "
        "print({'numpy', 'pandas', 'torch', 'scipy', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
