"""One update of a GAN: a spectrally normalised discriminator, hinge losses, an average of the weights."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from zoo.generators import generator

_WIDTHS = (32, 64, 128, 192)  # the discriminator's channels at 32, 16, 8 and 4 pixels
_GROUP = 4  # images whose spread the discriminator sees
_RATE = 4e-4
_FALLING = 0.6  # share of the schedule after which the rate falls, linearly, to a tenth
_BETAS = (0.5, 0.99)
_KEEP = 0.998  # of the average of the weights


class Discriminator(nn.Module):
    """Strided convolutions, the batch's spread as a channel, one score an image.

    Source:
        Radford et al. 2016 (DCGAN); weights normalised as Miyato et al. 2018, *Spectral Normalization*;
        spread as Karras et al. 2018, *Progressive Growing of GANs*, section 3, in groups of four.
    """

    def __init__(self) -> None:
        super().__init__()
        self.descent = nn.ModuleList(
            spectral_norm(nn.Conv2d(finer, coarser, 4, stride=2, padding=1))
            for finer, coarser in zip((3, *_WIDTHS), _WIDTHS, strict=False)
        )
        self.head = nn.Sequential(
            spectral_norm(nn.Conv2d(_WIDTHS[-1] + 1, _WIDTHS[-1], 3, padding=1)),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            spectral_norm(nn.Linear(_WIDTHS[-1] * 16, 1)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores, the higher the more like a photograph, shape (n,).

        Args:
            images: shape (n, 3, 64, 64), in [-1, 1]; n a multiple of 4.
        """
        for convolution in self.descent:
            images = functional.leaky_relu(convolution(images), 0.2)
        score: Tensor = self.head(torch.cat([images, spread(images)], 1))
        return score.flatten().float()


def spread(x: Tensor) -> Tensor:
    """How much the images of each four differ, as a map to see it by.

    Args:
        x: features, shape (n, channels, side, side); images 0-3 are a group, 4-7 the next.

    Returns:
        Shape (n, 1, side, side): the group's standard deviation, averaged over channels and pixels.
    """
    groups = x.float().flatten(1).view(-1, _GROUP, x[0].numel())
    variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    deviation = (variance + 1e-8).sqrt().mean(1)
    each: Tensor = deviation.repeat_interleave(_GROUP).to(x.dtype)[:, None, None, None]
    return each.expand(-1, 1, *x.shape[2:])


def hinge(on_photographs: Tensor, on_forgeries: Tensor) -> Tensor:
    """The discriminator's loss: scores of photographs below 1 and of forgeries above -1.

    Source:
        Lim & Ye 2017, *Geometric GAN*; Miyato et al. 2018, equation 16.
    """
    return functional.relu(1 - on_photographs).mean() + functional.relu(1 + on_forgeries).mean()


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, keep: float) -> None:
    """Move every weight of `average` to keep x itself + (1 - keep) x the module's; copy the buffers."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - keep)
    for slow, fast in zip(average.buffers(), module.buffers(), strict=True):
        slow.copy_(fast)


class Adversarial:
    """A GAN in training, for `zoo.training.train`.

    Args:
        name: of the generator.
        photographs: uint8, shape (n, 64, 64, 3).
        batch: photographs, and as many forgeries, an update; a multiple of 4.
        device: to train on.
    """

    def __init__(
        self, name: str, photographs: NDArray[np.uint8], batch: int = 32, device: str = "cpu"
    ) -> None:
        self.generator = generator(name).to(device)
        self.discriminator: nn.Module = Discriminator().to(device)
        self.discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.photographs, self.batch, self.device = photographs, batch, device
        self.modules: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            side: torch.optim.Adam(self.modules[side].parameters(), _RATE, _BETAS, fused=True)
            for side in ("generator", "discriminator")
        }

    def step(self, number: int, steps: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """One update of both sides, from the same forgeries."""
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
            optimiser.param_groups[0]["lr"] = _RATE * falling(number / steps)
        photographs = self._photographs(rng)
        with torch.autocast(self.device, torch.bfloat16):
            forgeries = self.generator(torch.randn(self.batch, self.generator.latent, device=self.device))
            seen = forgeries.detach().requires_grad_()
            on_forgeries = self.discriminator(seen)
            on_photographs = self.discriminator(photographs)
        # Both sides learn from one pass: the generator's gradient goes back through the forgeries, the
        # discriminator's to its weights only.
        fooling = -on_forgeries.mean()
        (gradient,) = torch.autograd.grad(fooling, seen, retain_graph=True)
        forgeries.backward(gradient)
        telling = hinge(on_photographs, on_forgeries)
        telling.backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
        for optimiser in self.optimisers.values():
            optimiser.step()
        follow(self.average, self.generator, min(_KEEP, (number + 1) / (number + 10)))
        gap = (on_photographs - on_forgeries).mean()
        return {"generator": fooling.detach(), "discriminator": telling.detach(), "gap": gap.detach()}

    def _photographs(self, rng: np.random.Generator) -> Tensor:
        chosen = np.sort(rng.choice(len(self.photographs), self.batch, replace=False))
        # A mirrored photograph is another from the same world: light comes from any of four sides.
        pixels = torch.from_numpy(self.photographs[chosen][:, :, :: rng.choice((-1, 1))].copy())
        return pixels.to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1


def falling(share: float) -> float:
    """The rate's factor after this share of the schedule."""
    return 1 - 0.9 * max(0.0, share - _FALLING) / (1 - _FALLING)
