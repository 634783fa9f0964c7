"""The image files that paths on a command line stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bandprobe.errors import InputError
from bandprobe.images.places import is_there
from bandprobe.images.walk import scan


def picture_files(paths: Sequence[str | Path]) -> list[Path]:
    """Files as they are given, and of folders every file whose ending Pillow reads, sorted.

    Raises:
        InputError: a path that is not there, or no image at all.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not is_there(str(path)):
            raise InputError(f"no such file or folder: {str(path)!r}.")
        if path.is_dir():
            found.update((Path(file), None) for file in scan(path).paths())
        else:
            found[path] = None
    if not found:
        raise InputError(
            f"no image in {', '.join(repr(str(path)) for path in paths)}; give image files or folders."
        )
    return list(found)
