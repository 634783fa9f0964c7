"""A probe's logit as a function that PyTorch can differentiate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from bandprobe.probes.linear import LinearProbe
from bandprobe.probes.losses import CONTRASTIVE

if TYPE_CHECKING:
    from bandprobe.probes.files import Probe


def logits_of_tensor(probe: Probe, embedding: Tensor) -> Tensor:
    """`probe.logits`, differentiable in the embedding.

    Args:
        probe: linear or with a head.
        embedding: shape (n, dim), float32.

    Returns:
        float64, shape (n,), on the embedding's device.
    """
    device = embedding.device
    if isinstance(probe, LinearProbe):
        direction = torch.from_numpy(probe.direction).to(device)
        return embedding.double() @ direction + probe.offset
    mean, scale = (torch.from_numpy(part).to(device) for part in (probe.mean, probe.scale))
    standardised = ((embedding.double() - mean) / scale).float()
    module = probe.module.to(device)
    if probe.loss in CONTRASTIVE:
        outputs = functional.normalize(module(standardised)).double()
        scores: Tensor = outputs @ torch.from_numpy(probe.readout).to(device) + probe.bias
        return scores
    outputs = module.features(standardised).double()
    weight = torch.from_numpy(probe.weights["last.weight"][0]).double().to(device)
    logits: Tensor = outputs @ weight + float(probe.weights["last.bias"][0])
    return logits
