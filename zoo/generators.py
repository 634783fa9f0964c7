"""The five GANs' generators: one body, and five ways to double a feature map's side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_LATENT = 128
_GROUND = 4  # side of the first feature map
_WIDTHS = (128, 96, 64, 32, 16)  # channels at 4, 8, 16, 32 and 64 pixels
_SLOPE = 0.2  # of the leaky rectifier
_FAINT = 0.3  # of the first colours of each of the five maps that add up to an image
_SMOOTH = (0.25, 0.75, 0.75, 0.25)  # bilinear interpolation's, and StyleGAN2's [1, 3, 3, 1]


class Generator(nn.Module):
    """What all five are: a latent vector in, an image out."""

    latent = _LATENT

    def forward(self, z: Tensor) -> Tensor:
        """An image for each latent vector.

        Args:
            z: standard normal, shape (n, latent).

        Returns:
            float, shape (n, 3, 64, 64), in [-1, 1].
        """
        raise NotImplementedError


class PixelNorm(nn.Module):
    """Each pixel's channels scaled to mean square one. Source: Karras et al. 2018, *Progressive Growing*."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over axis 1 of shape (n, channels, ...)."""
        normed: Tensor = functional.normalize(x, dim=1) * x.shape[1] ** 0.5
        return normed


class Noise(nn.Module):
    """One map of white noise an image, added to all channels, each with a learned strength.

    Drawn from torch's global generator. Texture then need not be made from the latent vector, which takes a
    long training.

    Args:
        width: channels.
        strength: to begin with.

    Source:
        Karras et al. 2019, *A Style-Based Generator Architecture*, section 2.
    """

    def __init__(self, width: int, strength: float = 0.1) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.full((width, 1, 1), strength))

    def forward(self, x: Tensor) -> Tensor:
        """Shape of x, (n, width, side, side)."""
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device)
        return x + (self.strength * noise).to(x.dtype)


