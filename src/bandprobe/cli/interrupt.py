"""Ctrl-C that ends a command in time, also inside a long call into a library."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

_GRACE = 1.0  # seconds in which the command may put its things in order
_sent = threading.Event()


def watch(last_words: Callable[[], int]) -> None:
    """From now on the process ends soon after Ctrl-C, whatever it is doing.

    Python raises KeyboardInterrupt when the call that it is in comes back: a batch on a slow machine, or a fit,
    takes longer than anybody waits. What is on disk is whole at every moment, so leaving is safe.

    Args:
        last_words: says what there is to say, and gives the exit code.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # Python gives signals to the main thread
    read, write = os.pipe()
    os.set_blocking(write, False)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    # joblib's tracker counts the semaphores of workers that `leave` killed, removes them, and says so.
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [given, "ignore:resource_tracker:UserWarning"]))
    threading.Thread(target=_wait, args=(read, last_words), daemon=True, name="interrupt").start()


def interrupted() -> bool:
    """Whether Ctrl-C was pressed."""
    return _sent.is_set()


def done() -> None:
    """Everything is written: Ctrl-C no longer stops anything, least of all Python's own leaving."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def leave(code: int) -> None:
    """End the process and its workers at once: no thread is waited for, no library tidies up."""
    try:
        for child in _below(os.getpid()):
            with contextlib.suppress(OSError):  # gone already
                os.kill(child, signal.SIGKILL)
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # the cursor, which progress bars hide
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _below(process: int) -> list[int]:
    """A process's children, theirs, and so on: workers, and what Ray starts on this machine."""
    from multiprocessing import active_children

    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone already
            parents[int(entry.parent.name)] = int(
                entry.read_text(errors="replace").rpartition(")")[2].split()[1]
            )
    found = [child.pid for child in active_children() if child.pid]  # where there is no /proc
    generation = [process]
    while generation:
        generation = [child for child, parent in parents.items() if parent in generation]
        found += generation
    return found


def _raise(number: int, frame: FrameType | None) -> None:
    """Python's own handler, but known of before a library turns the exception into one of its own."""
    _sent.set()
    signal.default_int_handler(number, frame)


def _wait(pipe: int, last_words: Callable[[], int]) -> None:
    while os.read(pipe, 1) != bytes([signal.SIGINT]):
        pass
    _sent.set()
    time.sleep(_GRACE)
    leave(last_words())
