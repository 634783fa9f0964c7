"""Variational autoencoders: the spatial one under the latent diffusion, and `vae`, a generator by itself."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bandprobe import progress, seeding
from bandprobe.errors import BandprobeError, InputError
from zoo.adversarial import follow
from zoo.denoisers import Residual, depth_to_space, space_to_depth
from zoo.photographs import WORK, photographs
from zoo.schedules import warmed
from zoo.training import train

Network = TypeVar("Network", bound=nn.Module)

_RATE = 1e-3
_KEEP = 0.998  # of the average of the weights
_ENERGY, _DIVERGENCE = 1.0, 3e-6  # weights beside the absolute error
_QUIETEST, _LOUDEST = -12.0, 4.0  # limits of a latent's log variance

STEPS = {"autoencoder": 2000, "vae": 2700}

Name: TypeAlias = Annotated[str, typer.Option(help="Which model.", metavar="NAME", show_default=False)]
Steps: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of the whole schedule; the model's own if not given.", metavar="N"),
]
StopAt: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Stop before this step; the same command goes on.", metavar="N")
]
Batch: TypeAlias = Annotated[int, typer.Option(min=2, help="Photographs a step.", metavar="N")]
Count: TypeAlias = Annotated[
    int, typer.Option("--photographs", min=1, help="Photographs to train on.", metavar="N")
]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Decides every random draw.", metavar="N")]
Work: TypeAlias = Annotated[Path, typer.Option(help="Where everything is kept.", metavar="DIR")]
Device: TypeAlias = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")]


class Spatial(nn.Module):
    """Pictures of 64 pixels to latents of 16, by patches and residual blocks, and back.

    Args:
        latent: channels of a latent.
        width: channels at 16 x 16, a multiple of 32; half of them at 32 x 32.

    Source:
        Rombach et al. 2022, *High-Resolution Image Synthesis with Latent Diffusion Models*, section 3.1.
    """

    def __init__(self, latent: int = 4, width: int = 96) -> None:
        super().__init__()
        self.latent = (latent, 16, 16)
        fine = width // 2
        self.encoder = nn.Sequential(
            nn.Conv2d(12, fine, 3, padding=1),
            Residual(fine),
            nn.Conv2d(fine, width, 3, stride=2, padding=1),
            Residual(width),
            nn.Conv2d(width, 2 * latent, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, width, 3, padding=1),
            Residual(width),
            Residual(width),
            nn.Conv2d(width, 4 * fine, 1),
            nn.PixelShuffle(2),
            Residual(fine),
            nn.SiLU(),
            nn.Conv2d(fine, 12, 3, padding=1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents, each (n, latent, 16, 16), of images (n, 3, 64, 64)."""
        places = space_to_depth(images, 2).contiguous(memory_format=torch.channels_last)
        mean, log_variance = self.encoder(places).float().chunk(2, 1)
        return mean, log_variance.clamp(_QUIETEST, _LOUDEST)

    def decode(self, latents: Tensor) -> Tensor:
        """Images, shape (n, 3, 64, 64), about [-1, 1]."""
        return depth_to_space(self.decoder(latents.contiguous(memory_format=torch.channels_last)), 2).float()


