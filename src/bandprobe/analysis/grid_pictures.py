"""Pictures of a manifest on the encoders' grid, as tensors, for analyses that need the pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from bandprobe import progress
from bandprobe.extract.pictures import Pictures
from bandprobe.filters import References
from bandprobe.images import MAX_PIXELS, Geometry, parse_colour

Read = Callable[[Sequence[str]], tuple[list[str], torch.Tensor]]


def reader(
    manifest: pd.DataFrame, geometry: Geometry, *, background: str = "white", max_pixels: int = MAX_PIXELS
) -> Read:
    """What reads pictures by their ids.

    Args:
        manifest: columns image_id and path.
        geometry: the grid.
        background: what transparent pixels lie on.
        max_pixels: a picture's largest width times height.

    Returns:
        A function of image ids, giving those that could be read and their pixels, float32 in [0, 1] of shape
        (n, 3, h, w). What cannot be read is said and left out.
    """
    paths = dict(zip(manifest["image_id"], manifest["path"], strict=True))
    pictures = Pictures(
        geometry,
        parse_colour(background),
        max_pixels,
        References(None, geometry=geometry, background=background),
    )

    def read(ids: Sequence[str]) -> tuple[list[str], torch.Tensor]:
        found, pixels, lost = pictures.read(list(ids), paths, [])
        for image, reason in lost.items():
            progress.say(f"left out: {paths[image]}: {reason}")
        return found, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255

    return read
