"""The images that adaptation and injection take from: a file, or a draw from a source of the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bandprobe import progress, seeding
from bandprobe.errors import ImageError, InputError, ShapeError, did_you_mean
from bandprobe.filters.perturb import resampling
from bandprobe.filters.spec import Filter
from bandprobe.filters.steps import Step
from bandprobe.images import MAX_PIXELS, Geometry, decode, image_id, parse_colour

# A step and the ids of n images -> their references, float in [0, 1], shape (n, 3, h, w) or (1, 3, h, w).
ReferenceImages = Callable[[Step, Sequence[str]], torch.Tensor]


@dataclass(frozen=True)
class _Source:
    """The images of a source in one split, by id."""

    ids: list[str]
    paths: list[str]
    place: dict[str, int]


_HELD = 512  # pictures on the grid: a sweep asks for the same ones under each of its filters


class References:
    """References on one grid.

    A filter's `reference=` is the name of a source (`Real`, a generator) where the data holds such, and else
    the path of an image file. From a source a reference is drawn for each image by the image's id, so that
    neither batch nor order matters, from the source's images of the split that the filter names; an image is
    never its own reference.

    Args:
        table: a manifest's table, of which `image_id`, `path`, `generator` and `split` are read; None where
            there is no data and only files can be references.
        geometry: how references get onto the grid.
        background: what transparent pixels lie on.
        max_pixels: a reference's largest width times height.
        folder: what relative paths start from; the current folder by default.
    """

    def __init__(
        self,
        table: pd.DataFrame | None,
        *,
        geometry: Geometry,
        background: str = "white",
        max_pixels: int = MAX_PIXELS,
        folder: Path | None = None,
    ) -> None:
        self._table = table if table is not None and "generator" in table else None
        self._geometry = geometry
        self._colour = parse_colour(background)
        self._max_pixels = max_pixels
        self._folder = folder or Path()
        self._sources: dict[tuple[str, str], _Source | None] = {}
        self._files: dict[str, tuple[str, NDArray[np.uint8]]] = {}
        self._held = lru_cache(maxsize=_HELD)(self._drawn_picture)

    def __getstate__(self) -> dict[str, Any]:
        """For another process: what was drawn from and read so far, without the table and the pictures held."""
        return {**self.__dict__, "_table": None, "_held": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._held = lru_cache(maxsize=_HELD)(self._drawn_picture)

    def __call__(self, step: Step, ids: Sequence[str]) -> torch.Tensor:
        """The references of some images.

        Args:
            step: a step with a reference.
            ids: the images' ids.

        Returns:
            float32 in [0, 1], shape (n, 3, h, w), or (1, 3, h, w) where one file serves all.

        Raises:
            InputError: the reference is neither a file nor a source, or cannot be used.
        """
        asked = ids if self._source(step) else [""]  # one file serves all
        pictures = np.stack([self.picture(step, image) for image in asked])
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 255

    def picture(self, step: Step, image: str) -> NDArray[np.uint8]:
        """One image's reference on the grid, uint8 (h, w, 3). Thread-safe."""
        drawn = self.drawn(step, image)
        return self._file(step.reference or "")[1] if drawn is None else self._held(*drawn)

    def drawn(self, step: Step, image: str) -> tuple[str, str] | None:
        """The id and path of the reference drawn for an image; None where a file serves all.

        With one seed an image gets the same reference whatever is done with it.

        Raises:
            InputError: the source has no other image.
        """
        source = self._source(step)
        if source is None:
            return None
        own = source.place.get(image)
        others = len(source.ids) - (own is not None)
        if not others:
            raise InputError(
                f"reference={step.reference}: the source's only image of the split {step.split!r} cannot be "
                "its own reference; take another source or split=."
            )
        draw = seeding.generator(step.seed, "reference", step.reference, step.split, image)
        at = int(draw.integers(others))
        if own is not None and at >= own:
            at += 1
        return source.ids[at], source.paths[at]

    def identity(self, spec: Filter) -> str:
        """What a filter draws on, for the fingerprint of what is made with it; empty where it takes none.

        The id of a file's picture, or a hash of the ids that can be drawn.

        Raises:
            InputError: as calling.
        """
        parts = []
        for step in spec.steps:
            if step.reference is not None:
                source = self._source(step)
                parts.append(_digest(source.ids) if source else self._file(step.reference)[0])
        return " ".join(parts)

    def _source(self, step: Step) -> _Source | None:
        """What references are drawn from; None where the reference is no source."""
        key = (step.reference or "", step.split)
        if key not in self._sources:
            self._sources[key] = self._find(*key)
        return self._sources[key]

    def _find(self, name: str, split: str) -> _Source | None:
        if self._table is None or not (self._table["generator"] == name).any():
            return None
        rows = self._table[self._table["generator"] == name].drop_duplicates("image_id")
        there = rows[rows["split"] == split].sort_values("image_id")
        if there.empty:
            counts = ", ".join(f"{split} {n}" for split, n in rows["split"].value_counts().items())
            raise InputError(
                f"reference={name}: the source has no image in the split {split!r} (it has {counts}); "
                "name one with split=."
            )
        ids = there["image_id"].tolist()
        return _Source(ids, there["path"].tolist(), {image: at for at, image in enumerate(ids)})

    def _file(self, name: str) -> tuple[str, NDArray[np.uint8]]:
        """A file's picture: its id, and its pixels on the grid."""
        if name in self._files:
            return self._files[name]
        path = self._folder / name
        if not path.is_file():
            raise InputError(f"reference {name!r} is no image file{self._or_source(name)}")
        try:
            picture = self._decode(path)
        except ImageError as error:
            raise InputError(f"reference {name!r} cannot be used: {error}.") from None
        if picture.shape[:2] != self._geometry.size:
            _say_resized(f"reference {name!r}", picture.shape[:2], self._geometry.size)
        self._files[name] = image_id(picture), self._geometry.apply(picture)
        return self._files[name]

    def _or_source(self, name: str) -> str:
        if self._table is None:
            return "; a source's name such as Real needs the data it stands in."
        known = sorted(set(self._table["generator"]))
        return f" and no source of the data, which holds {', '.join(known)}.{did_you_mean(name, known)}"

    def _decode(self, path: str | Path) -> NDArray[np.uint8]:
        return decode(path, background=self._colour, max_pixels=self._max_pixels)

    def _drawn_picture(self, image: str, path: str) -> NDArray[np.uint8]:
        try:
            picture = self._decode(path)
            changed = image_id(picture) != image
        except ImageError as error:
            raise InputError(
                f"reference image {path!r} cannot be used: {error}. Index the data anew."
            ) from None
        if changed:
            raise InputError(
                f"reference image {path!r} has changed since it was indexed; index the data anew."
            )
        return self._geometry.apply(picture)


