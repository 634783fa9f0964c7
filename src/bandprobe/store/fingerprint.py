"""What an embedding was made with: everything that changes a vector, and nothing that does not."""

from __future__ import annotations

from collections.abc import Mapping

# Raised when decoding, resizing, filtering or pooling changes what a vector is.
DEFINITION = "1"

Fingerprint = dict[str, str]


def fingerprint(encoder: Mapping[str, str], *, geometry: str, background: str, filter: str) -> Fingerprint:  # noqa: A002
    """The identity of one condition's embeddings.

    Args:
        encoder: the encoder's own: weights, revision, vector taken, mean, deviation, precision.
        geometry: how pictures get onto the grid, e.g. `squash:224`.
        background: what transparent pixels lie on.
        filter: the canonical filter spec, quantisation included.

    Returns:
        Sorted names with values as text. Device and batch size are left out: vectors do not depend on
        them beyond rounding.
    """
    whole = {
        **{f"encoder.{name}": value for name, value in encoder.items()},
        "geometry": geometry,
        "background": background,
        "filter": filter,
        "definition": DEFINITION,
    }
    return dict(sorted(whole.items()))


def difference(stored: Mapping[str, str], asked: Mapping[str, str]) -> str:
    """The fields in which two fingerprints differ, in words; empty when they are equal."""
    names = [name for name in sorted({*stored, *asked}) if stored.get(name) != asked.get(name)]
    return "; ".join(
        f"{name}: stored {_short(stored.get(name))}, asked {_short(asked.get(name))}" for name in names
    )


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return repr(value if len(value) <= 40 else f"{value[:16]}...")
