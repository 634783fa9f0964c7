"""Random views of a batch of images: crop, flip, blur, colours, solarisation, as a few matrix products.

Crop, resize, flip and blur are linear along each axis, so a view is `rows @ image @ columns` with two matrices
of its own. The blur therefore comes before the colours and not after them as in DINO; the two commute but for
the clipping at black and white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_ASPECTS = (3 / 4, 4 / 3)  # width over height, as in GoogLeNet's crops
_SIGMAS = (0.1, 2.0)  # of the blur, in pixels of the view
_REACH = 8  # pixels beyond the edge that a blur reads: four of its largest standard deviations
_JITTERED, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _GREYED = 0.8, 0.4, 0.4, 0.2, 0.1, 0.2
# Rows Y, I and Q of the colour television of 1953 (NTSC): luma, and the plane of hue and saturation.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class View:
    """One kind of random view.

    Attributes:
        size: side in pixels.
        scale: the smallest and the largest share of the image's area that is cropped.
        colours: whether it is flipped at random and its colours are jittered.
        blurred: probability of the Gaussian blur.
        solarised: probability of inverting what is brighter than a half.
    """

    size: int
    scale: tuple[float, float]
    colours: bool = True
    blurred: float = 0.0
    solarised: float = 0.0


def views(images: Tensor, view: View, count: int = 1, *, blur: bool = True) -> Tensor:
    """Random views of each image.

    Everything is drawn from torch's global generator, on the CPU whatever device the images are on. The
    draws are the same with and without `blur`.

    Args:
        images: uint8, shape (n, side, side, 3), 0..255.
        view: which kind.
        count: views of each image.
        blur: False leaves out the blur, and nothing else.

    Returns:
        float32, shape (count, n, 3, size, size), in [0, 1].

    Source:
        Caron et al. 2021 (DINO, arXiv:2104.14294), section 3.2 and appendix: BYOL's augmentations. All
        changes of colour are here one linear map of the colours, clipped once at its end; the hue turns in
        the plane of I and Q instead of around the hexagon of HSV.
    """
    n, side = images.shape[:2]
    total = n * count
    top, left, height, width = crops(total, side, view.scale)
    rows, columns = resampling(top, height, side, view.size), resampling(left, width, side, view.size)
    if view.colours:
        flip = torch.rand(total) < 0.5
        columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    sigma = torch.empty(total).uniform_(*_SIGMAS)
    sigma[torch.rand(total) >= view.blurred] = 0
    if blur and view.blurred:
        kernels = blurring(sigma, view.size)
        rows, columns = kernels @ rows, kernels @ columns
    seen = resampled(images, rows.to(images.device), columns.to(images.device))
    if view.colours:
        linear, contrast = (part.to(images.device) for part in jitter(total))
        seen = recoloured(seen, linear, contrast)
    bright = torch.rand(total) < view.solarised
    seen[bright] = solarised(seen[bright])
    return seen.view(n, count, *seen.shape[1:]).transpose(0, 1)


def crops(n: int, side: int, scale: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes of random area, aspect (3/4 to 4/3, uniform in its logarithm) and place.

    A side that would be longer than the image is cut to it.

    Returns:
        Top, left, height and width, each float32 of shape (n,), in pixels.
    """
    area = torch.empty(n).uniform_(*scale) * side**2
    aspect = torch.empty(n).uniform_(math.log(_ASPECTS[0]), math.log(_ASPECTS[1])).exp()
    height, width = (area / aspect).sqrt().clamp(max=side), (area * aspect).sqrt().clamp(max=side)
    return torch.rand(n) * (side - height), torch.rand(n) * (side - width), height, width


def resampling(start: Tensor, length: Tensor, side: int, size: int) -> Tensor:
    """Matrices that resize stretches of a line with an anti-aliasing triangle filter.

    Args:
        start: shape (n,), where each stretch begins, in pixels from the line's edge.
        length: shape (n,), of each stretch, in pixels.
        side: pixels of the line.
        size: pixels of the result.

    Returns:
        Shape (n, size, side), rows that sum to 1: what Pillow's `resize(..., BILINEAR, box=...)` does.
    """
    step = (length / size)[:, None, None]
    centres = start[:, None, None] + (torch.arange(size)[:, None] + 0.5) * step
    distance = (torch.arange(side) + 0.5 - centres).abs()
    weights = (1 - distance / step.clamp(min=1)).clamp(min=0)
    return weights / weights.sum(2, keepdim=True)


