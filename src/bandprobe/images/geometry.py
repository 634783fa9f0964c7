"""How a decoded picture gets onto an encoder's grid: one resize, and perhaps one crop."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bandprobe.errors import InputError, ShapeError, did_you_mean

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_RESAMPLE: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_NAMES = "|".join(_RESAMPLE)
_SIZE = r"(?P<height>\d{1,6})(?:x(?P<width>\d{1,6}))?"
_ALIASED = ":aliased"
_SQUASH = re.compile(rf"squash:{_SIZE}(?::(?P<resample>{_NAMES}))?(?P<aliased>{_ALIASED})?")
_SHORTEST_EDGE = re.compile(
    rf"shortest-edge:(?P<edge>\d{{1,6}})(?::(?P<resample>{_NAMES}))?:crop:{_SIZE}(?P<aliased>{_ALIASED})?"
)
_LARGEST = 16_384


@dataclass(frozen=True)
class Geometry:
    """A picture's way onto a grid of fixed size. Its text is canonical and `parse` reads it back.

    Attributes:
        height: pixels of the result.
        width: pixels of the result.
        resample: Pillow's filter by name. Bilinear, bicubic and Lanczos widen with the reduction, that
            is, they are anti-aliased.
        shortest_edge: None squashes the picture to the grid, whatever its aspect ratio. A number of
            pixels first resizes its shorter side to that, keeping the aspect ratio (the longer side
            rounded down), and then crops the centre (an odd margin's extra pixel is cut at the bottom
            and right), as Hugging Face's image processors do.
        antialias: False takes the two (bicubic: four) nearest pixels of a side whatever the reduction, as
            `torch.nn.functional.interpolate` does: frequencies that the grid cannot hold come out as lower
            ones.
    """

    height: int
    width: int
    resample: Resample = "bilinear"
    shortest_edge: int | None = None
    antialias: bool = True

    def __post_init__(self) -> None:
        if self.resample not in _RESAMPLE:
            near = did_you_mean(str(self.resample), _RESAMPLE)
            raise InputError(f"resample must be one of {', '.join(_RESAMPLE)}; got {self.resample!r}.{near}")
        if not self.antialias and self.resample not in ("bilinear", "bicubic"):
            raise InputError(
                f"resample must be bilinear or bicubic without anti-aliasing; got {self.resample!r}."
            )
        sides = [self.height, self.width] + ([] if self.shortest_edge is None else [self.shortest_edge])
        if not all(1 <= side <= _LARGEST for side in sides):
            raise InputError(f"geometry sides must be 1 to {_LARGEST} px; got {', '.join(map(str, sides))}.")
        if self.shortest_edge is not None and max(self.height, self.width) > self.shortest_edge:
            raise InputError(
                f"crop must fit into the shortest edge of {self.shortest_edge} px; "
                f"got {self.height}x{self.width}. Raise shortest_edge or lower the crop."
            )

    @classmethod
    def squash(cls, height: int, width: int | None = None, resample: Resample = "bilinear") -> Geometry:
        """Resize to `height` x `width` (square when no width is given), whatever the aspect ratio."""
        return cls(height, height if width is None else width, resample)

    @classmethod
    def crop(cls, shortest_edge: int, size: tuple[int, int], resample: Resample = "bilinear") -> Geometry:
        """Resize the shorter side to `shortest_edge`, then crop the centre to `size` = (height, width)."""
        return cls(size[0], size[1], resample, shortest_edge)

    @classmethod
    def parse(cls, text: str) -> Geometry:
        """The geometry that a text names.

        Args:
            text: `squash:224`, `squash:192x224` (height x width), `squash:224:bicubic`,
                `shortest-edge:256:crop:224`, `shortest-edge:256:bicubic:crop:192x224`; with `:aliased` at the
                end, resized without anti-aliasing; after `crop:256+jpeg:75+`, of pictures equalised so.

        Raises:
            InputError: any other text; `native` too, because only an encoder knows its own geometry.
        """
        history, _, own = text.rpartition("+")
        if history:
            from bandprobe.images.equalise import Equalise

            return Equalise.parse(history).before(cls.parse(own))
        found = _SQUASH.fullmatch(text) or _SHORTEST_EDGE.fullmatch(text)
        if found is None:
            if text == "native":
                raise InputError(
                    "geometry 'native' is each encoder's own and has no size by itself; "
                    "ask the encoder for its geometry, or give one grid like 'squash:224'."
                )
            kind = text.partition(":")[0]
            near = did_you_mean(kind, ("squash", "shortest-edge", "native"))
            raise InputError(
                f"geometry must be 'squash:SIZE' or 'squash:HEIGHTxWIDTH', like 'squash:224', or 'native'; "
                f"got {text!r}.{near if near and kind not in near else ''}"
            )
        part = found.groupdict()
        height = int(part["height"])
        return cls(
            height=height,
            width=height if part["width"] is None else int(part["width"]),
            resample=cast(Resample, part["resample"] or "bilinear"),
            shortest_edge=int(part["edge"]) if part.get("edge") else None,
            antialias=part["aliased"] is None,
        )

    def __str__(self) -> str:
        size = f"{self.height}" if self.height == self.width else f"{self.height}x{self.width}"
        resample = "" if self.resample == "bilinear" else f":{self.resample}"
        aliased = "" if self.antialias else _ALIASED
        if self.shortest_edge is None:
            return f"squash:{size}{resample}{aliased}"
        return f"shortest-edge:{self.shortest_edge}{resample}:crop:{size}{aliased}"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every result, in pixels."""
        return self.height, self.width

    @property
    def aliased(self) -> Geometry:
        """The same way onto the grid without anti-aliasing; nearest-neighbour resizing never has any.

        Raises:
            InputError: there is no such way with Lanczos.
        """
        return self if self.resample == "nearest" else replace(self, antialias=False)

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture on this grid.

        Args:
            rgb: uint8, shape (H, W, 3).

        Returns:
            uint8, shape (height, width, 3). A picture that already has the size asked for passes
            through untouched.

        Raises:
            ShapeError: `rgb` is not uint8 of shape (H, W, 3).
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise ShapeError(
                f"rgb must be uint8 of shape (H, W, 3); got {rgb.dtype}, {rgb.shape}. Decode it first."
            )
        if self.shortest_edge is None:
            return self._resized(rgb, self.height, self.width)
        height, width = rgb.shape[:2]
        short, long = min(height, width), max(height, width)
        longer = int(self.shortest_edge * long / short)
        if height <= width:
            whole = self._resized(rgb, self.shortest_edge, longer)
        else:
            whole = self._resized(rgb, longer, self.shortest_edge)
        top, left = (whole.shape[0] - self.height) // 2, (whole.shape[1] - self.width) // 2
        return np.ascontiguousarray(whole[top : top + self.height, left : left + self.width])

    def _resized(self, rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        if rgb.shape[:2] == (height, width):
            return rgb
        if not self.antialias:
            return _interpolated(rgb, height, width, self.resample)
        return np.array(Image.fromarray(rgb).resize((width, height), _RESAMPLE[self.resample]))


def _interpolated(rgb: NDArray[np.uint8], height: int, width: int, mode: str) -> NDArray[np.uint8]:
    """Without anti-aliasing, rounded to the nearest level."""
    import torch

    pixels = torch.tensor(rgb).permute(2, 0, 1)[None].float()
    found = torch.nn.functional.interpolate(pixels, size=(height, width), mode=mode, align_corners=False)
    levels: NDArray[np.uint8] = found.round().clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(levels)
