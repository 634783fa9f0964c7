"""Sensitivity by finite steps: Fourier basis images of one length, added to the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bandprobe import seeding
from bandprobe.encoders import Encoder
from bandprobe.errors import InputError
from bandprobe.metrics.fourier_maps import basis_image, orientation, ring_number

if TYPE_CHECKING:
    from bandprobe.probes.files import Probe

Floats = NDArray[np.float64]
Place = tuple[int, int]

LENGTH = 15.7 / 224  # L2 norm of what is added to a colour, for each px of the side
_PHASES = (0.0, np.pi / 2)


def step_length(side: int) -> float:
    """The L2 norm of the basis image added to each colour, images in [0, 1]: 15.7 at 224 px, in proportion elsewhere.

    Source:
        Yin et al. 2019 (arXiv:1906.08988), whose 4.0 at 32 px is larger than in proportion (2.2).
    """
    return LENGTH * side


def lattice(shape: tuple[int, int], rings: int = 12, sectors: int = 6) -> list[Place]:
    """Frequencies spread over the half plane: `rings` radii up to Nyquist, `sectors` directions each.

    Args:
        shape: the grid's height and width.
        rings: radii, evenly spaced from one cycle to Nyquist of the shorter side.
        sectors: directions, evenly spaced over 180 degrees.

    Returns:
        Places in the shifted spectrum, each once; of a coefficient and its conjugate only one, since both are one
        basis image.

    Raises:
        InputError: rings or sectors below 1.
    """
    if rings < 1 or sectors < 1:
        raise InputError(f"rings and sectors must be at least 1; got {rings} and {sectors}.")
    half = min(shape) / 2
    found: dict[Place, None] = {}
    for radius in np.linspace(1, half - 1, rings):
        for angle in np.pi * np.arange(sectors) / sectors:
            u, v = (
                radius * np.sin(angle) * shape[0] / min(shape),
                radius * np.cos(angle) * shape[1] / min(shape),
            )
            u, v = round(u), round(v)
            # Of conjugates the one in the upper half plane, or on its border to the right.
            u, v = (u, v) if (u, v) > (-u, -v) else (-u, -v)
            found[u + shape[0] // 2, v + shape[1] // 2] = None
    found.pop((shape[0] // 2, shape[1] // 2), None)
    return list(found)


def logit_steps(
    encoder: Encoder,
    probes: Sequence[Probe],
    images: Tensor,
    places: Sequence[Place],
    *,
    length: float,
    seed: int,
    batch: int = 64,
) -> Floats:
    """Mean squared change of each probe's logit, and of the embedding, for each unit of squared length.

    Each basis image is added in two phases a quarter apart, each colour with a sign of its own drawn by chance, and
    taken away too: the halved difference of the two is the change, free of what is of second order. In the limit of
    short steps the mean is the gradient's energy.

    Args:
        encoder: any.
        probes: on its vectors.
        images: shape (n, 3, h, w), on the encoder's device, in [0, 1]. What leaves [0, 1] is not clipped.
        places: in the shifted spectrum.
        length: L2 norm added to each colour.
        seed: the study's; names the signs.
        batch: images a forward pass.

    Returns:
        float64, shape (probes + 1, n, places); the last of the first axis is the embedding's.
    """
    shape = (int(images.shape[-2]), int(images.shape[-1]))
    rng = seeding.generator(seed, "perturb", encoder.name)
    found = np.zeros((len(probes) + 1, len(images), len(places)))
    for number, place in enumerate(places):
        for phase in _PHASES:
            signs = rng.choice([-1.0, 1.0], (len(images), 3))
            wave = torch.from_numpy(basis_image(shape, place, phase)).float().to(images.device)
            added = length * torch.from_numpy(signs).float().to(images.device)[:, :, None, None] * wave
            vectors = (
                encoder.encode(torch.cat([images + added, images - added]), batch).double().cpu().numpy()
            )
            up, down = vectors[: len(images)], vectors[len(images) :]
            for row, probe in enumerate(probes):
                found[row, :, number] += ((probe.logits(up) - probe.logits(down)) / 2) ** 2 / len(_PHASES)
            found[-1, :, number] += (((up - down) / 2) ** 2).sum(1) / len(_PHASES)
    return found / length**2


def places_table(shape: tuple[int, int], places: Sequence[Place]) -> tuple[Floats, Floats]:
    """Of each place the ring, as a fraction of Nyquist, and the direction in degrees."""
    rings, angles = ring_number(shape), orientation(shape)
    rows, columns = np.array(places).T
    return rings[rows, columns] / (min(shape) / 2), angles[rows, columns]
