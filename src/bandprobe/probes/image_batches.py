"""Batches of pictures for training on images: decoded by threads, one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bandprobe.errors import ImageError, InputError
from bandprobe.images import MAX_PIXELS, Geometry, decode, parse_colour

# Ids; images, uint8 (n, 3, h, w); labels and weights, float32 (n,).
Batch = tuple[list[str], torch.Tensor, torch.Tensor, torch.Tensor]


class ImageBatches:
    """The images of a table, over and over.

    Args:
        rows: columns image_id, path, label.
        weights: (n,), of each image.
        order: the rows' places for the pass that begins.
        geometry: how pictures get onto the grid.
        background: what transparent pixels lie on.
        max_pixels: an image's largest width times height.
        size: images a batch. A last batch of one image is left out where `order` shuffles.
        workers: decoding threads.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        weights: NDArray[np.float64],
        *,
        geometry: Geometry,
        background: str = "white",
        max_pixels: int = MAX_PIXELS,
        size: int = 32,
        workers: int = 2,
        order: Callable[[], NDArray[np.intp]] | None = None,
    ) -> None:
        self._ids, self._paths = rows["image_id"].tolist(), rows["path"].tolist()
        self._labels = torch.from_numpy(rows["label"].to_numpy("float32"))
        self._weights = torch.from_numpy(weights.astype(np.float32))
        self._geometry, self._colour, self._max_pixels = geometry, parse_colour(background), max_pixels
        self._size, self._workers, self._order = size, workers, order

    def __len__(self) -> int:
        # One image has no deviation to be standardised with.
        n = len(self._ids)
        return n // self._size + (n % self._size > (1 if self._order else 0))

    def __iter__(self) -> Iterator[Batch]:
        """Each batch once.

        Raises:
            InputError: a picture can no longer be read.
        """
        order = np.arange(len(self._ids)) if self._order is None else self._order()
        batches = [order[at * self._size : (at + 1) * self._size] for at in range(len(self))]
        with ThreadPoolExecutor(max(1, self._workers)) as pool:
            try:
                ahead: list[Future[NDArray[np.uint8]]] = []
                for at, batch in enumerate(batches):
                    ahead = ahead or [pool.submit(self._read, row) for row in batch]
                    following = (
                        [pool.submit(self._read, row) for row in batches[at + 1]]
                        if at + 1 < len(batches)
                        else []
                    )
                    pictures = np.stack([future.result() for future in ahead])
                    ahead = following
                    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
                    yield [self._ids[row] for row in batch], images, self._labels[batch], self._weights[batch]
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(self, row: int) -> NDArray[np.uint8]:
        try:
            picture = decode(self._paths[row], background=self._colour, max_pixels=self._max_pixels)
        except ImageError as error:
            raise InputError(
                f"{self._paths[row]!r} can no longer be read ({error}); index the data anew."
            ) from None
        return self._geometry.apply(picture)
