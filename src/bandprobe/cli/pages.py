"""Help pages: grouped, as wide as the terminal, with examples that can be copied as they stand."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from bandprobe.errors import did_you_mean

# Groups of options, in the order of a page; those of the command itself stand under OPTIONS.
OPTIONS, IMAGES, MACHINE, OUTPUT = "Options", "Images", "Machine", "Output"

EXIT_CODES = {
    0: "Done.",
    1: "Done, but some images were left out (they are listed), or a self-test failed.",
    2: "Wrong use or unusable input; one line says what, and the way out.",
    3: "The disk or the network failed.",
    130: "Stopped by Ctrl-C; what was finished is kept.",
}
_WHERE = {
    "Standard output": "Results: text, or with --json one JSON document and nothing else.",
    "Standard error": "Progress, notes and errors; with --quiet errors and left-out images alone.",
    "NO_COLOR, FORCE_COLOR": "Set to anything: colours never, or also where no terminal is.",
}
_WIDEST, _NARROW, _NAMES = 80, 60, 24  # columns of a page, of one without a second column, of names
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")


def split(text: str) -> tuple[str, list[str]]:
    """A command's docstring, and the examples at its end, one command each.

    They stand indented below a line `Examples:`; what is indented further goes on with the command above it.
    """
    words, _, block = text.partition("\nExamples:\n")
    examples: list[str] = []
    for line in textwrap.dedent(block).splitlines():
        if line.startswith(" ") and examples:
            examples[-1] += f" {line.strip()}"
        elif line.strip():
            examples.append(line.strip())
    return words.strip(), examples


def folded(command: str, width: int) -> list[str]:
    """A shell command in lines of at most `width`, where its words allow it: an option stays with its value."""
    units: list[str] = []
    for word in _WORD.findall(command):
        if units and re.fullmatch(r"--?[\w-]+", units[-1]) and not word.startswith("-"):
            units[-1] += f" {word}"
        else:
            units.append(word)
    lines = [units[0]]
    for unit in units[1:]:
        if len(lines[-1]) + 1 + len(unit) + 2 <= width:  # room for " \"
            lines[-1] += f" {unit}"
        else:
            lines[-1] += " \\"
            lines.append(f"    {unit}")
    return lines


def _definitions(formatter: Any, groups: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Names with what they mean, in one column through all groups; on a narrow page below each other."""
    longest = 1 if formatter.width < _NARROW else _NAMES
    column = min(max((len(name) for rows in groups.values() for name, _ in rows), default=0), longest)
    for title, rows in groups.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl([(name.ljust(column), words) for name, words in rows], col_max=longest)


def _option_rows(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """What a page says of each parameter, by group."""
    groups: dict[str, list[tuple[str, str]]] = {
        name: [] for name in ("Arguments", OPTIONS, IMAGES, MACHINE, OUTPUT)
    }
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is None:
            continue
        if param.param_type_name == "argument":
            groups["Arguments"].append((_shown(param), record[1]))
        else:
            last = OUTPUT if param.name == "help" and groups[OUTPUT] else OPTIONS
            groups.setdefault(getattr(param, "rich_help_panel", None) or last, []).append(record)
    return groups


def _shown(argument: Any) -> str:
    """An argument in the usage line: `FILE`, `[DATA]...`."""
    name = argument.metavar or argument.name.upper()
    return (name if argument.required else f"[{name}]") + ("" if argument.nargs == 1 else "...")


class Command(TyperCommand):
    """A command whose docstring ends with examples.

    Attributes:
        examples: shell commands.
    """

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002
        words, self.examples = split(help or "")
        super().__init__(*args, help=words, **options)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS]` and the arguments."""
        shown = [_shown(param) for param in self.get_params(ctx) if param.param_type_name == "argument"]
        return ["[OPTIONS]", *shown]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page, as wide as the terminal."""
        formatter.width = page_width()
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, group by group."""
        _definitions(formatter, _option_rows(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples: last, where the reader's eye is when the page has scrolled by."""
        if self.examples:
            with formatter.section("Examples"):
                indent = " " * formatter.current_indent
                for example in self.examples:
                    for line in folded(example, formatter.width - len(indent)):
                        formatter.write(f"{indent}{line}\n")


class Group(TyperGroup):
    """A group whose commands stand by topic and whose misspelt ones are suggested."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page, as wide as the terminal."""
        formatter.width = page_width()
        super().format_help(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        _definitions(formatter, _option_rows(self, ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its first sentence, topic by topic."""
        topics: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                topic = getattr(command, "rich_help_panel", None) or "Commands"
                words = (command.short_help or command.help or "").partition("\n\n")[0]
                topics.setdefault(topic, []).append((name, " ".join(words.split())))
        _definitions(formatter, topics)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command asked for.

        Raises:
            UsageError: there is none of that name.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            ctx.fail(f"unknown command {name!r}.{did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


class Root(Group):
    """The page of `bandprobe` itself."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what holds for every command."""
        _definitions(formatter, {"What goes where": list(_WHERE.items())})
        _definitions(formatter, {"Exit codes": [(str(code), words) for code, words in EXIT_CODES.items()]})
        formatter.write_paragraph()
        formatter.write_text("`bandprobe COMMAND --help` has the options of a command, and examples.")


def page_width() -> int:
    """Columns of a help page: those of the terminal, also where the page goes through `less` on its way."""
    columns = shutil.get_terminal_size((0, 0)).columns
    if not columns:
        try:
            columns = os.get_terminal_size(2).columns
        except OSError:
            columns = _WIDEST
    return max(min(columns, _WIDEST) - 2, 24)
