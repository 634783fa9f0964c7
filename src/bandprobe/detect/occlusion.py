"""Where in an image a decision comes from: the logit's change when a part loses its detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bandprobe.detect.scorer import Scorer, identified

Floats = NDArray[np.float64]

CELLS = 8  # along each side


def heat_map(image: NDArray[np.uint8], scorer: Scorer, cells: int = CELLS, *, batch: int = 16) -> Floats:
    """How much each part of an image speaks for fake.

    One cell of a grid after the other is blended, through a window of soft edges, into a copy of the image that was
    blurred by half a cell; what is left of the logit is taken from the whole image's. A blurred part keeps its colours
    and shades and loses what is finer than the cell, so that no new edge is put in. Any encoder will do: no gradient is
    needed.

    Args:
        image: uint8, shape (h, w, 3), any size.
        scorer: of the probes.
        cells: along each side.
        batch: pictures at a time.

    Returns:
        Shape (probes, cells, cells), logits: positive where the detail speaks for fake.

    Source:
        Zeiler & Fergus 2014 (arXiv:1311.2901), section 4.2, with a blur in place of a grey square, as in Fong & Vedaldi
        2017 (arXiv:1704.03296).
    """
    placed, name = scorer.placed(image), identified(image)
    height, width = placed.shape[:2]
    blurred = gaussian_filter(placed.astype(np.float64), (height / cells / 2, width / cells / 2, 0))
    rows, columns = _windows(height, cells), _windows(width, cells)
    shares = [row[:, None, None] * column[None, :, None] for row in rows for column in columns]
    logits = [scorer.logits(placed[None], [name])[0]]
    for start in range(0, len(shares), batch):
        # Pictures of 8 bits, as all that is scored: a blur of floats would also lose the noise of rounding.
        some = [np.rint(placed + share * (blurred - placed)) for share in shares[start : start + batch]]
        logits.append(scorer.logits(np.stack(some).astype(np.uint8), [name] * len(some))[0])
    found = np.concatenate(logits, axis=1)
    return (found[:, :1] - found[:, 1:]).reshape(len(found), cells, cells)


def _windows(length: int, cells: int) -> Floats:
    """A window for each cell, shape (cells, length): 1 within, falling to 0 over half a cell beyond its edges."""
    size = length / cells
    places = np.arange(length) + 0.5
    middles = (np.arange(cells)[:, None] + 0.5) * size
    beyond = (np.abs(places - middles) - size / 2) / (size / 2)
    found: Floats = 0.5 * (1 + np.cos(np.pi * np.clip(beyond, 0, 1)))
    return found
