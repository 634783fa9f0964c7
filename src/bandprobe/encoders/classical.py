"""The classical detectors on spectra as encoders: pixels, DCT and FFT of a grey centre crop."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bandprobe.encoders.catalogue import CLASSICAL
from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import Encoder
from bandprobe.encoders.spectral import LUMA
from bandprobe.errors import EncoderError

SIDE = 64
LOG_FLOOR = 1e-12


class ClassicalEncoder(Encoder):
    """One of `pixel`, `dct`, `log-dct`, `fft`, `log-fft`, in double precision where the device has it.

    The image's luma (BT.601, not rounded to 8 bits), its centre of 64 x 64 (an odd margin's extra pixel is cut
    at the bottom and right), scaled from [0, 1] to [-1, 1]. Then the pixels themselves, the coefficients of the
    orthonormal DCT-II, the magnitudes of the orthonormal FFT with DC first, or `log(|x| + 1e-12)` of either,
    row by row. Standardisation is the probe's.

    Source:
        Frank et al. 2020 (arXiv:2003.08685); Ricker et al. 2022 (arXiv:2210.14571).
    """

    def __init__(self, kind: str, device: torch.device, name: str = "") -> None:
        super().__init__(
            name=name or kind,
            dim=SIDE * SIDE,
            device=device,
            precision="fp32",
            preprocessing=IDENTITY,
            fingerprint={
                "library": "bandprobe",
                "model_type": kind,
                "vector": f"{CLASSICAL[kind]} of the grey centre, {SIDE} x {SIDE}",
                "revision": "1",
                "weights": "none",
            },
        )
        self._kind = kind
        if kind.startswith("log-"):
            self.why_no_gradient = "the logarithm of a coefficient has none where the coefficient is zero"
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._luma = torch.tensor(LUMA, dtype=dtype, device=device).view(1, 3, 1, 1)
        self._basis = dct_basis(SIDE).to(device=device, dtype=dtype)

    def check_grid(self, height: int, width: int) -> None:
        """Refuse images smaller than the crop.

        Raises:
            EncoderError: height or width is below 64.
        """
        if min(height, width) < SIDE:
            raise EncoderError(
                f"{self.name} takes images of at least {SIDE} x {SIDE}, of which it crops the centre; got "
                f"{height} x {width}. Resize them, e.g. geometry squash:224."
            )

    def _embed(self, pixels: Tensor) -> Tensor:
        top, left = ((side - SIDE) // 2 for side in pixels.shape[-2:])
        crop = pixels[..., top : top + SIDE, left : left + SIDE].to(self._luma.dtype)
        values = 2 * (crop * self._luma).sum(1) - 1
        if "dct" in self._kind:
            values = self._basis @ values @ self._basis.T
        elif "fft" in self._kind:
            values = torch.fft.fft2(values, norm="ortho").abs()
        if self._kind.startswith("log-"):
            values = torch.log(values.abs() + LOG_FLOOR)
        return values.flatten(1)


def dct_basis(n: int) -> Tensor:
    """The orthonormal DCT-II as a matrix: float64, shape (n, n), `basis @ x` are the coefficients of x."""
    frequency, place = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    basis = math.sqrt(2 / n) * torch.cos(math.pi * (2 * place + 1) * frequency / (2 * n))
    basis[0] /= math.sqrt(2)
    return basis
