"""A detector whose every number has a closed form: probes on an encoder that hands on the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bandprobe.detect.scorer import Named, Scorer
from bandprobe.images import Geometry
from bandprobe.probes import LinearProbe, ProbeFile

Floats = NDArray[np.float64]

SIDE = 32


class Pixels:
    """An encoder whose embedding is the image; `passes` holds the size of every batch."""

    name = "pixels"
    dim = 3 * SIDE * SIDE
    input_size = SIDE
    device = torch.device("cpu")
    fingerprint: dict[str, str] = {}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        self.passes: list[int] = []

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(images))
        return images.flatten(1)


def linear_scorer(weights: dict[str, Floats], train_filter: dict[str, str] | None = None) -> Scorer:
    """Probes with the weights given, each of shape (3, 32, 32); `train_filter` by probe, else `none`."""
    zero, one = np.zeros(Pixels.dim), np.ones(Pixels.dim)
    probes = [
        Named(
            name,
            ProbeFile(
                LinearProbe(zero, one, weight.ravel(), 0.25, 0.0, 1.0, 0.0, 1.0, "split"),
                *("pixels", "pixels", "all", "all"),
                (train_filter or {}).get(name, "none"),
                *({}, {}),
            ),
        )
        for name, weight in weights.items()
    ]
    model: Any = Pixels()
    return Scorer(probes, model, Geometry.parse(f"squash:{SIDE}"), "white", abs_uint8=False)


def radii() -> Floats:
    """Each coefficient's distance from DC in px, shape (32, 32), as `fft2` lays them out."""
    steps = np.fft.fftfreq(SIDE, 1 / SIDE)
    return np.hypot(steps[:, None], steps[None, :])


def masked(image: NDArray[np.uint8], mask: NDArray[Any]) -> Floats:
    """An image of shape (32, 32, 3) with its spectrum multiplied by a mask: float, shape (3, 32, 32)."""
    planes = image.transpose(2, 0, 1) / 255
    filtered: Floats = np.fft.ifft2(np.fft.fft2(planes) * mask).real
    return filtered
