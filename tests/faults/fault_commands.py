"""Commands in real processes, and what a store holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

SPECS = ("none", "lowpass:6px", "identity")
EMBED = ("--encoder", "spectral", *(word for spec in SPECS for word in ("--filter", spec)),
         "--geometry", "squash:32", "--batch-size", "8", "--workers", "1")  # fmt: skip
STUDY = """
[data]
root = "{root}"
[encoders]
names = ["spectral"]
geometry = "squash:32"
[filters]
test = ["none", "lowpass:6px"]
[analysis]
information = false
mmd = false
entropy = false
claims = false
bands = false
[run]
batch_size = 8
workers = 1
"""


class Command:
    """A running command."""

    def __init__(self, server: Server, pid: int, job: dict[str, Any]) -> None:
        self.pid = pid
        self._server, self._job = server, job
        self.started = time.monotonic()
        self.log = str(job["passes"])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def interrupt(self, *, group: bool = False) -> float:
        """Press Ctrl-C, for the process or for its whole group as a terminal does; the moment."""
        (os.killpg if group else os.kill)(self.pid, signal.SIGINT)
        return time.monotonic()

    def wait(self) -> int:
        """Its exit status."""
        status, self.ended = self._server.ask({"wait": self.pid})
        return int(status)

    def passes(self) -> int:
        """Encoder forward passes that it did."""
        return sum(map(int, Path(self._job["passes"]).read_text().split()))

    @property
    def err(self) -> str:
        return Path(self._job["err"]).read_text()

    @property
    def out(self) -> str:
        return Path(self._job["out"]).read_text()


class Server:
    """Starts commands."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("command_server.py")
        self._folder, self._number = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._read() == "ready"

    def ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def start(self, *arguments: object, folder: Path, **options: Any) -> Command:
        """Start a command in a folder; see `command_server.prepare` for the options."""
        self._number += 1
        files = {name: str(self._folder / f"{self._number}.{name}") for name in ("out", "err", "passes")}
        job = {"arguments": [str(word) for word in arguments], "folder": str(folder), **files, **options}
        Path(job["passes"]).touch()
        return Command(self, self.ask({"run": job}), job)

    def run(self, *arguments: object, folder: Path, **options: Any) -> Command:
        """Run a command that must end well, or with images left out."""
        command = self.start(*arguments, folder=folder, **options)
        assert command.wait() in (0, 1), command.err
        return command

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


Content = dict[tuple[str, str], tuple[list[str], bytes]]


def content(store: Path) -> Content:
    """What each partition holds, read with nothing of this package: ids in order, and their vectors' bytes.

    Fails where a part cannot be read or an image stands twice.
    """
    found: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
    for part in sorted(store.rglob("*")):
        if part.is_file():
            assert part.suffix == ".parquet", part
            table = pq.ParquetFile(part).read()
            vectors = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)
            key = part.parent.parent.name, part.parent.name
            rows = [(i, v.tobytes()) for i, v in zip(table["image_id"].to_pylist(), vectors, strict=True)]
            found.setdefault(key, []).extend(rows)
    for key, rows in found.items():
        assert len({i for i, _ in rows}) == len(rows), f"rows doubled in {key}"
    return {
        key: ([i for i, _ in sorted(rows)], b"".join(v for _, v in sorted(rows)))
        for key, rows in found.items()
    }
