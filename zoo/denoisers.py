"""A network that sees a noisy picture and the amount of noise: a U-Net."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_FREQUENCIES = 64  # sines, and as many cosines, of the time
_GROUP = 16  # channels that are normalised together
_HEAD = 32  # channels a head of attention


def space_to_depth(images: Tensor, patch: int) -> Tensor:
    """Every patch as the channels of one place.

    Args:
        images: shape (n, channels, side, side), side a multiple of patch.
        patch: side of a patch, in pixels.

    Returns:
        Shape (n, channels * patch**2, side // patch, side // patch).
    """
    return functional.pixel_unshuffle(images, patch)


def depth_to_space(places: Tensor, patch: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    return functional.pixel_shuffle(places, patch)


class Time(nn.Module):
    """How noisy the picture is, as a vector.

    Args:
        width: of the vector.

    Source:
        Ho et al. 2020, *Denoising Diffusion Probabilistic Models*, appendix B, after the positions of
        Vaswani et al. 2017.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        decay = torch.exp(-math.log(10_000) * torch.arange(_FREQUENCIES) / _FREQUENCIES)
        self.register_buffer("frequencies", decay, persistent=False)

    def forward(self, time: Tensor) -> Tensor:
        """Shape (n, width), from times of shape (n,) in [0, 1000]."""
        angles = time.float()[:, None] * self.get_buffer("frequencies")
        embedding: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], 1))
        return functional.silu(embedding)


class Residual(nn.Module):
    """Two convolutions beside a straight way; the time, if any, scales and shifts what is between them.

    Args:
        width: channels, a multiple of 16.
        time: length of the time's vector; 0 for a network that knows none.

    Source:
        Dhariwal & Nichol 2021, *Diffusion Models Beat GANs on Image Synthesis*, section 3.
    """

    def __init__(self, width: int, time: int = 0) -> None:
        super().__init__()
        self.before = nn.GroupNorm(width // _GROUP, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.between = nn.GroupNorm(width // _GROUP, width)
        self.film = nn.Linear(time, 2 * width) if time else None
        self.second = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """Shape of x, (n, width, side, side)."""
        inner = self.between(self.first(functional.silu(self.before(x))))
        if self.film is not None:
            scale, shift = self.film(time)[:, :, None, None].chunk(2, 1)
            inner = torch.addcmul(shift, inner, 1 + scale)
        added: Tensor = self.second(functional.silu(inner))
        return x + added


class Attention(nn.Module):
    """Every place looks at every other one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // _HEAD
        self.norm = nn.GroupNorm(width // _GROUP, width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Shape of x, (n, width, side, side)."""
        q, k, v = self.project(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, _HEAD)).unbind(1)
        weights = (q.transpose(2, 3) @ k * _HEAD**-0.5).softmax(-1)
        seen = (v @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, x.shape[2:])
        added: Tensor = self.out(seen.contiguous(memory_format=torch.channels_last))
        return x + added


class Level(nn.Module):
    """Residual blocks of one resolution, each with attention behind it where the level has it."""

    def __init__(self, width: int, time: int, blocks: int, attention: bool) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(Residual(width, time) for _ in range(blocks))
        self.attentions = nn.ModuleList(Attention(width) for _ in range(blocks if attention else 0))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Shape of x, (n, width, side, side)."""
        for number, residual in enumerate(self.residuals):
            x = residual(x, time)
            if self.attentions:
                x = self.attentions[number](x)
        return x


class UNet(nn.Module):
    """Down by strided convolutions, up by pixel shuffle, the levels of one size joined.

    Args:
        channels: of the picture.
        patch: side of the pixels that are one place; 1 takes the picture as it is.
        widths: channels at each resolution, the finest first; the coarsest alone has attention.
        blocks: residual blocks a level, on the way down and again on the way up.
        depth: residual blocks, each with attention, of the coarsest level.

    Source:
        Ho et al. 2020, *Denoising Diffusion Probabilistic Models*, appendix B.
    """

    def __init__(self, channels: int, patch: int, widths: tuple[int, ...], blocks: int, depth: int) -> None:
        super().__init__()
        self.patch = patch
        values, time = channels * patch**2, 2 * widths[-1]
        self.time = Time(time)
        self.stem = nn.Conv2d(values, widths[0], 3, padding=1)
        finer, coarsest = widths[:-1], widths[-1]
        self.descent = nn.ModuleList(Level(width, time, blocks, False) for width in finer)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.bottom = Level(coarsest, time, depth, True)
        self.ups = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(widths))
        self.joins = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in finer)
        self.ascent = nn.ModuleList(Level(width, time, blocks, False) for width in finer)
        self.norm = nn.GroupNorm(widths[0] // _GROUP, widths[0])
        self.head = zeroed(nn.Conv2d(widths[0], values, 3, padding=1))

    def forward(self, images: Tensor, time: Tensor) -> Tensor:
        """The prediction, of the images' shape.

        Args:
            images: shape (n, channels, side, side), about unit variance.
            time: shape (n,), from 0 (clean) to 1000 (noise).
        """
        embedding = self.time(time)
        places = space_to_depth(images, self.patch).contiguous(memory_format=torch.channels_last)
        x = self.stem(places)
        finer = []
        for level, down in zip(self.descent, self.downs, strict=True):
            x = level(x, embedding)
            finer.append(x)
            x = down(x)
        x = self.bottom(x, embedding)
        for up, join, level in reversed(list(zip(self.ups, self.joins, self.ascent, strict=True))):
            x = level(join(torch.cat([finer.pop(), functional.pixel_shuffle(up(x), 2)], 1)), embedding)
        return depth_to_space(self.head(functional.silu(self.norm(x))), self.patch)


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer, starting as zero: what it is added to starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
