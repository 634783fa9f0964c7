"""Small checkpoints with random weights: the true architectures, in the true file formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bandprobe.seeding import generator

SIDE, PATCH, WIDTH = 56, 14, 48

_VIT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": PATCH,
}
_MLP = {"intermediate_size": 80}
_TEXT = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 99,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def _models() -> dict[str, Callable[[], Any]]:
    import transformers as t

    def convnext() -> Any:
        return t.DINOv3ConvNextModel(
            t.DINOv3ConvNextConfig(hidden_sizes=[16, 24, 32, WIDTH], depths=[1, 1, 2, 1], image_size=SIDE)
        )

    def siglip2() -> Any:
        vision = (
            {key: value for key, value in _VIT.items() if key != "image_size"} | _MLP | {"num_patches": 16}
        )
        return t.Siglip2Model(t.Siglip2Config(text_config=_TEXT, vision_config=vision))

    return {
        "dinov2": lambda: t.Dinov2Model(t.Dinov2Config(**_VIT)),
        "dinov2_with_registers": lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**_VIT)),
        "dinov3_vit": lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**_VIT, **_MLP, num_register_tokens=2)),
        "dinov3_convnext": convnext,
        "clip": lambda: t.CLIPModel(
            t.CLIPConfig(text_config=_TEXT, vision_config={**_VIT, **_MLP}, projection_dim=20)
        ),
        "clip_vision_model": lambda: t.CLIPVisionModelWithProjection(
            t.CLIPVisionConfig(**_VIT, **_MLP, projection_dim=20)
        ),
        "siglip": lambda: t.SiglipModel(t.SiglipConfig(text_config=_TEXT, vision_config={**_VIT, **_MLP})),
        "siglip_vision_model": lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**_VIT, **_MLP)),
        "siglip2": siglip2,
        "siglip2_vision_model": lambda: t.Siglip2VisionModel(siglip2().config.vision_config),
        "vit_mae": lambda: t.ViTMAEForPreTraining(
            t.ViTMAEConfig(
                **_VIT,
                **_MLP,
                decoder_hidden_size=24,
                decoder_num_attention_heads=2,
                decoder_num_hidden_layers=1,
                decoder_intermediate_size=32,
            )
        ),
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**_VIT, **_MLP)),
        "swin": lambda: t.SwinModel(
            t.SwinConfig(
                image_size=SIDE,
                patch_size=2,
                window_size=7,
                embed_dim=12,
                depths=[1, 1, 1],
                num_heads=[2, 2, 2],
            )
        ),
        "deit": lambda: t.DeiTForImageClassification(t.DeiTConfig(**_VIT, **_MLP)),
        "resnet": lambda: t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
        ),
        "chinese_clip": lambda: t.ChineseCLIPModel(
            t.ChineseCLIPConfig(text_config=_TEXT, vision_config={**_VIT, **_MLP}, projection_dim=20)
        ),
        "bert": lambda: t.BertModel(
            t.BertConfig(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                vocab_size=50,
            )
        ),
    }


PREPROCESSING = {
    "do_normalize": True,
    "image_mean": [0.41, 0.52, 0.63],
    "image_std": [0.21, 0.32, 0.43],
    "do_rescale": True,
    "rescale_factor": 1 / 255,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """`checkpoint(model_type)`: a `save_pretrained` folder and the whole model that was saved there."""
    from bandprobe.encoders.extras import hide_broken_torchvision

    hide_broken_torchvision()
    made: dict[str, tuple[Path, Any]] = {}

    def make(model_type: str) -> tuple[Path, Any]:
        if model_type not in made:
            with torch.random.fork_rng():
                torch.manual_seed(sum(map(ord, model_type)))
                model = _models()[model_type]().eval()
                # Fresh models have small weights and zero biases, under which wrong wiring can hide.
                for parameter in model.parameters():
                    parameter.data += 0.2 * torch.randn_like(parameter)
            folder = tmp_path_factory.mktemp("checkpoints") / f"tiny-{model_type}"
            model.save_pretrained(folder)
            (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
            made[model_type] = folder, model
        return made[model_type]

    return make


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """Five random pictures of 56 x 56, a little beyond [0, 1], as filtered ones are."""
    return _images(5, SIDE, SIDE)


@pytest.fixture(scope="session")
def make_images() -> Callable[[int, int, int], torch.Tensor]:
    """`make_images(n, height, width)`: such pictures of any size."""
    return _images


@pytest.fixture(scope="session")
def normalise() -> Callable[[torch.Tensor], torch.Tensor]:
    """What a model gets under `PREPROCESSING`, written out."""

    def apply(images: torch.Tensor) -> torch.Tensor:
        mean = torch.tensor(PREPROCESSING["image_mean"])[None, :, None, None]
        std = torch.tensor(PREPROCESSING["image_std"])[None, :, None, None]
        return (images - mean) / std

    return apply


def _images(n: int, height: int, width: int) -> torch.Tensor:
    values = generator(0, "images", n, height, width).uniform(-0.1, 1.1, (n, 3, height, width))
    return torch.from_numpy(values).to(torch.float32)
