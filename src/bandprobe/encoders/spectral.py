"""The encoder without weights: the log power spectrum on a fixed lattice of frequencies."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import Tensor

from bandprobe.encoders.preprocessing import IDENTITY
from bandprobe.encoders.protocol import Encoder
from bandprobe.errors import EncoderError

ROWS, COLUMNS = 32, 17
LUMA = (0.299, 0.587, 0.114)

# The power that rounding to 8 bits adds to every frequency; nothing below it survives in an 8-bit file.
FLOOR = (1 / 255) ** 2 / 12


def log_power(images: Tensor) -> Tensor:
    """Log power spectrum of the luma, averaged onto 32 x 17 cells of the half plane.

    The mean is removed, the spectrum is the ortho FFT's |F|^2. Cells are laid over frequencies from minus
    to plus Nyquist (rows, DC in row 16) and from 0 to Nyquist (columns, DC in column 0), so a cell means
    the same fraction of Nyquist on every grid. Phase is not seen: images that differ in phase alone, a
    cyclic shift among them, get the same vector.

    Args:
        images: shape (n, 3, h, w), floating point, h and w at least 32, values nominally in [0, 1].

    Returns:
        float32, shape (n, 544): natural log of squared intensity, `log(power + FLOOR)`, row by row.

    Source:
        Luma of ITU-R BT.601. The floor is the variance of a uniform error of one 8-bit step, step^2 / 12.
    """
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    grey = (images.to(torch.float32) * weights).sum(1)
    grey = grey - grey.mean((-2, -1), keepdim=True)
    power = torch.fft.rfft2(grey, norm="ortho").abs().square()
    centred = torch.fft.fftshift(power, dim=-2)
    cells = F.adaptive_avg_pool2d(centred.unsqueeze(1), (ROWS, COLUMNS))
    return torch.log(cells.flatten(1) + FLOOR)


class SpectralEncoder(Encoder):
    """`log_power` as an encoder. It is computed in float32 whatever precision the study asks for."""

    # A gradient there is exact for steps far below one 8-bit level only.
    why_no_gradient = "the logarithm of an all but empty spectrum is too steep for one"

    def __init__(self, device: torch.device, name: str = "spectral") -> None:
        super().__init__(
            name=name,
            dim=ROWS * COLUMNS,
            device=device,
            precision="fp32",
            preprocessing=IDENTITY,
            fingerprint={
                "library": "bandprobe",
                "model_type": "spectral",
                "vector": f"log power spectrum, {ROWS} x {COLUMNS} cells",
                "revision": "1",
                "weights": "none",
            },
        )

    def check_grid(self, height: int, width: int) -> None:
        """Refuse grids with fewer frequencies than cells.

        Raises:
            EncoderError: height or width is below 32.
        """
        if min(height, width) < ROWS:
            raise EncoderError(
                f"{self.name} takes images of at least {ROWS} x {ROWS}; got {height} x {width}. "
                "Resize them first."
            )

    def _embed(self, pixels: Tensor) -> Tensor:
        return log_power(pixels)
