"""Imports go one way: a stage never imports a later one, and nobody imports the package root."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bandprobe

ROOT = Path(bandprobe.__file__).parent
ORDER = [
    "_version", "errors", "protocol", "columns", "machine", "seeding", "progress", "cluster", "parallel",
    "files", "remote", "shipped", "images", "datasets", "filters", "encoders", "store", "extract", "probes",
    "metrics", "recipes", "analysis", "detect", "audit", "report", "config", "run", "trackers", "record",
    "study", "selftest", "demo", "explorer", "cli",
]  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path, *, on_load: bool = False) -> Iterator[str]:
    """Every module of the package that a file imports: anywhere in it, or only when it is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if on_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "bandprobe")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "bandprobe":
                yield from (f"bandprobe.{alias.name}" for alias in node.names)
            elif node.module and node.module.startswith("bandprobe."):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if module_file(name) else node.module for name in names)


def module_file(name: str) -> Path | None:
    place = ROOT.joinpath(*name.split(".")[1:])
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.exists()), None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_stage_imports_a_later_one(path: Path) -> None:
    assert room(path) in ORDER, f"give the room {room(path)!r} its place in ORDER"
    for name in imported(path):
        assert name != "bandprobe", "the package root is for users"
        target = name.split(".")[1]
        assert ORDER.index(target) <= ORDER.index(room(path)), f"{path.name} imports {name}"


def test_no_cycles_within_a_room() -> None:
    """An import inside a function comes when both modules are whole, so it closes no cycle."""
    graph = {
        path: {
            file
            for name in imported(path, on_load=True)
            if (file := module_file(name)) and file.parent == path.parent
        }
        for path in FILES
        if path.name != "__init__.py"
    }
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, " -> ".join(p.name for p in (*above, path))
        if path not in done:
            for target in graph.get(path, ()):
                visit(target, (*above, path))
            done.add(path)

    for path in graph:
        visit(path, ())


def test_wildcards_and_asserts_stay_out() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), f"{path}: an assert is gone under python -O"
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), path
