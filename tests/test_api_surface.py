"""The public surface: what others' scripts call. A change of it is deliberate, or it is a mistake.

`api_surface.txt` beside this file holds every public name of Python with its signature, and every command with its
options. Where this test fails, look at the difference: if it is meant, record it with

    python tests/test_api_surface.py

and say it in CHANGELOG.md. Before 1.0 a removal or an incompatible change raises the minor version, an addition the
patch version; from 1.0 on as Semantic Versioning has it.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer.main

import bandprobe
from bandprobe.cli.app import app

RECORDED = Path(__file__).with_name("api_surface.txt")


def python_names() -> Iterator[str]:
    """Every name in `__all__` of the package and of the rooms that it offers."""
    for name in sorted(bandprobe.__all__):
        member = getattr(bandprobe, name)
        if isinstance(member, ModuleType):
            yield f"bandprobe.{name}"
            for inner in sorted(getattr(member, "__all__", [])):
                found = getattr(member, inner)
                if not isinstance(found, ModuleType):
                    yield from described(f"bandprobe.{name}.{inner}", found)
        elif name != "__version__":
            yield from described(f"bandprobe.{name}", member)
    for name, member in sorted(vars(bandprobe.errors).items()):
        if inspect.isclass(member) and issubclass(member, Exception):
            yield f"bandprobe.errors.{name}({', '.join(base.__name__ for base in member.__bases__)})"


def described(name: str, member: Any) -> Iterator[str]:
    """A name with its signature; of a class what it offers besides."""
    if inspect.isclass(member):
        yield f"class {name}{signature(member)}"
        for inner in sorted(set(dir(member)) - set(dir(object))):
            owner = next(each for each in member.__mro__ if inner in vars(each))
            if inner.startswith("_") or not owner.__module__.startswith("bandprobe"):
                continue
            found = inspect.getattr_static(member, inner)
            if isinstance(found, (staticmethod, classmethod)):
                yield f"  {name}.{inner}{signature(getattr(member, inner))}  [{type(found).__name__}]"
            elif inspect.isfunction(found):
                yield f"  {name}.{inner}{signature(found)}"
            else:
                yield f"  {name}.{inner}"
    else:  # of a constant or a type alias, the name
        yield f"def {name}{signature(member)}" if inspect.isfunction(member) else name


def signature(function: Any) -> str:
    try:
        text = str(inspect.signature(function))
    except ValueError:  # of a class that has none of its own
        return "(...)"
    text = re.sub(r"<factory>|<function \S+ at 0x\w+>|<object object at 0x\w+>", "...", text)
    text = re.sub(r"(?<== )(\w*Path|[A-Z]\w+)\([^()]*\)", r"\1(...)", text).replace("PosixPath", "Path")
    return text.replace("'", '"')


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""

    def below(group: Any, path: str) -> Iterator[str]:
        for name, command in sorted(group.commands.items()):
            if hasattr(command, "commands"):
                yield from below(command, f"{path} {name}")
                continue
            arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
            options = sorted(
                flag
                for p in command.params
                if p.param_type_name == "option"
                for flag in (*p.opts, *p.secondary_opts)
            )
            yield " ".join(filter(None, [path, name, *arguments, *options]))

    yield from below(typer.main.get_command(app), "$ bandprobe")


def surface() -> str:
    return "\n".join([*python_names(), *commands()]) + "\n"


def test_the_surface_is_the_one_recorded() -> None:
    now, recorded = surface(), RECORDED.read_text(encoding="utf-8")
    change = difflib.unified_diff(
        recorded.splitlines(), now.splitlines(), "recorded", "now", lineterm="", n=0
    )
    assert now == recorded, f"{__doc__}\n" + "\n".join(change)


def test_every_public_name_is_there_and_explained() -> None:
    for name in bandprobe.__all__:
        member = getattr(bandprobe, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(member), name
        for inner in getattr(member, "__all__", []) if isinstance(member, ModuleType) else ():
            found = getattr(member, inner)
            if inspect.isclass(found) or inspect.isfunction(found):
                assert inspect.getdoc(found), f"{name}.{inner}"
    assert set(dir(bandprobe)) == set(bandprobe.__all__)


def test_a_change_would_be_noticed() -> None:
    def of_interest(images: Any, *, size: int = 3) -> None:
        """What the line of a function holds."""

    [line] = described("bandprobe.of_interest", of_interest)
    assert line == 'def bandprobe.of_interest(images: "Any", *, size: "int" = 3) -> "None"'
    lines = surface().splitlines()
    assert any(line.startswith("def bandprobe.filters.parse(") for line in lines)
    assert any(line.startswith("  bandprobe.Study.run(") for line in lines)
    [embed] = [line for line in lines if line.startswith("$ bandprobe embed ")]
    assert {"DATA", "--encoder", "--filter", "--store", "--json", "--dry-run"} <= set(embed.split())


if __name__ == "__main__":
    RECORDED.write_text(surface(), encoding="utf-8")
