"""Downloads that go on where they were stopped."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bandprobe import progress
from bandprobe.datasets import web
from bandprobe.errors import DiskError
from bandprobe.files import write_json

_BLOCK = 1 << 16
_MB = 10**6
_LATER = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 60.0  # seconds


class _BrokenError(Exception):
    """The file did not come to its end, and may yet; what came is kept."""


@dataclass
class Resumable:
    """A downloader for pooch that keeps what has come in `part`, and asks for the rest of it.

    What lies there is gone on with only where the server says that its file is still the same (`If-Range` with the
    ETag or the date that came with the first part), or where the file's checksum is known and will tell. Another
    answer, or a server without ranges, begins anew.

    Attributes:
        part: where the file grows; a `.json` beside it says what it is a part of.
        size: the file's bytes, where they are known. No more is ever written.
        checked: whether the whole is compared with a checksum afterwards.
        tries: connections that may break one after the other without a byte in between.
        wait: seconds before the second of them; each further one waits twice as long.
        timeout: seconds without a byte.

    Source:
        RFC 9110, sections 13.1.5 (If-Range), 14.2 (Range) and 15.3.7 (206).
    """

    part: Path
    size: int | None = None
    checked: bool = False
    tries: int = 5
    wait: float = 1.0
    timeout: float = 60.0

    def __call__(self, url: str, output_file: str | Path, pooch: object = None) -> None:
        """Download a file: what pooch calls.

        Raises:
            DiskError: the server cannot be reached or refuses, the file is larger than announced, or the disk
                is full.
        """
        label = self.part.name.removesuffix(".part")[-32:]
        total = None if self.size is None else -(-self.size // _MB)
        at_first = self._done()
        with progress.bar(f"fetch {label}", total, "MB") as step:
            shown = failures = 0
            while True:
                before = self._done()
                try:
                    for done in self._more(url):
                        step(done // _MB - shown)
                        shown = done // _MB
                    break
                except (_BrokenError, requests.exceptions.RequestException) as error:
                    failures = 1 if self._done() > before else failures + 1
                    never = self._done() == at_first and not isinstance(error, _BrokenError)
                    if never or failures >= self.tries:
                        raise self._given_up(url, error) from error
                    progress.say(
                        f"{label}: {error or 'the connection broke'}; going on from {self._done():,} bytes"
                    )
                    time.sleep(min(self.wait * 2 ** (failures - 1), _LONGEST_WAIT))
        os.replace(self.part, output_file)  # noqa: PTH105 - pooch hands over text
        self._facts.unlink(missing_ok=True)

    @property
    def _facts(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _done(self) -> int:
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def _given_up(self, url: str, error: Exception) -> DiskError:
        if isinstance(error, requests.exceptions.RequestException):
            try:
                with web.failures(url):
                    raise error
            except DiskError as said:
                reason = str(said).rstrip(".")
        else:
            reason = f"{url} cannot be had whole: {error}"
        kept = (
            f"; {self._done():,} bytes are kept, and the same command goes on from there"
            if self._done()
            else ""
        )
        return DiskError(f"{reason}{kept}.")

    def _more(self, url: str) -> Iterator[int]:
        """Ask for what is missing and write it; yields the bytes there after each block."""
        held = self._done()
        if self.size is not None and held == self.size and held and self._same_file(url):
            yield held
            return
        headers = web.HEADERS | (self._condition(url) if held else {})
        if "Range" not in headers:
            held = 0
        with requests.get(
            url, headers=headers, timeout=(min(30.0, self.timeout), self.timeout), stream=True
        ) as got:
            if got.status_code == 416 and got.headers.get("Content-Range") == f"bytes */{held}":
                yield held  # it was whole already
                return
            if got.status_code == 416:
                self.part.unlink(missing_ok=True)
                raise _BrokenError("what was kept is no part of the file")
            if got.status_code in _LATER:
                self._wait_as_told(got)
                raise _BrokenError(f"the server answered {got.status_code}")
            if got.status_code not in (200, 206):
                raise web.refused(url, got.status_code)
            start = _start_of(got) if got.status_code == 206 else 0
            if start not in (0, held):
                self.part.unlink(missing_ok=True)
                raise _BrokenError("the server sent another part than was asked for")
            yield from self._written(url, got, start)

    def _written(self, url: str, got: requests.Response, start: int) -> Iterator[int]:
        length = got.headers.get("Content-Length", "")
        whole = start + int(length) if length.isdigit() else None
        if self.size is not None and whole is not None and whole != self.size:
            self.part.unlink(missing_ok=True)
            raise DiskError(
                f"{url} is {whole:,} bytes, and {self.size:,} were announced: another file lies there now; nothing "
                "is kept of it."
            )
        write_json(self._facts, {"url": url, **_identity(got)})
        done = start
        try:
            with self.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                for block in got.iter_content(_BLOCK):
                    done += len(block)
                    if self.size is not None and done > self.size:
                        raise DiskError(
                            f"{url} sends more than the {self.size:,} bytes announced; nothing is kept."
                        )
                    file.write(block)
                    yield done
        except DiskError:
            self.part.unlink(missing_ok=True)
            raise
        except requests.exceptions.RequestException as error:
            raise _BrokenError("the connection broke") from error
        except OSError as error:
            raise DiskError(
                f"{self.part} cannot be written: {error.strerror or error}. Free the disk; what came is kept."
            ) from error
        if whole is not None and done < whole:
            raise _BrokenError("the connection broke")

    def _same_file(self, url: str) -> bool:
        return self._read_facts().get("url") == url

    def _condition(self, url: str) -> dict[str, str]:
        """What asks for the rest; nothing where it cannot be known that the rest fits."""
        facts = self._read_facts()
        if facts.get("url") != url:
            return {}
        known = facts.get("etag") or facts.get("modified")
        if not (known or self.checked):
            return {}
        condition = {"If-Range": str(known)} if known else {}
        return {"Range": f"bytes={self._done()}-", **condition}

    def _read_facts(self) -> dict[str, Any]:
        try:
            found = json.loads(self._facts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _wait_as_told(self, got: requests.Response) -> None:
        told = got.headers.get("Retry-After", "")
        if told.isdigit():
            time.sleep(min(float(told), _LONGEST_WAIT))


def _identity(got: requests.Response) -> dict[str, str]:
    """What tells a later version of a file; a weak ETag does not."""
    etag = got.headers.get("ETag", "")
    return {"etag": "" if etag.startswith("W/") else etag, "modified": got.headers.get("Last-Modified", "")}


def _start_of(got: requests.Response) -> int:
    found = re.match(r"bytes (\d+)-", got.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1
