"""What a filter comes down to on a grid: changes of the spectrum and operations on pixels, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from bandprobe.errors import FilterError, ShapeError
from bandprobe.filters import published
from bandprobe.filters.adaptation import adapt, inject, window
from bandprobe.filters.masks import drawn_gains, gain, mask_of
from bandprobe.filters.perturb import perturb
from bandprobe.filters.references import ReferenceImages
from bandprobe.filters.spec import Filter
from bandprobe.filters.steps import Step

# On a processor the transforms run over so much of a batch at a time: what they read and write then stays
# in the cores' own caches (docs/performance.md).
_PART_BYTES = 5 * 2**18


def quantise(images: torch.Tensor) -> torch.Tensor:
    """Images as an 8-bit file holds them: clipped to [0, 1] and rounded to the nearest of 256 levels."""
    return (images.clamp(0, 1) * 255).round() / 255


def parts(images: torch.Tensor) -> list[slice]:
    """Consecutive images for one call of the FFT each: a few on a processor, the whole batch elsewhere."""
    if images.ndim < 4 or not images.numel() or images.device.type != "cpu":
        return [slice(None)]
    step = max(1, _PART_BYTES // (images[0].numel() * images.element_size()))
    return [slice(start, start + step) for start in range(0, len(images), step)]


class Transform:
    """To the half spectrum of real images, and back to the inverse's real part."""

    half = True

    def parts(self, images: torch.Tensor) -> list[slice]:
        """What is transformed at a time."""
        return parts(images)

    def mask(self, mask: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
        """A gain as a factor for spectra."""
        return torch.tensor(mask, dtype=dtype, device=device)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (..., h, w) to spectra."""
        spectrum: torch.Tensor = torch.fft.rfft2(images)
        return spectrum

    def back(self, spectrum: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Spectra to values (..., h, w)."""
        values: torch.Tensor = torch.fft.irfft2(spectrum, s=shape)
        return values

    def finish(self, values: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values as filtered images, and as they are before anything is cut off them."""
        return values, values


class PublishedTransform(Transform):
    """The published code's way: 8-bit images in, absolute values cut to 8 bits out (see `published`)."""

    half = False

    def parts(self, images: torch.Tensor) -> list[slice]:
        """Everything at a time."""
        return [slice(None)]

    def mask(self, mask: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
        """A gain in double precision, where NumPy works."""
        return torch.tensor(mask)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (..., h, w), as 8-bit files hold them, to whole spectra."""
        levels = (images.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return torch.from_numpy(published.spectrum(levels))

    def back(self, spectrum: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """Spectra to gray values (..., h, w)."""
        return torch.from_numpy(published.absolute(spectrum.numpy()))

    def finish(self, values: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gray values without fraction, modulo 256, and as they are; both over 255."""
        cut = torch.from_numpy(published.truncated(values.numpy()))
        return cut.to(like) / 255, (values / 255).to(like)


class Batch:
    """What is known of the images under way besides their pixels."""

    def __init__(
        self,
        images: torch.Tensor,
        ids: Sequence[str] | None,
        references: ReferenceImages | None,
        transform: Transform,
    ) -> None:
        self._images = images
        self._ids = ids
        self._references = references
        self._transform = transform
        self._held: dict[tuple[object, ...], torch.Tensor] = {}

    def ids(self, step: Step) -> Sequence[str]:
        """The images' ids.

        Raises:
            FilterError: they are not known.
            ShapeError: they are not as many as the images.
        """
        if self._ids is None:
            raise FilterError(f"filter {str(step)!r} draws by the images' ids; give ids=.")
        if len(self._ids) != len(self._images):
            raise ShapeError(f"ids must be one for each of {len(self._images)} images; got {len(self._ids)}.")
        return self._ids

    def reference(self, step: Step, part: slice) -> torch.Tensor:
        """The spectra of the references of some of the images, (n, 3, ...) or (1, 3, ...)."""
        key = (step.reference, step.split, step.seed)
        if key not in self._held:
            self._held[key] = self._loaded(step)
        images = self._held[key]
        return self._transform.forward(images if len(images) == 1 else images[part])

    def _loaded(self, step: Step) -> torch.Tensor:
        if self._references is None:
            raise FilterError(f"filter {str(step)!r} has no reference here; give references=.")
        found = self._references(step, self.ids(step)).to(self._images)
        shape = self._images.shape
        if len(found) not in (1, shape[0]) or found.shape[1:] != shape[1:]:
            raise ShapeError(
                f"references must have shape (1, {', '.join(map(str, shape[1:]))}) or one for each of "
                f"{shape[0]} images; got {tuple(found.shape)}."
            )
        return found


Change = Callable[[torch.Tensor, slice, Batch], torch.Tensor]


@dataclass(frozen=True)
class Stage:
    """One change of the spectrum, or one operation on pixels.

    Attributes:
        steps: the spec's steps that are done in it.
        change: spectra of a part of the batch to such; None for an operation on pixels.
        operation: images of the batch to such.
        bits: 8-bit levels afterwards.
        coded: the operation itself takes and gives 8-bit levels.
    """

    steps: tuple[Step, ...]
    change: Change | None = None
    operation: Callable[[torch.Tensor, Batch], torch.Tensor] | None = None
    bits: bool = False
    coded: bool = False


def plan(
    spec: Filter,
    shape: tuple[int, int],
    transform: Transform,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
) -> list[Stage]:
    """A filter's stages on a grid; nothing for `none`."""
    stages, place = [], 0
    for steps in _joined(spec.steps):
        step = steps[0]
        # Two steps of one kind draw each for itself; a filter more or less in front changes no draw.
        stream = str(sum(earlier.kind == step.kind for earlier in spec.steps[:place]))
        place += len(steps)
        bits = steps[-1].bits is not None
        change = _change(steps, shape, transform, device, dtype, stream)
        if change is not None:
            stages.append(Stage(steps, change=change, bits=bits))
        elif step.kind != "none":
            operation = partial(_operate, step, stream)
            stages.append(Stage(steps, operation=operation, bits=bits, coded=step.kind in ("jpeg", "webp")))
    return stages


def _joined(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Masks up to the next quantisation together, since they are one mask; any other step alone."""
    run: list[Step] = []
    for step in steps:
        if run and not (step.is_mask and run[-1].is_mask and run[-1].bits is None):
            yield tuple(run)
            run = []
        run.append(step)
    yield tuple(run)


def _operate(step: Step, stream: str, images: torch.Tensor, batch: Batch) -> torch.Tensor:
    return perturb(step, images, batch.ids(step) if step.kind == "noise" else (), stream)


def _change(
    steps: tuple[Step, ...],
    shape: tuple[int, int],
    transform: Transform,
    device: torch.device | str,
    dtype: torch.dtype,
    stream: str,
) -> Change | None:
    """What joined steps do to spectra; None where they work on pixels."""
    step, half = steps[0], transform.half
    if step.is_mask:
        mask = transform.mask(mask_of(steps, shape, half), dtype, device)
        return lambda spectrum, part, batch: spectrum * mask
    if step.kind == "fda":
        low = window(shape, step.number or 0.0, half=half)
        return lambda spectrum, part, batch: adapt(spectrum, batch.reference(step, part), low)
    if step.kind == "inject":
        taken = transform.mask(gain(step.injected, shape, half=half), dtype, device)
        return lambda spectrum, part, batch: inject(spectrum, batch.reference(step, part), taken)
    if step.span is not None:

        def drawn(spectrum: torch.Tensor, part: slice, batch: Batch) -> torch.Tensor:
            gains = drawn_gains(step, shape, batch.ids(step)[part], stream, half=half)
            return spectrum * transform.mask(gains, dtype, device)

        return drawn
    return None
