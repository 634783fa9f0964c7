"""Whole files or none: bytes go to a neighbour first and are renamed into place."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bandprobe.errors import DiskError


def write_whole(path: Path, content: bytes) -> Path:
    """Write `content` so that a reader, or a stopped run, never sees half a file.

    Raises:
        DiskError: the folder cannot be made or written.
    """
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        neighbour.write_bytes(content)
        neighbour.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DiskError(
            f"{path} cannot be written: {reason}. Free the disk or give another folder."
        ) from error
    return path


def slug(name: str) -> str:
    """`name` as a part of a file name: letters, digits and single dashes (`pd@1%` gives `pd-1`)."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "unnamed"


def unique_slugs(names: list[str]) -> dict[str, str]:
    """A slug for each name; names whose slugs collide get `-2`, `-3` ... in the order given."""
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = candidate = slug(name)
        count = 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{base}-{count}"
        taken.add(candidate.lower())
        slugs[name] = candidate
    return slugs
