"""A batch's pictures, decoded onto the encoders' grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandprobe.errors import ImageError
from bandprobe.filters import Filter, References
from bandprobe.images import Geometry, decode, image_id
from bandprobe.images.decode import Colour


@dataclass(frozen=True)
class Pictures:
    """Reads pictures as they were indexed, and puts them onto one grid.

    Attributes:
        grid: where they go.
        background: what transparent pixels lie on.
        max_pixels: a picture's largest width times height.
        references: what gives the references of `fda` and `inject`.
    """

    grid: Geometry
    background: Colour
    max_pixels: int
    references: References

    def read(
        self,
        image_ids: Sequence[str],
        paths: Mapping[str, str],
        specs: Sequence[Filter],
        run: Callable[[Callable[[str], Any], Iterable[str]], Iterable[Any]] = map,
    ) -> tuple[list[str], NDArray[np.uint8], dict[str, str]]:
        """A batch's pictures.

        Args:
            image_ids: whose.
            paths: each image's file.
            specs: the filters they will go through: an image whose reference cannot be had is left out.
            run: calls a function on each item; `map`, or that of a pool of threads.

        Returns:
            The ids of those that could be read, their pixels, uint8 of shape (n, h, w, 3), and the others'
            ids with the reasons.
        """
        drawing = [step for spec in specs for step in spec.steps if step.reference is not None]

        def attempt(image: str) -> NDArray[np.uint8] | ImageError:
            try:
                picture = decode(paths[image], background=self.background, max_pixels=self.max_pixels)
                if image_id(picture) != image:
                    raise ImageError("the picture has changed since it was indexed")
                for step in drawing:
                    self.references.picture(step, image)
                return self.grid.apply(picture)
            except ImageError as error:
                return error

        ids, pictures, lost = [], [], {}
        for image, picture in zip(image_ids, run(attempt, image_ids), strict=True):
            if isinstance(picture, ImageError):
                lost[image] = str(picture)
            else:
                ids.append(image)
                pictures.append(picture)
        stacked = np.stack(pictures) if pictures else np.empty((0, *self.grid.size, 3), np.uint8)
        return ids, stacked, lost
