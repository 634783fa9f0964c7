"""The embedding store: Parquet parts in hive partitions by encoder and filter.

Layout: `encoder=<name>/filter=<spec>/part-<hash of its ids>.parquet`, names percent-encoded, one row an
image: `image_id`, `filter` (canonical), `embedding` (fixed-size list of float32), `clipped_share` (of
values outside [0, 1] after the filter) and `ac_removed` (share of AC energy the filter took). Every part
carries its fingerprint in its schema metadata. The folder holds nothing else, so that DuckDB, pandas
and polars read it as it is; the `filter` column is dictionary-encoded, as pandas expects of a partition
key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.errors import DiskError, StoreError
from bandprobe.files import output_folder, replacing
from bandprobe.store.fingerprint import Fingerprint, difference

_KEY = b"bandprobe"
_SOURCE = b"bandprobe.source"


@dataclass(frozen=True)
class Rows:
    """Embeddings of some images under one condition, in the order of `image_id`."""

    image_id: NDArray[np.object_]  # (n,)
    embedding: NDArray[np.float32]  # (n, dim)
    clipped_share: NDArray[np.float32]  # (n,), in [0, 1]
    ac_removed: NDArray[np.float32]  # (n,), at most 1


class EmbeddingStore:
    """Embeddings on disk, one partition a condition.

    Args:
        root: the store's folder; made on the first write.
        sources: encoder names, with what loads each; kept in the parts for whoever reads them later.
    """

    def __init__(self, root: str | Path, sources: Mapping[str, str] | None = None) -> None:
        self.root = Path(root)
        self._sources = dict(sources or {})
        # Beside the store, not in it: whatever is half-written is never seen by a reader.
        self._partial = self.root.with_name(f"{self.root.name}.partial")

    def partition(self, encoder: str, filter: str) -> Path:  # noqa: A002
        """The folder of one condition."""
        return self.root / f"encoder={quote(encoder, safe='')}" / f"filter={quote(filter, safe='')}"

    def conditions(self) -> list[tuple[str, str]]:
        """Every (encoder, filter) that has a part, sorted."""
        folders = {part.parent for part in self.root.glob("encoder=*/filter=*/part-*.parquet")}
        return sorted((_value(folder.parent), _value(folder)) for folder in folders)

    def fingerprint(self, encoder: str, filter: str) -> Fingerprint | None:  # noqa: A002
        """What the condition's parts were made with; None where there is no part.

        Raises:
            StoreError: a part is damaged, or two parts differ.
        """
        found: Fingerprint | None = None
        for part in self._parts(encoder, filter):
            mine = _fingerprint_of(part)
            if found is not None and mine != found:
                raise StoreError(
                    f"{str(part)!r} was written otherwise than its neighbours ({difference(found, mine)}); "
                    "remove the parts that are wrong and run again."
                )
            found = mine
        return found

    def source(self, encoder: str) -> str:
        """What loaded the encoder when its embeddings were made; its name where that is not known."""
        for part in self.root.glob(f"encoder={quote(encoder, safe='')}/filter=*/part-*.parquet"):
            return str((pq.read_schema(part).metadata or {}).get(_SOURCE, encoder.encode()), "utf-8")
        return encoder

    def present(self, encoder: str, wanted: Fingerprint) -> set[str]:
        """The images that the store holds under a condition.

        Args:
            encoder: the encoder's name.
            wanted: the condition's fingerprint.

        Returns:
            Image ids; empty where nothing is stored.

        Raises:
            StoreError: the stored embeddings were made otherwise; the message names the difference.
        """
        stored = self.fingerprint(encoder, wanted["filter"])
        if stored is None:
            return set()
        if stored != wanted:
            raise StoreError(
                f"the store {str(self.root)!r} holds {encoder!r} at {wanted['filter']!r} made otherwise "
                f"({difference(stored, wanted)}); use another store, another name for the encoder "
                "(name=SOURCE), or remove that partition."
            )
        ids: set[str] = set()
        for part in self._parts(encoder, wanted["filter"]):
            ids.update(_read(part, ["image_id"]).column("image_id").to_pylist())
        return ids

    def write(self, encoder: str, made_with: Fingerprint, rows: Rows) -> Path:
        """Add a part, whole or not at all.

        Args:
            encoder: the encoder's name.
            made_with: the condition's fingerprint.
            rows: what to write; nothing is checked against other parts.

        Returns:
            The part's path.

        Raises:
            DiskError: it could not be written.
        """
        n, dim = rows.embedding.shape
        spec = made_with["filter"]
        table = pa.table(
            {
                "image_id": pa.array(rows.image_id.tolist(), pa.string()),
                "filter": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([spec])),
                "embedding": pa.FixedSizeListArray.from_arrays(
                    pa.array(np.ascontiguousarray(rows.embedding, np.float32).ravel()), dim
                ),
                "clipped_share": pa.array(rows.clipped_share, pa.float32()),
                "ac_removed": pa.array(rows.ac_removed, pa.float32()),
            }
        ).replace_schema_metadata({_KEY: json.dumps(made_with), _SOURCE: self._sources.get(encoder, encoder)})
        name = hashlib.sha256("".join(rows.image_id.tolist()).encode()).hexdigest()[:16]
        target = self.partition(encoder, spec) / f"part-{name}.parquet"
        temporary = self._partial / f"{os.getpid()}-{name}.parquet"
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                # Floats barely compress; ids do.
                pq.write_table(
                    table,
                    file,
                    compression={"image_id": "zstd", "filter": "zstd"},
                    use_dictionary=["filter"],
                    write_page_checksum=True,
                )
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            raise DiskError(
                f"cannot write to the store {str(self.root)!r}: {error.strerror or error}. What was written "
                "before is kept; make room and run again."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def adopt(self, other: str | Path, encoder: str, made_with: Fingerprint) -> bool:
        """Take over what another store holds of a condition, without computing or, where possible, copying.

        Args:
            other: that store's folder.
            encoder: the encoder's name.
            made_with: the condition's fingerprint.

        Returns:
            Whether anything was taken: that store holds the condition made just so, and this one has none.

        Raises:
            StoreError: a part of the other store is damaged.
            DiskError: the parts cannot be written here.
        """
        spec = made_with["filter"]
        source = EmbeddingStore(other)
        if self._parts(encoder, spec) or source.fingerprint(encoder, spec) != made_with:
            return False
        for part in source._parts(encoder, spec):
            with replacing(self.partition(encoder, spec) / part.name) as temporary:
                _linked(part, temporary)
        return True

    def read(self, encoder: str, filter: str, ids: Sequence[str] | None = None) -> Rows:  # noqa: A002
        """A condition's embeddings.

        Args:
            encoder: the encoder's name.
            filter: the canonical filter spec.
            ids: which images, and in which order; all, sorted by id, by default.

        Returns:
            The rows, one for each id.

        Raises:
            StoreError: an image is missing, or a part is damaged.
        """
        tables = [_read(part) for part in self._parts(encoder, filter)]
        if not tables:
            filters = [spec for name, spec in self.conditions() if name == encoder]
            known = ", ".join(filters or sorted({name for name, _ in self.conditions()})) or "nothing"
            raise StoreError(
                f"the store {str(self.root)!r} holds no embeddings of {encoder!r} at {filter!r} (it holds "
                f"{known}); make them with `bandprobe embed`."
            )
        held = [table.column("image_id").to_numpy() for table in tables]
        held_ids = np.concatenate(held).astype(object)
        matrices = [_matrix(table) for table in tables]
        order = np.argsort(held_ids, kind="stable")
        if ids is None:
            # A rewritten image may stand in two parts; its vectors are the same.
            first = np.ones(len(order), bool)
            first[1:] = held_ids[order][1:] != held_ids[order][:-1]
            rows = order[first]
        else:
            wanted = np.asarray(ids, dtype=object)
            spots = np.searchsorted(held_ids[order], wanted)
            spots = np.minimum(spots, len(order) - 1)
            rows = order[spots]
            absent = held_ids[rows] != wanted
            if absent.any():
                raise StoreError(
                    f"{absent.sum()} of {len(wanted)} images have no embedding of {encoder!r} at {filter!r} "
                    f"in {str(self.root)!r}, e.g. {wanted[absent][0]}; make them with `bandprobe embed`."
                )
        shares = {
            name: np.concatenate([table.column(name).to_numpy() for table in tables])[rows]
            for name in ("clipped_share", "ac_removed")
        }
        return Rows(held_ids[rows], np.concatenate(matrices)[rows], **shares)

    def verify(self) -> Iterator[tuple[Path, str]]:
        """Read every part with its checksums.

        Yields:
            Each damaged part with what is wrong with it.
        """
        for encoder, spec in self.conditions():
            first: Fingerprint | None = None
            for part in self._parts(encoder, spec):
                try:
                    mine = _fingerprint_of(part)
                    table = _read(part)
                except StoreError as error:
                    yield part, str(error)
                    continue
                if mine["filter"] != spec:
                    yield part, f"lies under {spec!r} but was made with {mine['filter']!r}"
                    continue
                first = first or mine
                if mine != first:
                    yield part, f"made otherwise than its neighbours ({difference(first, mine)})"
                elif not np.isfinite(_matrix(table)).all():
                    yield part, "holds values that are not finite"

    def __enter__(self) -> EmbeddingStore:
        """Ready the folder for writing.

        Raises:
            InputError: the folder cannot be written.
        """
        output_folder(self.root)
        self._clear_partial()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear_partial()

    def _clear_partial(self) -> None:
        """Remove what dead or finished writers left half-written."""
        for file in self._partial.glob("*.parquet"):
            writer = int(file.name.partition("-")[0])
            if writer == os.getpid() or not _alive(writer):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._partial.rmdir()

    def _parts(self, encoder: str, filter: str) -> list[Path]:  # noqa: A002
        return sorted(self.partition(encoder, filter).glob("part-*.parquet"))

    def remove(self, encoder: str, filter: str) -> None:  # noqa: A002
        """Forget a condition."""
        shutil.rmtree(self.partition(encoder, filter), ignore_errors=True)


def _linked(part: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk has no such names."""
    try:
        os.link(part, target)
    except OSError:
        shutil.copyfile(part, target)


def _value(folder: Path) -> str:
    return unquote(folder.name.partition("=")[2])


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _damaged(part: Path, error: Exception) -> StoreError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StoreError(f"{str(part)!r} is damaged ({first}); remove that file and run again to make it anew.")


def _fingerprint_of(part: Path) -> Fingerprint:
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(part).metadata or {}
        return dict(json.loads(metadata[_KEY]))
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        raise _damaged(part, error) from None


def _read(part: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        # One file, not a data set: the partition's folder names must not add columns.
        return pq.ParquetFile(part, page_checksum_verification=True).read(columns)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(part, error) from None


def _matrix(table: pa.Table) -> NDArray[np.float32]:
    column = table.column("embedding").combine_chunks()
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(len(table), column.type.list_size)
