"""Pictures that lie elsewhere than in a file of this disk: in a table's row, a tar file, behind a URL."""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bandprobe import remote
from bandprobe.errors import ImageError
from bandprobe.images import archive
from bandprobe.images.places import is_below, missing, opened, regular, status

_LOCATION = re.compile(r"(?P<file>.+\.(?:parquet|arrow))::(?P<row>\d+)", re.IGNORECASE | re.DOTALL)
_USUAL_NAMES = ("image", "img", "picture", "photo", "png", "jpg", "jpeg")
_STALE = 10.0  # seconds after which a remote file is asked again whether it changed
_KEPT = 4  # row groups in memory at most: readers of one file work side by side, far from each other rarely

_Value = TypeVar("_Value")


def locate(source: str | Path) -> tuple[str, int | str | None] | None:
    """Where a picture lies that has no file of its own on this disk; None for any other path.

    Returns:
        File and row of `FILE.parquet::ROW` and `FILE.arrow::ROW`; file and member of `FILE.tar::MEMBER`; a URL and
        None for a file behind one. `FILE` may itself be a URL.
    """
    text = str(source)
    member = archive.locate(text)
    if member is not None:
        return member
    found = _LOCATION.fullmatch(text)
    if found:
        return found["file"], int(found["row"])
    return (text, None) if remote.is_remote(text) else None


def holder(source: str) -> str:
    """The file that a picture lies in: its own, a table or a tar file; a path or a URL."""
    place = locate(source)
    return source if place is None else place[0]


def is_inside(source: str) -> bool:
    """Whether a picture is a table's row or a tar file's member."""
    place = locate(source)
    return place is not None and place[1] is not None


