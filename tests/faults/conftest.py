"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fault_commands import Server
from PIL import Image


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("commands"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 reals, 28 fakes, which the power spectrum tells apart."""
    root = tmp_path_factory.mktemp("pictures") / "data"
    rng = np.random.default_rng(0)
    for source, n in {"Real": 36, "ProGAN": 28}.items():
        (root / source).mkdir(parents=True)
        for number in range(n):
            noise = rng.integers(0, 256, (32, 32, 3))
            if source == "Real":
                noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) // 3
            Image.fromarray(noise.astype(np.uint8)).save(root / source / f"{number:02d}.png")
    return root
