"""Embeddings computed elsewhere: a Parquet file of vectors by image and filter."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.encoders.checkpoint import one_line, sha256
from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import DEFINITION
from bandprobe.errors import EncoderError, FilterError
from bandprobe.filters import parse
from bandprobe.images.places import expanded, is_there

_KEYS = ("image_id", "path")


@dataclass(frozen=True)
class Table:
    """Vectors that are looked up, where an encoder would compute them. `read` makes it.

    Attributes:
        name: how it is called in tables, figures and stores.
        dim: length of a vector.
        filters: the conditions it holds, canonical, sorted.
        fingerprint: what the vectors are, as text, like an encoder's.
        key: `image_id` or `path`, by which its rows are found.
    """

    name: str
    dim: int
    filters: tuple[str, ...]
    fingerprint: dict[str, str]
    key: str
    _places: Mapping[tuple[str, str], int]  # (image, filter) -> row
    _vectors: NDArray[np.float32]

    def rows(self, filter: str, ids: Sequence[str], paths: Sequence[str]) -> NDArray[np.float32]:  # noqa: A002
        """The vectors of images under one condition.

        Args:
            filter: the canonical filter spec.
            ids: the images' identities.
            paths: their paths, as the manifest holds them, in the same order.

        Returns:
            float32, shape (n, dim), in the order given.

        Raises:
            EncoderError: the table lacks the condition, or some of the images.
        """
        self.require([filter])
        wanted = list(ids) if self.key == "image_id" else list(paths)
        places = [self._places.get((image, filter), -1) for image in wanted]
        missing = [image for image, place in zip(wanted, places, strict=True) if place < 0]
        if missing:
            raise EncoderError(
                f"{self.name} has no embedding at {filter!r} of {len(missing):,} of {len(wanted):,} images, e.g. "
                f"{self.key} {missing[0]!r}. Add them to the file, or leave those images out."
            )
        return self._vectors[places]

    def require(self, filters: Sequence[str]) -> None:
        """See that the table holds conditions.

        Raises:
            EncoderError: it lacks one; the message says how many, and what it holds.
        """
        missing = [spec for spec in filters if spec not in self.filters]
        if missing:
            raise EncoderError(
                f"{self.name} has no embeddings at {len(missing)} of {len(filters)} filters, e.g. {missing[0]!r}; it "
                f"holds {_listed(self.filters)}. Add them to the file, or ask for those filters alone."
            )


def read(path: Path, name: str) -> Table:
    """The embeddings in a Parquet file.

    Args:
        path: a file with the columns `image_id` (hex SHA-256 of the picture, as in a manifest) or `path`
            (relative ones are taken from the file's folder, else from the current one), `embedding` (a list of
            numbers, equally long in every row), and `filter` if there is another than `none`. Where both are
            there, `image_id` counts.
        name: how the table is called in tables, figures and stores.

    Raises:
        EncoderError: no such file, no Parquet, a column missing or of another type, an image twice under one
            filter, vectors of several lengths, or values that are not finite.
        DiskError: the file cannot be read.
    """
    try:
        held = set(pq.read_schema(path).names)
        key = next((column for column in _KEYS if column in held), None)
        if key is None or "embedding" not in held:
            raise EncoderError(
                f"{name}: {path.name} must have the columns embedding and image_id or path; it has "
                f"{_listed(sorted(held))}. Rename its columns."
            )
        # One file, not a data set: the names of its folders must not add columns.
        whole = pq.ParquetFile(path).read(
            [column for column in (key, "filter", "embedding") if column in held]
        )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise EncoderError(f"{name}: {path} cannot be read as Parquet: {one_line(error)}.") from error
    if not len(whole):
        raise EncoderError(f"{name}: {path.name} has no row.")
    vectors = _vectors(whole.column("embedding"), f"{name}: {path.name}")
    images = _texts(whole, key, name)
    if key == "path":
        images = _absolute(images, path.parent)
    specs = _texts(whole, "filter", name) if "filter" in held else ["none"] * len(images)
    canonical = {spec: _canonical(spec, name) for spec in dict.fromkeys(specs)}
    places: dict[tuple[str, str], int] = {}
    for row, (image, spec) in enumerate(zip(images, specs, strict=True)):
        if places.setdefault((image, canonical[spec]), row) != row:
            raise EncoderError(
                f"{name}: {path.name} holds {key} {image!r} twice at {canonical[spec]!r}. Keep one row of each."
            )
    return Table(
        name=name,
        dim=vectors.shape[1],
        filters=tuple(sorted(set(canonical.values()))),
        fingerprint={
            "definition": DEFINITION,
            "library": "table",
            "model_type": "table",
            "vector": "computed elsewhere",
            "revision": "local",
            "weights": sha256([path]),
            "mean": " ".join(map(repr, IDENTITY.mean)),
            "std": " ".join(map(repr, IDENTITY.std)),
            "precision": "fp32",
        },
        key=key,
        _places=places,
        _vectors=vectors,
    )


def _vectors(column: pa.ChunkedArray, where: str) -> NDArray[np.float32]:
    """float32 (n, dim) of a column of lists."""
    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    number = listed and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    if not number:
        raise EncoderError(f"{where} must hold embedding as lists of numbers; got {kind}.")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if None in lengths or len(lengths) != 1 or lengths == [0]:
        found = _listed(["nothing" if length is None else str(length) for length in lengths])
        raise EncoderError(f"{where} must hold embeddings of one length; got lengths of {found}.")
    # Of a list column flatten() gives the values alone, whatever offsets its chunks have.
    values: NDArray[Any] = pc.list_flatten(column).to_numpy()
    matrix: NDArray[np.float32] = values.astype(np.float32).reshape(len(column), lengths[0])
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(1))[0])
        raise EncoderError(f"{where} holds an embedding that is not finite, in row {row}. Compute it again.")
    return matrix


def _texts(table: pa.Table, column: str, name: str) -> list[str]:
    try:
        texts: list[str] = table.column(column).to_pylist()
    except UnicodeDecodeError:
        raise EncoderError(f"{name}: column {column} is not UTF-8 text. Save it as UTF-8.") from None
    row = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if row is not None:
        raise EncoderError(f"{name}: column {column} must hold text; row {row} holds {texts[row]!r}.")
    return texts


def _absolute(paths: list[str], folder: Path) -> list[str]:
    """Paths as a manifest writes them: relative ones from `folder` if the first is there, else from here."""
    start = Path(os.path.abspath(folder))  # noqa: PTH100 - a manifest's paths keep their links too
    # A picture in a CSV or Parquet file is FILE::ROW.
    if not is_there(str(start / expanded(paths[0].partition("::")[0]))):
        start = Path.cwd()
    return [Path(os.path.normpath(start / expanded(path))).as_posix() for path in paths]


def _canonical(spec: str, name: str) -> str:
    try:
        return str(parse(spec))
    except FilterError as error:
        raise EncoderError(f"{name}: {error}") from None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
