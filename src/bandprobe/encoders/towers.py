"""Which vector each architecture of transformers gives, and how it is asked for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from bandprobe.errors import EncoderError

# (model, pixels of shape (n, 3, h, w)) -> vectors of shape (n, dim)
Forward: TypeAlias = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Tower:
    """How the vector of one architecture is taken.

    Attributes:
        model: the class in transformers, the image tower alone where there is one.
        vector: which vector, in words; part of the fingerprint.
        forward: the call.
        width: the attribute of the tower's configuration that holds the length of the vector.
        unused: beginnings of the weights' names that the vector does not depend on.
    """

    model: str
    vector: str
    forward: Forward
    width: str = "hidden_size"
    unused: tuple[str, ...] = ()


def _class_token(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels).last_hidden_state[:, 0])


def _class_token_interpolated(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0])


def _class_token_unmasked(model: Any, pixels: Tensor) -> Tensor:
    """MAE drops random patches and shuffles the others. No dropping (`mask_ratio` 0) and rising noise keep
    every patch in its place."""
    height, width = pixels.shape[-2:]
    patches = (height // model.config.patch_size) * (width // model.config.patch_size)
    noise = torch.arange(patches, device=pixels.device).expand(len(pixels), -1)
    output = model(pixel_values=pixels, noise=noise, interpolate_pos_encoding=True)
    return _tensor(output.last_hidden_state[:, 0])


def _projected(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).image_embeds)


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels).pooler_output)


def _pooled_interpolated(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output)


def _pooled_patches(model: Any, pixels: Tensor) -> Tensor:
    """SigLIP2 of any aspect ratio takes a list of flattened patches, row by row, colours last."""
    size = model.config.patch_size
    n, _, height, width = pixels.shape
    rows, columns = height // size, width // size
    patches = pixels.reshape(n, 3, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1)
    output = model(
        pixel_values=patches.reshape(n, rows * columns, size * size * 3),
        pixel_attention_mask=torch.ones((n, rows * columns), dtype=torch.int32, device=pixels.device),
        spatial_shapes=torch.tensor([[rows, columns]], device="cpu").expand(n, 2),
    )
    return _tensor(output.pooler_output)


def _any(model: Any, pixels: Tensor) -> Tensor:
    """The rule of `GENERIC`, for architectures without a row of their own."""
    features = getattr(model, "get_image_features", None)
    call = features or model.forward
    options = {"interpolate_pos_encoding": True} if _interpolates(call) else {}
    output = features(pixels, **options) if features else model(pixel_values=pixels, **options)
    if isinstance(output, Tensor):
        return output.flatten(1)
    states = getattr(output, "last_hidden_state", None)
    pooled = getattr(output, "pooler_output", None)
    if features is None and states is not None and states.ndim == 3 and has_class_token(model):
        return _tensor(states[:, 0])
    if pooled is not None:
        return _tensor(pooled).flatten(1)
    if states is None:
        raise EncoderError(f"{type(model).__name__} gives neither a class token nor a pooled vector.")
    return _tensor(states.flatten(2).mean(2) if states.ndim == 4 else states.mean(1))


def has_class_token(model: Any) -> bool:
    """Whether the model prepends a class token to its patches."""
    return any("cls_token" in name or "class_embedding" in name for name, _ in model.named_parameters())


def _interpolates(function: Callable[..., Any]) -> bool:
    return "interpolate_pos_encoding" in inspect.signature(function).parameters


def _tensor(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise EncoderError("this checkpoint gives no pooled vector. Choose one that was saved with its head.")
    return value


_CLS = "class token after the final norm"
_CLIP = Tower(
    "CLIPVisionModelWithProjection", "image tower after the projection", _projected, "projection_dim"
)
_SIGLIP = Tower("SiglipVisionModel", "pooled by the attention head", _pooled_interpolated)
_SIGLIP2 = Tower("Siglip2VisionModel", "pooled by the attention head", _pooled_patches)

# A mask token stands for masked patches in pre-training only.
_MASK = ("embeddings.mask_token",)

TOWERS: dict[str, Tower] = {
    "dinov2": Tower("Dinov2Model", _CLS, _class_token, unused=_MASK),
    "dinov2_with_registers": Tower("Dinov2WithRegistersModel", _CLS, _class_token, unused=_MASK),
    "dinov3_vit": Tower("DINOv3ViTModel", _CLS, _class_token, unused=_MASK),
    "dinov3_convnext": Tower("DINOv3ConvNextModel", "mean over positions after the final norm", _pooled),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "siglip2": _SIGLIP2,
    "siglip2_vision_model": _SIGLIP2,
    "vit_mae": Tower("ViTMAEModel", f"{_CLS}, no patch masked", _class_token_unmasked),
    "vit": Tower("ViTModel", _CLS, _class_token_interpolated, unused=(*_MASK, "pooler.")),
}

GENERIC = Tower(
    "AutoModel",
    "image features of a two-tower model, or else the class token, the pooled output, the mean over "
    "positions",
    _any,
    unused=_MASK,
)
