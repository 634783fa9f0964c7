"""Up-sampling as generators do it: the last step that leaves their fingerprints."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

RESAMPLERS = ("nearest", "bilinear", "transposed-convolution")

# A stride-2 layer whose kernel of 3 overlaps unevenly, around the bilinear kernel [1/2, 1, 1/2]: the
# checkerboard of Odena, Dumoulin & Olah 2016.
_TAPS = torch.tensor([0.44, 1.0, 0.60], dtype=torch.float64)


def resample(image: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """An image brought to half its size and back, as if it had been generated there.

    Args:
        image: float64, shape (h, w, 3) with even h and w, in [0, 1].
        name: one of `RESAMPLERS`: what brings the halved image back to its size.

    Returns:
        float64, shape (h, w, 3), in [0, 1].
    """
    planes = torch.from_numpy(image).permute(2, 0, 1)[:, None]  # (3, 1, h, w): each colour by itself
    half = torch.nn.functional.avg_pool2d(planes, 2)
    h, w = planes.shape[2:]
    if name == "transposed-convolution":
        kernel = torch.outer(_TAPS, _TAPS)[None, None]
        padded = torch.nn.functional.pad(half, (0, 1, 0, 1), mode="replicate")
        up = torch.nn.functional.conv_transpose2d(padded, kernel, stride=2, padding=1)[:, :, :h, :w]
    elif name == "bilinear":
        up = torch.nn.functional.interpolate(half, size=(h, w), mode=name, align_corners=False)
    else:
        up = torch.nn.functional.interpolate(half, size=(h, w), mode=name)
    resampled: NDArray[np.float64] = up[:, 0].permute(1, 2, 0).numpy().clip(0, 1)
    return resampled
