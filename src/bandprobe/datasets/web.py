"""Requests to servers of data sets, and what goes wrong with them in one line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import requests

from bandprobe._version import __version__
from bandprobe.errors import BandprobeError, DiskError

HEADERS = {"User-Agent": f"bandprobe/{__version__}", "Accept-Encoding": "identity"}
_LARGEST = 1 << 25  # bytes of a listing
_MEANING = {
    401: "it asks for a login; fetch the file by hand",
    403: "it may not be fetched from here; fetch the file by hand",
    404: "nothing is there; the files may have moved",
    410: "it was taken down",
    429: "too many requests; wait some minutes",
}


@contextlib.contextmanager
def failures(url: str) -> Iterator[None]:
    """A block in which what the network does becomes one line that names the URL.

    Raises:
        DiskError: the server cannot be reached, or the connection broke.
    """
    try:
        yield
    except BandprobeError:
        raise
    except requests.exceptions.SSLError as error:
        raise DiskError(f"{url} cannot be trusted: its certificate is not valid ({_line(error)}).") from error
    except requests.exceptions.Timeout as error:
        raise DiskError(f"{url} does not answer; check the network and run again.") from error
    except requests.exceptions.RequestException as error:
        raise DiskError(
            f"{url} cannot be reached: {_line(error)}; check the network and run again."
        ) from error


def refused(url: str, status: int) -> DiskError:
    """What to say of an answer other than success."""
    why = _MEANING.get(
        status, "the server has trouble; run again later" if status >= 500 else "it is refused"
    )
    return DiskError(f"{url} answered {status}: {why}.")


def read_json(url: str, timeout: float) -> Any:
    """A JSON document behind a URL.

    Raises:
        DiskError: it cannot be had, or is none.
    """
    with failures(url), requests.get(url, headers=HEADERS, timeout=timeout, stream=True) as answer:
        if answer.status_code != 200:
            raise refused(url, answer.status_code)
        content = b""
        for block in answer.iter_content(1 << 16):
            content += block
            if len(content) > _LARGEST:
                raise DiskError(f"{url} answers with more than a listing; give another --server.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise DiskError(f"{url} answers with something other than JSON; give another --server.") from None


def _line(error: Exception) -> str:
    """The reason at the bottom of what an HTTP library says."""
    while isinstance(error.__cause__ or error.__context__, Exception):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:160] or type(error).__name__
