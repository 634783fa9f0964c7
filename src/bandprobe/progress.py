"""Progress on standard error, for everything that may take over a second."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol, TextIO

EVERY = 30.0  # seconds between two lines where there is no terminal to draw a bar on

_quiet: ContextVar[bool] = ContextVar("bandprobe_quiet", default=False)
_place: ContextVar[str] = ContextVar("bandprobe_place", default="")  # `3/9 ` in the third of nine stages


class Step(Protocol):
    """What a bar hands to the work it shows."""

    def __call__(self, done: int = 1, /) -> None:
        """Say that `done` more items are finished."""


@contextlib.contextmanager
def quiet(on: bool = True) -> Iterator[None]:
    """No bar and no message inside this context."""
    token = _quiet.set(on)
    try:
        yield
    finally:
        _quiet.reset(token)


def say(message: str) -> None:
    """One line to standard error, unless quiet."""
    if not _quiet.get():
        print(message, file=sys.stderr)  # noqa: T201 - the one place where the library speaks


def coloured(stream: TextIO) -> bool:
    """Whether what is written to a stream may have colours.

    `NO_COLOR` forbids them, `FORCE_COLOR` wants them everywhere; else a terminal has them, unless it is `dumb`.

    Source:
        https://no-color.org, https://force-color.org: set and not empty, whatever the value.
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _draws(stream)


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


@contextlib.contextmanager
def bar(label: str, total: int | None, unit: str = "images") -> Iterator[Step]:
    """A bar with count, rate and time left on a terminal; elsewhere a line with the same now and then.

    Args:
        label: what is being done, lower case, e.g. `"embed"`.
        total: number of items, or None when unknown.
        unit: what an item is.

    Yields:
        A function to call after each finished item, or with how many were finished.
    """
    if _quiet.get() or sys.stderr is None or total == 0:
        yield lambda done=1: None
    elif _draws(sys.stderr):
        with _drawn(_place.get() + label, total, unit) as step:
            yield step
    else:
        yield _lines(_place.get() + label, total, unit)


class Stages:
    """The stages of long work: each is said as it begins, with its place and the time so far.

    Args:
        names: of the stages, in order.
        earlier: seconds that stages took when the same work was last done, for the time left; that of a stage
            that is not among them is not known, and then none is said.
    """

    def __init__(self, names: Sequence[str], earlier: Mapping[str, float] | None = None) -> None:
        self._names = list(names)
        self._earlier = dict(earlier or {})
        self._start = time.monotonic()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say that a stage begins; bars inside say which it is. A name that is not among them says nothing."""
        if name not in self._names:
            yield
            return
        place = f"{self._names.index(name) + 1}/{len(self._names)} "
        say(f"{place}{name}{self._times(name)}")
        token = _place.set(place)
        try:
            yield
        finally:
            _place.reset(token)

    def _times(self, name: str) -> str:
        passed, coming = time.monotonic() - self._start, self._names[self._names.index(name) :]
        words = [f"{duration(passed)} so far"] if passed >= 1 else []
        if all(stage in self._earlier for stage in coming):
            left = sum(self._earlier[stage] for stage in coming)
            words.append(f"about {duration(left)} left if it takes what it took before")
        return f" ({', '.join(words)})" if words else ""


def _draws(stream: TextIO) -> bool:
    """Whether a bar can be drawn: on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def _lines(label: str, total: int | None, unit: str) -> Step:
    """A step that prints a line every half minute, so that quick work is silent and a log stays short."""
    start = last = time.monotonic()
    count = 0

    def step(done: int = 1) -> None:
        nonlocal count, last
        count += done
        now = time.monotonic()
        if now - last < EVERY:
            return
        last = now
        rate = count / (now - start)
        words = f"{label} {count:,} {unit}, {rate:,.1f}/s"
        if total is not None:
            left = duration((total - count) / rate) if rate else "unknown"
            words = f"{label} {count:,}/{total:,} {unit} ({count / total:.0%}), {rate:,.1f}/s, {left} left"
        say(words)

    return step


@contextlib.contextmanager
def _drawn(label: str, total: int | None, unit: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=not coloured(sys.stderr), highlight=False)
    columns = [
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(bar_width=40 if console.width >= 80 else 8),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}  {task.fields[rate]}", markup=False),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    ]
    if console.width < 60:  # what is left must stay whole; unit and rate are what one can do without
        del columns[3]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(label, total=total, unit=unit, rate="")

        def step(done: int = 1) -> None:
            progress.advance(task, done)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:,.0f}/s" if speed and speed >= 1 else "")

        yield step
