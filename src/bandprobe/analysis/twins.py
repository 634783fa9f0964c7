"""Encoders beside their twins with random weights, told by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_RANDOM = re.compile(r"(?:(?<=\+)|^)random:(?:\d+:)?")
_RENAMED = "random-"


def twin_of(encoder: str, encoders: Collection[str]) -> str | None:
    """The one of `encoders` whose random-weight twin this is: `dinov2-small` for `random:dinov2-small`.

    An encoder with a name of its own, `mine=FOLDER`, has the twin `random-mine`.
    """
    base = _RANDOM.sub("", encoder)
    if base == encoder:
        base = encoder.removeprefix(_RENAMED)
    return base if base != encoder and base in encoders else None


def is_twin(encoder: str, encoders: Collection[str]) -> bool:
    """Whether an encoder has random weights in place of its own, by its name."""
    return _RANDOM.search(encoder) is not None or twin_of(encoder, encoders) is not None


def twins_beside(encoders: Sequence[str]) -> list[str]:
    """The same encoders, each twin behind the one it belongs to."""
    bases = {name: twin_of(name, encoders) or name for name in encoders}
    places = {base: place for place, base in enumerate(dict.fromkeys(bases.values()))}
    return sorted(encoders, key=lambda name: (places[bases[name]], bases[name] != name))
