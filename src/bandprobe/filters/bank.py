"""One forward FFT an image, shared by every mask of a sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from bandprobe.errors import ShapeError
from bandprobe.filters.masks import check
from bandprobe.filters.references import ReferenceImages, References, given
from bandprobe.filters.spec import Filter
from bandprobe.filters.stages import Batch, PublishedTransform, Stage, Transform, parts, plan, quantise
from bandprobe.filters.steps import Step
from bandprobe.images import Geometry

# A value this far outside [0, 1] is clipped; the FFT's own rounding is some 1e-6.
_ROUNDING = 1e-4


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
        references: what gives the references of `fda` and `inject`.
        abs_uint8: filter as the published code does: 8-bit images in, absolute values cut to 8 bits out. What
            does not go through a Fourier transform stays as it is.

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
        references: ReferenceImages | None = None,
        abs_uint8: bool = False,
    ) -> None:
        self.filters = tuple(filters)
        self.shape = shape
        self._references = references
        self._transform = PublishedTransform() if abs_uint8 else Transform()
        self._stages = []
        for spec in self.filters:
            check(spec, shape)
            self._stages.append(plan(spec, shape, self._transform, device=device, dtype=dtype))

    def __call__(
        self, images: torch.Tensor, ids: Sequence[str] | None = None
    ) -> Iterator[tuple[Filter, torch.Tensor]]:
        """Each filter with the filtered images, one after the other.

        Args:
            images: float, shape (..., h, w) with the bank's h and w; (n, c, h, w) for more than masks.
            ids: the images' ids, where a filter draws something for each image.

        Yields:
            The filter, and images of the same shape and dtype: unclipped, unless the filter says `bits=8`.
        """
        for spec, filtered, _ in self._run(images, ids):
            yield spec, filtered

    def measured(self, images: torch.Tensor, ids: Sequence[str] | None = None) -> Iterator[Filtered]:
        """As calling the bank, with what each filter did to each image.

        Args:
            images: float, shape (n, c, h, w) with the bank's h and w.
            ids: the images' ids, where a filter draws something for each image.
        """
        before = _in_parts(ac_energy, images)
        for spec, filtered, unclipped in self._run(images, ids):
            after = _in_parts(ac_energy, filtered)
            # A blank picture has no energy to lose.
            removed = torch.where(before > 0, 1 - after / before.clamp_min(1e-30), torch.zeros_like(before))
            yield Filtered(spec, filtered, _in_parts(clipped_share, unclipped), removed)

    def _run(
        self, images: torch.Tensor, ids: Sequence[str] | None
    ) -> Iterator[tuple[Filter, torch.Tensor, torch.Tensor]]:
        """Each filter, its images, and the same before their last quantisation."""
        batch = Batch(images, ids, self._references, self._transform)
        plain = _Origin((), images, images)
        latest = plain
        for spec, stages in zip(self.filters, self._stages, strict=True):
            leading = tuple(takewhile(lambda stage: stage.operation, stages))
            steps = tuple(stage.steps for stage in leading)
            origin = plain if not leading else latest
            if origin.steps != steps:
                # Conditions that start alike, such as every mask behind `jpeg:75`, share that start.
                origin = latest = _Origin(steps, *self._through(leading, plain, batch))
            yield spec, *self._through(stages[len(leading) :], origin, batch)

    def _through(
        self, stages: Sequence[Stage], origin: _Origin, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The images after some stages, and before their last quantisation."""
        filtered, unclipped = origin.images, origin.unclipped
        for number, stage in enumerate(stages):
            if stage.operation:
                changed = stage.operation(filtered, batch)
                filtered, unclipped = changed, filtered if stage.coded else changed
            else:
                spectra = self._spectra(filtered) if number else origin.spectra
                if spectra is None:
                    spectra = origin.spectra = self._spectra(filtered)
                filtered, unclipped = self._inverse(stage, spectra, filtered, batch)
            if stage.bits:
                filtered = quantise(filtered)
        return filtered, unclipped

    def _spectra(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self._transform.forward(images[part]) for part in self._transform.parts(images)]

    def _inverse(
        self, stage: Stage, spectra: list[torch.Tensor], like: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The images whose spectra, part by part, are these after a stage's change."""
        places = self._transform.parts(like)
        changed = (stage.change(s, p, batch) for s, p in zip(spectra, places, strict=True) if stage.change)
        if len(places) == 1:
            return self._transform.finish(self._transform.back(next(changed), self.shape), like)
        whole = torch.empty_like(like)
        for place, spectrum in zip(places, changed, strict=True):
            whole[place] = self._transform.back(spectrum, self.shape)
        return self._transform.finish(whole, like)


@dataclass
class _Origin:
    """Images that several filters start from, with their spectra once these are known."""

    steps: tuple[tuple[Step, ...], ...]
    images: torch.Tensor
    unclipped: torch.Tensor
    spectra: list[torch.Tensor] | None = None


def _in_parts(measure: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """What `measure` says of each image."""
    found = [measure(images[part]) for part in parts(images)]
    return found[0] if len(found) == 1 else torch.cat(found)


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


def apply(spec: Filter, images: Any, ids: Sequence[str] | None = None, references: Any = None) -> Any:
    """Filter images that are a NumPy array or a tensor, of any leading shape. See `Filter.__call__`."""
    is_tensor = isinstance(images, torch.Tensor)
    array: Any = images if is_tensor else np.asarray(images)
    floating = array.is_floating_point() if is_tensor else np.issubdtype(array.dtype, np.floating)
    masks_only = all(step.is_mask or step.kind == "none" for step in spec.steps)
    if array.ndim < (2 if masks_only else 3) or not floating or 0 in array.shape[-2:]:
        raise ShapeError(
            "images must be a floating array of shape (n, 3, h, w) with values in [0, 1]; got "
            f"{array.dtype} of shape {tuple(array.shape)}. Divide 8-bit images by 255."
        )
    if array.ndim >= 3 and array.shape[-1] in (3, 4) and array.shape[-3] not in (1, 3, 4):
        raise ShapeError(
            f"images must have their channels before height and width, (n, 3, h, w); got shape {tuple(array.shape)}, "
            "which looks channel-last. Move the last axis: images.transpose(0, 3, 1, 2)."
        )
    tensor = images.clone() if is_tensor else torch.tensor(array)  # a copy: `none` hands it back
    # There is no FFT in half precision on the CPU.
    work = tensor if tensor.dtype == torch.float64 else tensor.float()
    shape = (work.shape[-2], work.shape[-1])
    if not masks_only:
        work = work.reshape(-1, *work.shape[-3:])
    if ids is None and spec.needs_ids:
        ids = [hashlib.sha256(image.detach().cpu().numpy().tobytes()).hexdigest() for image in work]
    source: ReferenceImages | None = None
    if references is not None:
        source = given(references, shape)
    elif spec.needs_references:
        source = References(None, geometry=Geometry.squash(*shape))
    bank = FilterBank([spec], shape, device=work.device, dtype=work.dtype, references=source)
    [(_, filtered)] = bank(work, ids)
    filtered = filtered.reshape(tensor.shape).to(tensor.dtype)
    return filtered if is_tensor else filtered.numpy()
