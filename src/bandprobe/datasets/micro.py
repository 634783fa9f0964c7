"""The image set that ships with the package: procedural photographs, and pictures of eleven generators."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bandprobe import shipped
from bandprobe.errors import InputError, did_you_mean
from bandprobe.files import write_whole

SPLITS = ("train", "val", "test")
COLUMNS = ("name", "label", "generator", "family", "split", "caption", "dataset")

_MARGIN = 14  # pixels above a row of a sheet, for its name


@dataclass(frozen=True)
class ImageSet:
    """Pictures of known origin. `micro` opens one.

    Attributes:
        root: the folder, or of one split the file, that a study takes as its `[data] root`.
        table: a row for each picture. name (unique, e.g. `test/ddpm/0007.png`), label (0 real, 1 fake),
            generator (`Real` for reals), family, split (`train`, `val`, `test`), caption (of reals; None for
            fakes), dataset.
        encoded: the pictures as PNG files, in the table's order.
    """

    root: Path
    table: pd.DataFrame
    encoded: tuple[bytes, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def families(self) -> dict[str, list[str]]:
        """Family to its generators, as in a study's `[families]`; reals are in none."""
        fakes = self.table[self.table["label"] == 1]
        return {str(name): sorted(set(rows)) for name, rows in fakes.groupby("family")["generator"]}

    def images(self, generator: str | None = None) -> NDArray[np.uint8]:
        """The pictures, decoded.

        Args:
            generator: whose, `Real` for reals; all of them by default.

        Returns:
            uint8 RGB, shape (n, size, size, 3), in the table's order.

        Raises:
            InputError: there is none of that generator.
        """
        chosen = np.arange(len(self)) if generator is None else self._rows(generator)
        return np.stack([np.asarray(Image.open(io.BytesIO(self.encoded[row]))) for row in chosen])

    def sheet(self, columns: int = 12) -> Image.Image:
        """A row of pictures from each generator under its name, to look at.

        Args:
            columns: pictures in a row.
        """
        generators = list(dict.fromkeys(self.table["generator"]))
        rows = [self.images(generator)[:columns] for generator in generators]
        side = rows[0].shape[1]
        sheet = Image.new("RGB", (columns * side, len(rows) * (side + _MARGIN)), "white")
        for number, (generator, pictures) in enumerate(zip(generators, rows, strict=True)):
            top = number * (side + _MARGIN)
            ImageDraw.Draw(sheet).text((2, top + 1), generator, fill="black")
            sheet.paste(Image.fromarray(np.hstack(list(pictures))), (0, top + _MARGIN))
        return sheet

    def write(self, folder: str | Path) -> Path:
        """Write the pictures as PNG files, in the layout of image folders: `test/ddpm/0007.png`.

        Folders do not say which family a generator is of; `families` does.

        Raises:
            DiskError: they cannot be written.
        """
        for name, content in zip(self.table["name"], self.encoded, strict=True):
            write_whole(Path(folder) / name, content)
        return Path(folder)

    def _rows(self, generator: str) -> NDArray[np.intp]:
        rows = np.flatnonzero(self.table["generator"] == generator)
        if not len(rows):
            known = sorted(set(self.table["generator"]))
            near = did_you_mean(generator, known)
            raise InputError(f"no picture of {generator!r}; there are {', '.join(known)}.{near}")
        return rows


def micro(split: str | None = None, *, root: str | Path | None = None) -> ImageSet:
    """The image set that ships with the package.

    Reals are procedural photographs of 64 px, fakes come from generators that were trained on such
    photographs (`zoo/README.md` says how). No scene is in two splits.

    Args:
        split: `train`, `val` or `test`; all of them by default.
        root: a folder that `python -m zoo.package --out` wrote, instead of the set that ships.

    Raises:
        InputError: another split, or `root` lacks it.
        DiskError: a file of the package is missing or damaged.

    Example:
        >>> micro("test").sheet().show()  # doctest: +SKIP
        >>> Study.from_dict({"data": {"root": str(micro().root)}}).run("runs/micro")  # doctest: +SKIP
    """
    if split not in (None, *SPLITS):
        raise InputError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    folder = shipped.part("images") if root is None else Path(root)
    files = [folder / f"{name}.parquet" for name in (SPLITS if split is None else (split,))]
    for file in files:
        if not file.is_file():
            raise InputError(f"no such file: {str(file)!r}. Write the set with python -m zoo.package --out.")
    # Files by name and no folder: nothing that lies beside them is read.
    whole = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    pictures = whole.column("image").combine_chunks()
    names = pa.array(pictures.field("path"))
    table = whole.drop_columns(["image"]).append_column("name", names).to_pandas()
    return ImageSet(
        folder if split is None else files[0],
        table[list(COLUMNS)],
        tuple(pictures.field("bytes").to_pylist()),
    )
