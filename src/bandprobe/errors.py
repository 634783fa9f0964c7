"""Exceptions whose message is one line: what came, what was expected, and the way out.

The command line prints the message alone and exits with the class's `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BandprobeError(Exception):
    """Anything this package raises on purpose."""

    exit_code = 2


class InputError(BandprobeError, ValueError):
    """Wrong use or unusable input: an argument, a file's content, a data set's layout."""


class ShapeError(InputError):
    """An array of the wrong shape, dtype or range."""


class ImageError(InputError):
    """One picture that cannot be used. A run leaves it out, lists the reason and goes on."""


class FilterError(InputError):
    """A filter spec that cannot be parsed, or that makes no sense on the given grid."""


class EncoderError(InputError):
    """An encoder that is unknown, cannot be loaded, or does not take the given images."""


class StoreError(InputError):
    """An embedding store that was written otherwise than asked for, or is damaged."""


class DiskError(BandprobeError, OSError):
    """The disk or the network failed."""

    exit_code = 3


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest of `known`, or an empty string when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
