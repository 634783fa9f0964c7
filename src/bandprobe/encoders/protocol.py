"""What every encoder is: images in [0, 1] to one float32 vector each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bandprobe.encoders.compiled import Compiled
from bandprobe.encoders.origin import Origin
from bandprobe.encoders.preprocessing import Preprocessing, Triple
from bandprobe.errors import EncoderError, ShapeError
from bandprobe.images.geometry import Geometry

if TYPE_CHECKING:
    from bandprobe.encoders.blocks import Block

Images: TypeAlias = "Tensor | npt.NDArray[np.floating]"

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

# Raised by one whenever the same weights and images would give another vector than before.
DEFINITION = "1"

_BATCH = 64
_LARGEST = 10.0  # filtered images leave [0, 1] a little; pixels in 0..255 leave it by far


class Encoder(ABC):
    """An image encoder with frozen weights. A child implements `_embed` and nothing else.

    Attributes:
        name: as the user wrote it; for a local folder its base name.
        dim: length of a vector; of one token where the vector is an image's tokens, one after the other.
        device: where the weights are and the forward pass runs.
        precision: `fp32`, `fp16` or `bf16`, the type of weights and activations.
        preprocessing: the mean and standard deviation that normalise the pixels.
        fingerprint: everything that changes a vector, as text. Neither device nor batch size is in it.
        native_geometry: how the authors resized and cropped, or None when that is unknown.
        why_no_gradient: why its vector cannot be differentiated, in words; empty where it can.
        is_detector: whether the vector is a finished detector's logit, so that no probe is trained on it.
        origin: what it was loaded from; None where it was not loaded by name.
        tap: what takes vectors behind its blocks (`layers`); None until layers are asked for.
    """

    why_no_gradient: str = ""
    is_detector: bool = False
    origin: Origin | None = None
    tap: Any = None

    def __init__(
        self,
        *,
        name: str,
        dim: int,
        device: torch.device,
        precision: str,
        preprocessing: Preprocessing,
        fingerprint: Mapping[str, str],
    ) -> None:
        self.name = name
        self.dim = dim
        self.device = device
        self.precision = precision
        if precision != "fp32" and not self.why_no_gradient:
            self.why_no_gradient = f"it runs in {precision}, which rounds small gradients away"
        self.preprocessing = preprocessing
        self.fingerprint = {"definition": DEFINITION, **fingerprint, "precision": precision}
        self.normalise_with(preprocessing.mean, preprocessing.std)
        self._forward: Callable[[Tensor], Tensor] = self._embed

    @property
    def nbytes(self) -> int:
        """Bytes of its weights."""
        model = getattr(self, "_model", None)
        return 0 if model is None else sum(each.numel() * each.element_size() for each in model.parameters())

    def normalise_with(self, mean: Triple, std: Triple) -> None:
        """Normalise pixels otherwise than before; the fingerprint follows.

        Args:
            mean: per channel, in units of images in [0, 1].
            std: per channel, in the same units.
        """
        self.preprocessing = replace(self.preprocessing, mean=mean, std=std)
        self.fingerprint.update(mean=" ".join(map(repr, mean)), std=" ".join(map(repr, std)))
        self._mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)

    def tokens_on(self, height: int, width: int) -> int:
        """How many tokens an image of that size has: a vector has `dim` values for each. 1 by default."""
        return 1

    @property
    def native_geometry(self) -> Geometry | None:
        """How the authors resized and cropped, or None when that is unknown."""
        return self.preprocessing.geometry

    @overload
    def encode(self, images: Tensor, batch_size: int | None = None) -> Tensor: ...
    @overload
    def encode(
        self, images: npt.NDArray[np.floating], batch_size: int | None = None
    ) -> npt.NDArray[np.float32]: ...
    def encode(self, images: Images, batch_size: int | None = None) -> Tensor | npt.NDArray[np.float32]:
        """One vector for each image. Deterministic; batch size and order change it by rounding only.

        Args:
            images: shape (n, 3, h, w), floating point, RGB. Values are nominally in [0, 1]; filtered
                images may leave that range, and are not clipped.
            batch_size: images per forward pass; 64 by default.

        Returns:
            float32, shape (n, dim), of the kind given: a NumPy array, or a tensor on the images'
            device. Of an encoder of tokens (n, tokens x dim), the class token first.

        Raises:
            ShapeError: another shape or dtype, a value that is not finite, or values that are
                plainly not in [0, 1], such as 0..255.
            EncoderError: the encoder does not take images of this size.
        """
        tensor = _checked(images)
        step = _BATCH if batch_size is None else batch_size
        if step < 1:
            raise ShapeError(f"batch_size must be at least 1; got {batch_size}.")
        height, width = tensor.shape[-2:]
        if len(tensor):
            self.check_grid(height, width)
        length = self.dim * self.tokens_on(height, width)
        vectors = torch.empty((len(tensor), length), dtype=torch.float32, device=tensor.device)
        for start in range(0, len(tensor), step):
            batch = tensor[start : start + step].to(self.device, torch.float32)
            vectors[start : start + step] = self.embed(batch).to(tensor.device)
        return vectors if isinstance(images, Tensor) else vectors.numpy()

    def embed(self, images: Tensor) -> Tensor:
        """The forward pass of `encode` without its checks, for a loop that has made them.

        Args:
            images: shape (n, 3, h, w), floating point, on this encoder's device, n at least 1.

        Returns:
            float32, shape (n, dim), on this encoder's device; (n, tokens x dim) of an encoder of tokens.
        """
        with torch.inference_mode():
            return self._forward(self._prepared(images)).to(torch.float32)

    def vectors(self, images: Tensor) -> Tensor:
        """The forward pass of `embed`, differentiable in the images where `why_no_gradient` is empty.

        Args:
            images: shape (n, 3, h, w), floating point, on this encoder's device.

        Returns:
            float32, shape (n, dim), with the graph that leads back to the images.
        """
        return self._embed(self._prepared(images)).to(torch.float32)

    def compile(self) -> None:
        """Have PyTorch's compiler make the forward pass faster from here on; vectors change by rounding only.

        The next batch takes longer by the time to compile it. Deterministic as before, and as little dependent on
        the batch size. Where layers are asked for as well, passes stay as they are.
        """
        if self.tap is None:
            self._forward = Compiled(self._embed, self.name)

    def blocks(self) -> list[Block]:
        """Its blocks in the order of the pass, behind each of which a vector can be taken; none by default."""
        return []

    def _prepared(self, images: Tensor) -> Tensor:
        """Pixels as `_embed` takes them: normalised, in this encoder's precision."""
        return ((images.to(torch.float32) - self._mean) / self._std).to(DTYPES[self.precision])

    def check_grid(self, height: int, width: int) -> None:  # noqa: B027 - any size unless a child objects
        """Refuse an image size this encoder has no vector for.

        Raises:
            EncoderError: the encoder does not take height x width.
        """

    @abstractmethod
    def _embed(self, pixels: Tensor) -> Tensor:
        """(n, 3, h, w) normalised pixels, in this encoder's precision and on its device -> (n, dim)."""


