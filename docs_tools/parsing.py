"""What can be said of a block without running it: its commands and options exist, its files are well formed."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import Any

from docs_tools.blocks import ROOT, Block, commands

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHOWN = {"", "text", "math", "bibtex", "yaml", "latex", "ini", "html"}  # nothing that runs


def parse(block: Block) -> None:
    """Parse a block as what its fence says it is.

    Raises:
        ValueError: it is not well formed, or names what is not there.
    """
    if block.language in SHOWN:
        return
    parsers = {"bash": _bash, "python": _python, "toml": _toml, "json": _json}
    if block.language not in parsers:
        raise ValueError(f"{block.place}: no block is of the language {block.language!r}")
    try:
        parsers[block.language](block)
    except Exception as error:
        raise ValueError(f"{block.place}: {' '.join(str(error).split())}") from error


def words(line: str) -> list[str]:
    """A command's words, without its comment."""
    return shlex.split(line, comments=True)


def check_command(arguments: list[str]) -> None:
    """Parse the words behind `bandprobe` as the command line would.

    Raises:
        Exception: the command or an option is not there, or takes another value.
    """
    import typer.main

    from bandprobe.cli.app import app
    from bandprobe.cli.arguments import spread

    command: Any = typer.main.get_command(app)
    rest = spread(arguments)
    path = "bandprobe"
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name, *rest = rest
        if name not in command.commands:
            raise ValueError(f"{path} has no command {name!r}")
        command, path = command.commands[name], f"{path} {name}"
    if {"--help", "-h", "--version"} & set(rest) or hasattr(command, "commands"):
        return
    command.make_context(path, rest, resilient_parsing=False)


def _bash(block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in commands(block):
        for part in re.split(r"\|\||&&|[|;]", line):
            try:
                given = words(part)
            except ValueError:
                given = part.split()
            if given[:1] == ["bandprobe"]:
                redirected = next((n for n, word in enumerate(given) if word[:1] in "<>&"), len(given))
                check_command([word for word in given[1:redirected] if word != "..."])
            elif given[:1] == ["make"]:
                for target in given[1:]:
                    if "=" not in target and not re.search(rf"^{target}:", makefile, re.MULTILINE):
                        raise ValueError(f"the Makefile has no target {target!r}")


def _python(block: Block) -> None:
    compile(block.text, block.place, "exec")


def _toml(block: Block) -> None:
    from bandprobe import config
    from bandprobe.datasets.registry import DataSet

    content = tomllib.loads(block.text)
    if "parts" in content:  # a registry of files to fetch
        DataSet.model_validate({"name": "ours", "folder": "ours", **content})
        return
    # A page about one section of a study shows that section alone.
    config.parse({"data": {"root": "photos"}, **content}, block.place)


def _json(block: Block) -> None:
    for value in block.text.splitlines() if block.text.count("\n{") else [block.text]:
        json.loads(value)
