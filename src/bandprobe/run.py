"""A finished run: its folder, its tables and its record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bandprobe.errors import InputError
from bandprobe.files import replacing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and what lies in it."""

    folder: Path
    record: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run that lies in a folder.

        Raises:
            InputError: the folder holds no run.
        """
        path = Path(folder) / "run.json"
        try:
            return cls(Path(folder), json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            raise InputError(f"no run in {str(folder)!r}: {path.name} is missing or damaged.") from None

    @cached_property
    def results(self) -> pd.DataFrame:
        """The tidy results, as in `results.csv`."""
        import pandas as pd

        return pd.read_parquet(self.folder / "results.parquet")

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """The images, a row each."""
        import pandas as pd

        return pd.read_parquet(self.folder / "manifest.parquet")

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"

    @property
    def left_out(self) -> dict[str, str]:
        """Images that could not be used, with the reason."""
        return dict(self.record["images_left_out"])

    @property
    def exit_code(self) -> int:
        """0, or 1 where images were left out."""
        return 1 if self.left_out else 0


def write_results(results: pd.DataFrame, folder: Path) -> None:
    """Write `results.parquet` and `results.csv`, the same table twice."""
    with replacing(folder / "results.parquet") as temporary:
        results.to_parquet(temporary, index=False)
    write_table(results, folder / "results.csv")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