def checked_precision(precision: str) -> str:
    """`precision` itself.

    Raises:
        EncoderError: it is not fp32, fp16 or bf16.
    """
    if precision not in DTYPES:
        raise EncoderError(f"precision must be one of {', '.join(DTYPES)}; got {precision!r}.")
    return precision


def _checked(images: Images) -> Tensor:
    """`images` as a floating tensor of shape (n, 3, h, w) with finite values near [0, 1]."""
    expected = "images must be a floating-point array of shape (n, 3, h, w) with values in [0, 1]"
    if not isinstance(images, (Tensor, np.ndarray)):
        raise ShapeError(f"{expected}; got {type(images).__name__}. Stack the images into one array first.")
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise ShapeError(
            f"{expected}; got shape {tuple(images.shape)}. Put colour on the second axis; repeat grey "
            "three times."
        )
    if not (images.is_floating_point() if isinstance(images, Tensor) else images.dtype.kind == "f"):
        raise ShapeError(f"{expected}; got {images.dtype}. Divide 8-bit images by 255.")
    if isinstance(images, Tensor):
        tensor = images
    else:  # torch warns of arrays that it could write to and must not
        tensor = torch.from_numpy(np.require(images, np.float32, ["C", "W"]))
    if not tensor.numel():
        return tensor
    low, high = (float(value) for value in torch.aminmax(tensor))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ShapeError(f"{expected}; got values that are not finite. Leave the damaged images out first.")
    if max(-low, high) > _LARGEST:
        raise ShapeError(f"{expected}; got values from {low:g} to {high:g}. Divide 8-bit images by 255.")
    return tensor
