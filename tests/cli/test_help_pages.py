"""Every command's page: what it does, every option in words, and examples that are real."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from bandprobe.cli import run
from bandprobe.cli.app import app
from bandprobe.cli.arguments import spread
from bandprobe.cli.pages import EXIT_CODES, folded, split


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


TREE = typer.main.get_command(app)
COMMANDS = dict(commands(TREE))
EXAMPLES = sorted({one for command in COMMANDS.values() for one in command.examples if "bandprobe " in one})


def page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, *words: str
) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert run([*words, "-h"]) == 0
    assert capsys.readouterr().out == out
    return out


def test_the_tree_is_walked() -> None:
    assert {("embed",), ("store", "verify"), ("study",)} <= set(COMMANDS)
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_page_says_everything(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = COMMANDS[path]
    sentence = command.help.partition("\n\n")[0]
    assert sentence.endswith("."), "what it does, in a sentence"
    assert len(" ".join(sentence.split())) <= 100, "one that the list of commands has room for"
    assert "Example" not in command.help, "examples stand indented below a line `Examples:` at the end"
    assert command.examples, "at least one"
    assert f"bandprobe {' '.join(path)}" in command.examples[0], "what follows may say what comes next"
    for param in command.params:
        assert param.help, param.name
        assert param.help.endswith((".", "...")), param.help
        if not getattr(param, "is_flag", False):
            assert param.metavar, f"--{param.name} has no metavar"
    text = page(capsys, monkeypatch, 80, *path)
    assert text.startswith(f"Usage: bandprobe {' '.join(path)} [OPTIONS]")
    assert text.index("\nExamples:\n") > text.index("\nOutput:\n") if "--json" in text else True
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\b" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_page_fits_forty_columns(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in page(capsys, monkeypatch, 40, *path).splitlines():
        # Only what has no space to break at may stand out: a URL, a long spec, an option with its value.
        assert len(line) <= 40 or len(line.split()) <= 4, line


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_parses(example: str) -> None:
    words = shlex.split(example.rpartition("| ")[2], comments=True)  # `find ... | bandprobe score -`
    path = tuple(words[1:3]) if tuple(words[1:3]) in COMMANDS else tuple(words[1:2])
    arguments = spread(words[1:])[len(path) :]
    COMMANDS[path].make_context(path[-1], arguments, resilient_parsing=False)


def test_an_example_can_be_copied_from_a_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (40, 80):
        block = page(capsys, monkeypatch, columns, "train").partition("\nExamples:\n")[2]
        shell = block.replace("\\\n", " ")  # as a shell joins lines
        read = [shlex.split(line) for line in shell.splitlines() if line.strip()]
        assert read == [shlex.split(example) for example in COMMANDS["train",].examples]


def test_nothing_at_all_prints_the_commands_by_topic(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(capsys, monkeypatch, 80)
    run([])
    assert capsys.readouterr().out == text
    headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert headings[:2] == ["A whole study", "Data"]
    assert headings[-3:] == ["Options", "What goes where", "Exit codes"]
    for name in TREE.commands:
        assert re.search(rf"^  {name} ", text, re.MULTILINE), name
    codes = re.findall(r"^  (\d+) ", text.partition("Exit codes:")[2], re.MULTILINE)
    assert [int(code) for code in codes] == list(EXIT_CODES) == [0, 1, 2, 3, 130]
    assert "..." not in re.sub(r"\[ARGS\]\.\.\.", "", text)  # no sentence is cut short


def test_a_docstring_is_split_into_words_and_examples() -> None:
    words, examples = split("Do it.\n\nAnd more.\n\nExamples:\n    a b\n        --c d\n    e")
    assert words == "Do it.\n\nAnd more."
    assert examples == ["a b --c d", "e"]
    assert split("Do it.") == ("Do it.", [])


def test_lines_are_folded_between_options() -> None:
    assert folded("tool a --b c --d 'e f' g", 16) == ["tool a --b c \\", "    --d 'e f' \\", "    g"]
    assert folded("tool a --b c", 80) == ["tool a --b c"]
