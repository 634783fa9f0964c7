"""What is to be scored: files, URLs, encoded pictures and arrays, one after the other."""

from __future__ import annotations

import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import ImageError, InputError
from bandprobe.images import decode
from bandprobe.images.decode import Colour, decode_bytes
from bandprobe.images.pictures import picture_files

MOST_BYTES = 64 * 2**20  # of a picture behind a URL
_SECONDS = 20.0  # without a byte
_PAUSE = 0.2  # seconds after which what has come on standard input is scored
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\0\0\0")

Read = Callable[[Colour], NDArray[np.uint8]]


@dataclass(frozen=True)
class Input:
    """One picture to be scored: how it is called, and what reads it.

    `read` gives uint8 of shape (h, w, 3), or raises ImageError.
    """

    name: str
    read: Read


def file_input(path: str | Path) -> Input:
    """A picture in a file, or in a table or tar file (`FILE::PLACE`)."""
    return Input(str(path), lambda colour: decode(path, background=colour))


def bytes_input(name: str, content: bytes) -> Input:
    """An encoded picture in memory."""
    return Input(name, lambda colour: decode_bytes(content, background=colour))


def array_input(name: str, picture: NDArray[np.uint8]) -> Input:
    """A picture as uint8 of shape (h, w, 3).

    Raises:
        InputError: another shape or type.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise InputError(
            f"an image must be a path, a PIL image or uint8 of shape (h, w, 3); got {picture.dtype} of shape "
            f"{picture.shape}."
        )
    return Input(name, lambda _: picture)


def url_input(url: str) -> Input:
    """A picture behind an http or https URL: at most 64 MiB, redirected within these schemes alone."""
    return Input(url, lambda colour: decode_bytes(_fetched(url), background=colour))


def is_web(text: str) -> bool:
    """Whether a text is an http or https URL."""
    return text.lower().startswith(("http://", "https://"))


def inputs_of(given: Iterable[str], *, allow_urls: bool) -> list[Input]:
    """Files, folders and URLs as they stand on a command line.

    Raises:
        InputError: a path that is not there, no image at all, or a URL where these are not allowed.
    """
    found: list[Input] = []
    paths: list[str] = []
    for text in given:
        if "://" in text:
            found.append(_checked_url(text, allow_urls))
        else:
            paths.append(text)
    if paths:
        found = [*(file_input(path) for path in picture_files(paths)), *found]
    if not found:
        raise InputError("no image is given; name files, folders, or - for a list on standard input.")
    return found


def _checked_url(text: str, allow_urls: bool) -> Input:
    if not is_web(text):
        raise InputError(
            f"only http and https URLs can be scored; got {text!r}. Copy the picture here first."
        )
    if not allow_urls:
        raise InputError(f"{text!r} is a URL, and nothing is fetched unless asked; add --allow-urls.")
    return url_input(text)


def batches_of(items: list[Input], size: int) -> Iterator[list[Input]]:
    """Inputs that are all known, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def standard_input(stream: BinaryIO, size: int, *, allow_urls: bool) -> Iterator[list[Input]]:
    """What comes on standard input: one encoded picture, or a list of paths and URLs.

    A list has one a line, or is separated by NUL. A batch is handed on when it is full, or when nothing has come for
    a fifth of a second.

    Raises:
        InputError: a URL where these are not allowed.
    """
    start = stream.read(4)
    if start.startswith(_SIGNATURES):
        yield [bytes_input("-", start + stream.read())]
        return
    lines: queue.Queue[str | None] = queue.Queue(maxsize=4 * size)

    def read() -> None:
        try:
            for line in _lines(start, stream):
                lines.put(line)
        finally:
            lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    ended = False
    while not ended:
        batch: list[Input] = []
        line = lines.get()
        while True:
            if line is None:
                ended = True
                break
            batch.append(_checked_url(line, allow_urls) if "://" in line else file_input(line))
            if len(batch) == size:
                break
            try:
                line = lines.get(timeout=_PAUSE)
            except queue.Empty:
                break
        if batch:
            yield batch


def _lines(start: bytes, stream: BinaryIO) -> Iterator[str]:
    """Names, separated by line ends or NULs, as they come."""
    held = start
    while True:
        held = held.replace(b"\0", b"\n")
        *whole, held = held.split(b"\n")
        for line in whole:
            if text := line.rstrip(b"\r").decode("utf-8", "surrogateescape").strip():
                yield text
        more: bytes = stream.read1(65536) if hasattr(stream, "read1") else stream.read(65536)
        if not more:
            break
        held += more
    if text := held.rstrip(b"\r").decode("utf-8", "surrogateescape").strip():
        yield text


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Redirects lead to http and https alone."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not is_web(newurl):
            raise ImageError(f"redirected to {newurl!r}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetched(url: str) -> bytes:
    """A URL's content.

    Raises:
        ImageError: it cannot be had, or is too large.
    """
    opener = urllib.request.build_opener(_SameSchemes)
    try:
        with opener.open(
            urllib.request.Request(url, headers={"User-Agent": "bandprobe"}), timeout=_SECONDS
        ) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise ImageError(f"the server answered {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be fetched: {getattr(error, 'reason', None) or error}") from None
    if len(content) > MOST_BYTES:
        raise ImageError(f"larger than {MOST_BYTES // 2**20} MiB")
    return content
