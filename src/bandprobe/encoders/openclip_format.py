"""OpenCLIP's file format, converted to transformers without the open_clip package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bandprobe.encoders.checkpoint import one_line
from bandprobe.encoders.preprocessing import CLIP, Preprocessing, from_config, shortest_edge
from bandprobe.errors import EncoderError

# The options of `vision_cfg` that transformers' CLIP has a counterpart for, with open_clip's defaults.
_OPTIONS: dict[str, Any] = {
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "mlp_ratio": 4.0,
    "patch_size": 16,
    "image_size": 224,
}
# The others, with the values at which they change nothing in evaluation.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "ls_init_value": (None,),
    "attentional_pool": (False,),
    "no_ln_pre": (False,),
    "pool_type": ("tok",),
    "act_kwargs": (None, {}),
    "norm_kwargs": (None, {}),
    "block_type": (None, "default"),
    "qk_norm": (False,),
    "scaled_cosine_attn": (False,),
    "scale_heads": (False,),
    "scale_attn_inner": (False,),
    "scale_attn": (False,),
    "scale_fc": (False,),
    "timm_model_name": (None, ""),
}
# Options of what is not used, or of training alone; both position embeddings are in the weights.
_IGNORED = {"patch_dropout", "output_tokens", "final_ln_after_pool", "pos_embed_type"}
_IGNORED |= {"attn_pooler_queries", "attn_pooler_heads"}

_TIMM = {"timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path"}

_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTER = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1": "embeddings.patch_embedding",
    "ln_pre": "pre_layrnorm",
    "ln_post": "post_layernorm",
}


def read_visual(path: Path, name: str) -> dict[str, Tensor]:
    """The `visual.` tensors of a checkpoint in open_clip's format, with that prefix removed.

    Args:
        path: `.safetensors`, or a PyTorch file, from which nothing but tensors is loaded.
        name: the encoder's, for messages.

    Raises:
        EncoderError: the file is damaged, or holds no `visual.` tensor.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, "pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys() if key.startswith("visual.")}  # noqa: SIM118
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
            state = {
                key.removeprefix("module."): value
                for key, value in content.get("state_dict", content).items()
            }
    except Exception as error:  # OSError, SafetensorError, UnpicklingError, RuntimeError
        raise EncoderError(
            f"{name}: {path.name} cannot be loaded: {one_line(error)}. Fetch the file again."
        ) from error
    visual = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    if not visual:
        raise EncoderError(f"{name}: {path.name} holds no visual tower. Give a CLIP checkpoint of open_clip.")
    return visual


def convert_visual(
    state: Mapping[str, Tensor], config: Mapping[str, Any], name: str = "the checkpoint"
) -> Any:
    """transformers' CLIPVisionModelWithProjection with the weights of open_clip's visual tower.

    Args:
        state: the tower's tensors, named as in open_clip without the leading `visual.`.
        config: the content of `open_clip_config.json`, or its `model_cfg`.
        name: the encoder's, for messages.

    Returns:
        The model, float32, on the CPU. Its `image_embeds` are open_clip's `encode_image` before
        normalisation.

    Raises:
        EncoderError: a tower that has no counterpart in transformers (ResNet, timm, attentional pooling ...),
            or weights that do not fit the configuration.
    """
    model = build_visual(config, name)
    try:
        model.load_state_dict(_renamed(state), strict=True)
    except RuntimeError as error:
        raise EncoderError(
            f"{name}: open_clip's weights do not fit its configuration: {one_line(error)}. Fetch both again."
        ) from error
    return model.eval()


