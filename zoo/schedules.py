"""Learning rates and other figures that change over a training, and the optimiser of the encoders."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn


def cosine(start: float, end: float, number: int, steps: int) -> float:
    """Half a cosine from `start` at step 0 towards `end` at step `steps`."""
    return end + (start - end) * (1 + math.cos(math.pi * number / steps)) / 2


def warmed(peak: float, end: float, number: int, steps: int, warm_up: float) -> float:
    """A linear rise to `peak` over the first share `warm_up` of the steps, then half a cosine to `end`."""
    rising = max(1, round(warm_up * steps))
    if number < rising:
        return peak * (number + 1) / rising
    return cosine(peak, end, number - rising, max(1, steps - rising))


def adamw(modules: Iterable[nn.Module], betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.AdamW:
    """AdamW whose first group, the matrices, decays, and whose second (biases, gains, tokens) does not.

    The learning rate and the decay are set before every step by `set_rates`.
    """
    parameters = [weight for module in modules for weight in module.parameters() if weight.requires_grad]
    matrices = [weight for weight in parameters if weight.squeeze().ndim > 1]
    others = [weight for weight in parameters if weight.squeeze().ndim <= 1]
    return torch.optim.AdamW([{"params": matrices}, {"params": others}], betas=betas, fused=True)


def set_rates(optimiser: torch.optim.Optimizer, rate: float, decay: float) -> None:
    """Learning rate of both groups, weight decay of the first."""
    matrices, others = optimiser.param_groups
    matrices.update(lr=rate, weight_decay=decay)
    others.update(lr=rate, weight_decay=0.0)
