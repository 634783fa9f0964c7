"""Data sets that come as a table: CSV, Parquet, Hugging Face `datasets`, or a manifest of this package."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.families import normalised
from bandprobe.images.found import Group
from bandprobe.images.places import is_there
from bandprobe.images.splits import split_word
from bandprobe.images.table_rows import Row, groups_of, is_label
from bandprobe.images.walk import absolute

MANIFEST_KEY = b"bandprobe.manifest"
TEXT_EXTENSIONS = frozenset({".csv", ".tsv", ".txt"})

_ROLES = {
    "path": "path image filename file filepath imagepath imagefile filenames img imgpath imagename name",
    "label": "label class typ type target y labels isfake fake isgenerated synthetic",
    "generator": "generator model generatorname method gen",
    "split": "split set subset partition",
    "dataset": "dataset corpus",
    "family": "family generatorfamily",
}
_YES_NO = frozenset({"isfake", "fake", "isgenerated", "synthetic"})
_SHARD = re.compile(r"(?P<split>[A-Za-z]+)(?:[-_.].*)?")


def roles(columns: Sequence[str]) -> dict[str, str]:
    """Which column plays which role, by the usual names: role to column."""
    plain = {normalised(column): column for column in reversed(columns)}
    found = {}
    for role, names in _ROLES.items():
        for name in names.split():
            if name in plain:
                found[role] = plain[name]
                break
    return found


def read_table(path: str) -> list[Group]:
    """The groups of one table file.

    Args:
        path: absolute POSIX path of a CSV, TSV, Parquet or Arrow file.

    Raises:
        InputError: it cannot be read, or has no column of images and none that tells real from fake.
    """
    file = Path(path)
    try:
        rows = _text_rows(file) if file.suffix.lower() in TEXT_EXTENSIONS else _arrow_rows(file)
    except csv.Error as error:
        raise InputError(f"table {path!r} cannot be read as CSV: {error}; check its quotes.") from error
    # train.csv, val.csv and test.csv side by side are one data set, called like their folder.
    split = split_word(file.stem)
    folder = file.parent if split else file
    dataset = folder.name if split else file.stem
    return groups_of(rows, path, dataset, _parts(folder), split or "")


def _parts(path: Path) -> tuple[str, ...]:
    return tuple(part for part in path.as_posix().split("/") if part)


# --- CSV -------------------------------------------------------------------------------------------


def _text_rows(file: Path) -> list[Row]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"table {str(file)!r} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise InputError(f"table {str(file)!r} cannot be read: {error.strerror or error}.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"table {str(file)!r} is empty; a line is a path and a label.")
    for delimiter in (",", "\t", ";", " "):
        header = _split([lines[0]], delimiter)[0]
        role = roles(header)
        if "path" in role and ("label" in role or "generator" in role):
            body = _split(lines[1:], delimiter)
            return _rows_with_header(file, header, role, body)
    for delimiter in (" ", ",", "\t", ";"):
        pairs = [_path_and_label(fields) for fields in _split(lines, delimiter)]
        if all(is_label(label) and path for path, label in pairs):
            return [Row(_found_path(path, file), label, str(file)) for path, label in pairs]
    raise InputError(
        f"table {str(file)!r} starts with {lines[0][:80]!r}; expected a header with a column of paths "
        "(path, image, filename) and one that tells real from fake (label, class, typ, generator), "
        "or lines 'path label' with label 0 or 1."
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
    file: Path, header: Sequence[str], role: Mapping[str, str], body: Sequence[Sequence[str]]
) -> list[Row]:
    for number, fields in enumerate(body, start=2):
        if len(fields) != len(header):
            raise InputError(
                f"table {str(file)!r}, row {number}: {len(fields)} fields under {len(header)} headings; "
                "quote paths that hold the delimiter."
            )
    columns = {name: [fields[at] for fields in body] for at, name in enumerate(header)}
    paths = [_found_path(path, file) for path in columns[role["path"]]]
    return _rows(file, paths, columns, role)


def _found_path(path: str, table: Path) -> str:
    """Absolute: as it stands, else below the table's folder, else below the working directory."""
    text = path.replace("\\", "/") if "\\" in path and "/" not in path else path
    beside = absolute(table.parent / text)
    here = absolute(text)
    return here if not is_there(beside) and is_there(here) else beside


def _rows(
    file: Path, paths: Sequence[str], columns: Mapping[str, Sequence[str]], role: Mapping[str, str]
) -> list[Row]:
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
        Row(path, label, str(file), generator, split, dataset, family)
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


