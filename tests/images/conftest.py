"""Trees of small pictures, each with pixels of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Plant = Callable[..., list[Path]]


def pixels(name: str, size: tuple[int, int] = (5, 4)) -> np.ndarray:
    """Noise that the name alone decides: uint8, shape (H, W, 3)."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """`plant("root/Real", 3)` writes three PNGs there and returns their paths."""

    def write(folder: str, count: int, suffix: str = ".png") -> list[Path]:
        where = tmp_path / folder
        where.mkdir(parents=True, exist_ok=True)
        paths = [where / f"{number:03d}{suffix}" for number in range(count)]
        for path in paths:
            Image.fromarray(pixels(f"{folder}/{path.name}")).save(path)
        return paths

    return write
