"""Data sets that come as a table: CSV, Parquet, Hugging Face `datasets`, or a manifest of this package."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.column_roles import cell, roles
from bandprobe.images.families import normalised
from bandprobe.images.found import Group
from bandprobe.images.path_lists import STANDARD_INPUT, found_path
from bandprobe.images.places import content, is_file, opened
from bandprobe.images.splits import shard_split, split_word
from bandprobe.images.table_rows import Row, groups_of, is_label
from bandprobe.images.tree import extension

MANIFEST_KEY = b"bandprobe.manifest"
TEXT_EXTENSIONS = frozenset({".csv", ".tsv", ".txt"})

_YES_NO = frozenset({"isfake", "fake", "isgenerated", "synthetic"})


def read_table(path: str, text: str | None = None) -> list[Group]:
    """The groups of one table file.

    Args:
        path: absolute POSIX path, or URL, of a CSV, TSV, Parquet or Arrow file, or `-`.
        text: what a text table holds, where that is known.

    Raises:
        InputError: it cannot be read, or has no column of images and none that tells real from fake.
    """
    try:
        is_text = text is not None or extension(path) in TEXT_EXTENSIONS
        rows = text_rows(path, read_text(path) if text is None else text) if is_text else _arrow_rows(path)
    except csv.Error as error:
        raise InputError(f"table {path!r} cannot be read as CSV: {error}; check its quotes.") from error
    # train.csv, val.csv and test.csv side by side are one data set, called like their folder.
    stem = "standard input" if path == STANDARD_INPUT else PurePosixPath(path).stem
    split = split_word(stem)
    folder = _above(path) if split else path
    return groups_of(rows, path, _name(folder) if split else stem, _parts(folder), split or "")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


# --- CSV -------------------------------------------------------------------------------------------


def read_text(file: str) -> str:
    """All of a text table.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return content(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"table {file!r} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"table {file!r} cannot be read: {error.strerror or error}.") from error


def text_rows(file: str, text: str) -> list[Row]:
    """The rows of a text table.

    Raises:
        InputError: it names no images, or nothing that tells real from fake.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"table {file!r} is empty; a line is a path and a label.")
    for delimiter in (",", "\t", ";", " "):
        header = _split([lines[0]], delimiter)[0]
        role = roles(header)
        if "path" in role and ("label" in role or "generator" in role):
            body = _split(lines[1:], delimiter)
            return _rows_with_header(file, header, role, body)
    for delimiter in (" ", ",", "\t", ";"):
        pairs = [_path_and_label(fields) for fields in _split(lines, delimiter)]
        if all(is_label(label) and path for path, label in pairs):
            return [Row(found_path(path, file), label, file) for path, label in pairs]
    raise InputError(
        f"table {file!r} starts with {lines[0][:80]!r}; expected a header with a column of paths "
        "(path, image, filename) and one that tells real from fake (label, class, typ, generator), "
        "lines 'path label' with label 0 or 1, or paths of images that are there."
    )


def _split(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    return [
        [value.strip() for value in fields]
        for fields in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        if fields
    ]


def _path_and_label(fields: Sequence[str]) -> tuple[str, str]:
    """The last field is the label; an unquoted path with spaces is put together again."""
    kept = [value for value in fields if value]
    return " ".join(kept[:-1]), kept[-1] if kept else ""


def _rows_with_header(
    file: str, header: Sequence[str], role: Mapping[str, str], body: Sequence[Sequence[str]]
) -> list[Row]:
    for number, fields in enumerate(body, start=2):
        if len(fields) != len(header):
            raise InputError(
                f"table {file!r}, row {number}: {len(fields)} fields under {len(header)} headings; "
                "quote paths that hold the delimiter."
            )
    columns = {name: [fields[at] for fields in body] for at, name in enumerate(header)}
    paths = [found_path(path, file) for path in columns[role["path"]]]
    return rows_of(file, paths, columns, role)


def rows_of(
    file: str, paths: Sequence[str], columns: Mapping[str, Sequence[str]], role: Mapping[str, str]
) -> list[Row]:
    """The rows of a table, given as columns.

    Args:
        file: the table.
        paths: each row's image.
        columns: name to the cells as text, one a row.
        role: role to the name of the column that plays it; see `roles`.
    """
    empty = [""] * len(paths)

    def column(name: str) -> Sequence[str]:
        return columns[role[name]] if name in role else empty

    labels, splits = list(column("label")), column("split")
    if "label" in role and normalised(role["label"]) in _YES_NO:
        yes_no = {"true": "1", "yes": "1", "false": "0", "no": "0"}
        labels = [yes_no.get(value.lower(), value) for value in labels]
    elif "generator" in role and not any(map(is_label, labels)):
        labels = list(empty)  # a `class` that says what is to be seen
    if (
        "split" in role
        and normalised(role["split"]) != "split"
        and not all(map(split_word, filter(None, splits)))
    ):
        splits = empty  # a `subset` that is no split
    return [
        Row(path, label, file, generator, split, dataset, family)
        for path, label, generator, split, dataset, family in zip(
            paths,
            labels,
            column("generator"),
            splits,
            column("dataset"),
            column("family"),
            strict=True,
        )
    ]


# --- Parquet and Arrow ------------------------------------------------------------------------------


def _arrow_rows(file: str) -> list[Row]:
    paths, columns, role = _arrow_table(file)
    if "label" not in role and "generator" not in role:
        raise InputError(
            f"table {file!r} has columns {', '.join(columns) or 'of images alone'}; expected one that tells real from "
            "fake: label (0 or 1), class, typ, or generator."
        )
    return rows_of(file, paths, columns, role)


def picture_rows(file: str) -> list[str]:
    """The images of a Parquet or Arrow file, labelled or not: `FILE::ROW`, or the paths that it names.

    Raises:
        InputError: it cannot be read, or has no column of images or paths.
    """
    return _arrow_table(file)[0]


def _arrow_table(file: str) -> tuple[list[str], dict[str, list[str]], dict[str, str]]:
    """Where each row's image is, the other columns' cells as text, and which column plays which role."""
    try:
        source = embedded.open_arrow(file) if extension(file) == ".arrow" else pq.ParquetFile(opened(file))
        schema = source.schema if isinstance(source, pa.Table) else source.schema_arrow
        image = embedded.image_column(schema)
        said = embedded.features(schema)
        wanted = [f.name for f in schema if f.name != image and not pa.types.is_nested(f.type)]
        table = source if isinstance(source, pa.Table) else source.read(columns=wanted)
        count = len(source) if isinstance(source, pa.Table) else source.metadata.num_rows
        columns = {name: _texts(table.column(name).to_pylist(), said.get(name)) for name in wanted}
        elsewhere = {} if image is None else embedded.paths_without_bytes(source, image)
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        UnicodeDecodeError,
    ) as error:  # KeyError: two columns of a name
        reason = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())[:160]
        raise InputError(f"table {file!r} cannot be read: {reason}.") from error
    role = roles(wanted)
    if image is not None:
        role.pop("path", None)
        paths = [f"{file}::{row}" for row in range(count)]
        for row, path in elsewhere.items():
            paths[row] = found_path(path, file)
    elif "path" in role:
        paths = [found_path(path, file) for path in columns[role["path"]]]
    else:
        raise InputError(
            f"table {file!r} has columns {', '.join(schema.names)}; expected one with images (bytes) or "
            "their paths (path, image, filename)."
        )
    return paths, columns, role


def _texts(values: Sequence[Any], feature: Any) -> list[str]:
    """Cells as text; a Hugging Face ClassLabel by its name, truth values as 0 and 1, nothing as empty."""
    names: Any = feature.get("names") if isinstance(feature, dict) else None
    result = []
    for value in values:
        of_class = isinstance(names, list) and isinstance(value, int) and not isinstance(value, bool)
        result.append(str(names[value]) if of_class and 0 <= value < len(names) else cell(value))
    return result


# --- folders that are a table -----------------------------------------------------------------------


def is_manifest(path: str) -> bool:
    """Whether a Parquet file is a manifest written by this package."""
    if not path.lower().endswith(".parquet"):
        return False
    try:
        return MANIFEST_KEY in (pq.read_schema(opened(path)).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def saved_dataset(root: str) -> list[tuple[str, str]] | None:
    """(split, file) of a folder that Hugging Face's `save_to_disk` wrote; None for any other folder.

    Raises:
        InputError: its description cannot be read.
    """
    whole = f"{root}/dataset_dict.json"
    if is_file(whole):
        names = _names(whole, _json(whole).get("splits", []))
        return [(name, file) for name in names for _, file in saved_dataset(f"{root}/{name}") or []]
    state = f"{root}/state.json"
    if not is_file(state):
        return None
    files = _json(state).get("_data_files", [])
    listed = (
        [each.get("filename") for each in files if isinstance(each, dict)]
        if isinstance(files, list)
        else None
    )
    return [("", f"{root}/{name}") for name in _names(state, listed)]


def _names(file: str, names: object) -> list[str]:
    """Names of what lies beside a file that lists it.

    Raises:
        InputError: something else, or a name that leads elsewhere.
    """
    own = re.compile(r"(?!\.+\Z)[^/\0]+")
    if isinstance(names, list) and all(isinstance(name, str) and own.fullmatch(name) for name in names):
        return names
    raise InputError(f"{file!r} lists other things than names beside it; save the data set again.")


def _json(file: str) -> dict[str, Any]:
    try:
        found = json.loads(content(file).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file!r} cannot be read as JSON; save the data set again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{file!r} is not what save_to_disk writes; save the data set again.")
    return found


def is_cached(path: str) -> bool:
    """Whether an Arrow file is a copy that `datasets` keeps of what it computed from another beside it."""
    return re.fullmatch(r"cache-[0-9a-f]+(_\d+_of_\d+)?\.arrow", _name(path)) is not None


def split_of_shard(path: str, root: str) -> str:
    """The split that a shard's name or folders tell: `train-00000-of-00001.parquet`, `test/0.parquet`.

    In the cache of `datasets` the name stands in front: `cifake-train-00000-of-00002.arrow`.
    """
    inside = PurePosixPath(path.removeprefix(root).lstrip("/"))
    folders = [split_word(part) for part in inside.parts[:-1]]
    named = re.sub(r"-\d+-of-\d+$", "", inside.stem).rpartition("-")[2] if inside.suffix == ".arrow" else ""
    words = (shard_split(inside.stem), split_word(named), *reversed(folders))
    return next((split for split in words if split), "")


def read_shards(shards: Sequence[tuple[str, str]], root: str) -> list[Group]:
    """The groups of several Parquet or Arrow files that are one data set, called like its folder.

    Args:
        shards: (split, file) pairs; an empty split where none is known.
        root: the data set's folder.

    Raises:
        InputError: a file cannot be read as a table of images.
    """
    groups: list[Group] = []
    for split, file in shards:
        word = split_word(split) if split else ""
        if word is None:
            raise InputError(f"split {split!r} of {root!r} is none of train, validation and test; rename it.")
        groups += groups_of(_arrow_rows(file), file, _name(root), _parts(root), word)
    return groups
