"""Pictures from the trained diffusion models and the VAE; diffusion through the schedulers of `diffusers`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bandprobe import progress, seeding
from bandprobe.encoders.extras import hide_broken_torchvision
from zoo.autoencoder import Spatial, Vector, bytes_of, check_name, network
from zoo.diffusion import TIMES, Standard, denoiser, signal_shares
from zoo.training import restore

_BATCH = 50

MODELS = {"ddpm": "ddpm", "ddim": "ddpm", "pndm": "ddpm", "flow": "flow", "latent": "latent", "vae": "vae"}
"""The trained model behind every name that `sample` takes."""

STEPS = {"ddpm": 250, "ddim": 50, "pndm": 25, "flow": 50, "latent": 250}
"""Times at which each sampler stops; `pndm` calls the network 9 times more, for its Runge-Kutta start.

With the exact noise of a Gaussian of deviation 0.5, 0.1 and 0.03, samples have 0.98, 0.89 and 0.74 of it under
`ddpm`, 0.95, 0.79 and 0.59 under `ddim`, 1.00, 0.89 and 0.89 under `pndm`, 0.98, 0.95 and 0.87 under `flow`:
what is faint in photographs, their finest texture, comes out fainter by the samplers alone.
"""

Predictor = Callable[[Tensor, Tensor], Tensor]
"""From noisy pictures (n, channels, side, side) and times (n,) to what a scheduler wants to know of them."""


def sample(work: Path, name: str, count: int, seed: int = 0, device: str = "cpu") -> NDArray[np.uint8]:
    """New pictures of one generator.

    Args:
        work: folder of the trained models.
        name: one of `MODELS`.
        count: how many.
        seed: decides them.
        device: to sample on.

    Returns:
        uint8, shape (count, 64, 64, 3).

    Raises:
        InputError: an unknown name, or a model that is not trained yet.
    """
    check_name(name, MODELS)
    draw = _vae(work, device) if name == "vae" else _diffusion(work, name, device)
    found = []
    with progress.bar(f"sample {name}", count) as advance, torch.random.fork_rng(), torch.no_grad():
        for start in range(0, count, _BATCH):
            n = min(_BATCH, count - start)
            torch.manual_seed(int(seeding.generator(seed, "sample", name, start).integers(2**63)))
            found.append(bytes_of(draw(n)))
            advance(n)
    return np.concatenate(found)


def scheduler(name: str) -> Any:
    """The `diffusers` scheduler of a sampler, its times set.

    All but `flow` are told the noise, whatever the network predicts: PNDM extrapolates what it is given over
    times, which its paper does with noise, and v at two times is not the same quantity.

    Source:
        Ho et al. 2020 (ancestral); Song et al. 2021, *Denoising Diffusion Implicit Models*; Liu et al. 2022,
        *Pseudo Numerical Methods for Diffusion Models on Manifolds*.
    """
    hide_broken_torchvision()
    diffusers: Any = importlib.import_module("diffusers")

    if name == "flow":
        # A shift below 1 lays more of the steps near the picture, where its faint detail is decided.
        made = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMES, shift=0.5)
        made.set_timesteps(sigmas=np.linspace(1, 1 / STEPS[name], STEPS[name]).tolist())
        return made
    # Times are multiples from 0, where little noise is left to take away at once, which keeps faint detail.
    common = {"num_train_timesteps": TIMES, "timestep_spacing": "leading"}
    if name == "ddim":
        made = diffusers.DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    elif name == "pndm":
        made = diffusers.PNDMScheduler(**common, set_alpha_to_one=True)
    else:
        made = diffusers.DDPMScheduler(**common, clip_sample=False)
    made.set_timesteps(STEPS[name])
    return made


def denoise(noise: Tensor, predict: Predictor, scheduler: Any) -> Tensor:
    """Follow the scheduler from noise to pictures, of the noise's shape. Draws from torch's generator."""
    x = noise
    for time in scheduler.timesteps:
        x = scheduler.step(predict(x, time.expand(len(x))), time, x).prev_sample
    return x


def noise_predictor(model: Predictor, limit: float) -> Predictor:
    """The noise in noisy pictures, by a model of v = a noise - s picture.

    Args:
        model: predicts v.
        limit: of the picture's magnitude. What the model implies beyond is cut, and the noise made to agree.
    """
    shares = signal_shares()

    def predict(noisy: Tensor, times: Tensor) -> Tensor:
        share = shares[times].to(noisy.device)[:, None, None, None]
        a, s = share.sqrt(), (1 - share).sqrt()
        picture = (a * noisy - s * model(noisy, times)).clamp(-limit, limit)
        return (noisy - a * picture) / s

    return predict


def _diffusion(work: Path, name: str, device: str) -> Callable[[int], Tensor]:
    """What draws n pictures, shape (n, 3, 64, 64), about [-1, 1]."""
    average = denoiser(MODELS[name])
    standard, decoder = Standard(4), network("autoencoder")
    if name == "latent":
        restore(work / name, average=average, standard=standard)
        restore(work / "autoencoder", average=decoder)
    else:
        restore(work / MODELS[name], average=average)
    model = predictor(average.to(device), device)
    standard, decoder = standard.to(device), decoder.to(device)

    def draw(n: int) -> Tensor:
        if name == "latent":
            assert isinstance(decoder, Spatial)
            found = denoise(
                torch.randn(n, *decoder.latent, device=device), noise_predictor(model, 5.0), scheduler(name)
            )
            with torch.autocast(device, torch.bfloat16):
                return decoder.decode(standard.inverse(found))
        noise = torch.randn(n, 3, 64, 64, device=device)
        return denoise(noise, model if name == "flow" else noise_predictor(model, 1.0), scheduler(name))

    return draw


def predictor(network: nn.Module, device: str) -> Predictor:
    """The network, run in bfloat16, its answer in float32."""

    def predict(noisy: Tensor, times: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            predicted: Tensor = network(noisy, times.to(device))
        return predicted.float()

    return predict


def _vae(work: Path, device: str) -> Callable[[int], Tensor]:
    """What draws n pictures from the prior, shape (n, 3, 64, 64), about [-1, 1]."""
    average = network("vae")
    assert isinstance(average, Vector)
    restore(work / "vae", average=average)
    decode = average.to(device).decode

    def draw(n: int) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return decode(torch.randn(n, *average.latent, device=device))

    return draw
