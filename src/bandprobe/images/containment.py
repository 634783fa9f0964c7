"""Whether the images that a table names lie below it: a table from elsewhere may not name any file of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.found import Found
from bandprobe.images.path_lists import STANDARD_INPUT
from bandprobe.images.places import is_within, opened, status
from bandprobe.remote import Status, is_remote, statuses


def check_contained(found: Found) -> None:
    """See that tables name no image outside their own folder and the one that is worked in, links followed.

    A manifest names its images from the root on, wherever they lie. Outside they are taken where they are of
    the size and the time of change that it holds, to the nanosecond: whoever wrote it has seen them on this
    machine. Nothing is opened to find that out. A list on standard input may name what it likes: whoever types the
    command has made it.

    Args:
        found: the images of a study's data; those of folders are passed over.

    Raises:
        InputError: a table names an image elsewhere.
    """
    named: dict[str, list[str]] = {table: list(paths) for table, paths in found.lists.items()}
    for group in found.groups:
        if group.layout == "table" and group.folder != STANDARD_INPUT:
            named.setdefault(group.folder, []).extend(group.paths)
    for table, paths in named.items():
        outside = _outside(table, paths)
        if outside and table in found.manifests:
            seen = _seen(table)
            far = statuses([file for file in map(embedded.holder, outside) if is_remote(file)])
            outside = [path for path in outside if not _as_indexed(path, seen.get(path), far)]
        if outside:
            cause = "and not as they were indexed" if table in found.manifests else "and the current one"
            raise InputError(
                f"table {table!r} names images outside its own folder {cause} ({len(outside)} of {len(paths)}), "
                f"e.g. {outside[0]!r}; move the table above them, or allow it with --outside ([data] outside = "
                "true)."
            )


def check_named(table: str, paths: Sequence[str]) -> None:
    """See that a table or list names no image outside its own folder and the one that is worked in.

    Raises:
        InputError: it does.
    """
    if outside := _outside(table, paths):
        raise InputError(
            f"table {table!r} names images outside its own folder and the current one ({len(outside)} of "
            f"{len(paths)}), e.g. {outside[0]!r}; move the table above them, or hand its paths over on standard input."
        )


def _outside(table: str, paths: Sequence[str]) -> list[str]:
    """Those of the paths that do not lie below the table's folder or the current one, links followed."""
    resolved = _resolver()
    here = os.path.realpath(".")
    folder = resolved(table).rpartition("/")[0] if is_remote(table) else os.path.realpath(Path(table).parent)
    # Whoever works in the root of all files has not said that a table may name them all.
    roots = [folder] if is_remote(table) or Path(here).parent == Path(here) else [folder, here]
    # No file's name holds a NUL: what does is left out later, with the reason.
    return [
        path for path in paths if "\0" not in path and not is_within(resolved(embedded.holder(path)), roots)
    ]


def _resolver() -> Callable[[str], str]:
    """`os.path.realpath` for many files of few folders: each folder's own links are followed once. URLs have none."""
    folder_of = cache(os.path.realpath)

    def resolved(path: str) -> str:
        if is_remote(path):
            return path
        if os.path.islink(path):  # noqa: PTH114 - false of a path that is too long, where pathlib fails
            return os.path.realpath(path)
        above, _, name = path.rpartition("/")
        return os.path.join(folder_of(above or "/"), name)  # noqa: PTH118 - text, for a million paths

    return resolved


def _seen(manifest: str) -> dict[str, tuple[int, int]]:
    """Size and time of change of each image that a manifest lists; empty where it does not say."""
    try:
        table = pq.read_table(opened(manifest), columns=["path", "file_bytes", "mtime_ns"], partitioning=None)
        columns = [table.column(name).to_pylist() for name in ("path", "file_bytes", "mtime_ns")]
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return {}
    return {path: (size, changed) for path, size, changed in zip(*columns, strict=True)}


def _as_indexed(path: str, seen: tuple[int, int] | None, far: Mapping[str, Status]) -> bool:
    """Whether a file is as a manifest says, or is not there at all: then it is left out later, with the reason."""
    file = embedded.holder(path)
    try:
        found = far.get(file) if is_remote(file) else status(file)
    except OSError:
        return True
    if found is None:
        return True
    return (
        seen is not None and found.mtime_ns == seen[1] and (embedded.is_inside(path) or found.size == seen[0])
    )
