"""The command reference, made from the commands themselves: `python -m docs_tools.commands` writes the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from bandprobe.cli.pages import EXIT_CODES
from docs_tools.blocks import DOCS, ROOT

PAGE = DOCS / "reference" / "commands.md"

_HIDDEN = {"install_completion", "show_completion", "help"}


def page() -> str:
    """The page, as the commands are now."""
    import typer.main

    from bandprobe.cli.app import app

    root: Any = typer.main.get_command(app)
    codes = "\n".join(f"| {code} | {words} |" for code, words in EXIT_CODES.items())
    parts = [_TOP.format(codes=codes)]
    for path, command in _leaves(root, "bandprobe"):
        parts.append(_section(path, command))
    return "\n\n".join(parts) + "\n"


_TOP = """\
<!-- made from the command line by `make docs`: change the commands' own help -->
<!-- the rest is not run: the examples name files of their own; that they parse is checked -->

# Commands

`bandprobe COMMAND --help` prints what stands here. Results go to standard output, progress and warnings to standard
error. Options that take several values take them after one another, `--filter none thesis`, or repeated.

| exit code | means |
|---|---|
{codes}

`bandprobe --version` prints the version. `bandprobe --install-completion` teaches your shell to complete commands and
options, `--show-completion` prints the script."""


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        if not child.hidden:
            yield from _leaves(child, f"{path} {name}")


def _section(path: str, command: Any) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    words = " ".join((command.help or "").split())
    arguments = [one for one in command.params if one.param_type_name == "argument" and not one.hidden]
    options = [
        one
        for one in command.params
        if one.param_type_name == "option" and one.name not in _HIDDEN and not one.hidden
    ]
    usage = " ".join([path, *(piece for piece in command.collect_usage_pieces(context))])
    lines = [f"## {path}", "", words, "", "```text", usage, "```"]
    if command.examples:
        lines += ["", "```bash", *command.examples, "```"]
    if arguments:
        lines += ["", "| argument | | default |", "|---|---|---|", *(_row(one, context) for one in arguments)]
    if options:
        lines += ["", "| option | | default |", "|---|---|---|", *(_row(one, context) for one in options)]
    return "\n".join(lines)


def _row(parameter: Any, context: Any) -> str:
    """An argument's or option's row: how it is written, what it does, what holds where it is left out."""
    written, said = parameter.get_help_record(context)
    written = written.split()[0].upper() if parameter.param_type_name == "argument" else written
    words, facts = said.strip(), ""
    if found := re.search(r"\s*\[([^\[\]]*(?:\[[^\]]*\])?[^\[\]]*)\]$", words):
        facts, words = found[1], words[: found.start()]
    default = re.search(r"default: ([^;]*)", facts)
    shown = f"`{_cell(default[1])}`" if default else "required" if parameter.required else ""
    return f"| `{_cell(written)}` | {_cell(words)} | {shown} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    typer.echo(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    typer.run(main)