class Vector(nn.Module):
    """Pictures of 64 pixels to vectors, by strided convolutions; back by nearest neighbours and convolutions.

    Args:
        latent: length of a vector.
        widths: channels at 32, 16, 8 and 4 pixels.

    Source:
        Kingma & Welling 2014, *Auto-Encoding Variational Bayes*.
    """

    def __init__(self, latent: int = 128, widths: tuple[int, int, int, int] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.latent = (latent,)
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for finer, coarser in zip((3, *widths), widths, strict=False):
            down += [nn.Conv2d(finer, coarser, 4, stride=2, padding=1), *after(coarser)]
        for coarser, finer in zip(widths[::-1], (*widths[-2::-1], widths[0]), strict=True):
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(coarser, finer, 3, padding=1), *after(finer)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(16 * widths[-1], 2 * latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, 16 * widths[-1]),
            nn.Unflatten(1, (widths[-1], 4, 4)),
            *up,
            nn.Conv2d(widths[0], 3, 3, padding=1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the vectors, each (n, latent), of images (n, 3, 64, 64)."""
        mean, log_variance = self.encoder(images).float().chunk(2, 1)
        return mean, log_variance.clamp(_QUIETEST, _LOUDEST)

    def decode(self, latents: Tensor) -> Tensor:
        """Images, shape (n, 3, 64, 64), about [-1, 1]."""
        images: Tensor = self.decoder(latents)
        return images.float()


def after(width: int) -> tuple[nn.Module, nn.Module]:
    """What follows a convolution of this many channels."""
    return nn.GroupNorm(width // 16, width), nn.SiLU()


def network(name: str) -> Spatial | Vector:
    """The untrained network of `autoencoder` or `vae`."""
    return channels_last(Spatial() if name == "autoencoder" else Vector())


def channels_last(module: Network) -> Network:
    """The network, its weights laid out as the processor's convolutions want them."""
    made: Network = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, variance) from N(0, 1), in nats, summed over each latent.

    Args:
        mean, log_variance: shape (n, ...).

    Returns:
        Shape (n,).

    Source:
        Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


def pixels(photographs: NDArray[np.uint8], device: str = "cpu") -> Tensor:
    """Photographs of shape (n, side, side, 3) as float32 of shape (n, 3, side, side) in [-1, 1]."""
    return torch.from_numpy(photographs).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def bytes_of(images: Tensor) -> NDArray[np.uint8]:
    """The inverse of `pixels`, of images that may lie outside [-1, 1]."""
    levels = (images.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def band_energies(images: Tensor) -> list[Tensor]:
    """How much there is of each Haar band at each place, three octaves deep.

    Args:
        images: shape (n, channels, 64, 64).

    Returns:
        Three tensors, the finest octave first: root mean square of the horizontal, vertical and diagonal
        coefficients over windows of 8 x 8 pixels. (n, channels, 3, 15, 15), every 4 pixels, in the two
        finer octaves, (n, channels, 3, 8, 8) in the coarsest.
    """
    energies = []
    for octave in range(3):
        a, b, c, d = (images[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
        bands = torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], 2) / 2
        window, stride = 4 >> octave, max(1, 2 >> octave)
        power = functional.avg_pool3d(bands.square(), (1, window, window), (1, stride, stride))
        energies.append((power + 1e-5).sqrt())
        images = (a + b + c + d) / 4
    return energies


@contextlib.contextmanager
def reported(quiet: bool) -> Iterator[None]:
    """What a script does, its errors told in one line."""
    try:
        with progress.quiet(quiet):
            yield
    except BandprobeError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def check_name(name: str, names: Iterable[str]) -> None:
    """Raise InputError unless the name is one of them."""
    if name not in names:
        raise InputError(f"--name must be one of {', '.join(names)}; got {name!r}.")


def seed_weights(seed: int, name: str) -> None:
    """Let torch draw the model's first weights from a stream of their own."""
    torch.manual_seed(int(seeding.generator(seed, "weights", name).integers(2**63)))


class Autoencoding:
    """An autoencoder in training, for `zoo.training.train`.

    `autoencoder` minimises absolute error of the pixels and of the local band energies, plus a little
    divergence; `vae` the negative evidence bound with one noise level for all pixels, set to its optimum.

    Args:
        name: `autoencoder` or `vae`.
        photographs: uint8, shape (n, 64, 64, 3).
        batch: photographs an update.
        device: to train on.

    Source:
        Optimal noise level: Rybkin, Daniilidis & Levine 2021, *Simple and Effective VAE Training with
        Calibrated Decoders*, section 3.2.
    """

    def __init__(
        self, name: str, photographs: NDArray[np.uint8], batch: int = 32, device: str = "cpu"
    ) -> None:
        self.name, self.photographs, self.batch, self.device = name, photographs, batch, device
        self.network = network(name).to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.modules: dict[str, nn.Module] = {"network": self.network, "average": self.average}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"network": self.optimiser}

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One update."""
        self.optimiser.param_groups[0]["lr"] = warmed(_RATE, 0.02 * _RATE, number, steps, 0.03)
        images = pixels(self.photographs[np.sort(rng.choice(len(self.photographs), self.batch))], self.device)
        with torch.autocast(self.device, torch.bfloat16):
            mean, log_variance = self.network.encode(images)
            decoded = self.network.decode(mean + (log_variance / 2).exp() * torch.randn_like(mean))
        losses = {"divergence": divergence(mean, log_variance).mean()}
        if self.name == "vae":
            losses["squared"] = (decoded - images).square().mean()
            total = losses["squared"].log() / 2 + losses["divergence"] / images[0].numel()
        else:
            losses["absolute"] = (decoded - images).abs().mean()
            pairs = zip(band_energies(decoded), band_energies(images), strict=True)
            losses["energy"] = torch.stack([(a - b).abs().mean() for a, b in pairs]).mean()
            total = losses["absolute"] + _ENERGY * losses["energy"] + _DIVERGENCE * losses["divergence"]
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        follow(self.average, self.network, min(_KEEP, (number + 1) / (number + 10)))
        return {key: loss.detach() for key, loss in losses.items()}


@torch.no_grad()
def latents_of(average: Spatial, photographs: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.float32]:
    """The latents' means, shape (n, 4, 16, 16), not yet standardised."""
    found = []
    with progress.bar("latents", len(photographs)) as advance, torch.autocast(device, torch.bfloat16):
        for start in range(0, len(photographs), 64):
            batch = photographs[start : start + 64]
            found.append(average.encode(pixels(np.asarray(batch), device))[0].cpu().numpy())
            advance(len(batch))
    return np.concatenate(found)


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
    """Train `autoencoder` or `vae`, going on from where an earlier call stopped."""
    with reported(quiet):
        check_name(name, STEPS)
        seed_weights(seed, name)
        trainee = Autoencoding(name, photographs(work, 64, count, "generators"), batch, device)
        train(trainee, work / name, label=name, seed=seed, steps=steps or STEPS[name], stop_at=stop_at)


if __name__ == "__main__":
    typer.run(main)
