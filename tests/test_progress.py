"""What is said while something runs: on a terminal, in a log, and how long it will be."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from bandprobe import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time by so many seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_a_log_gets_a_line_each_half_minute(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.bar("embed", 1200, "passes") as step:
        for _ in range(12):
            clock(10)
            step(20)
    assert capsys.readouterr().err.splitlines() == [
        "embed 60/1,200 passes (5%), 2.0/s, 9 min 30 s left",
        "embed 120/1,200 passes (10%), 2.0/s, 9 min 0 s left",
        "embed 180/1,200 passes (15%), 2.0/s, 8 min 30 s left",
        "embed 240/1,200 passes (20%), 2.0/s, 8 min 0 s left",
    ]


def test_quick_work_and_quiet_work_say_nothing(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.bar("hash", 3) as step:
        clock(29)
        step(3)
    with progress.quiet(), progress.bar("hash", 3) as step:
        clock(99)
        step()
        progress.say("a note")
    assert capsys.readouterr().err == ""


def test_an_unknown_total_has_a_rate_and_no_end(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.bar("shards", None, "files") as step:
        clock(40)
        step(10)
    assert capsys.readouterr().err == "shards 10 files, 0.2/s\n"


def test_stages_say_their_place_and_the_time(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stages = progress.Stages(["index", "embed", "report"], {"embed": 90, "report": 40})
    with stages.stage("index"):
        clock(125)
    with stages.stage("embed"), progress.bar("embed", 10) as step:
        clock(60)
        step(5)
    with stages.stage("not one of them"):
        clock(5400)
    with stages.stage("report"):
        pass
    assert capsys.readouterr().err.splitlines() == [
        "1/3 index",
        "2/3 embed (2 min 5 s so far, about 2 min 10 s left if it takes what it took before)",
        "2/3 embed 5/10 images (50%), 0.1/s, 1 min 0 s left",
        "3/3 report (1 h 33 min so far, about 40 s left if it takes what it took before)",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"), (7505, "2 h 5 min"), (2e5, "2.3 days")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_bar_fits_its_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with progress.bar("embed", 12000, "passes") as step:
        step(6000)
    shown = terminal.getvalue()
    lines = [line for line in shown.replace("\r", "\n").split("\n") if "6000" in line]
    assert lines
    for line in lines:
        assert "6000/12000" in line
        text = line
        for code in ("\x1b[2K", "\x1b[?25l", "\x1b[?25h", "\x1b[1A"):
            text = text.replace(code, "")
        assert "\x1b" not in text  # NO_COLOR
        assert len(text.rstrip()) <= columns


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_when_there_are_colours(
    terminal: bool, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert progress.coloured(Terminal() if terminal else io.StringIO()) is wanted


def test_an_earlier_run_tells_how_long_stages_take(tmp_path) -> None:
    from bandprobe.study.stages import earlier

    assert earlier(tmp_path) == {}
    for content, found in {
        '{"timings": {"embed": 2.5}}': {"embed": 2.5},
        '{"timings": {"embed": "x"}}': {},
        '{"timings": 3}': {},
        "[]": {},
        "{": {},
    }.items():
        (tmp_path / "run.json").write_text(content)
        assert earlier(tmp_path) == found
