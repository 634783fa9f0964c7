"""One study in its trackers: each logs it once, and none can make it fail."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bandprobe import progress
from bandprobe.errors import InputError
from bandprobe.files import write_json
from bandprobe.run import Run
from bandprobe.trackers import findings
from bandprobe.trackers.tracker import Tracker, open_tracker, require

FOLDER = "tracking"
_IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a run's, of a server or a library
_PASSWORD = re.compile(r"://[^/@\s]*@")  # of a server's address
RECORD = "runs.json"  # which run each tracker has, of which inputs, and whether it is whole


class Tracking:
    """The trackers of one study.

    A tracker that fails is said, and left out from there on: the study goes on. Where the run of a tracker was
    begun and not finished, with the same inputs, it is gone on with; one that is whole is not logged again.

    Args:
        names: of `bandprobe.trackers.NAMES`.
        folder: the run's.
        inputs: the hash of everything the run is made from.

    Attributes:
        there: the trackers that have the whole run already, with its identity there.
        failed: the trackers that failed, with the reason.
    """

    def __init__(self, names: Sequence[str], folder: Path, inputs: str) -> None:
        self._folder, self._inputs = folder, inputs
        self._record = _read(folder)
        self.there = {name: str(self._record[name].get("id")) for name in names if self._logged(name)}
        self._names = [name for name in dict.fromkeys(names) if name not in self.there]
        self._trackers: dict[str, Tracker] = {}
        self.failed: dict[str, str] = {}

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin a run in each."""
        settings = {**findings.params(config), "inputs": self._inputs}
        for name in self._names:
            entry = self._record.get(name, {})
            known = str(entry.get("id", "")) if entry.get("inputs") == self._inputs else ""
            previous = known if known and _IDENTITY.fullmatch(known) else None

            def begin(name: str = name, previous: str | None = previous) -> None:
                place = self._folder / FOLDER / name
                place.mkdir(parents=True, exist_ok=True)
                tracker = open_tracker(name, place)
                identity = tracker.start(self._folder.resolve().name, settings, previous)
                self._trackers[name] = tracker
                self._keep(name, identity, whole=False)

            self._try(name, begin)

    def stage(self, name: str, seconds: float) -> None:
        """A stage has ended."""
        self._each(lambda tracker: tracker.log({f"seconds/{name}": seconds}))

    def finish(self, run: Run) -> None:
        """Log what a finished run found, and end."""
        if not self._trackers:
            return
        numbers, words = findings.claims(run.folder)
        numbers = {**findings.headline(run.results), **numbers}
        series = list(findings.curves(run.results))
        paths = findings.files(run.folder)

        def log(tracker: Tracker) -> None:
            tracker.log(numbers)
            tracker.note(words)
            for px, values in series:
                tracker.log(values, px)
            for path in paths:
                tracker.artifact(path)
            tracker.finish(True)

        self._each(log)
        for name in self._trackers:
            self._keep(name, self._record[name]["id"], whole=True)
            progress.say(f"logged to {name}: run {self._record[name]['id']}")

    def abandon(self) -> None:
        """End the runs of a study that did not come to its end."""
        self._each(lambda tracker: tracker.finish(False))

    def _logged(self, name: str) -> bool:
        entry = self._record.get(name, {})
        return entry.get("inputs") == self._inputs and entry.get("whole") is True

    def _keep(self, name: str, identity: str, *, whole: bool) -> None:
        self._record[name] = {"id": identity, "inputs": self._inputs, "whole": whole}
        write_json(self._folder / FOLDER / RECORD, self._record)

    def _each(self, do: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            self._try(name, lambda tracker=tracker: do(tracker))  # type: ignore[misc]

    def _try(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # of any kind, from a library and a network that are not ours
            self._trackers.pop(name, None)
            words = " ".join(str(error).split()) or type(error).__name__
            reason = self.failed[name] = _PASSWORD.sub("://", words)[:200]
            progress.say(f"warning: nothing more is logged to {name}: {reason}")


@contextlib.contextmanager
def tracked(names: Sequence[str], folder: Path, inputs: str, config: Mapping[str, Any]) -> Iterator[Tracking]:
    """A study's trackers, for as long as it runs; where it does not come to its end they are told so."""
    tracking = Tracking(names, folder, inputs)
    tracking.start(config)
    try:
        yield tracking
    except BaseException:
        tracking.abandon()
        raise


def log_finished(folder: str | Path, names: Sequence[str]) -> dict[str, str]:
    """Log a finished run to trackers that do not have it yet.

    Args:
        folder: the run's.
        names: of `bandprobe.trackers.NAMES`.

    Returns:
        The trackers that failed, with the reason, which was said.

    Raises:
        InputError: an unknown tracker or one that is not installed, or no finished run in the folder.
    """
    require(names)
    run = Run.open(folder)
    inputs = run.record.get("finished")
    if not inputs:
        raise InputError(f"the run in {str(folder)!r} is not finished; run the study again, then log it.")
    with tracked(names, run.folder, str(inputs), run.record.get("config") or {}) as tracking:
        for stage, seconds in (run.record.get("timings") or {}).items():
            tracking.stage(str(stage), float(seconds))
        tracking.finish(run)
    for name in tracking.there:
        progress.say(f"{name} has this run already: {tracking.there[name]}")
    return tracking.failed


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    """What the trackers have of a folder's run; nothing where that is not known."""
    try:
        record = json.loads((folder / FOLDER / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = record.items() if isinstance(record, dict) else ()
    return {str(name): entry for name, entry in known if isinstance(entry, dict)}
