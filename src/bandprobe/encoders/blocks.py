"""Where a model's blocks are, and which vector of an image is taken behind each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from bandprobe.encoders.towers import has_class_token

# What a block puts out -> vectors of shape (n, dim)
Take: TypeAlias = Callable[[Any], Tensor]

CLASS_TOKEN = "class token"
MEAN_TOKEN = "mean over patch tokens"
MEAN_PLACE = "mean over positions"


@dataclass(frozen=True)
class Block:
    """One layer of an encoder.

    Attributes:
        module: what is run.
        dim: length of the vector taken behind it.
        take: the vector of what the module puts out.
        vector: which one it is, in words; part of the fingerprint.
    """

    module: nn.Module
    dim: int
    take: Take
    vector: str


def of_transformers(model: Any) -> list[Block]:
    """The blocks of an image tower of transformers; none where it has none of one width throughout.

    Behind block k the vector is the class token of transformers' `hidden_states[k]`, before any norm that
    comes after the last block; of a tower without a class token, as SigLIP's, it is the mean over its patch
    tokens. Of DINOv3's ConvNeXt the blocks are its four stages, and the vector is the mean over positions.

    Args:
        model: the image tower, or a model of two towers whose image tower is `vision_model`.
    """
    config = getattr(model.config, "vision_config", model.config)
    sizes: Any = getattr(config, "hidden_sizes", None)
    if getattr(config, "model_type", "") == "dinov3_convnext":
        (stages,) = _lists(model, len(sizes), "stages")
        return [Block(stage, dim, place_mean, MEAN_PLACE) for stage, dim in zip(stages, sizes, strict=True)]
    tower = getattr(model, "vision_model", model)
    depth, width = (getattr(config, name, None) for name in ("num_hidden_layers", "hidden_size"))
    found = [] if sizes or not isinstance(depth, int) else _lists(tower, depth)
    if len(found) != 1 or not isinstance(width, int):
        return []
    has_class = has_class_token(tower)
    # Without a class token only towers that are known to pool patch tokens; others may be shaped anyhow.
    if not has_class and not str(getattr(config, "model_type", "")).startswith("siglip"):
        return []
    take, words = (class_token, CLASS_TOKEN) if has_class else (token_mean(0), MEAN_TOKEN)
    return [Block(module, width, take, words) for module in found[0]]


def of_open_clip(visual: Any) -> list[Block]:
    """The blocks of an image tower of the open_clip package: a ViT's, a ResNet's four stages, or timm's."""
    if hasattr(visual, "trunk"):
        return of_timm(visual.trunk)
    transformer: Any = getattr(visual, "transformer", None)
    blocks = getattr(transformer, "resblocks", None)
    if blocks is not None and hasattr(visual, "class_embedding"):
        take = class_token if getattr(transformer, "batch_first", True) else _class_token_first
        return [Block(block, int(transformer.width), take, CLASS_TOKEN) for block in blocks]
    stages: list[Any] = [getattr(visual, f"layer{number}", None) for number in range(1, 5)]
    if all(isinstance(stage, nn.Sequential) and hasattr(stage[-1], "bn3") for stage in stages):
        return [Block(stage, stage[-1].bn3.num_features, place_mean, MEAN_PLACE) for stage in stages]
    return []


def of_timm(model: Any) -> list[Block]:
    """The blocks of a model of timm: those that its `feature_info` names, a ViT's blocks or a network's stages."""
    info = getattr(model, "feature_info", None) or []
    info = getattr(info, "info", info)
    modules = dict(model.named_modules())
    prefix = int(getattr(model, "num_prefix_tokens", 0) or 0)
    has_class = prefix > 0 and getattr(model, "cls_token", None) is not None
    found = []
    for one in info:
        module, dim = modules.get(one.get("module", "")), int(one["num_chs"])
        if module is None:
            return []
        if has_class:
            found.append(Block(module, dim, class_token, CLASS_TOKEN))
        elif hasattr(model, "num_prefix_tokens"):
            found.append(Block(module, dim, token_mean(prefix), MEAN_TOKEN))
        else:
            take = last_place_mean if getattr(model, "output_fmt", "NCHW") == "NHWC" else place_mean
            found.append(Block(module, dim, take, MEAN_PLACE))
    return found


def class_token(output: Any) -> Tensor:
    """(n, tokens, d) -> the first token, (n, d)."""
    return _tensor(output)[:, 0]


def token_mean(first: int) -> Take:
    """(n, tokens, d) -> the mean over tokens from `first` on, (n, d)."""
    return lambda output: _tensor(output)[:, first:].mean(1)


def place_mean(output: Any) -> Tensor:
    """(n, d, h, w) -> the mean over positions, (n, d)."""
    return _tensor(output).mean((2, 3))


def last_place_mean(output: Any) -> Tensor:
    """(n, h, w, d) -> the mean over positions, (n, d)."""
    return _tensor(output).mean((1, 2))


def _class_token_first(output: Any) -> Tensor:
    """(tokens, n, d) -> the first token, (n, d)."""
    return _tensor(output)[0]


def _tensor(output: Any) -> Tensor:
    first = output[0] if isinstance(output, (tuple, list)) else output
    found: Tensor = first
    return found


def _lists(model: nn.Module, length: int, name: str = "") -> Sequence[nn.ModuleList]:
    """The outermost lists of so many modules, perhaps of one name: a model's blocks stand in one."""
    found: list[nn.ModuleList] = []

    def look(module: nn.Module) -> None:
        for key, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == length and name in ("", key):
                found.append(child)
            else:
                look(child)

    look(model)
    return found
