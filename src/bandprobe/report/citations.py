"""What a methods paragraph cites, as BibTeX: the entries of `citations.bib`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bandprobe._version import __version__

_ENTRY = re.compile(r"^(?P<label>[^\n]+)\n(?P<entry>@\w+\{(?P<key>\w+),\n.*?^\}\n)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Work:
    """One work: how plain text cites it, and its BibTeX entry."""

    label: str
    entry: str


@cache
def works() -> dict[str, Work]:
    """Every work that a report may cite, by key."""
    text = Path(__file__).with_name("citations.bib").read_text(encoding="utf-8")
    return {found["key"]: Work(found["label"], found["entry"]) for found in _ENTRY.finditer(text)}


def bibtex(keys: Iterable[str], version: str = __version__) -> str:
    """The entries of some works, each once, in the order given.

    Args:
        keys: of `works`.
        version: of bandprobe, for its own entry.
    """
    held = works()
    return "\n".join(held[key].entry for key in dict.fromkeys(keys)).replace("VERSION", version)
