"""Batches worked on side by side, each on a share of the processor's threads of its own.

Two threads that share one matrix product wait for each other at the end of each; two threads with a batch each
do not, and neither reading a file nor filtering it keeps the other from its products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Lock, Thread
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST = 8  # on a processor; more would only take memory
_ON_AN_ACCELERATOR = 2  # one batch is read and copied while the other is encoded
_PATIENCE = 0.1  # seconds


def lanes(device: torch.device) -> int:
    """How many batches are worked on at once: on a processor one for each of torch's threads, 8 at most."""
    if device.type == "cpu":
        return min(torch.get_num_threads(), _MOST)
    return _ON_AN_ACCELERATOR if device.type == "cuda" else 1


def in_lanes(
    work: Callable[[_Item], Iterable[_Result]], items: Iterable[_Item], count: int
) -> Iterator[tuple[int, _Result]]:
    """What `work` makes of each item, as soon as it is there, from `count` items at a time.

    Leaving the iterator early ends the threads after what they are about.

    Args:
        work: run in several threads at once, torch's threads shared out among them.
        items: taken one after the other.
        count: threads; 1 works in the caller's.

    Yields:
        An item's place in `items` and one of its results. Those of one item come in their order.

    Raises:
        BaseException: what `work` raised first, after all that was finished has been yielded.
    """
    if count <= 1:
        for place, item in enumerate(items):
            for result in work(item):
                yield place, result
        return
    threads = torch.get_num_threads()
    source, taking = enumerate(items), Lock()
    results: Queue[tuple[int, _Result] | BaseException | None] = Queue(2 * count)
    ending, left = Event(), Event()  # no more work is wanted; nobody listens any more

    def offer(result: tuple[int, _Result] | BaseException | None) -> None:
        while not left.is_set():
            with suppress(Full):
                results.put(result, timeout=_PATIENCE)
                return

    def run() -> None:
        torch.set_num_threads(max(1, threads // count))  # of this thread alone
        try:
            while not ending.is_set():
                with taking:
                    place, item = next(source, (-1, None))
                if place < 0:
                    break
                for result in work(item):  # type: ignore[arg-type]
                    offer((place, result))
                    if ending.is_set():
                        break
        except BaseException as error:
            ending.set()
            offer(error)
        offer(None)

    running = [Thread(target=run, name=f"lane-{number}", daemon=True) for number in range(count)]
    for thread in running:
        thread.start()
    failure: BaseException | None = None
    working = count
    try:
        while working:
            found = results.get()
            if found is None:
                working -= 1
            elif isinstance(found, BaseException):
                failure = failure or found
            else:
                yield found
    finally:
        ending.set()
        left.set()
        for thread in running:
            thread.join()
        torch.set_num_threads(threads)  # some libraries keep one number for all threads
    if failure is not None:
        raise failure
