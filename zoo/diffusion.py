"""Train a diffusion model: `python -m zoo.diffusion --name ddpm`, `flow` or `latent`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo.adversarial import follow
from zoo.autoencoder import (
    Batch,
    Count,
    Device,
    Name,
    Quiet,
    Seed,
    Spatial,
    Steps,
    StopAt,
    Work,
    channels_last,
    check_name,
    latents_of,
    network,
    pixels,
    reported,
    seed_weights,
)
from zoo.denoisers import UNet
from zoo.photographs import WORK, photographs
from zoo.schedules import warmed
from zoo.training import restore, train

TIMES = 1000
_FIRST_BETA, _LAST_BETA = 1e-4, 0.02
_RATE = 2e-3
_WARM_UP = 0.03
# Of the logarithm of noise to picture, in units of the picture's: where the picture takes shape. The spread of
# photographs is a half, that of latents one.
_CENTRES, _SPREAD = {"ddpm": -1.2, "flow": -1.2, "latent": -0.5}, 1.2
_KEEP = 0.998  # of the average of the weights

STEPS = {"ddpm": 6000, "flow": 6000, "latent": 4000}


def denoiser(name: str) -> nn.Module:
    """The untrained network of `ddpm`, `flow` or `latent`."""
    if name == "latent":
        return channels_last(UNet(channels=4, patch=1, widths=(64, 128), blocks=2, depth=4))
    return channels_last(UNet(channels=3, patch=2, widths=(48, 96, 192), blocks=1, depth=2))


def signal_shares() -> Tensor:
    """What is left of the picture's variance after each time, float32, shape (1000,): alpha bar.

    Source:
        Ho et al. 2020, *Denoising Diffusion Probabilistic Models*, section 4: betas from 1e-4 to 0.02.
    """
    betas = torch.linspace(_FIRST_BETA, _LAST_BETA, TIMES, dtype=torch.float64)
    return (1 - betas).cumprod(0).float()


def diffused(pictures: Tensor, noise: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy pictures, and what a network is to predict of them, v = a noise - s picture.

    Args:
        pictures, noise: shape (n, channels, side, side).
        shares: a**2 = 1 - s**2, shape (n,).

    Source:
        Salimans & Ho 2022, *Progressive Distillation for Fast Sampling of Diffusion Models*, section 4.
    """
    a = shares.sqrt()[:, None, None, None]
    s = (1 - shares).sqrt()[:, None, None, None]
    return a * pictures + s * noise, a * noise - s * pictures


def times_of(ratios: Tensor, shares: Tensor) -> Tensor:
    """The times at which the noise is this many times the picture's factor: s / a, rounded up.

    Args:
        ratios: shape (n,).
        shares: of the schedule, a**2, falling.
    """
    return torch.searchsorted((1 / shares - 1).sqrt(), ratios).clamp(max=len(shares) - 1)


def flowed(pictures: Tensor, noise: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor]:
    """Points on straight ways from picture to noise, and the velocity there, noise - picture.

    Args:
        pictures, noise: shape (n, channels, side, side).
        sigmas: how far along, in [0, 1], shape (n,).

    Source:
        Lipman et al. 2023, *Flow Matching for Generative Modeling*; Liu et al. 2023, *Flow Straight and Fast*.
    """
    return torch.lerp(pictures, noise, sigmas[:, None, None, None]), noise - pictures


