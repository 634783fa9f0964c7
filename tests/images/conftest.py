"""Trees of small pictures, each with pixels of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from small_pictures import pixels

Plant = Callable[..., list[Path]]


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
