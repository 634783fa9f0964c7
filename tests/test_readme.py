"""The README's commands, settings and pictures are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from PIL import Image

from bandprobe import config
from bandprobe.cli.app import app
from bandprobe.cli.arguments import spread

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`(bandprobe [^`]+)`", README)
COMMANDS = [
    line.partition("#")[0].strip()
    for kind, block in BLOCKS
    if kind == "bash"
    for line in block.splitlines()
    if line.startswith("bandprobe ")
] + INLINE


def test_there_is_something_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line: str) -> None:
    group = typer.main.get_command(app)
    name, *arguments = spread(shlex.split(line)[1:])
    if name.startswith("-"):  # an option of bandprobe itself
        assert name in {option for found in group.get_params(typer.Context(group)) for option in found.opts}
        return
    if arguments == ["--help"]:  # prints and exits, whatever the command
        assert name == "COMMAND" or name in group.commands
        return
    command = group.commands[name]
    command.make_context(name, arguments, resilient_parsing=False)


def test_every_make_target_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)|`make (\w+)`", README, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target


def test_the_study_file_and_the_shipped_one_are_valid() -> None:
    from bandprobe.filters import expand

    [text] = [block for kind, block in BLOCKS if kind == "toml"]
    for name, content in (
        ("README", text),
        ("thesis", (ROOT / "studies/thesis.toml").read_text(encoding="utf-8")),
    ):
        settings = config.parse(config.tomllib.loads(content), name)
        assert expand(settings.filters.test)
    assert len(expand(settings.filters.test)) == 40
    assert settings.encoders.names == ["dinov2-giant", "openclip-vit-g-14"]


def test_pictures_and_links_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
    for picture in re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", README):
        assert len(picture[0]) > 20  # a description for those who cannot see it
        assert Image.open(ROOT / picture[1]).width > 600


def test_python_block_compiles_and_names_what_exists() -> None:
    import bandprobe as bp

    [block] = [block for kind, block in BLOCKS if kind == "python"]
    compile(block, "README", "exec")
    for path in re.findall(r"bp\.([\w.]+)\(", block):
        place = bp
        for part in path.split("."):
            place = getattr(place, part)
        assert callable(place)