def _arrow_rows(file: Path) -> list[Row]:
    is_arrow = file.suffix.lower() == ".arrow"
    try:
        table = embedded.open_arrow(file) if is_arrow else None
        schema = table.schema if table is not None else pq.read_schema(file)
        image = embedded.image_column(schema)
        said = embedded.features(schema)
        wanted = [f.name for f in schema if f.name != image and not pa.types.is_nested(f.type)]
        if table is None:
            table = pq.read_table(file, columns=wanted, partitioning=None)
            count = pq.read_metadata(file).num_rows
        else:
            count = table.num_rows
        columns = {name: _texts(table.column(name).to_pylist(), said.get(name)) for name in wanted}
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        UnicodeDecodeError,
    ) as error:  # KeyError: two columns of a name
        reason = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())[:160]
        raise InputError(f"table {str(file)!r} cannot be read: {reason}.") from error
    role = roles(wanted)
    if image is not None:
        role.pop("path", None)
        paths = [f"{file.as_posix()}::{row}" for row in range(count)]
    elif "path" in role:
        paths = [_found_path(path, file) for path in columns[role["path"]]]
    else:
        raise InputError(
            f"table {str(file)!r} has columns {', '.join(schema.names)}; expected one with images (bytes) or "
            "their paths (path, image, filename)."
        )
    if "label" not in role and "generator" not in role:
        raise InputError(
            f"table {str(file)!r} has columns {', '.join(schema.names)}; expected one that tells real from "
            "fake: label (0 or 1), class, typ, or generator."
        )
    return _rows(file, paths, columns, role)


def _texts(values: Sequence[Any], feature: Any) -> list[str]:
    """Cells as text; a Hugging Face ClassLabel by its name, truth values as 0 and 1, nothing as empty."""
    names = feature.get("names") if isinstance(feature, dict) else None
    result = []
    for value in values:
        if value is None:
            result.append("")
        elif isinstance(value, bool):
            result.append(str(int(value)))
        elif isinstance(names, list) and isinstance(value, int) and 0 <= value < len(names):
            result.append(str(names[value]))
        else:
            number = isinstance(value, float) and value.is_integer()
            result.append(str(int(value)) if number else str(value).strip())
    return result


# --- folders that are a table -----------------------------------------------------------------------


def is_manifest(path: str) -> bool:
    """Whether a Parquet file is a manifest written by this package."""
    if not path.lower().endswith(".parquet"):
        return False
    try:
        return MANIFEST_KEY in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def saved_dataset(root: str) -> list[tuple[str, str]] | None:
    """(split, file) of a folder that Hugging Face's `save_to_disk` wrote; None for any other folder.

    Raises:
        InputError: its description cannot be read.
    """
    folder = Path(root)
    whole = folder / "dataset_dict.json"
    if whole.is_file():
        names = _names(whole, _json(whole).get("splits", []))
        return [(name, file) for name in names for _, file in saved_dataset(str(folder / name)) or []]
    state = folder / "state.json"
    if not state.is_file():
        return None
    files = _json(state).get("_data_files", [])
    listed = (
        [each.get("filename") for each in files if isinstance(each, dict)]
        if isinstance(files, list)
        else None
    )
    return [("", (folder / name).as_posix()) for name in _names(state, listed)]


def _names(file: Path, names: object) -> list[str]:
    """Names of what lies beside a file that lists it.

    Raises:
        InputError: something else, or a name that leads elsewhere.
    """
    own = re.compile(r"(?!\.+\Z)[^/\0]+")
    if isinstance(names, list) and all(isinstance(name, str) and own.fullmatch(name) for name in names):
        return names
    raise InputError(f"{str(file)!r} lists other things than names beside it; save the data set again.")


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(file)!r} cannot be read as JSON; save the data set again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{str(file)!r} is not what save_to_disk writes; save the data set again.")
    return found


def split_of_shard(path: str, root: str) -> str:
    """The split that a shard's name or folders tell: `train-00000-of-00001.parquet`, `test/0.parquet`."""
    inside = Path(path).relative_to(root)
    found = _SHARD.fullmatch(inside.stem)
    by_name = split_word(found["split"]) if found else None
    folders = [split_word(part) for part in inside.parts[:-1]]
    return by_name or next((split for split in reversed(folders) if split), "")


def read_shards(shards: Sequence[tuple[str, str]], root: str) -> list[Group]:
    """The groups of several Parquet or Arrow files that are one data set, called like its folder.

    Args:
        shards: (split, file) pairs; an empty split where none is known.
        root: the data set's folder.

    Raises:
        InputError: a file cannot be read as a table of images.
    """
    folder = Path(root)
    groups: list[Group] = []
    for split, file in shards:
        word = split_word(split) if split else ""
        if word is None:
            raise InputError(f"split {split!r} of {root!r} is none of train, validation and test; rename it.")
        groups += groups_of(_arrow_rows(Path(file)), file, folder.name, _parts(folder), word)
    return groups
