"""Names as parts of file names."""

from __future__ import annotations

import re


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
