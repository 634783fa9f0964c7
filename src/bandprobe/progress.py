"""Progress on standard error, for everything that may take over a second."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol

_quiet: ContextVar[bool] = ContextVar("bandprobe_quiet", default=False)


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


@contextlib.contextmanager
def bar(label: str, total: int | None, unit: str = "images") -> Iterator[Step]:
    """A bar with count, rate and time left on a terminal; nothing elsewhere.

    Args:
        label: what is being done, lower case, e.g. `"embed"`.
        total: number of items, or None when unknown.
        unit: what an item is.

    Yields:
        A function to call after each finished item, or with how many were finished.
    """
    if _quiet.get() or not sys.stderr.isatty() or total == 0:
        yield lambda done=1: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}  {task.fields[rate]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, unit=unit, rate="")

        def step(done: int = 1) -> None:
            progress.advance(task, done)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:,.0f}/s" if speed and speed >= 1 else "")

        yield step
