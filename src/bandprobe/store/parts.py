"""One part of a store: a Parquet file whose name is the hash of its own bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.errors import DiskError, StoreError
from bandprobe.store.bucket import Bucket, Place, opened
from bandprobe.store.fingerprint import Fingerprint

_KEY, _SOURCE, _ENCODER = b"bandprobe", b"bandprobe.source", b"bandprobe.encoder"
_DIGEST = 32  # hexadecimal digits
_TYPES = {
    "image_id": pa.types.is_string,
    "embedding": lambda kind: pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type),
    "clipped_share": pa.types.is_float32,
    "ac_removed": pa.types.is_float32,
}
_NAMED = re.compile(rf"part-([0-9a-f]{{{_DIGEST}}})\.parquet")


@dataclass(frozen=True)
class Rows:
    """Embeddings of some images under one condition, in the order of `image_id`."""

    image_id: NDArray[np.object_]  # (n,)
    embedding: NDArray[np.float32]  # (n, dim)
    clipped_share: NDArray[np.float32]  # (n,), in [0, 1]
    ac_removed: NDArray[np.float32]  # (n,), at most 1


def as_table(encoder: str, source: str, made_with: Fingerprint, rows: Rows) -> pa.Table:
    """Rows as a part holds them, what they were made with in the schema's metadata."""
    n, dim = rows.embedding.shape
    spec = made_with["filter"]
    metadata = {_KEY: json.dumps(made_with), _SOURCE: source, _ENCODER: encoder}
    return pa.table(
        {
            "image_id": pa.array(rows.image_id.tolist(), pa.string()),
            "filter": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([spec])),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(rows.embedding, np.float32).ravel()), dim
            ),
            "clipped_share": pa.array(rows.clipped_share, pa.float32()),
            "ac_removed": pa.array(rows.ac_removed, pa.float32()),
        }
    ).replace_schema_metadata(metadata)


def described(schema: pa.Schema) -> tuple[str, Fingerprint]:
    """The encoder and the fingerprint that a table of `as_table` carries.

    Raises:
        KeyError: it carries none.
        ValueError: they cannot be read.
    """
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    return metadata[_ENCODER].decode(), dict(json.loads(metadata[_KEY]))


def write_part(table: pa.Table, folder: Place, partial: Place) -> Place:
    """Write a part, whole or not at all.

    Args:
        table: as `as_table` makes it.
        folder: where it goes; on a disk it must be there.
        partial: a folder of the same disk, where nobody looks for parts.

    Returns:
        Its path.

    Raises:
        OSError: it could not be written.
    """
    if isinstance(folder, Bucket):
        content = io.BytesIO()
        _write(table, content)
        part = folder / _name(hashlib.sha256(content.getbuffer()).hexdigest())
        part.put(content.getvalue())
        return part
    temporary = Path(str(partial)) / f"{os.getpid()}.parquet"
    try:
        with temporary.open("wb") as file:
            _write(table, file)
            file.flush()
            os.fsync(file.fileno())
        target = folder / _name(_digest(temporary))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _write(table: pa.Table, file: BinaryIO) -> None:
    # Floats barely compress; ids do.
    pq.write_table(
        table,
        file,
        compression={"image_id": "zstd", "filter": "zstd"},
        use_dictionary=["filter"],
        write_page_checksum=True,
    )


def _name(digest: str) -> str:
    return f"part-{digest[:_DIGEST]}.parquet"


def read_part(part: Place, columns: list[str] | None = None) -> pa.Table:
    """A part's rows, its pages' checksums checked.

    Raises:
        StoreError: it is damaged.
    """
    try:
        # One file, not a data set: the partition's folder names must not add columns.
        table = pq.ParquetFile(opened(part), page_checksum_verification=True).read(columns, use_threads=False)
        table.validate(full=True)
        _check_columns(table, columns or list(_TYPES))
    except DiskError:  # the network's fault
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise damaged(part, error) from None
    return table


def ids_of(parts: Iterable[Place]) -> set[str]:
    """The images that parts hold.

    Raises:
        StoreError: one is damaged.
    """
    found: set[str] = set()
    for part in parts:
        found.update(read_part(part, ["image_id"]).column("image_id").to_pylist())
    return found


def fingerprint_of(part: Place) -> Fingerprint:
    """What a part was made with.

    Raises:
        StoreError: it is damaged.
    """
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(opened(part)).metadata or {}
        found = dict(json.loads(metadata[_KEY]))
        if "filter" not in found or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("what it was made with is not said")
    except DiskError:  # the network's fault
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise damaged(part, error) from None
    return found


def source_of(part: Place, encoder: str) -> str:
    """What loaded the encoder; its name where the part does not say.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return str((pq.read_schema(opened(part)).metadata or {}).get(_SOURCE, encoder.encode()), "utf-8")
    except DiskError:  # the network's fault
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(part, error) from None


def matrix(table: pa.Table) -> NDArray[np.float32]:
    """The embeddings of a part's table, shape (n, dim)."""
    column = table.column("embedding").combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(len(table), column.type.list_size)


def is_sealed(part: Place) -> bool:
    """Whether its name holds its hash; parts of earlier versions have their pages' checksums alone."""
    return _NAMED.fullmatch(part.name) is not None


def check_seal(part: Place) -> None:
    """See that a part's bytes are those it was written with, where its name tells.

    Raises:
        StoreError: they are not.
    """
    named = _NAMED.fullmatch(part.name)
    try:
        same = named is None or _digest(part) == named[1]
    except DiskError:
        raise
    except OSError as error:
        raise damaged(part, error) from None
    if not same:
        raise damaged(part, ValueError("its bytes are not those it was written with"))


def damaged(part: Place, error: Exception) -> StoreError:
    """The error that names a damaged part and the way out."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    store = part.parents[2] if len(part.parents) > 2 else part.parent
    return StoreError(
        f"{str(part)!r} is damaged ({first}); `bandprobe store verify {shlex.quote(str(store))} --repair` sets "
        "it aside, and the same command run again makes it anew."
    )


def _check_columns(table: pa.Table, wanted: list[str]) -> None:
    for name in wanted:
        column = table.column(name)  # KeyError where there is none
        if column.null_count:
            raise ValueError(f"column {name!r} has blanks")
        if name in _TYPES and not _TYPES[name](column.type):
            raise ValueError(f"column {name!r} is of type {column.type}")


def _digest(file: Place) -> str:
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(2**20):
            found.update(block)
    return found.hexdigest()[:_DIGEST]
