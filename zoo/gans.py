"""Train a GAN: `python -m zoo.gans --name gan-transposed`; `zoo.generators.NAMES` lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import nn

from bandprobe import progress, seeding
from zoo.adversarial import Adversarial
from zoo.autoencoder import (
    Batch,
    Count,
    Device,
    Name,
    Quiet,
    Seed,
    Steps,
    StopAt,
    Work,
    bytes_of,
    check_name,
    reported,
    seed_weights,
)
from zoo.generators import NAMES, Generator, generator
from zoo.photographs import WORK, photographs
from zoo.training import restore, train

STEPS = dict.fromkeys(NAMES, 12_000) | {"gan-style": 7000}
_SAMPLED = 50  # images a forward pass
_MEASURED = 20  # passes that the average's statistics are taken over


@torch.no_grad()
def sample(work: Path, name: str, count: int, seed: int = 0, device: str = "cpu") -> NDArray[np.uint8]:
    """Images of a trained GAN, from the average of its weights.

    Args:
        work: the zoo's folder.
        name: of `NAMES`.
        count: how many images. The first of a larger count are those of a smaller one.
        seed: decides every draw.
        device: to draw on.

    Returns:
        uint8, shape (count, 64, 64, 3).

    Raises:
        InputError: the model is not trained yet.
    """
    average = generator(name)
    restore(work / name, average=average)
    measure(average.to(device), name)
    average.eval()
    found = []
    with progress.bar(name, count) as advance:
        for start in range(0, count, _SAMPLED):
            torch.manual_seed(int(seeding.generator(seed, "sample", name, start).integers(2**63)))
            images = average(torch.randn(_SAMPLED, average.latent, device=device))
            found.append(bytes_of(images))
            advance(min(_SAMPLED, count - start))
    return np.concatenate(found)[:count]


@torch.no_grad()
def measure(average: Generator, name: str) -> None:
    """Set the batch normalisations' means and variances to those that the average itself gives, in place.

    Those of the training are of weights that moved on at every step: the average of the weights has others.
    The latent vectors are the same whatever is sampled afterwards.

    Source:
        Izmailov et al. 2018, *Averaging Weights Leads to Wider Optima*, section 3.
    """
    norms = [layer for layer in average.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over passes
    torch.manual_seed(int(seeding.generator(0, "statistics", name).integers(2**63)))
    average.train()
    for _ in range(_MEASURED):
        average(torch.randn(_SAMPLED, average.latent, device=norms[0].weight.device))


def main(
    name: Name,
    steps: Steps = None,
    stop_at: StopAt = None,
    batch: Batch = 32,
    count: Count = 12_000,
    seed: Seed = 0,
    work: Work = WORK,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Train one GAN, going on from where an earlier call stopped."""
    with reported(quiet):
        check_name(name, NAMES)
        seed_weights(seed, name)
        trainee = Adversarial(name, photographs(work, 64, count, "generators"), batch, device)
        train(trainee, work / name, label=name, seed=seed, steps=steps or STEPS[name], stop_at=stop_at)


if __name__ == "__main__":
    typer.run(main)