def build_visual(config: Mapping[str, Any], name: str = "the checkpoint") -> Any:
    """transformers' CLIPVisionModelWithProjection in the shape of open_clip's visual tower, its weights drawn.

    Args:
        config: the content of `open_clip_config.json`, or its `model_cfg`.
        name: the encoder's, for messages.

    Raises:
        EncoderError: a tower that has no counterpart in transformers.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    settings = config.get("model_cfg", config)
    vision = _convertible(settings, name)
    width = vision["width"]
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=int(width * vision["mlp_ratio"]),
            projection_dim=settings["embed_dim"],
            num_hidden_layers=vision["layers"],
            num_attention_heads=width // vision["head_width"],
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            hidden_act="quick_gelu" if settings.get("quick_gelu", False) else "gelu",
            layer_norm_eps=1e-5,
            attention_dropout=0.0,
        )
    )


def preprocessing(config: Mapping[str, Any], name: str) -> Preprocessing:
    """Mean, standard deviation and resize of `open_clip_config.json`, or of a model's `preprocess_cfg`.

    open_clip's defaults are OpenAI's CLIP's: its statistics, and the shortest edge resized to the
    tower's size, bicubic, and cropped to it.
    """
    settings = config.get("preprocess_cfg", {})
    size = settings.get("size") or config.get("model_cfg", config).get("vision_cfg", {}).get(
        "image_size", 224
    )
    height, width = (size, size) if isinstance(size, int) else size
    found = {
        "image_mean": settings.get("mean", list(CLIP[0])),
        "image_std": settings.get("std", list(CLIP[1])),
    }
    interpolation, mode = settings.get("interpolation", "bicubic"), settings.get("resize_mode", "shortest")
    resize = shortest_edge(min(height, width), (height, width), interpolation)
    if mode == "squash":
        resize = {"size": resize["crop_size"], "resample": resize["resample"]}
    elif mode != "shortest":
        resize = {}
    return from_config({**found, **resize}, f"{name}: open_clip_config.json")


def described(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of `open_clip_config.json` decides the image tower."""
    settings = config.get("model_cfg", config)
    return {key: settings.get(key) for key in ("embed_dim", "quick_gelu", "vision_cfg")}


def _convertible(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The tower's options with open_clip's defaults filled in, if transformers has a counterpart."""
    vision = settings.get("vision_cfg")
    if not isinstance(vision, Mapping) or not isinstance(settings.get("embed_dim"), int):
        raise EncoderError(
            f"{name}: open_clip_config.json holds no vision_cfg or no embed_dim. Fetch the file again."
        )
    for key, value in vision.items():
        if key in _OPTIONS or key in _IGNORED or (key in _TIMM and not vision.get("timm_model_name")):
            continue
        if key not in _NEUTRAL or value not in _NEUTRAL[key]:
            raise EncoderError(
                f"{name}: a tower with {key} = {value!r} has no counterpart in transformers. "
                "Run it through open_clip: openclip:MODEL/TAG."
            )
    options = {**_OPTIONS, **vision}
    if not isinstance(options["layers"], int):
        raise EncoderError(
            f"{name}: a ResNet tower has no counterpart in transformers. Run it through open_clip: "
            "openclip:MODEL/TAG."
        )
    for key in ("image_size", "patch_size"):
        sides = options[key] if isinstance(options[key], (list, tuple)) else [options[key]]
        if len(set(sides)) != 1:
            raise EncoderError(
                f"{name}: {key} = {options[key]!r} is not square, which transformers' CLIP needs. "
                "Run it through open_clip: openclip:MODEL/TAG."
            )
        options[key] = sides[0]
    return options


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under transformers' names: query, key and value split, the projection transposed."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("transformer.resblocks."):
            index, _, rest = key.removeprefix("transformer.resblocks.").partition(".")
            layer = f"vision_model.encoder.layers.{index}"
            module, _, kind = rest.rpartition(".")
            if module == "attn":
                kind = kind.removeprefix("in_proj_")
                for part, piece in zip("qkv", value.chunk(3), strict=True):
                    renamed[f"{layer}.self_attn.{part}_proj.{kind}"] = piece
            else:
                renamed[f"{layer}.{_LAYER.get(module, module)}.{kind}"] = value
        elif key == "proj":
            renamed["visual_projection.weight"] = value.T
        else:
            module, _, kind = key.rpartition(".")
            renamed[_OUTER.get(key) or f"vision_model.{_OUTER.get(module, module)}.{kind}"] = value
    return {key: value.to(torch.float32) for key, value in renamed.items()}
