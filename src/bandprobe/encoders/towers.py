"""Which vector each architecture of transformers gives, and how it is asked for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        states: the call for all tokens after the final norm, shape (n, tokens, hidden size), the class token
            first and registers behind it; None where there are none.
        tokens: which those are, registers left aside.
    """

    model: str
    vector: str
    forward: Forward
    width: str = "hidden_size"
    unused: tuple[str, ...] = ()
    states: Forward | None = None
    tokens: str = "class+patch"


def _states(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels).last_hidden_state)


def _states_interpolated(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state)


def _states_unmasked(model: Any, pixels: Tensor) -> Tensor:
    """MAE drops random patches and shuffles the others. No dropping (`mask_ratio` 0) and rising noise keep
    every patch in its place."""
    height, width = pixels.shape[-2:]
    patches = (height // model.config.patch_size) * (width // model.config.patch_size)
    noise = torch.arange(patches, device=pixels.device).expand(len(pixels), -1)
    output = model(pixel_values=pixels, noise=noise, interpolate_pos_encoding=True)
    return _tensor(output.last_hidden_state)


def _states_normed(model: Any, pixels: Tensor) -> Tensor:
    """CLIP's own output norms the class token alone; the patches go through the same norm here."""
    tower = model.vision_model
    return _tensor(tower.post_layernorm(_states_interpolated(tower, pixels)))


def _class_token(states: Forward) -> Forward:
    return lambda model, pixels: states(model, pixels)[:, 0]


def _projected(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).image_embeds)


def _pooled(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels).pooler_output)


def _pooled_interpolated(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(model(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output)


def _patched(model: Any, pixels: Tensor) -> Any:
    """SigLIP2 of any aspect ratio takes a list of flattened patches, row by row, colours last."""
    size = model.config.patch_size
    n, _, height, width = pixels.shape
    rows, columns = height // size, width // size
    patches = pixels.reshape(n, 3, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1)
    return model(
        pixel_values=patches.reshape(n, rows * columns, size * size * 3),
        pixel_attention_mask=torch.ones((n, rows * columns), dtype=torch.int32, device=pixels.device),
        spatial_shapes=torch.tensor([[rows, columns]], device="cpu").expand(n, 2),
    )


def _pooled_patches(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(_patched(model, pixels).pooler_output)


def _states_patches(model: Any, pixels: Tensor) -> Tensor:
    return _tensor(_patched(model, pixels).last_hidden_state)


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


def of_tokens(tower: Tower, name: str) -> Tower:
    """The same architecture giving all its tokens, one after the other.

    Raises:
        EncoderError: it has none, or none that are known here.
    """
    states = tower.states
    if states is None:
        raise EncoderError(
            f"{name}: this architecture gives no tokens here. Choose a vision transformer such as "
            "dinov2-base#tokens, or leave #tokens out."
        )

    def forward(model: Any, pixels: Tensor) -> Tensor:
        tokens = states(model, pixels)
        registers = getattr(model.config, "num_register_tokens", 0)
        return torch.cat([tokens[:, :1], tokens[:, 1 + registers :]], 1).flatten(1)

    return replace(
        tower,
        vector=f"{tower.tokens} tokens after the final norm",
        forward=forward,
        width="hidden_size",
        unused=(*tower.unused, "visual_projection.", "head."),
    )


_CLS = "class token after the final norm"
_CLIP = Tower(
    "CLIPVisionModelWithProjection",
    "image tower after the projection",
    _projected,
    "projection_dim",
    states=_states_normed,
)
_SIGLIP = Tower(
    "SiglipVisionModel",
    "pooled by the attention head",
    _pooled_interpolated,
    states=_states_interpolated,
    tokens="patch",
)
_SIGLIP2 = Tower(
    "Siglip2VisionModel",
    "pooled by the attention head",
    _pooled_patches,
    states=_states_patches,
    tokens="patch",
)

# A mask token stands for masked patches in pre-training only.
_MASK = ("embeddings.mask_token",)


def _vit(model: str, states: Forward, vector: str = _CLS, unused: tuple[str, ...] = _MASK) -> Tower:
    return Tower(model, vector, _class_token(states), unused=unused, states=states)


TOWERS: dict[str, Tower] = {
    "dinov2": _vit("Dinov2Model", _states),
    "dinov2_with_registers": _vit("Dinov2WithRegistersModel", _states),
    "dinov3_vit": _vit("DINOv3ViTModel", _states),
    "dinov3_convnext": Tower("DINOv3ConvNextModel", "mean over positions after the final norm", _pooled),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "siglip2": _SIGLIP2,
    "siglip2_vision_model": _SIGLIP2,
    "vit_mae": _vit("ViTMAEModel", _states_unmasked, f"{_CLS}, no patch masked", ()),
    "vit": _vit("ViTModel", _states_interpolated, unused=(*_MASK, "pooler.")),
}

GENERIC = Tower(
    "AutoModel",
    "image features of a two-tower model, or else the class token, the pooled output, the mean over "
    "positions",
    _any,
    unused=_MASK,
)
