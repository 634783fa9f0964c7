"""Files that do not lie on this machine: `s3://bucket/key`, `gs://bucket/key`, any URL that fsspec knows."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import posixpath
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyarrow import fs

from bandprobe.errors import BandprobeError, DiskError, InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://", re.ASCII)
# Where the package that fsspec asks for is known by another name, or not named in its message.
_PACKAGES = {
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hf": "huggingface_hub",
}
_S3_SETTINGS = (
    ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    ("AWS_REGION", "AWS_DEFAULT_REGION"),
    ("AWS_PROFILE",),
    ("AWS_ACCESS_KEY_ID",),
    ("AWS_SECRET_ACCESS_KEY",),
    ("AWS_SESSION_TOKEN",),
)
_REASONS = (
    (("NO_SUCH_BUCKET", "NoSuchBucket"), "no such bucket"),
    (
        (
            "ACCESS_DENIED",
            "AccessDenied",
            "Access Denied",
            "HTTP status 403",
            "INVALID_ACCESS_KEY_ID",
            "INVALID_CLIENT_TOKEN_ID",
            "SIGNATURE_DOES_NOT_MATCH",
            "MISSING_AUTHENTICATION_TOKEN",
        ),
        "access denied; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to who may use this bucket",
    ),
    (
        ("NETWORK_CONNECTION", "curlCode", "Could not connect"),
        "no connection; check the network and, for a server of your own, AWS_ENDPOINT_URL",
    ),
)
_SECOND = 10**9  # nanoseconds
_FEW = 32  # files of one folder that are asked for one by one rather than by listing it
_REMEMBERED = 1 << 14  # states that are kept for `status(within=...)`


@dataclass(frozen=True)
class Status:
    """A remote file's size in bytes, and its time of change in nanoseconds (of S3, to the second).

    Where a file system keeps no such time, `mtime_ns` is a number that changes with the file (its ETag or the like).
    """

    size: int
    mtime_ns: int


def is_remote(text: str) -> bool:
    r"""Whether a text is a URL, `scheme://...`; a scheme has two letters or more, so `C:\data` is none."""
    return _URL.match(text) is not None


def normal(url: str) -> str:
    """A URL without a slash at its end, and with `..` resolved."""
    scheme, _, path = url.partition("://")
    if {".", ".."} & set(path.split("/")):
        path = ("/" if path.startswith("/") else "") + posixpath.normpath(path).lstrip("/")
    return f"{scheme}://{path.rstrip('/')}"


def filesystem(url: str) -> tuple[fs.FileSystem, str]:
    """The file system that a URL leads to, and the path there.

    `s3://` needs no package beside pyarrow. It takes its credentials where AWS's own tools do (the environment,
    `~/.aws`, the machine's role), and from the environment AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (a server of
    one's own, `http://` too) and AWS_REGION or AWS_DEFAULT_REGION. Every other scheme goes through fsspec.

    Args:
        url: `scheme://...`.

    Raises:
        InputError: it is no URL, names no bucket, is of an unknown scheme, or its package is not installed.
        DiskError: the file system cannot be reached.
    """
    scheme, _, path = url.partition("://")
    if not is_remote(url):
        raise InputError(f"a remote path must be a URL like 's3://bucket/key'; got {url!r}.")
    if scheme.lower() in {"s3", "s3a"}:
        bucket = path.partition("/")[0]
        if not bucket:
            raise InputError(f"{url!r} names no bucket; expected 's3://bucket/key'.")
        settings = tuple(next(filter(None, map(os.environ.get, names)), "") for names in _S3_SETTINGS)
        with failures(url):
            return _s3(settings, "" if any(settings[:3]) else bucket, os.getpid()), path.rstrip("/")
    import fsspec  # not needed by who has no such URL

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(scheme.lower())
        way_out = f"pip install {package}" if package else "install it"
        raise InputError(
            f"{scheme}:// needs a package that is not installed ({_line(error)}); {way_out}."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{url!r} cannot be opened: {_line(error)}; expected s3://, gs:// or another scheme of fsspec."
        ) from error
    # Whatever a file system's client meets while it logs in.
    except Exception as error:
        raise DiskError(f"{url!r} cannot be reached: {_line(error)}; check the credentials.") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path


@functools.cache
def _s3(settings: tuple[str, ...], bucket: str, process: int) -> fs.S3FileSystem:
    """One client for each endpoint, region, identity and process: none outlives a fork."""
    endpoint, region = settings[:2]
    options = {}
    if endpoint:
        scheme, _, place = endpoint.rpartition("://")
        options = {"endpoint_override": place.rstrip("/"), "scheme": scheme or "https"}
        region = region or "us-east-1"  # as servers other than Amazon's expect
    elif bucket:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region or None, **options)


@contextlib.contextmanager
def failures(url: str) -> Iterator[None]:
    """A block in which what goes wrong on the way to a URL becomes one line that names it.

    Raises:
        FileNotFoundError: nothing is there.
        DiskError: there is no such bucket, it may not be read, or the network failed.
    """
    try:
        yield
    except (BandprobeError, FileNotFoundError):
        raise
    # A file system's client raises what it likes: OSError, RuntimeError, errors of its HTTP library.
    except Exception as error:
        text = " ".join(str(error).split())
        known = (reason for words, reason in _REASONS if any(word in text for word in words))
        raise DiskError(f"{url!r} failed: {next(known, _line(error))}.") from error


def open_file(url: str) -> Any:
    """A remote file, for reading at any place: a `pyarrow.NativeFile`.

    Raises:
        FileNotFoundError: nothing is there.
        DiskError: it cannot be read.
    """
    system, path = filesystem(url)
    with failures(url):
        return system.open_input_file(path)


def read_bytes(url: str) -> bytes:
    """All of a remote file. Raises as `open_file` does."""
    system, path = filesystem(url)
    with failures(url), system.open_input_file(path) as stream:
        return bytes(stream.read())


def kind(url: str) -> Literal["file", "folder", None]:
    """What lies at a URL; None for nothing.

    Raises:
        DiskError: it cannot be told.
    """
    system, path = filesystem(url)
    with failures(url):
        found = system.get_file_info(path).type
    return {fs.FileType.File: "file", fs.FileType.Directory: "folder"}.get(found)  # type: ignore[return-value]


def missing(url: str) -> str:
    """Why nothing lies at a URL, without the URL: no such bucket, or no such file or folder."""
    scheme, _, path = url.partition("://")
    bucket = path.partition("/")[0]
    if scheme.lower() in {"s3", "s3a"}:
        with contextlib.suppress(DiskError):
            if kind(f"{scheme}://{bucket}") is None:
                return f"no such bucket ({bucket!r})"
    return "no such file or folder"


def listing(url: str) -> list[str]:
    """The paths of all files below a URL, relative to it, sorted.

    Raises:
        FileNotFoundError: there is no such folder.
        DiskError: it cannot be listed.
    """
    system, path = filesystem(url)
    with failures(url):
        _forget_listings(system)
        below = system.get_file_info(fs.FileSelector(path, recursive=True))
    prefix = path.rstrip("/") + "/"
    names = [info.path.removeprefix(prefix) for info in below if info.type == fs.FileType.File]
    return sorted(name.lstrip("/") for name in names)


def statuses(urls: Sequence[str]) -> dict[str, Status]:
    """Size and time of change of many files; those that are not there are missing.

    Many files of a folder cost one request for a thousand, not one for each.

    Raises:
        DiskError: they cannot be told.
    """
    folders: dict[str, list[str]] = {}
    for url in dict.fromkeys(urls):
        folders.setdefault(url.rpartition("/")[0], []).append(url)
    found: dict[str, Status] = {}
    for folder, of in folders.items():
        system, _ = filesystem(of[0])
        paths = {filesystem(url)[1].strip("/"): url for url in of}
        with failures(folder):
            _forget_listings(system)
            where = list(paths) if len(of) <= _FEW else fs.FileSelector(_above(of[0]), allow_not_found=True)
            infos = system.get_file_info(where)
            for info in infos:
                wanted = paths.get(info.path.strip("/"))
                if wanted is not None and info.type == fs.FileType.File:
                    found[wanted] = Status(info.size or 0, _changed(system, info))
    _recent.put(found)
    return found


def status(url: str, within: float = 0.0) -> Status:
    """Size and time of change of one file.

    Args:
        url: the file.
        within: take what was found less than so many seconds ago, if anything was.

    Raises:
        FileNotFoundError: nothing is there.
        DiskError: it cannot be told.
    """
    found = _recent.get(url, within) or statuses([url]).get(url)
    if found is None:
        raise FileNotFoundError(f"no such file: {url}")
    return found


class _Recent:
    """What was last found out about files, and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[Status, float]] = {}

    def put(self, found: dict[str, Status]) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._found) + len(found) > _REMEMBERED:
                self._found.clear()
            self._found.update({url: (each, now) for url, each in list(found.items())[-_REMEMBERED:]})

    def get(self, url: str, within: float) -> Status | None:
        with self._lock:
            each, when = self._found.get(url, (None, 0.0))
        return each if time.monotonic() - when < within else None


_recent = _Recent()


def _above(url: str) -> str:
    return filesystem(url)[1].rpartition("/")[0]


def _changed(system: fs.FileSystem, info: fs.FileInfo) -> int:
    if info.mtime_ns is not None:
        # S3 servers list milliseconds and tell whole seconds when they are asked for one object.
        return (
            int(info.mtime_ns) // _SECOND * _SECOND
            if isinstance(system, fs.S3FileSystem)
            else int(info.mtime_ns)
        )
    key = system.handler.fs.ukey(info.path)  # only a file system of fsspec's has no such time
    return int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:7], "little")


def _forget_listings(system: fs.FileSystem) -> None:
    """fsspec's file systems answer from listings that they keep."""
    if isinstance(system, fs.PyFileSystem):
        system.handler.fs.invalidate_cache()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
