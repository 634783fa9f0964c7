"""Reading the embedding store: Parquet parts in hive partitions by encoder and filter.

Layout: `encoder=<name>/filter=<spec>/part-<hash of its bytes>.parquet`, names percent-encoded, one row an
image: `image_id`, `filter` (canonical), `embedding` (fixed-size list of float32), `clipped_share` (of
values outside [0, 1] after the filter) and `ac_removed` (share of AC energy the filter took). Every part
carries its fingerprint in its schema metadata. The folder holds nothing else, so that DuckDB, pandas
and polars read it as it is; the `filter` column is dictionary-encoded, as pandas expects of a partition
key.

Beside it, in `<store>.partial`, lies what is not finished: the part being written, the journals of those
who fill the store, and the lock under which one process at a time adds a part.

A store on object storage (`s3://bucket/store`) has the same parts under the same names. An object appears whole or
not at all, so nothing lies beside it; there are no locks and no journals, so that a killed process loses what it has
not written as parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from bandprobe.errors import StoreError
from bandprobe.progress import Step
from bandprobe.store.bucket import Bucket, Place, place
from bandprobe.store.fingerprint import Fingerprint, difference
from bandprobe.store.parts import Rows, fingerprint_of, ids_of, matrix, read_part, source_of
from bandprobe.store.verify import damage

_AT_A_TIME = 1024  # rows of a condition


class StoredEmbeddings:
    """Embeddings on disk, one partition a condition, to be read.

    Args:
        root: the store's folder, or a URL such as `s3://bucket/store`.
    """

    def __init__(self, root: str | Path | Bucket) -> None:
        self.root: Place = place(root)

    def partition(self, encoder: str, filter: str) -> Place:  # noqa: A002
        """The folder of one condition."""
        return self.root / f"encoder={quote(encoder, safe='')}" / f"filter={quote(filter, safe='')}"

    def conditions(self) -> list[tuple[str, str]]:
        """Every (encoder, filter) that has a part, sorted."""
        folders = {part.parent for part in self.root.glob("encoder=*/filter=*/part-*.parquet")}
        return sorted((_value(folder.parent), _value(folder)) for folder in folders)

    def parts(self) -> list[Place]:
        """Every part, sorted."""
        return sorted(self.root.glob("encoder=*/filter=*/part-*.parquet"))

    def fingerprint(self, encoder: str, filter: str) -> Fingerprint | None:  # noqa: A002
        """What the condition's parts were made with; None where there is no part.

        Raises:
            StoreError: a part is damaged, or two parts differ.
        """
        found: Fingerprint | None = None
        for part in self._parts(encoder, filter):
            mine = fingerprint_of(part)
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
            return source_of(part, encoder)
        return encoder

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
        parts = self._found(encoder, filter)
        asked = np.array(sorted(ids_of(parts)) if ids is None else list(ids), dtype=object)
        wanted, inverse = np.unique(asked, return_inverse=True)
        embedding = np.empty((0, 0), np.float32)
        shares = np.empty((2, len(wanted)), np.float32)
        for places, rows in self.in_parts(encoder, filter, wanted):
            if not embedding.size:
                embedding = np.empty((len(wanted), rows.embedding.shape[1]), np.float32)
            embedding[places] = rows.embedding
            shares[:, places] = rows.clipped_share, rows.ac_removed
        found = Rows(wanted, embedding, *shares)
        if np.array_equal(asked, wanted):
            return found
        return Rows(*(getattr(found, name)[inverse] for name in Rows.__dataclass_fields__))

    def in_parts(
        self,
        encoder: str,
        filter: str,  # noqa: A002
        ids: npt.NDArray[np.object_],
    ) -> Iterator[tuple[npt.NDArray[np.intp], Rows]]:
        """A condition's embeddings, some at a time, for what need not have all of them in memory.

        Args:
            encoder: the encoder's name.
            filter: the canonical filter spec.
            ids: which images: sorted, each once.

        Yields:
            Places in `ids` with their rows; each place once.

        Raises:
            StoreError: a part is damaged; or, after all that is there, an image is missing.
        """
        left = np.ones(len(ids), bool)
        for part in self._found(encoder, filter):
            if not left.any():
                return
            table = read_part(part)
            names, rows = np.unique(table.column("image_id").to_numpy().astype(object), return_index=True)
            places = np.minimum(np.searchsorted(ids, names), len(ids) - 1)
            # Earlier versions let two processes store one image; its vectors are the same.
            new = (ids[places] == names) & left[places]
            left[places[new]] = False
            places, names, rows = places[new], names[new], rows[new]
            columns = (
                matrix(table),
                *(table.column(name).to_numpy() for name in ("clipped_share", "ac_removed")),
            )
            for start in range(0, len(rows), _AT_A_TIME):
                some = slice(start, start + _AT_A_TIME)
                yield places[some], Rows(names[some], *(column[rows[some]] for column in columns))
        if left.any():
            raise StoreError(
                f"{left.sum()} of {len(ids)} images have no embedding of {encoder!r} at {filter!r} "
                f"in {str(self.root)!r}, e.g. {ids[left][0]}; make them with `bandprobe embed`."
            )

    def verify(self, step: Step = lambda done=1: None) -> Iterator[tuple[Place, str]]:
        """Read every part with its checksums.

        Args:
            step: told of each part that was read.

        Yields:
            Each damaged part with what is wrong with it.
        """
        for encoder, spec in self.conditions():
            yield from damage(self._parts(encoder, spec), spec, step)

    def _found(self, encoder: str, filter: str) -> list[Place]:  # noqa: A002
        """A condition's parts.

        Raises:
            StoreError: there is no such condition.
        """
        parts = self._parts(encoder, filter)
        if not parts:
            filters = [spec for name, spec in self.conditions() if name == encoder]
            known = ", ".join(filters or sorted({name for name, _ in self.conditions()})) or "nothing"
            raise StoreError(
                f"the store {str(self.root)!r} holds no embeddings of {encoder!r} at {filter!r} (it holds "
                f"{known}); make them with `bandprobe embed`."
            )
        return parts

    def _parts(self, encoder: str, filter: str) -> list[Place]:  # noqa: A002
        return sorted(self.partition(encoder, filter).glob("part-*.parquet"))


def _value(folder: Place) -> str:
    return unquote(folder.name.partition("=")[2])
