"""The shapes of the encoders with a short name, as their published configurations have them.

What an encoder costs follows from its shape alone. With these it is known without the hub, without weights, and for
models whose licence has not been accepted yet. The number of weights that follows from each is tested against the
one in the catalogue.
"""

from __future__ import annotations

from typing import Any

from bandprobe.encoders.catalogue import ENTRIES

Shape = dict[str, Any]


def _vit(kind: str, width: int, layers: int, heads: int, patch: int, **more: Any) -> Shape:
    return {
        "model_type": kind,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "patch_size": patch,
        **more,
    }


def _dinov2(width: int, layers: int, heads: int, **more: Any) -> Shape:
    return _vit("dinov2", width, layers, heads, 14, image_size=518, **more)


def _dinov3(width: int, layers: int, heads: int, inner: int, gated: bool = False) -> Shape:
    act = {"use_gated_mlp": True, "hidden_act": "silu"} if gated else {}
    return _vit("dinov3_vit", width, layers, heads, 16, intermediate_size=inner, num_register_tokens=4, **act)


def _convnext(depth: int, width: int) -> Shape:
    sizes = [width * 2**stage for stage in range(4)]
    return {"model_type": "dinov3_convnext", "depths": [3, 3, depth, 3], "hidden_sizes": sizes}


def _clip(width: int, layers: int, heads: int, patch: int, projected: int) -> Shape:
    more = {"intermediate_size": 4 * width, "projection_dim": projected}
    return _vit("clip_vision_model", width, layers, heads, patch, **more)


def _mae(width: int, layers: int, heads: int, patch: int) -> Shape:
    return _vit("vit_mae", width, layers, heads, patch, intermediate_size=4 * width)


# Width, layers, heads, inner width of the MLP.
_SIGLIP2 = {
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
    "so400m": (1152, 27, 16, 4304),
    "giant": (1536, 40, 16, 6144),
}


def _siglip2(name: str) -> Shape:
    """Those of any aspect ratio are an architecture of their own; the others are SigLIP's."""
    width, layers, heads, inner = _SIGLIP2[name.split("-")[1]]
    entry = ENTRIES[name]
    kind, side = "siglip_vision_model", {"image_size": entry.native_size}
    if entry.native_size is None:
        kind, side = "siglip2_vision_model", {"num_patches": 256}
    return _vit(kind, width, layers, heads, entry.patch or 16, intermediate_size=inner, **side)


_SHAPES: dict[str, Shape] = {
    "dinov2-small": _dinov2(384, 12, 6),
    "dinov2-base": _dinov2(768, 12, 12),
    "dinov2-large": _dinov2(1024, 24, 16),
    "dinov2-giant": _dinov2(1536, 40, 24, use_swiglu_ffn=True),
    "dinov3-vits16": _dinov3(384, 12, 6, 1536),
    "dinov3-vits16plus": _dinov3(384, 12, 6, 1536, gated=True),
    "dinov3-vitb16": _dinov3(768, 12, 12, 3072),
    "dinov3-vitl16": _dinov3(1024, 24, 16, 4096),
    "dinov3-vith16plus": _dinov3(1280, 32, 20, 5120, gated=True),
    "dinov3-vit7b16": _dinov3(4096, 40, 32, 8192, gated=True),
    "dinov3-convnext-tiny": _convnext(9, 96),
    "dinov3-convnext-small": _convnext(27, 96),
    "dinov3-convnext-base": _convnext(27, 128),
    "dinov3-convnext-large": _convnext(27, 192),
    # In open_clip's format.
    "openclip-vit-g-14": {
        "embed_dim": 1024,
        "vision_cfg": {
            "image_size": 224,
            "layers": 40,
            "width": 1408,
            "head_width": 88,
            "mlp_ratio": 4.3637,
            "patch_size": 14,
        },
    },
    "clip-vit-b-32": _clip(768, 12, 12, 32, 512),
    "clip-vit-b-16": _clip(768, 12, 12, 16, 512),
    "clip-vit-l-14": _clip(1024, 24, 16, 14, 768),
    **{name: _siglip2(name) for name in ENTRIES if name.startswith("siglip2-")},
    "mae-base": _mae(768, 12, 12, 16),
    "mae-large": _mae(1024, 24, 16, 16),
    "mae-huge": _mae(1280, 32, 16, 14),
}

_BY_SOURCE = {ENTRIES[name].source: name for name in _SHAPES}


def architecture(source: str) -> Shape | None:
    """The configuration of a model on the hub, as far as it decides the shape; None where it is not known here.

    Args:
        source: its id on the Hugging Face Hub.

    Returns:
        What `config.json` holds, or `open_clip_config.json` where there is a `vision_cfg`.
    """
    name = _BY_SOURCE.get(source)
    return None if name is None else dict(_SHAPES[name])
