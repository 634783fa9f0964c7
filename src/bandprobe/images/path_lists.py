"""Images that are named one by one: a list on standard input, or in a text file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.archive import folders_of, is_archive
from bandprobe.images.archived_folders import with_archives
from bandprobe.images.column_roles import roles
from bandprobe.images.decode import image_extensions
from bandprobe.images.places import absolute, is_there, writable
from bandprobe.images.tree import TABLE_EXTENSIONS, Folder, extension, is_passed_over
from bandprobe.remote import is_remote

STANDARD_INPUT = "-"
_MOST = 1 << 31  # bytes of a list
_LOOKED_AT = 20  # lines


def standard_input() -> str:
    """Everything on standard input, as text; bytes that are none stand as `os.fsdecode` has them.

    Raises:
        InputError: nothing is there, or too much for a list.
    """
    stream = getattr(sys.stdin, "buffer", None)
    data: bytes = stream.read(_MOST + 1) if stream is not None else b""
    if not data.strip():
        raise InputError(
            "standard input is empty; it must be a list, a path a line: find photos -name '*.png' | bandprobe ... -."
        )
    if len(data) > _MOST:
        raise InputError(f"more than {_MOST} bytes on standard input; write the list as a Parquet file.")
    return data.decode("utf-8-sig", "surrogateescape")


def listed(text: str, file: str) -> list[str] | None:
    """The paths that a text lists, one a line or separated by NUL, absolute or URLs; None where it is a table.

    Relative ones lie below the list's own folder, else below the working directory. Folders that others of the
    list lie in (`find` names them too) are left out. A heading such as `path` over a single column is passed over.

    Args:
        text: the whole of it.
        file: the list's own path or URL, or `-`.
    """
    nul = "\0" in text
    lines = [line for line in (text.split("\0") if nul else text.splitlines()) if line.strip()]
    lines = lines if nul else [line.strip() for line in lines]
    if lines and not nul and "path" in roles(lines[:1]):
        del lines[0]
    paths = list(dict.fromkeys(found_path(_unquoted(line), file) for line in lines))
    if not any(map(_leads_to_pictures, [path for path in paths if extension(path)][:_LOOKED_AT])):
        return None
    above = {folder for path in paths for folder in _ancestors(path)}
    return [path for path in paths if path not in above]


def found_path(path: str, table: str) -> str:
    """Absolute or a URL: as it stands, else below the table's folder, else below the working directory."""
    if is_remote(path):
        return absolute(path)
    text = path.replace("\\", "/") if "\\" in path and "/" not in path else path
    if is_remote(table):
        return absolute(text) if text.startswith("/") else absolute(f"{_above(table)}/{text}")
    here = absolute(text)
    if table == STANDARD_INPUT:
        return here
    beside = absolute(Path(table).parent / text)
    return here if not is_there(beside) and is_there(here) else beside


def tree_of(paths: Sequence[str]) -> Folder:
    """The tree of folders that some files make, with nothing else in it, from the folder that all lie in.

    Args:
        paths: absolute, or URLs; also `FILE.tar::MEMBER`.

    Raises:
        InputError: they have no folder in common.
    """
    places = [(path, *_place(path)) for path in paths]
    first, last = min(folders for _, folders, _ in places), max(folders for _, folders, _ in places)
    same = (a == b for a, b in zip(first, last, strict=False))
    common = first[: sum(1 for _ in takewhile(bool, same))]  # what the two share, all between them share
    if not any(common) and len({folders[0] for _, folders, _ in places}) > 1:
        raise InputError("the list names files on this disk and behind URLs; give each a list of its own.")
    root = Folder("/".join(common) or "/")
    below = cache(root.below)
    endings = image_extensions()
    for path, folders, name in places:
        inside = folders[len(common) :]
        if any(map(is_passed_over, (*inside, name))):
            continue
        folder = below(inside)
        if "::" in path and embedded.is_inside(path):
            folder.images.append(path)  # a member's place is not where its file lies
        else:
            folder.put(name, endings)
    root.settle()
    return with_archives(root)


def _unquoted(line: str) -> str:
    quoted = len(line) > 2 and line[0] == line[-1] and line[0] in "\"'"
    return line[1:-1] if quoted else line


def _leads_to_pictures(path: str) -> bool:
    ending = extension(path.rpartition("/")[2])
    picture = ending in image_extensions() or is_archive(path) or ending in TABLE_EXTENSIONS
    return picture and is_there(embedded.holder(path))


def _place(path: str) -> tuple[tuple[str, ...], str]:
    """The folders that lead to a file, the first empty or a URL's scheme, and its name."""
    found = embedded.locate(path) if "::" in path else None
    *folders, name = (found[0] if found else writable(path)).split("/")
    if found and isinstance(found[1], str):
        folders += folders_of(found[1])
    return tuple(folders), name


def _ancestors(path: str) -> list[str]:
    found = []
    while path := _above(path):
        found.append(path)
    return found


def _above(path: str) -> str:
    return path.rpartition("/")[0]