class Standard(nn.Module):
    """Centre and spread of every channel of the latents, which makes them zero-mean and unit-variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(channels, 1, 1))
        self.register_buffer("spread", torch.ones(channels, 1, 1))

    def measure(self, latents: NDArray[np.float32]) -> Standard:
        """Take both from latents of shape (n, channels, side, side); returns itself."""
        self.get_buffer("centre").copy_(torch.from_numpy(latents.mean((0, 2, 3), keepdims=True)[0]))
        self.get_buffer("spread").copy_(torch.from_numpy(latents.std((0, 2, 3), keepdims=True)[0]))
        return self

    def forward(self, latents: Tensor) -> Tensor:
        """Standardised latents."""
        return (latents - self.get_buffer("centre")) / self.get_buffer("spread")

    def inverse(self, standardised: Tensor) -> Tensor:
        """The latents again."""
        return standardised * self.get_buffer("spread") + self.get_buffer("centre")


class Diffusion:
    """A diffusion model in training, for `zoo.training.train`.

    `ddpm` and `latent` learn v under Ho's linear schedule, `flow` the velocity of straight ways. The amount of
    noise is log-normal, which learns more in a short time than evenly spread times do.

    Args:
        name: `ddpm`, `flow` or `latent`.
        pictures: photographs, uint8, shape (n, 64, 64, 3); for `latent` latents, float32, (n, 4, 16, 16).
        batch: pictures an update.
        device: to train on.

    Source:
        Log-normal noise: Karras et al. 2022, *Elucidating the Design Space of Diffusion-Based Generative
        Models*, table 1.
    """

    def __init__(
        self,
        name: str,
        pictures: NDArray[Any],
        batch: int = 32,
        device: str = "cpu",
    ) -> None:
        self.name, self.pictures, self.batch, self.device = name, pictures, batch, device
        self.denoiser = denoiser(name).to(device)
        self.average = copy.deepcopy(self.denoiser).requires_grad_(False)
        self.shares = signal_shares().to(device)
        self.optimiser = torch.optim.AdamW(
            self.denoiser.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.modules: dict[str, nn.Module] = {"denoiser": self.denoiser, "average": self.average}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"denoiser": self.optimiser}
        if name == "latent":
            self.standard = Standard(pictures.shape[1]).measure(pictures).to(device)
            self.modules["standard"] = self.standard

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One update."""
        self.optimiser.param_groups[0]["lr"] = warmed(_RATE, 0.02 * _RATE, number, steps, _WARM_UP)
        pictures = self._pictures(rng)
        noise = torch.randn_like(pictures)
        ratios = (_CENTRES[self.name] + _SPREAD * torch.randn(self.batch, device=self.device)).exp()
        if self.name == "flow":
            sigmas = ratios / (1 + ratios)
            (noisy, target), times = flowed(pictures, noise, sigmas), TIMES * sigmas
        else:
            times = times_of(ratios, self.shares)
            noisy, target = diffused(pictures, noise, self.shares[times])
        with torch.autocast(self.device, torch.bfloat16):
            predicted = self.denoiser(noisy, times)
        loss = (predicted.float() - target).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.denoiser.parameters(), 1.0)
        self.optimiser.step()
        follow(self.average, self.denoiser, min(_KEEP, (number + 1) / (number + 10)))
        return {"loss": loss.detach()}

    def _pictures(self, rng: np.random.Generator) -> Tensor:
        chosen = self.pictures[np.sort(rng.choice(len(self.pictures), self.batch))]
        if self.name == "latent":
            latents: Tensor = self.standard(torch.from_numpy(chosen).to(self.device))
            return latents
        # A turned or mirrored photograph is another from the same world: light comes from any of four sides.
        turned = np.rot90(chosen, int(rng.integers(4)), (1, 2))
        return pixels(np.ascontiguousarray(turned[:, :, :: rng.choice((-1, 1))]), self.device)


def latents(work: Path, images: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.float32]:
    """The photographs' latents under the trained autoencoder of `work`, shape (n, 4, 16, 16).

    Raises:
        InputError: it is not trained yet.
    """
    average = network("autoencoder")
    restore(work / "autoencoder", average=average)
    assert isinstance(average, Spatial)
    return latents_of(average.to(device), images, device)


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
    """Train `ddpm`, `flow` or `latent`, going on from where an earlier call stopped."""
    with reported(quiet):
        check_name(name, STEPS)
        images = photographs(work, 64, count, "generators")
        pictures = latents(work, images, device) if name == "latent" else images
        seed_weights(seed, name)
        trainee = Diffusion(name, pictures, batch, device)
        train(trainee, work / name, label=name, seed=seed, steps=steps or STEPS[name], stop_at=stop_at)


if __name__ == "__main__":
    typer.run(main)