def blurring(sigma: Tensor, size: int) -> Tensor:
    """Matrices of Gaussian blurs along a line whose end pixels go on for ever.

    Args:
        sigma: shape (n,), standard deviations in pixels, at most 2; 0 for the identity.
        size: pixels of the line, at least 2.

    Returns:
        Shape (n, size, size), rows that sum to 1.
    """
    distance = torch.arange(-_REACH, size + _REACH) - torch.arange(size)[:, None]
    # At half the smallest deviation a neighbour's weight is e^-200, which is nothing beside 1.
    spread = sigma.clamp(min=_SIGMAS[0] / 2)[:, None, None]
    weights = (-0.5 * (distance / spread) ** 2).exp()
    weights = weights / weights.sum(2, keepdim=True)
    kernels = weights[:, :, _REACH:-_REACH].clone()
    kernels[:, :, 0] += weights[:, :, :_REACH].sum(2)
    kernels[:, :, -1] += weights[:, :, -_REACH:].sum(2)
    return kernels


def resampled(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows @ image @ columns.T` for every channel of every image, several times an image.

    Args:
        images: uint8, shape (n, side, side, 3).
        rows: shape (n * count, size, side); the matrices of one image stand together.
        columns: the same shape.

    Returns:
        float32, shape (n * count, 3, size, size), in [0, 1].
    """
    n, side = images.shape[:2]
    size = rows.shape[1]
    # The channels stand between height and width: both products are then plain ones, without a copy.
    lines = images.permute(0, 1, 3, 2).to(torch.float32).mul_(1 / 255).reshape(n, side, 3 * side)
    high = rows.reshape(n, -1, side) @ lines
    seen = high.view(len(rows), size * 3, side) @ columns.transpose(1, 2)
    return seen.view(len(rows), size, 3, size).transpose(1, 2).contiguous()


def jitter(n: int) -> tuple[Tensor, Tensor]:
    """Random changes of brightness, contrast, saturation and hue, or of none, and of colour to grey.

    Returns:
        Linear maps of RGB, shape (n, 3, 3), and the factors of contrast, shape (n,), that are part of them.
    """
    jittered = torch.rand(n) < _JITTERED
    neutral = torch.ones(n)
    brightness, contrast, saturation = (
        torch.where(jittered, torch.empty(n).uniform_(1 - reach, 1 + reach), neutral)
        for reach in (_BRIGHTNESS, _CONTRAST, _SATURATION)
    )
    turn = torch.where(jittered, torch.empty(n).uniform_(-_HUE, _HUE), 0 * neutral) * 2 * math.pi
    saturation[torch.rand(n) < _GREYED] = 0
    yiq = torch.tensor(_YIQ)
    inner = torch.zeros(n, 3, 3)
    inner[:, 0, 0] = 1
    inner[:, 1, 1] = inner[:, 2, 2] = saturation * turn.cos()
    inner[:, 2, 1] = saturation * turn.sin()
    inner[:, 1, 2] = -inner[:, 2, 1]
    linear = (brightness * contrast)[:, None, None] * (torch.linalg.inv(yiq) @ inner @ yiq)
    return linear, contrast


def recoloured(images: Tensor, linear: Tensor, contrast: Tensor) -> Tensor:
    """Colours through a linear map, their contrast about the image's mean luma, clipped to [0, 1].

    Args:
        images: shape (n, 3, h, w), in [0, 1].
        linear: shape (n, 3, 3), which multiplies luma by brightness times contrast.
        contrast: shape (n,).

    Returns:
        The shape of `images`.
    """
    colours = images.flatten(2)
    luma = (torch.tensor(_YIQ[0], device=images.device) @ colours.mean(2).T)[:, None, None]
    # With contrast c and brightness b: b (c x + (1 - c) mean) = b c x + b c (1 / c - 1) mean.
    scale = linear.sum(2).mean(1)[:, None, None]  # b c, since a map of colours takes grey to grey
    offset = scale * (1 / contrast[:, None, None] - 1) * luma
    return torch.baddbmm(offset, linear, colours).clamp_(0, 1).view_as(images)


def solarised(images: Tensor) -> Tensor:
    """What is at least half bright is inverted."""
    return torch.where(images >= 0.5, 1 - images, images)


def normalised(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """`(images - mean) / std` of each channel, the third dimension from the end."""
    shape = (3, 1, 1)
    centre, width = (torch.tensor(values, device=images.device).view(shape) for values in (mean, std))
    return (images - centre) / width
