"""One history for every picture: the same crop or resize, and the same JPEG compression."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe.errors import ImageError, InputError
from bandprobe.images.decode import decode_bytes
from bandprobe.images.geometry import Geometry

AUTO = "auto"
QUALITY = 75
_SUBSAMPLING = "4:2:0"
_RECIPE = re.compile(
    r"(?:crop:(?P<crop>\d+))?(?:(?:(?<=\d)\+|^)squash:(?P<squash>\d+))?\+jpeg:(?P<quality>\d+)"
)
_SMALLER = 0.01  # share of pictures that may be too small for a crop that is not given
_BLOCK = 8


@dataclass(frozen=True)
class Equalise:
    """What is done to every decoded picture, whatever its file was. Its text is canonical and `parse` reads it.

    The picture's identity stays that of its file; `before` makes the recipe part of the geometry, and so of
    everything that is kept of how an embedding was made.

    Attributes:
        crop: side of the square taken from the centre first, px; None for the whole picture.
        squash: side of the square that this is resized to (bilinear, anti-aliased), px; None to keep its
            pixels. A resize by one factor for all moves the block grid of earlier compressions, and so
            hides them far better than compression alone.
        quality: of the JPEG compression that comes last, 1 to 100, with 4:2:0 chroma.
    """

    crop: int | None = None
    squash: int | None = None
    quality: int = QUALITY

    def __post_init__(self) -> None:
        sides = [side for side in (self.crop, self.squash) if side is not None]
        if not sides:
            raise InputError(
                "equalise needs a crop or a squash, so that all pictures get one size; got none."
            )
        if not all(_BLOCK <= side <= 16_384 for side in sides):
            raise InputError(f"equalise's sides must be 8 to 16384 px; got {', '.join(map(str, sides))}.")
        if not 1 <= self.quality <= 100:
            raise InputError(f"equalise's JPEG quality must be 1 to 100; got {self.quality}.")

    @classmethod
    def parse(cls, text: str) -> Equalise:
        """The recipe that a text names: `crop:256+jpeg:75`, `squash:224+jpeg:75`, `crop:256+squash:224+jpeg:75`.

        Raises:
            InputError: any other text; `auto` too, whose crop only the pictures can tell.
        """
        found = _RECIPE.fullmatch(text)
        if found is None:
            raise InputError(
                "equalise must be 'crop:SIDE+jpeg:QUALITY', 'squash:SIDE+jpeg:QUALITY' or both, like "
                f"'crop:256+squash:224+jpeg:75', or 'auto'; got {text!r}."
            )
        crop, squash = (None if found[name] is None else int(found[name]) for name in ("crop", "squash"))
        return cls(crop, squash, int(found["quality"]))

    @classmethod
    def common(cls, shorter: Sequence[int] | NDArray[np.integer], quality: int = QUALITY) -> Equalise:
        """The recipe that `auto` stands for: the largest centre crop that 99 % of the pictures hold, halved.

        Halving takes what 4:2:0 chroma and interpolation would leave in the upper half of the band.

        Args:
            shorter: each picture's shorter side, px.
            quality: of the JPEG compression.

        Raises:
            InputError: no picture, or the crop would be smaller than two JPEG blocks.
        """
        if len(shorter) == 0:
            raise InputError("equalise needs a picture to take a common crop from; got none.")
        even = 2 * _BLOCK
        side = int(np.sort(shorter)[int(_SMALLER * (len(shorter) - 1))]) // even * even
        if side < even:
            raise InputError(
                f"equalise 'auto' finds no common crop: over 1 % of the pictures are below {even} px. "
                "Leave them out, or give a side: 'squash:64+jpeg:75'."
            )
        return cls(side, side // 2, quality)

    def __str__(self) -> str:
        crop = "" if self.crop is None else f"crop:{self.crop}+"
        squash = "" if self.squash is None else f"squash:{self.squash}+"
        return f"{crop}{squash}jpeg:{self.quality}"

    def encode(self, rgb: NDArray[np.uint8]) -> bytes:
        """The picture's JPEG stream.

        Args:
            rgb: uint8, shape (H, W, 3).

        Raises:
            ImageError: the picture does not hold the crop.
            ShapeError: `rgb` is not uint8 of shape (H, W, 3).
        """
        square = rgb if self.crop is None else _centre(rgb, self.crop)
        if self.squash is not None:
            square = Geometry.squash(self.squash).apply(square)
        stream = io.BytesIO()
        Image.fromarray(square).save(stream, "JPEG", quality=self.quality, subsampling=_SUBSAMPLING)
        return stream.getvalue()

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with the common history: uint8, shape (side, side, 3). Raises as `encode`."""
        return decode_bytes(self.encode(rgb))

    def before(self, geometry: Geometry) -> Geometry:
        """The geometry that equalises a picture first; its text is `<recipe>+<geometry>`."""
        own = {each.name: getattr(geometry, each.name) for each in fields(Geometry)}
        return EqualisedGeometry(**own, history=self)


def _centre(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    if min(height, width) < side:
        raise ImageError(f"smaller than the common crop of {side} px: {width} x {height}")
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(rgb[top : top + side, left : left + side])


@dataclass(frozen=True)
class EqualisedGeometry(Geometry):
    """A geometry for pictures that get a common history first."""

    history: Equalise | None = None

    def __str__(self) -> str:
        own = super().__str__()
        return own if self.history is None else f"{self.history}+{own}"

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As `Geometry.apply`, of the equalised picture.

        Raises:
            ImageError: the picture does not hold the common crop.
        """
        return super().apply(rgb if self.history is None else self.history.apply(rgb))
