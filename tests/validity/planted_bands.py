"""Real images for planted truths: procedural photographs, or crops of the development photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def cut(folder: Path, size: int = 64) -> np.ndarray:
    """Photographs reduced by two and cut into squares, uint8, shape (n, size, size, 3)."""
    squares = []
    for path in sorted(folder.rglob("Real/*.png")):
        picture = Image.open(path).convert("RGB").reduce(2)
        pixels = np.asarray(picture)
        squares += [
            pixels[top : top + size, left : left + size]
            for top in range(0, pixels.shape[0] - size + 1, size)
            for left in range(0, pixels.shape[1] - size + 1, size)
        ]
    return np.stack(squares)
