"""Sensitivity by one backward pass: how a quantity changes with the amplitude of every Fourier basis image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from bandprobe import seeding
from bandprobe.encoders import Encoder
from bandprobe.metrics.fourier_maps import amplitude_phase, gradient_energy
from bandprobe.probes.differentiable import logits_of_tensor

if TYPE_CHECKING:
    from bandprobe.probes.files import Probe

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogitMaps:
    """How one probe's logit depends on every frequency, at each image.

    Attributes:
        energy: squared logits for each squared unit of amplitude added; see `fourier_maps.gradient_energy`.
        amplitude: logits for each relative growth of what the image holds; see `fourier_maps.amplitude_phase`.
        phase: logits for each radian.
    """

    energy: Floats
    amplitude: Floats
    phase: Floats


def logit_maps(encoder: Encoder, probes: Sequence[Probe], images: Tensor) -> tuple[Floats, list[LogitMaps]]:
    """Of each probe's logit: one forward pass for all probes, and one backward pass for each.

    Args:
        encoder: one with gradients.
        probes: on its vectors.
        images: shape (n, 3, h, w), on the encoder's device, in [0, 1].

    Returns:
        The logits, shape (probes, n), and for each probe its maps, each of shape (n, h, w), shifted.
    """
    inputs = images.detach().clone().requires_grad_(True)
    vectors = encoder.vectors(inputs)
    logits, maps = [], []
    for number, probe in enumerate(probes):
        logit = logits_of_tensor(probe, vectors)
        [gradient] = torch.autograd.grad(logit.sum(), inputs, retain_graph=number + 1 < len(probes))
        logits.append(logit.detach().cpu().numpy())
        parts = (gradient_energy(gradient), *amplitude_phase(gradient, images))
        maps.append(LogitMaps(*(part.cpu().numpy() for part in parts)))
    return np.stack(logits), maps


def embedding_energy(encoder: Encoder, images: Tensor, *, draws: int, seed: int, batch: str) -> Floats:
    """Of the embedding: its squared displacement for each squared unit of amplitude, in the mean over phases.

    `E_v |FFT(J' v)|^2` with v of independent standard normal values is the sum over the vector's dimensions of the
    squared derivative (Hutchinson's estimator of the diagonal of `F J' J F*`): each draw costs a backward pass, in
    place of one for each dimension.

    Args:
        encoder: one with gradients.
        images: shape (n, 3, h, w), on the encoder's device.
        draws: random vectors for each image; the relative standard error is about `sqrt(2 / draws)` for one
            coefficient of one image where one dimension prevails, and less in means over rings and images.
        seed: the study's.
        batch: names the draw.

    Returns:
        float64, shape (n, h, w).

    Source:
        Hutchinson 1990, *A stochastic estimator of the trace of the influence matrix*.
    """
    inputs = images.detach().clone().requires_grad_(True)
    vectors = encoder.vectors(inputs)
    rng = seeding.generator(seed, "sensitivity", encoder.name, batch)
    total = np.zeros((len(images), *images.shape[-2:]))
    for number in range(draws):
        drawn = torch.from_numpy(rng.standard_normal(tuple(vectors.shape)).astype(np.float32))
        [gradient] = torch.autograd.grad(
            (vectors * drawn.to(vectors.device)).sum(), inputs, retain_graph=number + 1 < draws
        )
        total += gradient_energy(gradient).cpu().numpy() / draws
    return total


def auroc_weights(logits: Floats, labels: NDArray[np.int8]) -> tuple[Floats, float]:
    """How the smooth AUROC changes with each image's logit.

    The indicator of `fake above real` becomes a logistic function of the difference in units of `width`, one
    half of the logits' pooled standard deviation within the classes (at least 1e-6), so that both classes' scale
    cancels: with `s` the logits, `mean over pairs of expit((s_fake - s_real) / width)`.

    Args:
        logits: shape (n,).
        labels: 0 real, 1 fake; both occur.

    Returns:
        Shape (n,): n times the derivative with respect to each logit, which is of the size of a logit's own; and
        the smooth AUROC.
    """
    fake, real = logits[labels == 1], logits[labels == 0]
    within = np.concatenate([fake - fake.mean(), real - real.mean()])
    width = max(float(within.std()) / 2, 1e-6)
    value = expit((fake[:, None] - real[None, :]) / width)
    slope = value * (1 - value) / width
    weights = np.empty(len(logits))
    weights[labels == 1] = slope.mean(1) / len(fake)
    weights[labels == 0] = -slope.mean(0) / len(real)
    return weights * len(logits), float(value.mean())


def curvature(
    encoder: Encoder,
    probe: Probe,
    images: Tensor,
    bands: Sequence[Tensor],
    *,
    draws: int,
    seed: int,
    batch: str,
) -> Floats:
    """The logit's second derivative along random images of each band, by Hessian-vector products.

    For a perturbation of L2 norm e in the band, of random phases, the logit's change of second order is
    `e^2 / 2` times this, in the mean.

    Args:
        encoder: one with gradients.
        probe: on its vectors.
        images: shape (n, 3, h, w), on the encoder's device.
        bands: masks over the FFT's own order, each of shape (h, w), 0 and 1.
        draws: random directions for each band and image.
        seed: the study's.
        batch: names the draw.

    Returns:
        float64, shape (bands, n), logits for each squared unit of L2 norm.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    rng = seeding.generator(seed, "curvature", encoder.name, batch)
    inputs = images.detach().clone().requires_grad_(True)
    # The fused attention kernels have no second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        logit = logits_of_tensor(probe, encoder.vectors(inputs))
        [gradient] = torch.autograd.grad(logit.sum(), inputs, create_graph=True)
        found = np.zeros((len(bands), len(images)))
        for number, band in enumerate(bands):
            for _ in range(draws):
                noise = torch.from_numpy(rng.standard_normal(tuple(inputs.shape)).astype(np.float32))
                kept = torch.fft.ifft2(torch.fft.fft2(noise.to(inputs.device)) * band).real
                kept = kept / kept.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                [product] = torch.autograd.grad((gradient * kept).sum(), inputs, retain_graph=True)
                found[number] += (product * kept).flatten(1).sum(1).double().cpu().numpy() / draws
    return found
