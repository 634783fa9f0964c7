"""What a table's columns, or the fields beside a picture, are called."""

from __future__ import annotations

from collections.abc import Sequence

from bandprobe.images.families import normalised

_ROLES = {
    "path": "path image filename file filepath imagepath imagefile filenames img imgpath imagename name",
    "label": "label class typ type target y labels isfake fake isgenerated synthetic",
    "generator": "generator model generatorname method gen",
    "split": "split set subset partition",
    "dataset": "dataset corpus",
    "family": "family generatorfamily",
}
TELLING = frozenset(
    name for role, names in _ROLES.items() if role != "path" for name in names.split()
)  # what says anything about a picture but where it lies


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


def cell(value: object) -> str:
    """A value as a table's text: truth values as 0 and 1, whole numbers without a point, nothing as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
