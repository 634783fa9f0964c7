"""Lists that stay readable on a narrow terminal, and stay a table for programs."""

from __future__ import annotations

import os
import sys

import pytest

from bandprobe.cli import run
from bandprobe.cli.lists import fitted

HEADER = ("name", "size", "what it is for")
ROWS = [
    ("short", 3, "a few words"),
    ("much-longer-name", 12000, ""),
    ("x", 4, "more words than fit on one line"),
]


def test_a_pipe_gets_one_row_a_line() -> None:
    lines = fitted(HEADER, ROWS)
    assert len(lines) == 4
    assert lines[1].split() == ["short", "3", "a", "few", "words"]


@pytest.mark.parametrize("columns", [24, 40, 80])
def test_a_terminal_gets_what_fits(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    lines = fitted(HEADER, ROWS)
    assert all(len(line) <= columns for line in lines)
    if columns == 80:
        assert len(lines) == 4
    else:
        text = " ".join(" ".join(lines).split())
        assert "short size: 3; what it is for: a few words much-longer-name size: 12000 x" in text
        assert [line for line in lines if not line.startswith(" ")] == [name for name, *_ in ROWS]


@pytest.mark.parametrize("name", ["encoders", "filters"])
def test_every_line_fits_eighty_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bandprobe.cli.lists.fitted", lambda header, rows: [str(row[0]) for row in rows])
    assert run([name]) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
