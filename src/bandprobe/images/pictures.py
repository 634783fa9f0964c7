"""The images that paths on a command line stand for, where nothing need say what is real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bandprobe.errors import InputError
from bandprobe.images import embedded
from bandprobe.images.archive import is_archive
from bandprobe.images.containment import check_named
from bandprobe.images.path_lists import STANDARD_INPUT, listed, standard_input
from bandprobe.images.places import is_there
from bandprobe.images.tables import TEXT_EXTENSIONS, picture_rows, read_text, saved_dataset, text_rows
from bandprobe.images.tree import TABLE_EXTENSIONS, Folder, extension
from bandprobe.images.walk import scan


def picture_files(paths: Sequence[str | Path]) -> list[Path]:
    """Files as they are given, and what is in folders, tables, tar files and lists.

    Of folders every file whose ending Pillow reads, sorted, or, where they hold none, the pictures in their Parquet
    and Arrow files. A picture within a file is `FILE::ROW` or `FILE::MEMBER`. `-` is a list on standard input.

    Raises:
        InputError: a path that is not there, no image at all, a table without a column of images, or one that names
            images outside its own folder and the current one.
    """
    found: dict[Path, None] = {}
    for path in dict.fromkeys(map(str, paths)):
        if path != STANDARD_INPUT and not is_there(path) and not _is_inside(path):
            raise InputError(f"no such file or folder: {path!r}.")
        found.update((Path(file), None) for file in _pictures_of(path))
    if not found:
        raise InputError(
            f"no image in {', '.join(repr(str(path)) for path in paths)}; give image files or folders."
        )
    return list(found)


def stem_of(path: str | Path) -> str:
    """What a picture is called, without its ending: the file, or its member; of a table's row, the file and the row."""
    found = embedded.locate(path) if "::" in str(path) else None
    if found is None or found[1] is None:
        return Path(path).stem
    file, place = found
    return f"{Path(file).stem}-{place}" if isinstance(place, int) else Path(place or "").stem


def _is_inside(path: str) -> bool:
    return "::" in path and embedded.is_inside(path) and is_there(embedded.holder(path))


def _pictures_of(path: str) -> Sequence[str]:
    if path == STANDARD_INPUT:
        return _named(standard_input(), path)
    if Path(path).is_dir():
        return _within(scan(path))
    if _is_inside(path):
        return [path]
    if is_archive(path):
        return scan(path).paths()
    if extension(path) in TEXT_EXTENSIONS:
        return _checked(path, _named(read_text(path), str(Path(path).absolute())))
    return _checked(path, picture_rows(path)) if extension(path) in TABLE_EXTENSIONS else [path]


def _within(folder: Folder) -> Sequence[str]:
    if folder.count:
        return folder.paths()
    saved = [file for _, file in saved_dataset(folder.path) or []]
    tables = [each.path_of(name) for each in folder.walk() for name in each.tables]
    shards = saved or [file for file in tables if extension(file) not in TEXT_EXTENSIONS]
    return [place for file in shards for place in _checked(file, picture_rows(file))]


def _checked(table: str, paths: Sequence[str]) -> Sequence[str]:
    check_named(table, [str(Path(path).absolute()) for path in paths])
    return paths


def _named(text: str, file: str) -> list[str]:
    """What a list names, or a table of paths and labels."""
    paths = listed(text, file)
    return [row.path for row in text_rows(file, text)] if paths is None else paths
