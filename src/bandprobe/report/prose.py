"""Sentences with names, code and citations, as plain text, Markdown or LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bandprobe.columns import shown
from bandprobe.errors import InputError
from bandprobe.protocol import Protocol
from bandprobe.report.citations import works


@dataclass(frozen=True)
class Name:
    """A text from outside, such as a generator's name."""

    text: str


@dataclass(frozen=True)
class Code:
    """What a computer reads: a filter, a command."""

    text: str


@dataclass(frozen=True)
class Cite:
    """Works, by their keys of `works`."""

    keys: tuple[str, ...]


Part = str | Name | Code | Cite
Sentence = Sequence[Part]

# `\` first: what the others turn into is not turned again, because each character is looked at once.
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "×": r"$\times$", "≤": r"$\leq$", "²": r"$^2$", "–": "--", "’": "'", '"': "''",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$^&]|(?<!\w)@)")


def cite(*keys: str) -> Cite:
    """A citation."""
    return Cite(keys)


def listed(parts: Iterable[Part]) -> list[Part]:
    """Parts with commas between them, and `and` before the last."""
    given = list(parts)
    found: list[Part] = []
    for number, part in enumerate(given):
        if number:
            found.append(" and " if number == len(given) - 1 else ", ")
        found.append(part)
    return found


def in_line(items: Sequence[Sequence[Part]], between: str, last: str) -> list[Part]:
    """The parts of several items, with something between them, and something else before the last."""
    found: list[Part] = []
    for at, item in enumerate(items):
        found += [*([(last if at == len(items) - 1 else between)] if at else []), *item]
    return found


def cited(sentences: Iterable[Sentence]) -> list[str]:
    """The keys of all works that are cited, each once, in order."""
    keys = (key for sentence in sentences for part in sentence if isinstance(part, Cite) for key in part.keys)
    return list(dict.fromkeys(keys))


def plain(sentences: Iterable[Sentence]) -> str:
    """As plain text: `(Wilson, 1927)`."""
    return " ".join("".join(map(_plain, sentence)) for sentence in sentences)


def markdown(sentences: Iterable[Sentence]) -> str:
    """As Markdown with citations as Pandoc has them: `[@wilson1927]`."""
    return " ".join("".join(map(_markdown, sentence)) for sentence in sentences)


def latex(sentences: Iterable[Sentence]) -> str:
    """As LaTeX with citations as natbib has them: `\\citep{wilson1927}`."""
    return " ".join("".join(map(_latex, sentence)) for sentence in sentences)


def _plain(part: Part) -> str:
    if isinstance(part, Cite):
        return f" ({'; '.join(works()[key].label for key in part.keys)})"
    return part if isinstance(part, str) else shown(part.text)


def _markdown(part: Part) -> str:
    if isinstance(part, Cite):
        return f" [{'; '.join(f'@{key}' for key in part.keys)}]"
    if isinstance(part, Name):
        return _MARKDOWN.sub(r"\\\1", shown(part.text))
    if isinstance(part, Code):
        text = shown(part.text)
        fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
        return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"
    return part


def _latex(part: Part) -> str:
    if isinstance(part, Cite):
        return rf" \citep{{{','.join(part.keys)}}}"
    text = "".join(
        _LATEX.get(letter, letter) for letter in (part if isinstance(part, str) else shown(part.text))
    )
    return rf"\texttt{{{text}}}" if isinstance(part, Code) else text


def count(n: int, noun: str) -> str:
    """`1 image`, `1,234 images`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping of a record; an empty one where something else stands there."""
    return value if isinstance(value, Mapping) else {}


def switches(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The switches of the published protocol that a run's record names."""
    try:
        return Protocol.parse(str(record.get("protocol") or "corrected")).on
    except InputError:
        return ()
