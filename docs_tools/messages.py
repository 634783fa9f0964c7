"""What the package says when something is wrong, read from its source, and what the troubleshooting page explains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from docs_tools.blocks import DOCS, ROOT

PAGE = DOCS / "troubleshooting.md"
GAP = "…"  # what is filled in


def patterns() -> list[str]:
    """The messages that the page has a heading for, `…` where something is filled in."""
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [heading.strip().removeprefix("`").removesuffix("`") for heading in headings]


def templates() -> Iterator[tuple[str, str]]:
    """Every text in the package's source as (file, template), what is filled in as `…`."""
    for path in sorted((ROOT / "src" / "bandprobe").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if text := _template(node):
                yield path.relative_to(ROOT).as_posix(), text


def raised() -> list[tuple[str, str]]:
    """The messages of errors that the package raises on purpose, as (file, template)."""
    found = []
    for path in sorted((ROOT / "src" / "bandprobe").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            text = _template(node.args[0])
            if (
                name.endswith("Error")
                and name[0].isupper()
                and name not in _PYTHONS
                and text.strip(f"{GAP}: .")
            ):
                found.append((path.relative_to(ROOT).as_posix(), text))
    return found


_PYTHONS = {"AttributeError", "ImportError", "ReadError", "RuntimeError", "ValueError", "OSError",
            "FileNotFoundError"}  # caught within the package, or a programmer's own  # fmt: skip


def explains(pattern: str, template: str) -> bool:
    """Whether a message is of the form that a heading shows; words behind it do not count."""
    first, *parts = (part.strip() for part in pattern.split(GAP))
    if not template.startswith(first):
        return False
    place = len(first)
    for part in parts:
        found = template.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _template(node: ast.AST) -> str:
    """A string or f-string as one line, `…` for each thing filled in; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split())
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values]
        return " ".join("".join(parts).split())
    return ""


def page() -> str:
    """Every message as a page, by the part of the package that says it; each says the way out itself."""
    by_room: dict[str, list[str]] = {}
    for file, text in raised():
        room = file.removeprefix("src/bandprobe/").partition("/")[0].removesuffix(".py")
        by_room.setdefault(room, []).append(text)
    parts = [
        "# Every message",
        "What the package says when something is wrong, read from its source. `…` stands for names and numbers; most "
        "messages end with the way out. The common ones are explained under [Troubleshooting](../troubleshooting.md).",
    ]
    for room, texts in sorted(by_room.items()):
        parts.append(f"## {room}")
        parts.append("\n".join(f"- {_literal(text)}" for text in sorted(set(texts), key=_first_word)))
    return "\n\n".join(parts) + "\n"


def _first_word(text: str) -> str:
    return text.strip(f"{GAP}:; ").lower()


def _literal(text: str) -> str:
    """A message as text that Markdown leaves alone."""
    fence = "``" if "`" in text else "`"
    return f"{fence} {text} {fence}" if fence == "``" else f"{fence}{text}{fence}"
