"""The manifest: one row an image, and how the images were found."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bandprobe.errors import InputError
from bandprobe.files import quoting, replacing
from bandprobe.images import listing
from bandprobe.images.containment import check_contained
from bandprobe.images.decode import MAX_PIXELS, WHITE, Colour, parse_colour
from bandprobe.images.indexing import COLUMNS, MAPPING_COLUMNS, index
from bandprobe.images.layouts import find
from bandprobe.images.near_duplicates import COLUMNS as LINK_COLUMNS
from bandprobe.images.near_duplicates import near_duplicates as linked
from bandprobe.images.near_leakage import LISTING
from bandprobe.images.places import absolute, content, is_file, opened
from bandprobe.images.reading import Facts
from bandprobe.images.splits import DEFAULT_FRACTIONS, check_fractions
from bandprobe.images.tables import MANIFEST_KEY
from bandprobe.images.thumbnails import Grey, thumbnails_of_all
from bandprobe.remote import is_remote

_LEFT_OUT, _NEAR = "left-out", "near-duplicates"  # the tables beside a manifest

_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("path", pa.string()),
        ("label", pa.int8()),
        ("generator", pa.string()),
        ("family", pa.string()),
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("file_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
    ]
)


def _no_left_out() -> pd.DataFrame:
    return pd.DataFrame({"path": [], "reason": []}, dtype="object")


@dataclass(frozen=True)
class Links:
    """Links between near-duplicates, and hashes of the sets of image ids that they hold for."""

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(LINK_COLUMNS)))
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The images of a study.

    Attributes:
        table: one row an image, sorted by dataset, label, generator and path. image_id (hex SHA-256 of
            the pixels), path (absolute, POSIX, or a URL; `FILE::ROW`, `FILE::MEMBER`), label (0 real, 1
            fake), generator (`Real` for reals), family, dataset, split (train, val, test), width and height (pixels,
            after orientation), format, file_bytes, mtime_ns.
        left_out: path and reason of every image that cannot be used.
        mapping: one row for each folder or table and what it was taken for: layout, folder, label,
            generator, family, dataset, split (as given, and what became of it), n (images found).
        notes: what else was decided: splits made, duplicates, files passed over.
        background: the colour under transparent pixels that the identities hold for.
        near: the pictures that have a near-duplicate, group by group: see `near_leakage.listing`.
        links: what makes them near-duplicates.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame = field(default_factory=_no_left_out)
    mapping: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(MAPPING_COLUMNS)))
    notes: list[str] = field(default_factory=list)
    background: Colour = WHITE
    near: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(LISTING)))
    links: Links = field(default_factory=Links)

    def report(self) -> str:
        """The mapping found, the counts, the notes and the images left out, in plain text."""
        return listing.report(self.table, self.left_out, self.mapping, self.notes)

    def without(self, lost: Mapping[str, str]) -> Manifest:
        """The manifest less the pictures of some paths, which join those left out.

        Args:
            lost: path to reason. Other rows of the same picture go with it.
        """
        if not lost:
            return self
        gone = self.table["image_id"].isin(self.table.loc[self.table["path"].isin(list(lost)), "image_id"])
        rows = pd.DataFrame({"path": list(lost), "reason": list(lost.values())}, dtype=str)
        return replace(
            self,
            table=self.table[~gone].reset_index(drop=True),
            left_out=pd.concat([self.left_out, rows], ignore_index=True),
        )

    def joined(self, earlier: Manifest) -> Manifest:
        """The manifest with the data sets of an earlier one that it does not hold itself."""
        table = earlier.table[~earlier.table["dataset"].isin(self.table["dataset"])]
        mapping = earlier.mapping[earlier.mapping["dataset"].isin(table["dataset"])]
        return replace(
            self,
            table=pd.concat([table, self.table], ignore_index=True),
            mapping=pd.concat([mapping, self.mapping], ignore_index=True),
        )

    def save(self, path: str | Path) -> None:
        """Write the table as Parquet, with mapping and notes in its metadata, whole or not at all.

        A file `<stem>-left-out.csv` beside it lists the images left out, and `<stem>-near-duplicates.csv` those
        that have a near-duplicate; without any, there is none.

        Raises:
            DiskError: it cannot be written.
        """
        target = Path(path)
        said = {
            "mapping": self.mapping.to_dict("records"),
            "notes": self.notes,
            "background": list(self.background),
            "near": {
                "among": [*self.links.among, _hash_of(self.table["image_id"])] if self.links.among else [],
                "links": self.links.table.to_numpy().tolist(),
            },
        }
        table = pa.Table.from_pandas(self.table[list(COLUMNS)], schema=_SCHEMA, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), MANIFEST_KEY: json.dumps(said).encode()}
        table = table.replace_schema_metadata(metadata)
        with replacing(target) as part:
            pq.write_table(table, part, compression="zstd")
        for what, rows in ((_LEFT_OUT, self.left_out), (_NEAR, self.near)):
            file = Path(_beside(target.as_posix(), what))
            if len(rows):
                with replacing(file) as part:
                    rows.to_csv(part, index=False, encoding="utf-8", quoting=quoting(rows["path"]))
            else:
                file.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> Manifest:
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, or it is no manifest.
        """
        file = absolute(path) if is_remote(str(path)) else str(path)
        if not is_file(file):
            raise InputError(f"no such manifest: {file!r}. Make one with: bandprobe index DATA.")
        try:
            table = pq.read_table(opened(file), partitioning=None)
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"manifest {file!r} cannot be read: {reason}. Index the data again.") from error
        raw = (table.schema.metadata or {}).get(MANIFEST_KEY)
        missing = [name for name in COLUMNS if name not in table.column_names]
        if raw is None or missing:
            lacks = f"it lacks the columns {', '.join(missing)}" if missing else "it lacks the mapping"
            raise InputError(f"{file!r} is no manifest: {lacks}. Make one with: bandprobe index DATA.")
        try:
            if any(column.null_count for column in table.select(list(COLUMNS)).columns):
                raise ValueError("a cell is empty")
            said = json.loads(raw)
            near = said.get("near", {"among": [], "links": []})
            return cls(
                table=table.select(list(COLUMNS)).cast(_SCHEMA).to_pandas(),
                left_out=_read_beside(_beside(file, _LEFT_OUT), ("path", "reason")),
                mapping=pd.DataFrame(said["mapping"], columns=list(MAPPING_COLUMNS)),
                notes=list(said["notes"]),
                background=parse_colour(tuple(said["background"])),
                near=_read_beside(_beside(file, _NEAR), LISTING),
                links=Links(pd.DataFrame(near["links"], columns=list(LINK_COLUMNS)), tuple(near["among"])),
            )
        # Whatever JSON and columns of other types lead to.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowException):
            raise InputError(
                f"{file!r} is no manifest: what it says beside its rows cannot be read. Make one with: "
                "bandprobe index DATA."
            ) from None

    def facts(self) -> dict[str, Facts]:
        """What is known of each file, by path."""
        columns = ("image_id", "width", "height", "format", "file_bytes", "mtime_ns")
        values = [self.table[name].tolist() for name in columns]
        return {
            path: Facts(*row) for path, row in zip(self.table["path"], zip(*values, strict=True), strict=True)
        }