def features(schema: Any) -> dict[str, Any]:
    """What Hugging Face's `datasets` says about the columns in a schema's metadata; empty without it."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        found = json.loads(raw)["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_images(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def image_column(schema: Any) -> str | None:
    """The column with encoded pictures: struct{bytes, path} or binary; None when there is none.

    Of several, the one that the metadata call an Image, else one called `image` or the like, else the
    first. A table's string column with paths is none of these.
    """
    columns: list[str] = [field.name for field in schema if _holds_images(field.type)]
    if not columns:
        return None
    said = features(schema)
    for name in columns:
        feature = said.get(name)
        if isinstance(feature, dict) and feature.get("_type") == "Image":
            return name
    return next((name for usual in _USUAL_NAMES for name in columns if name.lower() == usual), columns[0])


def paths_without_bytes(source: Any, column: str) -> dict[int, str]:
    """The rows of a column of images that name a file and hold no bytes, as Hugging Face's cache does: row to path.

    Args:
        source: a `pyarrow.Table` or `pyarrow.parquet.ParquetFile`; of the latter, bytes are read only of row groups
            in which some are missing and others not.
        column: struct{bytes, path} or binary.
    """
    table = isinstance(source, pa.Table)
    kind = (source.schema if table else source.schema_arrow).field(column).type
    if not pa.types.is_struct(kind) or {"bytes", "path"} - {field.name for field in kind}:
        return {}
    found: dict[int, str] = {}
    first = 0
    parts = _parts(source.column(column)) if table else _groups(source, column)
    for names, lacking in parts:
        rows = range(len(names)) if lacking is None else (at for at, none in enumerate(lacking) if none)
        found.update({first + at: names[at] for at in rows if names[at]})
        first += len(names)
    return found


_Part = tuple[list[Any], "list[bool] | None"]  # paths, and which rows lack bytes; None for all of them


def _parts(column: Any) -> Iterator[_Part]:
    for chunk in column.chunks:
        yield _field(chunk, "path").to_pylist(), _field(chunk, "bytes").is_null().to_pylist()


def _groups(parquet: pq.ParquetFile, column: str) -> Iterator[_Part]:
    leaves = [parquet.metadata.schema.column(at).path for at in range(parquet.metadata.num_columns)]
    for group in range(parquet.num_row_groups):
        facts = parquet.metadata.row_group(group)
        statistics = facts.column(leaves.index(f"{column}.bytes")).statistics
        nulls = statistics.null_count if statistics is not None and statistics.has_null_count else None
        if nulls == 0:
            yield [None] * facts.num_rows, None
            continue
        whole = parquet.read_row_group(group, columns=[f"{column}.path"]).column(0).combine_chunks()
        names = _field(whole, "path").to_pylist()
        if nulls == facts.num_rows:
            yield names, None
        else:
            data = parquet.read_row_group(group, columns=[f"{column}.bytes"]).column(0).combine_chunks()
            yield names, _field(data, "bytes").is_null().to_pylist()


def _field(structs: Any, name: str) -> Any:
    """One field of an array of structs, null where the struct itself is."""
    chunks = structs.chunks if isinstance(structs, pa.ChunkedArray) else [structs]
    return pa.chunked_array([pc.struct_field(chunk, name) for chunk in chunks])


@dataclass(frozen=True)
class _File:
    column: str
    starts: list[int]  # the first row of each group, and the number of rows at the end
    read: Callable[[int], Any]  # a group's index -> the column's values there, an Arrow array


def open_arrow(file: str) -> Any:
    """All batches of an Arrow file, stream or random-access format: a `pyarrow.Table`, memory-mapped on this disk.

    Raises:
        pyarrow.ArrowException: it is damaged.
    """
    source = remote.open_file(file) if remote.is_remote(file) else pa.memory_map(file)
    try:
        table = pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        table = pa.ipc.open_file(source).read_all()
    table.validate(full=True)  # Arrow follows offsets as they stand, also out of the file
    return table


def _column_of(file: str, schema: Any) -> str:
    column = image_column(schema)
    if column is None:
        raise ImageError(f"no column of {_name(file)} holds pictures (bytes, or a struct with bytes)")
    return column


def _open(file: str) -> _File:
    if file.lower().endswith(".arrow"):
        table = open_arrow(file)
        column = _column_of(file, table.schema)
        values = table.column(column)
        return _File(column, [0, len(values)], lambda _: values)
    parquet = pq.ParquetFile(opened(file))
    column = _column_of(file, parquet.schema_arrow)
    starts = [0]
    for group in range(parquet.metadata.num_row_groups):
        starts.append(starts[-1] + parquet.metadata.row_group(group).num_rows)
    return _File(column, starts, lambda group: parquet.read_row_group(group, columns=[column]).column(0))


class _Cache:
    """The last few open files and row groups, for all threads together.

    Reading rows in order then reads each row group once. One cache for all threads, because a row
    group may be large and threads that share a queue stand at nearly the same row.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[str, int], _File] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int, int], Any] = OrderedDict()

    @staticmethod
    def _get(store: OrderedDict[Any, _Value], key: Any, make: Callable[[], _Value]) -> _Value:
        if key in store:
            store.move_to_end(key)
        else:
            store[key] = make()
            while len(store) > _KEPT:
                store.popitem(last=False)
        return store[key]

    def value(self, file: str, row: int) -> Any:
        """The Python value at a row: bytes, or a dictionary with bytes and path."""
        key = (file, status(file, within=_STALE).mtime_ns)
        with self._lock:
            opened = self._get(self._files, key, lambda: _open(file))
            if row >= opened.starts[-1]:
                raise ImageError(f"row {row} is beyond the {opened.starts[-1]} rows of {_name(file)}")
            group = bisect_right(opened.starts, row) - 1
            values = self._get(self._groups, (*key, group), lambda: opened.read(group))
        return values[row - opened.starts[group]].as_py()


_cache = _Cache()


def read(file: str, at: int | str | None) -> bytes:
    """The encoded picture at a place that `locate` tells. Thread-safe.

    Args:
        file: a Parquet file, an Arrow file in stream or random-access format, or a tar file; a path or a URL.
        at: a table's row, counted from 0 over the whole file; a tar file's member; None for a file behind a URL.

    Raises:
        ImageError: the file cannot be read, has no such row or member, or no picture there.
    """
    try:
        if at is None:
            return remote.read_bytes(file)
        return archive.read(file, at) if isinstance(at, str) else _row(file, at)
    except FileNotFoundError as error:
        raise ImageError(missing(file)) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{_name(file)} cannot be read: {' '.join(str(error).split())[:160]}") from error


def _row(file: str, row: int) -> bytes:
    value = _cache.value(file, row)
    data, beside = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if data is None and beside:
        if remote.is_remote(file):
            raise ImageError(
                f"the row names {beside!r} and holds no bytes; list such paths in a column of their own"
            )
        folder = Path(file).parent
        place = folder / str(beside)  # an absolute path stays what it is
        try:
            if not is_below(place, folder):
                raise ImageError(
                    f"the row names {beside!r}, outside the table's folder; list such paths in a column of their own"
                )
            return regular(place).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            if isinstance(error, ImageError):
                raise
            raise ImageError(f"the picture {beside!r} that the row names cannot be read") from error
    if data is None:
        raise ImageError("the row holds no picture (null)")
    return bytes(data)


def _name(file: str) -> str:
    return file.rpartition("/")[2]
