"""From data on disk to a manifest of images, and from a file to pixels on a grid."""

from bandprobe.images.decode import (
    MAX_PIXELS,
    Decoded,
    decode,
    decode_bytes,
    image_extensions,
    image_id,
    parse_colour,
    read,
)
from bandprobe.images.families import REAL, check_overrides, family_of, is_fake, is_known, is_real
from bandprobe.images.found import Found, Group
from bandprobe.images.geometry import Geometry
from bandprobe.images.layouts import LAYOUTS, find
from bandprobe.images.manifest import Manifest, build
from bandprobe.images.splits import DEFAULT_FRACTIONS, SPLITS, carved_for_validation, split_of, splits_of

__all__ = [
    "DEFAULT_FRACTIONS",
    "LAYOUTS",
    "MAX_PIXELS",
    "REAL",
    "SPLITS",
    "Decoded",
    "Found",
    "Geometry",
    "Group",
    "Manifest",
    "build",
    "carved_for_validation",
    "check_overrides",
    "decode",
    "decode_bytes",
    "family_of",
    "find",
    "image_extensions",
    "image_id",
    "is_fake",
    "is_known",
    "is_real",
    "parse_colour",
    "read",
    "split_of",
    "splits_of",
]
