"""Independent pieces of work, their results in their order: in this process, or on a cluster."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from itertools import starmap
from pathlib import Path
from typing import Any, TypeVar

from bandprobe.cluster import Cluster

_Result = TypeVar("_Result")
_cluster: ContextVar[Cluster | None] = ContextVar("bandprobe_cluster", default=None)

_WAITING = 2  # pieces for each core that are on their way


@contextlib.contextmanager
def on(cluster: Cluster | None) -> Iterator[None]:
    """A block in which `each` works on a cluster; None changes nothing."""
    token = _cluster.set(cluster)
    try:
        yield
    finally:
        _cluster.reset(token)


def spread() -> int:
    """How many pieces are worked on at once: 1 in this process, a cluster's cores otherwise."""
    cluster = _cluster.get()
    return 1 if cluster is None else max(1, int(sum(node.cpus for node in cluster.nodes())))


def each(
    function: Callable[..., _Result],
    calls: Iterable[tuple[Any, ...]],
    here: Callable[[Callable[..., _Result], Iterable[tuple[Any, ...]]], Iterable[_Result]] = starmap,
) -> Iterator[_Result]:
    """What a function gives for each call's arguments, in their order.

    Args:
        function: of a module's top level, its arguments and results such that another process can take them; it
            must give the same wherever it runs.
        calls: arguments, taken as they are needed.
        here: what does it where there is no cluster; one after the other in this process by default.

    Raises:
        Exception: what the function raised first, in the order of the calls.
    """
    cluster = _cluster.get()
    if cluster is None:
        yield from here(function, calls)
        return
    ray = cluster.connect()
    task = ray.remote(_call)
    waiting: deque[Any] = deque()
    most, folder = _WAITING * spread(), str(Path.cwd())

    def result() -> _Result:
        try:
            found: _Result = ray.get(waiting.popleft())
        except ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from None
        return found

    try:
        for call in calls:
            waiting.append(task.remote(folder, function, *call))
            if len(waiting) >= most:
                yield result()
        while waiting:
            yield result()
    finally:
        for left in waiting:
            ray.cancel(left)


def _call(folder: str, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """A piece of work in a worker, which stands where the asking process stands."""
    os.chdir(folder)
    return function(*arguments)