class Convolutional(Generator):
    """A latent vector to a 4 x 4 map, doubled four times with noise added each time, to colours.

    Args:
        ascend: makes the layer that doubles the side, from channels in and channels out.
    """

    def __init__(self, ascend: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.ground = nn.Sequential(
            PixelNorm(),
            nn.Linear(_LATENT, _WIDTHS[0] * _GROUND**2),
            nn.Unflatten(1, (_WIDTHS[0], _GROUND, _GROUND)),
        )
        self.ascent = nn.Sequential(
            *[
                nn.Sequential(nn.BatchNorm2d(below), nn.LeakyReLU(_SLOPE), ascend(below, above), Noise(above))
                for below, above in pairwise(_WIDTHS)
            ]
        )
        self.colours = nn.Sequential(nn.LeakyReLU(_SLOPE), nn.Conv2d(_WIDTHS[-1], 3, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """An image for each latent vector; see `Generator.forward`."""
        ground = self.ground(z).contiguous(memory_format=torch.channels_last)
        image: Tensor = self.colours(self.ascent(ground))
        return image


def transposed(below: int, above: int) -> nn.Module:
    """Transposed convolution, stride 2, kernel 3: neighbouring pixels are sums of 1, 2 or 4 terms.

    Kernels that the stride does not divide (DCGAN's own was 5) overlap unevenly, which is the classical
    checkerboard. Sources: Radford et al. 2016, *DCGAN*; Odena et al. 2016, *Deconvolution and
    Checkerboard Artifacts*.
    """
    return nn.ConvTranspose2d(below, above, 3, stride=2, padding=1, output_padding=1)


class Interpolated(nn.Module):
    """Interpolation to twice the side and a 3 x 3 convolution, as the one transposed convolution they are.

    Args:
        below: channels in.
        above: channels out.
        taps: of the interpolation, see `merged`.
    """

    def __init__(self, below: int, above: int, taps: tuple[float, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(above, below, 3, 3))
        self.bias = nn.Parameter(torch.zeros(above))
        self.taps = taps

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, below, side, side) to (n, above, 2 side, 2 side)."""
        return functional.conv_transpose2d(
            x, merged(self.weight, self.taps), self.bias, stride=2, padding=len(self.taps) // 2
        )


def merged(weight: Tensor, taps: tuple[float, ...]) -> Tensor:
    """The transposed convolution, stride 2, that equals zeros between pixels, a filter, a convolution.

    Nothing is computed at the doubled side with all the channels of the smaller one, which is what
    makes interpolation slow. Beyond the border lie zeros.

    Args:
        weight: of the convolution, shape (out, in, 3, 3).
        taps: of the separable, symmetric filter; 2 in sum, an even number k of them.

    Returns:
        Shape (in, out, k + 2, k + 2), for `conv_transpose2d(..., stride=2, padding=k // 2)`.
    """
    tap = torch.tensor(taps, dtype=weight.dtype, device=weight.device)
    kernel = torch.outer(tap, tap)[None, None]
    # conv2d correlates, conv_transpose2d convolves: one of the two kernels is turned round.
    turned = weight.transpose(0, 1).flip(2, 3).reshape(-1, 1, *weight.shape[2:])
    wide = functional.conv2d(turned, kernel, padding=len(taps) - 1)
    return wide.view(weight.shape[1], weight.shape[0], *wide.shape[2:])


def nearest(below: int, above: int) -> nn.Module:
    """Each pixel four times, then a convolution (ProGAN)."""
    return Interpolated(below, above, (1.0, 1.0))


def bilinear(below: int, above: int) -> nn.Module:
    """Bilinear interpolation, then a convolution."""
    return Interpolated(below, above, _SMOOTH)


class Shuffled(nn.Module):
    """A convolution to four times the channels, dealt to four pixels."""

    def __init__(self, below: int, above: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(below, 4 * above, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, below, side, side) to (n, above, 2 side, 2 side)."""
        return functional.pixel_shuffle(self.convolution(x), 2)


def shuffled(below: int, above: int) -> nn.Module:
    """Four times the channels, dealt to four pixels. Source: Shi et al. 2016, *Sub-Pixel Convolution*."""
    return Shuffled(below, above)


def filtered(x: Tensor) -> Tensor:
    """Twice the side: zeros between the pixels, then the low-pass filter [1, 3, 3, 1] along both axes.

    Args:
        x: shape (n, channels, side, side).

    Returns:
        Shape (n, channels, 2 side, 2 side); beyond the border lie zeros. Mean kept, away from the border.
    """
    tap = torch.tensor(_SMOOTH, dtype=x.dtype, device=x.device)
    kernel = torch.outer(tap, tap).expand(x.shape[1], 1, -1, -1)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


class ModulatedConvolution(nn.Module):
    """A convolution whose weights each sample's style scales: w (out, in, k, k) and style s (n, in) give w s.

    Scaling input channels instead of weights gives the same numbers without a kernel for each sample.

    Source:
        Karras et al. 2020, *Analyzing and Improving the Image Quality of StyleGAN*, equation 1. What they
        normalise sample by sample (equation 3), `_Layer` normalises over the batch.
    """

    def __init__(
        self, below: int, above: int, kernel: int, *, double: bool = False, gain: float = 1.0
    ) -> None:
        super().__init__()
        scale = gain / (below * kernel**2) ** 0.5
        self.weight = nn.Parameter(scale * torch.randn(above, below, kernel, kernel))
        self.style = nn.Linear(_LATENT, below)
        nn.init.ones_(self.style.bias)
        self.doubling = double

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Convolve, after filtered doubling where that was asked.

        Args:
            x: shape (n, below, side, side).
            w: what the mapping network gave, shape (n, latent).

        Returns:
            Shape (n, above, side, side), or twice the side.
        """
        x = x * self.style(w)[:, :, None, None].to(x.dtype)
        if self.doubling:
            return functional.conv_transpose2d(x, merged(self.weight, _SMOOTH), stride=2, padding=2)
        return functional.conv2d(x, self.weight, padding="same")


class _Layer(nn.Module):
    """Modulated convolution, batch normalisation, noise of a learned strength, rectifier."""

    def __init__(self, below: int, above: int, *, double: bool) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(below, above, 3, double=double)
        self.norm = nn.BatchNorm2d(above)
        self.noise = Noise(above)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return functional.leaky_relu(self.noise(self.norm(self.convolution(x, w))), _SLOPE)


class Style(Generator):
    """A small StyleGAN2: mapping network, modulated convolutions, noise, filtered doubling, RGB skips.

    Three things are as in the other generators, because a short training otherwise draws little but noise: the
    first map comes from the latent vector and not from a constant, normalisation is over the batch, and
    colours are bounded.

    Source:
        Karras et al. 2020, *Analyzing and Improving the Image Quality of StyleGAN*, section 4.
    """

    def __init__(self) -> None:
        super().__init__()
        dense = [layer for _ in range(3) for layer in (nn.Linear(_LATENT, _LATENT), nn.LeakyReLU(_SLOPE))]
        self.mapping = nn.Sequential(PixelNorm(), *dense)
        self.ground = nn.Linear(_LATENT, _WIDTHS[0] * _GROUND**2)
        self.layers = nn.ModuleList(
            _Layer(below, above, double=number > 0)
            for number, (below, above) in enumerate(zip(_WIDTHS[:1] + _WIDTHS, _WIDTHS, strict=False))
        )
        self.colours = nn.ModuleList(ModulatedConvolution(width, 3, 1, gain=_FAINT) for width in _WIDTHS)

    def forward(self, z: Tensor) -> Tensor:
        """An image for each latent vector; see `Generator.forward`."""
        w = self.mapping(z)
        x = self.ground(w).view(len(z), -1, _GROUND, _GROUND).contiguous(memory_format=torch.channels_last)
        image = x.new_zeros(len(z), 3, _GROUND // 2, _GROUND // 2)
        for layer, colour in zip(self.layers, self.colours, strict=True):
            x = layer(x, w)
            image = filtered(image) + colour(x, w).float()
        bounded: Tensor = image.tanh()
        return bounded


_ASCENTS = {
    "gan-transposed": transposed,
    "gan-nearest": nearest,
    "gan-bilinear": bilinear,
    "gan-shuffle": shuffled,
}
NAMES = (*_ASCENTS, "gan-style")


def generator(name: str) -> Generator:
    """A generator with fresh weights from torch's global random state.

    Args:
        name: one of `NAMES`.
    """
    network = Convolutional(_ASCENTS[name]) if name in _ASCENTS else Style()
    initialise(network)
    made: Generator = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def initialise(network: nn.Module) -> None:
    """Fresh weights that keep the power of activations; doubling layers begin as interpolation."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | Interpolated):
            nn.init.kaiming_normal_(layer.weight, _SLOPE)
        elif isinstance(layer, nn.ConvTranspose2d):
            _as_interpolation(layer)
        elif isinstance(layer, Shuffled):
            # Without it the four pixels of each place begin unrelated, and a fixed checkerboard is learnt
            # first. Source: Aitken et al. 2017, *Checkerboard artifact free sub-pixel convolution*.
            four = layer.convolution.weight
            four.data = four.data[::4].repeat_interleave(4, 0)


def _as_interpolation(layer: nn.ConvTranspose2d) -> None:
    tap = torch.tensor([0.5, 1.0, 0.5])
    below, above = layer.weight.shape[:2]
    gain = (2 / (1 + _SLOPE**2) / below) ** 0.5
    layer.weight.data = gain * torch.randn(below, above, 1, 1) * torch.outer(tap, tap)
