"""What probes said, read back from `scores.parquet` cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bandprobe.errors import InputError

_NAMES = ("encoder", "trained_on", "train_filter", "filter")


class Cell(NamedTuple):
    """A probe under a test filter."""

    encoder: str
    trained_on: str
    train_filter: str
    filter: str


class ScoreCells:
    """The logits of a score file, a cell at a time: memory does not grow with their number.

    Args:
        path: `scores.parquet`.

    Raises:
        InputError: the file is missing or damaged, or lacks a column.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: tuple[Any, pd.Index[Any]] | None = None
        self._apart: tuple[int, Any, Any] | None = None
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._damaged(error) from error
        missing = [
            name for name in ("image_id", *_NAMES, "logit") if name not in self._file.schema_arrow.names
        ]
        if missing:
            raise InputError(f"{path} lacks the columns {', '.join(missing)}: evaluate the probes again.")
        self._held = [self._cells_of(number) for number in range(self._file.num_row_groups)]
        self._places: dict[Cell, list[int]] = {}
        for number, cells in enumerate(self._held):
            for cell in cells:
                self._places.setdefault(cell, []).append(number)

    def __enter__(self) -> ScoreCells:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def cells(self) -> list[Cell]:
        """Every cell, in the file's order."""
        return list(self._places)

    def logits(self, cell: Cell, ids: NDArray[np.object_]) -> NDArray[np.float64]:
        """What a probe says of images, float64 of shape (n,), in the order of `ids`.

        Raises:
            InputError: an image has no score in this cell, or the file is damaged.
        """
        found = np.full(len(ids), np.nan)
        for number in self._places.get(cell, ()):
            part = self._part(number, cell)
            place = self._index(part["image_id"]).get_indexer(pd.Index(ids))
            found[place >= 0] = part["logit"].to_numpy()[place[place >= 0]]
        if missing := int(np.isnan(found).sum()):
            raise InputError(
                f"{self._path} holds no score of {missing} of {len(ids)} test images for the probe {cell.trained_on!r} "
                f"of {cell.encoder!r} under {cell.filter!r}: evaluate the probes again, with this manifest."
            )
        return found

    def _cells_of(self, number: int) -> list[Cell]:
        """The cells of a row group, by its statistics where they name a single one: a study writes one to each."""
        group = self._file.metadata.row_group(number)
        columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
        stated = [columns[name].statistics for name in _NAMES]
        if all(one is not None and one.has_min_max and one.min == one.max for one in stated):
            return [Cell(*(str(one.min) for one in stated))]
        names = self._read(number, list(_NAMES)).to_pandas().drop_duplicates()
        return [Cell(*map(str, row)) for row in names[list(_NAMES)].itertuples(index=False)]

    def _part(self, number: int, cell: Cell) -> Any:
        """A cell's rows of a row group; of a group with several cells, taken apart once for all of them."""
        if len(self._held[number]) == 1:
            return self._read(number, ["image_id", "logit"])
        if self._apart is None or self._apart[0] != number:
            whole = self._read(number, ["image_id", "logit", *_NAMES])
            rows = (
                whole.select(list(_NAMES)).to_pandas().astype(str).groupby(list(_NAMES), sort=False).indices
            )
            self._apart = number, whole.select(["image_id", "logit"]), rows
        return self._apart[1].take(pa.array(self._apart[2][tuple(cell)]))

    def _index(self, ids: Any) -> pd.Index[Any]:
        """The images of a cell; all cells of a study have the same."""
        if self._last is None or not ids.equals(self._last[0]):
            self._last = ids, pd.Index(ids.to_pandas())
        return self._last[1]

    def _read(self, number: int, columns: list[str]) -> Any:
        try:
            return self._file.read_row_group(number, columns=columns)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self._path} cannot be read ({' '.join(str(error).split())[:120]}): evaluate the probes again."
        )
