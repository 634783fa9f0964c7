"""One forward FFT an image, shared by every mask of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from bandprobe.errors import ShapeError
from bandprobe.filters.masks import half_mask
from bandprobe.filters.spec import Filter, Step

# A value this far outside [0, 1] is clipped; the FFT's own rounding is some 1e-6.
_ROUNDING = 1e-4

# On a processor the transforms run over so much of a batch at a time: what they read and write then stays
# in the cores' own caches (docs/performance.md).
_PART_BYTES = 5 * 2**18


@dataclass(frozen=True)
class Filtered:
    """Images under one filter, and what it did to them."""

    filter: Filter
    images: torch.Tensor  # (n, c, h, w)
    clipped_share: torch.Tensor  # (n,): share of values outside [0, 1] before quantisation
    ac_removed: torch.Tensor  # (n,): share of the energy outside DC that is gone


class FilterBank:
    """Several filters for images of one size.

    Args:
        filters: what to apply, in the order wanted.
        shape: the images' height and width.
        device: where the images will be.
        dtype: the images' dtype, float32 or float64.

    Raises:
        FilterError: a filter removes everything on this grid.
    """

    def __init__(
        self,
        filters: Sequence[Filter],
        shape: tuple[int, int],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.filters = tuple(filters)
        self.shape = shape
        self._stages = [
            [
                (torch.tensor(half_mask(steps, shape), dtype=dtype, device=device), bits)
                for steps, bits in stages
            ]
            for stages in map(_plan, self.filters)
        ]

    def __call__(self, images: torch.Tensor) -> Iterator[tuple[Filter, torch.Tensor]]:
        """Each filter with the filtered images, one after the other.

        Args:
            images: float, shape (..., h, w) with the bank's h and w.

        Yields:
            The filter, and images of the same shape and dtype: unclipped, unless the filter says `bits=8`.
        """
        for spec, filtered, _ in self._run(images):
            yield spec, filtered

    def measured(self, images: torch.Tensor) -> Iterator[Filtered]:
        """As calling the bank, with what each filter did to each image.

        Args:
            images: float, shape (n, c, h, w) with the bank's h and w.
        """
        before = _in_parts(ac_energy, images)
        for spec, filtered, unclipped in self._run(images):
            after = _in_parts(ac_energy, filtered)
            # A blank picture has no energy to lose.
            removed = torch.where(before > 0, 1 - after / before.clamp_min(1e-30), torch.zeros_like(before))
            yield Filtered(spec, filtered, _in_parts(clipped_share, unclipped), removed)

    def _run(self, images: torch.Tensor) -> Iterator[tuple[Filter, torch.Tensor, torch.Tensor]]:
        """Each filter, its images, and the same before their last quantisation."""
        parts = _parts(images)
        shared: list[torch.Tensor] | None = None
        for spec, stages in zip(self.filters, self._stages, strict=True):
            filtered, unclipped, spectra = images, images, shared
            for number, (mask, bits) in enumerate(stages):
                if number or spectra is None:
                    spectra = [torch.fft.rfft2(filtered[part]) for part in parts]
                if not number:
                    shared = spectra
                unclipped = self._inverse(spectra, mask, parts, images)
                filtered = quantise(unclipped) if bits else unclipped
            yield spec, filtered, unclipped

    def _inverse(
        self, spectra: list[torch.Tensor], mask: torch.Tensor, parts: list[slice], like: torch.Tensor
    ) -> torch.Tensor:
        """The images whose spectra, part by part, are these under the mask."""
        if len(parts) == 1:
            whole: torch.Tensor = torch.fft.irfft2(spectra[0] * mask, s=self.shape)
            return whole
        filtered = torch.empty_like(like)
        for part, spectrum in zip(parts, spectra, strict=True):
            filtered[part] = torch.fft.irfft2(spectrum * mask, s=self.shape)
        return filtered


def _parts(images: torch.Tensor) -> list[slice]:
    """Consecutive images for one call of the FFT each: a few on a processor, the whole batch elsewhere."""
    if images.ndim < 4 or not images.numel() or images.device.type != "cpu":
        return [slice(None)]
    step = max(1, _PART_BYTES // (images[0].numel() * images.element_size()))
    return [slice(start, start + step) for start in range(0, len(images), step)]


def _in_parts(measure: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """What `measure` says of each image."""
    parts = [measure(images[part]) for part in _parts(images)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _plan(spec: Filter) -> list[tuple[tuple[Step, ...], bool]]:
    """Steps joined into one mask each, up to the next quantisation; nothing for `none`."""
    if spec.kind == "none":
        return []
    ends = [0]
    for step in spec.steps:
        ends.append(ends[-1] + (step.bits is not None))
    numbered = zip(ends, spec.steps, strict=False)
    plan = []
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        steps = tuple(step for _, step in group)
        plan.append((steps, steps[-1].bits is not None))
    return plan


def quantise(images: torch.Tensor) -> torch.Tensor:
    """Images as an 8-bit file holds them: clipped to [0, 1] and rounded to the nearest of 256 levels."""
    return (images.clamp(0, 1) * 255).round() / 255


def clipped_share(images: torch.Tensor) -> torch.Tensor:
    """Share of each image's values that lie outside [0, 1], which an 8-bit file would clip.

    Args:
        images: float, shape (n, ..., h, w), unclipped.

    Returns:
        float32, shape (n,), in [0, 1].
    """
    images = images.detach()
    within = images.clamp(-_ROUNDING, 1 + _ROUNDING)
    # Ones and zeros as floats: Booleans take three times as long to sum.
    return torch.ne(images, within, out=torch.empty_like(images)).flatten(1).mean(1, dtype=torch.float32)


def ac_energy(images: torch.Tensor) -> torch.Tensor:
    """Each image's energy outside DC: the sum over channels of the variance over pixels.

    By Parseval this is the power of all coefficients but DC, so `1 - ac_energy(filtered) / ac_energy(image)`
    is the share of AC energy that a filter removes.

    Args:
        images: float, shape (n, c, h, w).

    Returns:
        float, shape (n,).
    """
    centred = images - images.mean((2, 3), keepdim=True)
    # `torch.var` takes ten times as long: it keeps a running mean, pixel by pixel.
    return centred.square_().mean((2, 3)).sum(1)


def apply(spec: Filter, images: Any) -> Any:
    """Filter images that are a NumPy array or a tensor, of any leading shape. See `Filter.__call__`."""
    is_tensor = isinstance(images, torch.Tensor)
    array: Any = images if is_tensor else np.asarray(images)
    floating = array.is_floating_point() if is_tensor else np.issubdtype(array.dtype, np.floating)
    if array.ndim < 2 or not floating or 0 in array.shape[-2:]:
        raise ShapeError(
            "images must be a floating array of shape (n, 3, h, w) with values in [0, 1]; got "
            f"{array.dtype} of shape {tuple(array.shape)}. Divide 8-bit images by 255."
        )
    tensor = images.clone() if is_tensor else torch.tensor(array)  # a copy: `none` hands it back
    # There is no FFT in half precision on the CPU.
    work = tensor if tensor.dtype == torch.float64 else tensor.float()
    bank = FilterBank([spec], (work.shape[-2], work.shape[-1]), device=work.device, dtype=work.dtype)
    [(_, filtered)] = bank(work)
    filtered = filtered.to(tensor.dtype)
    return filtered if is_tensor else filtered.numpy()
