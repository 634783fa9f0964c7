"""What an embedding was made with: everything that changes a vector, and nothing that does not."""

from __future__ import annotations

from collections.abc import Mapping

# Raised when decoding, resizing, filtering or pooling changes what a vector is.
DEFINITION = "1"

Fingerprint = dict[str, str]


def fingerprint(
    encoder: Mapping[str, str],
    *,
    geometry: str,
    background: str,
    filter: str,  # noqa: A002
    references: str = "",
    abs_uint8: bool = False,
) -> Fingerprint:
    """The identity of one condition's embeddings.

    Args:
        encoder: the encoder's own: weights, revision, vector taken, mean, deviation, precision.
        geometry: how pictures get onto the grid, e.g. `squash:224`.
        background: what transparent pixels lie on.
        filter: the canonical filter spec, quantisation included.
        references: what the filter draws on; a field only where it takes something from other images.
        abs_uint8: filtered as the published code does; a field only where that is so.

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
        **({"references": references} if references else {}),
        **({"abs_uint8": "yes"} if abs_uint8 else {}),
    }
    return dict(sorted(whole.items()))


def comparable(made_with: Mapping[str, str]) -> Fingerprint:
    """What two conditions must share for a probe of one to be asked about the other.

    That is everything but the filter with what it draws on, and whether the one resize is anti-aliased.
    """
    shared = {
        name: value
        for name, value in made_with.items()
        if name.startswith("encoder.") or name in ("geometry", "background", "definition")
    }
    if "geometry" in shared:
        shared["geometry"] = shared["geometry"].removesuffix(":aliased")
    return shared


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
