"""Rows to a file or to standard output, one after the other: JSON lines or CSV, taken up again where they stopped."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from bandprobe.columns import shown
from bandprobe.errors import DiskError, InputError

FORMATS = ("text", "json", "jsonl", "csv")
_RISKY = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet may take for a formula


def line(row: Mapping[str, Any], kind: str, columns: Sequence[str]) -> str:
    """One row as a line of JSON or CSV, without its end."""
    if kind == "jsonl":
        return json.dumps({name: row[name] for name in columns}, ensure_ascii=False)
    return _csv(["" if row[name] is None else row[name] for name in columns])


def header(kind: str, columns: Sequence[str]) -> str | None:
    """The first line, where the form has one."""
    return _csv(columns) if kind == "csv" else None


def _csv(values: Iterable[Any]) -> str:
    buffer = io.StringIO()
    plain = [shown(value) if isinstance(value, str) else value for value in values]
    safe = [f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value for value in plain]
    csv.writer(buffer, lineterminator="").writerow(safe)
    return buffer.getvalue()


def _unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_RISKY) else text


class RowFile:
    """A file that rows are added to as they are made; what is there already is not made again.

    Args:
        path: ends in `.jsonl` or `.csv`.
        columns: of the rows.
        probes: by the probes' names, the columns that every row of a probe has alike (its prior and threshold): a file
            of other probes, or of the same under another rule, is not gone on with.

    Raises:
        InputError: another ending, or a file that holds something else.
        DiskError: it cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str], probes: Mapping[str, Mapping[str, Any]]) -> None:
        self.kind = path.suffix.removeprefix(".").lower()
        if self.kind not in ("jsonl", "csv"):
            raise InputError(
                f"--out must end in .jsonl or .csv, so that rows can be added; got {str(path)!r}."
            )
        self._path, self._columns = path, tuple(columns)
        self._rules = {name: dict(rule) for name, rule in probes.items()}
        self._asked = set(probes)
        self.done: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._take_up() if path.exists() else 0
            self._stream: TextIO = path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
            self._stream.truncate(whole)
            if not whole and (first := header(self.kind, self._columns)):
                self._stream.write(f"{first}\n")
        except OSError as error:
            raise DiskError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error

    def _take_up(self) -> int:
        """Read what is there; how many bytes of it are whole rows of images that all probes were asked about."""
        content = self._path.read_bytes()
        end = content.rfind(b"\n") + 1
        text = content[:end].decode("utf-8", "surrogateescape")
        lines = [f"{one}\n" for one in text.split("\n")[:-1]]
        if self.kind == "csv" and lines and lines[0].rstrip("\n") != header("csv", self._columns):
            raise InputError(
                f"{str(self._path)!r} holds something else than rows of `score`; give another --out."
            )
        known: dict[str, set[str]] = {}
        sizes: list[tuple[str, int]] = []
        for number, one in enumerate(lines):
            size = len(one.encode("utf-8", "surrogateescape"))
            if self.kind == "csv" and number == 0:
                sizes.append(("", size))
                continue
            row = self._row(one)
            path, probe = str(row["path"]), str(row["probe"])
            if probe not in self._asked:
                raise InputError(
                    f"{str(self._path)!r} holds rows of probe {probe!r}, which is not asked now; give another --out."
                )
            for column, value in self._rules[probe].items():
                if self._differs(row[column], value):
                    was, now = ("none" if one in (None, "") else one for one in (row[column], value))
                    raise InputError(
                        f"{str(self._path)!r} holds rows with {column} {was}, and now it is {now}; give another --out."
                    )
            known.setdefault(path, set()).add(probe)
            sizes.append((path, size))
        # The last image's rows may be incomplete where a process was killed between two of them.
        while sizes and sizes[-1][0] in known and known[sizes[-1][0]] != self._asked:
            sizes.pop()
        self.done = {path for path, probes in known.items() if probes == self._asked}
        return sum(size for _, size in sizes)

    def _row(self, one: str) -> dict[str, Any]:
        """A line's path, probe and the columns of its rule, numbers of a CSV as text."""
        try:
            if self.kind == "jsonl":
                row = json.loads(one)
                return {name: row[name] for name in ("path", "probe", *self._ruled)}
            values = dict(zip(self._columns, next(csv.reader([one])), strict=True))
            return {name: _unquoted(values[name]) for name in ("path", "probe", *self._ruled)}
        except (ValueError, KeyError, TypeError, StopIteration):
            raise InputError(
                f"{str(self._path)!r} holds something else than rows of `score`; give another --out."
            ) from None

    @property
    def _ruled(self) -> list[str]:
        return list(dict.fromkeys(name for rule in self._rules.values() for name in rule))

    def _differs(self, held: Any, value: Any) -> bool:
        return bool(held != value if self.kind == "jsonl" else held != ("" if value is None else str(value)))

    def has(self, name: str) -> bool:
        """Whether an image's rows are there already."""
        return (shown(name) if self.kind == "csv" else name) in self.done

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, and hand them to the system.

        Raises:
            DiskError: they cannot be written.
        """
        try:
            self._stream.write("".join(f"{line(row, self.kind, self._columns)}\n" for row in rows))
            self._stream.flush()
        except OSError as error:
            raise DiskError(
                f"cannot write {str(self._path)!r}: {error.strerror or error}. What was written is kept; make room "
                "and run again."
            ) from error

    def close(self) -> None:
        """Nothing more comes."""
        os.fsync(self._stream.fileno())
        self._stream.close()