def given(images: Any, shape: tuple[int, int]) -> ReferenceImages:
    """References that are at hand, for every step alike.

    Args:
        images: float in [0, 1], shape (1, 3, H, W) or (n, 3, H, W), an array or a tensor.
        shape: the grid's height and width; images of another size are resized, which is said.

    Raises:
        ShapeError: not a floating array of four dimensions.
    """
    tensor = torch.as_tensor(images)
    if tensor.ndim != 4 or not tensor.is_floating_point() or 0 in tensor.shape:
        raise ShapeError(
            "references must be a floating array of shape (1, 3, H, W) or (n, 3, H, W) with values in [0, 1]; "
            f"got {tensor.dtype} of shape {tuple(tensor.shape)}."
        )
    size = (tensor.shape[2], tensor.shape[3])
    if size != shape:
        _say_resized("the reference given", size, shape)
        rows, columns = (
            torch.tensor(resampling(side, onto), dtype=tensor.dtype, device=tensor.device)
            for side, onto in zip(size, shape, strict=True)
        )
        tensor = rows @ tensor @ columns.T
    return lambda step, ids: tensor


def _digest(ids: Sequence[str]) -> str:
    return hashlib.sha256("".join(ids).encode()).hexdigest()


def _say_resized(what: str, size: tuple[int, ...], onto: tuple[int, int]) -> None:
    progress.say(f"{what} is {size[1]} x {size[0]} px; resized to {onto[1]} x {onto[0]}.")
