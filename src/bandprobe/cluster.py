"""A Ray cluster: reached, and seen to be fit for the work before any is done."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandprobe.errors import EncoderError, InputError
from bandprobe.machine import cores

_PATIENCE = 5.0  # seconds that an address has to answer
_TRIED = 16  # of the images, whether workers see them
_ROOM = 1.5  # memory that a worker takes, in sizes of its encoders' weights
_PACKAGES = ("bandprobe", "torch", "numpy", "transformers", "pillow")


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    key: str
    host: str
    cpus: float
    gpus: float
    memory: float  # bytes that Ray gives to workers


@dataclass(frozen=True)
class Cluster:
    """Where work is done beyond this process, on Ray.

    Attributes:
        address: `auto` for the cluster that this machine belongs to, `HOST:PORT`, `ray://HOST:PORT`; None for
            workers on this machine alone, for as long as this process lives.
        device: what workers encode on: `auto` is GPUs where the cluster has any.
        actors: workers that hold encoders; by default one for each GPU, or else for each processor core.
        apart: whether pictures are decoded by workers of their own; by default where encoders are on GPUs.
    """

    address: str | None = None
    device: str = "auto"
    actors: int | None = None
    apart: bool | None = None

    @classmethod
    def asked(cls, engine: str, address: str | None, *, device: str, actors: int | None) -> Cluster | None:
        """The cluster that options ask for; None for this process.

        Raises:
            InputError: options of a cluster without one.
        """
        if engine == "ray":
            return cls(address, device, actors)
        for name, value in (("address", address), ("actors", actors)):
            if value is not None:
                raise InputError(
                    f"{name} {value!r} is for the engine ray; add --engine ray, or leave it out."
                )
        return None

    def ready(self) -> None:
        """See that Ray is installed and answers at the address, before anything else takes time.

        Raises:
            InputError: as `connect`.
        """
        if self.address in (None, "local"):
            _ray()
        else:
            self.connect()

    def connect(self) -> Any:
        """Ray, connected; once for a process.

        Raises:
            InputError: Ray is not installed, nothing answers at the address, or its version is another.
        """
        ray = _ray()
        if ray.is_initialized():
            return ray
        if self.address not in (None, "auto", "local"):
            _check_answers(str(self.address))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        # What its core says to standard error is no news to a user: what fails is raised.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        own = self.address in (None, "local")
        try:
            with _silent_stderr():
                ray.init(
                    address="local" if own else self.address,
                    num_cpus=cores() if own else None,
                    include_dashboard=False if own else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except ConnectionError:
            raise InputError(
                f"no Ray cluster at {self.address!r}; start one with `ray start --head`, or leave --address out to "
                "work on this machine."
            ) from None
        except RuntimeError as error:
            raise InputError(f"the Ray cluster at {self.address!r} refuses: {_one_line(error)}.") from None
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1  # what is lost is found missing, and done again
        for name in ("ray", "ray.data", "ray.util.joblib"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return ray

    def nodes(self) -> list[Node]:
        """The cluster's machines that are there."""
        found = []
        for node in self.connect().nodes():
            if node["Alive"]:
                has = node["Resources"]
                found.append(
                    Node(
                        node["NodeID"],
                        node["NodeManagerHostname"],
                        has.get("CPU", 0.0),
                        has.get("GPU", 0.0),
                        has.get("memory", 0.0),
                    )
                )
        return found

    def place(self) -> tuple[str, int]:
        """The device that workers encode on, and how many of them there are.

        Raises:
            InputError: the device is nowhere in the cluster.
        """
        nodes = self.nodes()
        gpus, cpus = int(sum(node.gpus for node in nodes)), int(sum(node.cpus for node in nodes))
        device = ("cuda" if gpus else "cpu") if self.device == "auto" else self.device
        if device.startswith("cuda") and not gpus:
            raise InputError(f"device {self.device!r} is nowhere in the cluster; use --device auto, or cpu.")
        return device, self.actors or max(1, gpus if device.startswith("cuda") else cpus)

    def check(self, paths: Sequence[str], folders: Sequence[Path], weights: int) -> None:
        """See that every machine can do the work.

        Args:
            paths: files that workers will read; some are tried.
            folders: folders that must be there for workers as well.
            weights: bytes of the encoders' weights.

        Raises:
            InputError: a machine has other versions, or does not see a file.
            EncoderError: the encoders do not fit a worker's memory.
        """
        ray, nodes = self.connect(), self.nodes()
        device, actors = self.place()
        busy = [node for node in nodes if (node.gpus if device.startswith("cuda") else node.cpus)]
        if not device.startswith("cuda"):
            each = -(-actors // max(1, len(busy)))  # workers of a machine
            for node in busy:
                if weights * _ROOM * each > node.memory:
                    raise EncoderError(
                        f"{each} encoders of {_gib(weights)} each do not fit the {_gib(node.memory)} that Ray has on "
                        f"{node.host}; use fewer --actors, --precision fp16, a smaller encoder, or more memory."
                    )
        tried = [str(path) for path in paths[:: max(1, len(paths) // _TRIED)]][:_TRIED]
        asked = [path for path in tried if "://" not in path] + [str(folder) for folder in folders]
        look = ray.remote(num_cpus=0, max_retries=0)(_look())
        strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        said = [
            look.options(scheduling_strategy=strategy(node.key, soft=False)).remote(
                str(Path.cwd()), asked, _PACKAGES
            )
            for node in busy
        ]
        here = _versions(_PACKAGES)
        for node, answer in zip(busy, said, strict=True):
            try:
                versions, unseen = ray.get(answer)
            except ray.exceptions.RayError as error:
                if node not in self.nodes():
                    continue  # gone since
                raise InputError(f"worker {node.host} does not answer: {_one_line(error)}.") from None
            for name, mine in here.items():
                if versions.get(name) != mine:
                    raise InputError(
                        f"worker {node.host} has {name} {versions.get(name) or 'not installed'}, and this process has "
                        f"{mine}; give workers the same environment."
                    )
            if unseen:
                raise InputError(
                    f"worker {node.host} does not see {unseen[0]!r} ({len(unseen)} of {len(asked)} paths tried); put "
                    "data and store on a disk that all machines share, or on S3."
                )


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """A block in which nothing reaches standard error, not even from C++."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _ray() -> Any:
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
        importlib.import_module("ray.util.scheduling_strategies")
    except ImportError:
        raise InputError(
            'the engine ray needs Ray, which is not installed. Run pip install "bandprobe[ray]".'
        ) from None
    return ray


def _look() -> Any:
    """What a worker runs to say what it has and sees; it travels whole, since a worker may lack this package."""

    def look(folder: str, paths: list[str], packages: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
        import importlib.metadata
        import os
        import platform

        found = {"Python": platform.python_version()}
        for name in packages:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = ""
        return found, [path for path in paths if not os.path.exists(os.path.join(folder, path))]  # noqa: PTH110, PTH118

    return look


def _versions(packages: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = _look()("", [], tuple(packages))[0]
    return versions


def _check_answers(address: str) -> None:
    """See that something listens, which Ray itself takes a minute to give up on."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"address must be auto, HOST:PORT or ray://HOST:PORT; got {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster at {address!r} ({error.strerror or error}); start one with `ray start --head`, or leave "
            "--address out to work on this machine."
        ) from None


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
