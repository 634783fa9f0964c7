"""Filling the embedding store: what is missing is added as parts, whole or not at all.

How a store lies on a disk or on object storage: `bandprobe.store.stored`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from bandprobe.errors import DiskError, StoreError
from bandprobe.files import LOCK_SECONDS, locked, output_folder
from bandprobe.remote import read_bytes
from bandprobe.store.bucket import Bucket, Place
from bandprobe.store.fingerprint import Fingerprint, difference
from bandprobe.store.journal import Journal, abandoned
from bandprobe.store.parts import (
    Rows,
    as_table,
    described,
    fingerprint_of,
    ids_of,
    write_part,
)
from bandprobe.store.stored import StoredEmbeddings
from bandprobe.store.verify import set_aside


class EmbeddingStore(StoredEmbeddings):
    """Embeddings on disk, one partition a condition, to be read and filled.

    Args:
        root: the store's folder, made on the first write, or a URL such as `s3://bucket/store`.
        sources: encoder names, with what loads each; kept in the parts for whoever reads them later.
    """

    def __init__(self, root: str | Path | Bucket, sources: Mapping[str, str] | None = None) -> None:
        super().__init__(root)
        self._sources = dict(sources or {})
        # Beside the store, not in it: whatever is half-written is never seen by a reader.
        self._partial = self.root.with_name(f"{self.root.name}.partial")
        # The parts whose images whoever fills the store was told of.
        self._known: dict[tuple[str, str], set[Place]] = {}
        self._entered = False
        self._journal: Journal | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process: the same store, not being filled."""
        return EmbeddingStore, (self.root, self._sources)

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
            self._known[encoder, wanted["filter"]] = set()
            return set()
        if stored != wanted:
            raise StoreError(
                f"the store {str(self.root)!r} holds {encoder!r} at {wanted['filter']!r} made otherwise "
                f"({difference(stored, wanted)}); use another store, another name for the encoder "
                "(name=SOURCE), or remove that partition."
            )
        parts = self._parts(encoder, wanted["filter"])
        self._known[encoder, wanted["filter"]] = set(parts)
        return ids_of(parts)

    def write(
        self, encoder: str, made_with: Fingerprint, rows: Rows, *, unique: bool = False
    ) -> Place | None:
        """Add a part, whole or not at all.

        Images that another process has stored since `present` was asked are left out, so that none stands
        in two parts.

        Args:
            encoder: the encoder's name.
            made_with: the condition's fingerprint.
            rows: what to write.
            unique: nobody else can have stored these images: other processes' parts, which may be many, are not
                looked at.

        Returns:
            The part's path; None where no image was left.

        Raises:
            DiskError: it could not be written, the store was removed meanwhile, or another process has
                held the store's lock for two minutes.
        """
        table = self._table(encoder, made_with, rows)
        if not self._entered:
            self._make_root()
        with self.alone():
            return self._add(encoder, made_with, table, unique=unique)

    def jot(self, encoder: str, made_with: Fingerprint, rows: Rows) -> None:
        """Keep finished rows until they are written as a part, should this process be killed before.

        For use inside `with store`; nothing happens where the disk has no locks.

        Args:
            encoder: the encoder's name.
            made_with: the condition's fingerprint.
            rows: what is finished.

        Raises:
            DiskError: they cannot be kept.
        """
        if self._journal is not None:
            self._journal.append(self._table(encoder, made_with, rows))

    def settle(self) -> None:
        """Everything that was kept by `jot` has been written."""
        if self._journal is not None:
            self._journal.clear()

    def recover(self) -> int:
        """Make parts of what killed processes had finished, and clear away what they left half-written.

        Returns:
            How many rows were recovered.

        Raises:
            DiskError: they cannot be written.
            StoreError: a part that is there is damaged.
        """
        if isinstance(self._partial, Bucket) or not any(self._partial.glob("*")):
            return 0
        recovered = 0
        with self.alone(), abandoned(self._partial) as tables:
            for half_written in self._partial.glob("*.parquet"):
                half_written.unlink(missing_ok=True)
            # A journal of a store that is gone, or that was made otherwise since, is of no use.
            for table in tables if self.root.is_dir() else []:
                encoder, made_with = described(table.schema)
                if self.fingerprint(encoder, made_with["filter"]) in (None, made_with):
                    part = self._add(encoder, made_with, table)
                    recovered += 0 if part is None else len(ids_of([part]))
        return recovered

    def adopt(self, other: str | Path | Bucket, encoder: str, made_with: Fingerprint) -> bool:
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
        source, folder = EmbeddingStore(other), self.partition(encoder, spec)
        if source.fingerprint(encoder, spec) != made_with:
            return False
        theirs = {part.name: part for part in source._parts(encoder, spec)}

        def lacking() -> list[str]:
            """What is not here of what is there; nothing where something else is here."""
            mine = {part.name for part in self._parts(encoder, spec)}
            return sorted(theirs.keys() - mine) if mine < theirs.keys() else []

        if not lacking():
            return False
        self._make_root()
        with self.alone(), self._writing():
            for name in lacking():
                self._take(theirs[name], folder, name)
        return True

    def _take(self, part: Place, folder: Place, name: str) -> None:
        """A part of another store, whole or not at all."""
        if isinstance(folder, Bucket):
            (folder / name).copy_from(part)
            return
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(str(self._partial)) / f"{os.getpid()}.parquet"
        _linked(part, temporary)
        temporary.replace(folder / name)

    def set_aside(self, part: Place) -> Place:
        """Take a damaged part out of the store; what it held is made anew when it is next asked for.

        Returns:
            Where it lies now, in `<store>.damaged`.

        Raises:
            DiskError: it cannot be moved.
        """
        with self.alone():
            return set_aside(self.root, part)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """A block in which no other process changes the store, or what lies beside it."""
        if isinstance(self._partial, Bucket):
            return contextlib.nullcontext()
        return locked(self._partial / "lock", LOCK_SECONDS)

    def __enter__(self) -> EmbeddingStore:
        """Ready the folder for writing.

        Raises:
            InputError: the folder cannot be written.
            DiskError: what a killed process had finished cannot be written.
        """
        if isinstance(self._partial, Bucket) or isinstance(self.root, Bucket):
            self.conditions()  # reached, before any work is done
            self._entered = True
            return self
        output_folder(self.root)
        self.recover()
        # Not while somebody looks for journals whose writers are gone. A disk without locks has no journals.
        with self.alone(), contextlib.suppress(OSError):
            self._journal = Journal(self._partial)
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        if self._journal is not None:
            self._journal.close()
            self._journal = None
            if isinstance(self._partial, Path):
                with contextlib.suppress(OSError):
                    self._partial.rmdir()

    def _table(self, encoder: str, made_with: Fingerprint, rows: Rows) -> pa.Table:
        return as_table(encoder, self._sources.get(encoder, encoder), made_with, rows)

    def _add(
        self, encoder: str, made_with: Fingerprint, table: pa.Table, *, unique: bool = False
    ) -> Place | None:
        """Write what the store does not hold of a table, while no other process writes."""
        spec = made_with["filter"]
        known = self._known.get((encoder, spec), set())
        parts, folder = set(known if unique else self._parts(encoder, spec)), self.partition(encoder, spec)
        if known - parts or (self._entered and not self.root.is_dir()):
            raise DiskError(
                f"the store {str(self.root)!r}, or a part of it, was removed while it was being filled; run again to "
                "make it anew."
            )
        for part in parts - known:  # another process's
            if wrong := difference(fingerprint_of(part), made_with):
                raise StoreError(
                    f"another process has stored {encoder!r} at {spec!r} in {str(self.root)!r} made otherwise "
                    f"({wrong}); use another store, or another name for the encoder (name=SOURCE)."
                )
        held, fresh = ids_of(parts - known), []
        for row, image in enumerate(table.column("image_id").to_pylist()):
            if image not in held:
                held.add(image)
                fresh.append(row)
        if not fresh:
            return None
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            part = write_part(table if len(fresh) == len(table) else table.take(fresh), folder, self._partial)
        if (encoder, spec) in self._known:
            known.add(part)
        return part

    def _make_root(self) -> None:
        with self._writing():
            self.root.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A block whose failures are the disk's."""
        try:
            yield
        except OSError as error:
            raise DiskError(
                f"cannot write to the store {str(self.root)!r}: {error.strerror or error}. What was written "
                "before is kept; make room and run again."
            ) from error

    def remove(self, encoder: str, filter: str) -> None:  # noqa: A002
        """Forget a condition."""
        folder = self.partition(encoder, filter)
        if isinstance(folder, Bucket):
            for part in folder.glob("part-*.parquet"):
                part.unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _linked(part: Place, target: Path) -> None:
    """The same file under another name, or a copy where the disk has no such names."""
    target.unlink(missing_ok=True)  # copying onto a link would write into what it links to
    if isinstance(part, Bucket):
        target.write_bytes(read_bytes(str(part)))
        return
    try:
        os.link(part, target)
    except OSError:
        shutil.copyfile(part, target)
