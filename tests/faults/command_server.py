"""Runs bandprobe's commands in processes of their own, forked where everything heavy is imported already.

Started as a script. One JSON object a line comes in: `{"run": ...}` starts a command and is answered with its
pid, `{"wait": pid}` is answered with its exit status (as `subprocess` has it) and the moment it ended. The
children are processes like any other: they can be killed, run side by side and meet full disks.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", MPLBACKEND="Agg")


def imported() -> None:
    """What commands import inside functions."""
    import joblib  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    import bandprobe.cli.app
    import bandprobe.extract
    import bandprobe.images
    import bandprobe.probes
    import bandprobe.report
    import bandprobe.study.analyses
    import bandprobe.study.embedding
    import bandprobe.study.study
    import bandprobe.study.training  # noqa: F401


def prepare(job: dict[str, Any]) -> None:
    """Make the child what the test asks for."""
    os.setpgid(0, 0)
    os.chdir(job["folder"])
    for stream, descriptor in (("out", 1), ("err", 2)):
        file = os.open(job[stream], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "largest_file" in job:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], job["largest_file"]))
    from bandprobe.encoders import Encoder
    from bandprobe.extract import pending

    pending._FLUSH_SECONDS = job.get("flush", 30.0)
    real, passes = Encoder.embed, os.open(job["passes"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def embed(self: Encoder, images: Any) -> Any:
        time.sleep(job.get("delay", 0.0))
        if job.get(
            "stuck", False
        ):  # in a library's own code, which lets go of Python's lock and hears nothing
            os.write(passes, b"0\n")
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        if len(images) > job.get("fits", 10**9):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        found = real(self, images)
        os.write(passes, f"{len(images)}\n".encode())
        time.sleep(job.get("delay", 0.0))  # the moment at which a kill costs most
        return found

    Encoder.embed = embed  # type: ignore[method-assign]
    if "dies" in job:
        die(*job["dies"])
    if not job.get("figures", True):
        import bandprobe.report

        def build(folder: Path, *_: object) -> Path:
            (folder / "report.html").write_text("left out")
            return folder / "report.html"

        bandprobe.report.build = build  # type: ignore[assignment]


def die(where: str, times: int) -> None:
    """`kill -9` of oneself at the n-th time that something happens."""
    from bandprobe.encoders import Encoder
    from bandprobe.store import journal, parts

    left = itertools.count(times - 1, -1)

    def dying(real: Any, *, half: bool = False) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            last = next(left) == 0
            if last and half:
                real(given[0], given[1][: len(given[1]) // 2])
            found = None if last and half else real(*given, **named)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    if where == "a pass is done":
        Encoder.embed = dying(Encoder.embed)  # type: ignore[method-assign]
    elif where == "half a record is written":
        journal.os = types.SimpleNamespace(**{**vars(os), "write": dying(os.write, half=True)})
    elif where == "a record is written":
        journal.Journal.append = dying(journal.Journal.append)  # type: ignore[method-assign]
    elif where == "a part is written":
        parts.pq = types.SimpleNamespace(**{**vars(parts.pq), "write_table": dying(parts.pq.write_table)})
    elif where == "a part is there":
        parts.Path.replace = dying(parts.Path.replace)  # type: ignore[method-assign]
    elif where == "the journal is cleared":
        journal.Journal.clear = dying(journal.Journal.clear)  # type: ignore[method-assign]


def serve() -> None:
    imported()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic()]), flush=True)
            continue
        ready, when_ready = os.pipe()
        child = os.fork()
        if child == 0:
            from bandprobe.cli import main

            prepare(asked["run"])
            os.write(when_ready, b".")
            sys.argv = ["bandprobe", *asked["run"]["arguments"]]
            main()
        os.read(ready, 1)  # its own command line from here on, and no longer this script
        os.close(ready)
        os.close(when_ready)
        print(json.dumps(child), flush=True)


if __name__ == "__main__":
    serve()