def _read_beside(file: str, columns: Sequence[str]) -> pd.DataFrame:
    if not is_file(file):
        return pd.DataFrame(columns=list(columns), dtype="object")
    return pd.read_csv(io.BytesIO(content(file)), dtype=str, keep_default_na=False)


def _beside(manifest: str, what: str) -> str:
    """`FOLDER/NAME-what.csv` of `FOLDER/NAME.parquet`."""
    above, slash, name = manifest.rpartition("/")
    return f"{above}{slash}{PurePosixPath(name).stem}-{what}.csv"


def _hash_of(image_ids: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(set(image_ids))).encode()).hexdigest()


def build(
    data: str | Path | Sequence[str | Path] = (),
    *,
    layout: str = "auto",
    real: str | Path | Sequence[str | Path] | None = None,
    fakes: Mapping[str, str | Path | Sequence[str | Path]] | None = None,
    splits: Sequence[float] = DEFAULT_FRACTIONS,
    families: Mapping[str, Sequence[str]] | None = None,
    background: str | Colour = "white",
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    strict: bool = False,
    near_duplicates: bool = True,
    outside: bool = False,
    previous: str | Path | None = None,
) -> Manifest:
    """Find the images of a study, open each once, and say which is what.

    Args:
        data: folders, tar files, tables (CSV, Parquet, Arrow, a manifest) or `NAME=FOLDER`; paths or URLs.
        layout: see `find`.
        real: folders of reals, where reals and fakes are separate roots.
        fakes: generator to its folders, likewise.
        splits: shares of train, val and test where the data give no split.
        families: family to generators, over the families that are known.
        background: under transparent pixels: a CSS name, `#rrggbb` or three numbers 0 to 255.
        max_pixels: an image's largest width times height.
        limit: at most so many images of each data set, generator and given split.
        workers: threads; one per core when None.
        seed: which images `limit` takes.
        strict: refuse data with an image under both labels; otherwise all its rows are left out.
        near_duplicates: find pictures that are copies of one another but for a crop, a flip, recompression,
            resizing or brightness, and keep them on one side of every split.
        outside: whether tables may name images outside their own folder.
        previous: an earlier manifest of the same images. Files whose size and time of change are as they
            were are not opened again. A path where there is no file yet does nothing.

    Returns:
        The manifest. Broken images are in its `left_out`.

    Raises:
        InputError: a wrong argument; data that do not exist, fit no layout, or lack a class; a split
            without a class; an image under both labels (`strict`); a table that names an image outside.
        DiskError: a folder cannot be read.
    """
    fractions = check_fractions(splits)
    colour = parse_colour(background)
    for name, value in (("max_pixels", max_pixels), ("limit", limit), ("workers", workers)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be 1 or more; got {value}.")
    found = find(data, layout, real, fakes)
    if not outside:
        check_contained(found)
    known: dict[str, Facts] = {}
    held: list[Links] = []
    for earlier in [*found.manifests, *([previous] if previous and Path(previous).exists() else [])]:
        manifest = Manifest.load(earlier)
        if manifest.background == colour:
            known.update(manifest.facts())
            held.append(manifest.links)
    greys: dict[str, Grey] = {}
    among: tuple[str, ...] = ()

    def links(paths: Mapping[str, str]) -> pd.DataFrame:
        nonlocal among
        if not near_duplicates:
            return Links().table
        among = (_hash_of(paths),)
        for earlier in held:
            if among[0] in earlier.among:
                return earlier.table
        return linked(
            thumbnails_of_all(paths, background=colour, max_pixels=max_pixels, workers=workers, known=greys)
        )

    indexed = index(
        found,
        fractions=fractions,
        families=families or {},
        background=colour,
        max_pixels=max_pixels,
        limit=limit,
        workers=workers,
        seed=seed,
        strict=strict,
        known=known,
        greys=greys if near_duplicates else None,
        near_duplicates=links,
    )
    return Manifest(
        indexed.table,
        indexed.left_out,
        indexed.mapping,
        indexed.notes,
        colour,
        indexed.near,
        Links(indexed.links, among),
    )
