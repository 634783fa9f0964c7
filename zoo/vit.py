"""The image tower that every encoder of the zoo has, so that they differ in how they are trained alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bandprobe import seeding
from bandprobe.encoders.extras import hide_broken_torchvision
from bandprobe.encoders.preprocessing import IMAGENET
from bandprobe.files import output_folder, write_json

SIZE, PATCH, WIDTH, LAYERS, HEADS = 64, 8, 128, 4, 4
MEAN, STD = IMAGENET  # as DINO's; the same for every encoder, so that none is fed otherwise than the rest


@dataclass(frozen=True)
class How:
    """What every training has in common, whatever its objective.

    Attributes:
        seed: of the weights.
        batch: images a step.
        device: where it trains.
        precision: of the matrix products, `torch.bfloat16` or `torch.float32`; weights are always float32.
    """

    seed: int
    batch: int
    device: torch.device
    precision: torch.dtype

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which matrix products have the precision."""
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)


def new_vit(seed: int) -> Any:
    """A `transformers.Dinov2Model` with weights drawn from the seed, the same for every objective.

    Four layers of width 128 over patches of 8 px: 0.83 M parameters, 64 px images by default.
    """
    hide_broken_torchvision()
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        patch_size=PATCH,
        image_size=SIZE,
        use_mask_token=False,
    )
    seed_torch(seed, "vit")
    # Of 65 tokens and in bfloat16, attention written out trains twice as fast on the CPU as the fused one.
    return Dinov2Model._from_config(config, attn_implementation="eager")


def seed_torch(seed: int, *names: object) -> None:
    """Seed torch's generator for the weights of one part, independent of every other part's."""
    torch.manual_seed(int(seeding.generator(seed, *names, "weights").integers(2**63)))


def class_token(vit: Any, pixels: Tensor) -> Tensor:
    """The class token after the final norm, which is the encoder's vector.

    The last layer is worked out for that token alone, which saves a fifth of the whole.

    Args:
        vit: a Dinov2Model.
        pixels: shape (n, 3, h, w), normalised, h and w multiples of the patch.

    Returns:
        Shape (n, width): `vit(pixels).last_hidden_state[:, 0]` up to rounding.
    """
    states = vit.embeddings(pixels)
    *layers, last = vit.encoder.layer
    for layer in layers:
        states = layer(states)
    normed, attention = last.norm1(states), last.attention
    query, key, value = (
        projection(tokens).unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
        for projection, tokens in (
            (attention.q_proj, normed[:, :1]),
            (attention.k_proj, normed),
            (attention.v_proj, normed),
        )
    )
    looked_up = functional.scaled_dot_product_attention(query, key, value).flatten(1)
    token = states[:, 0] + last.layer_scale1(attention.o_proj(looked_up))
    token = token + last.layer_scale2(last.mlp(last.norm2(token)))
    vector: Tensor = vit.layernorm(token)
    return vector


def spread(vectors: Tensor) -> Tensor:
    """How far vectors scatter in direction: 1 where they are spread evenly, 0 where all are one.

    The root of the summed variance of the vectors brought to length 1.
    """
    return functional.normalize(vectors.float(), dim=-1).var(0, correction=0).sum().sqrt()


def save(vit: Any, folder: Path) -> None:
    """Write the tower in transformers' format: weights in fp16 and the preprocessing that goes with them.

    Args:
        vit: a Dinov2Model; left in fp16.
        folder: gets `config.json`, `model.safetensors` and `preprocessor_config.json`.
    """
    from transformers.utils import logging

    output_folder(folder)
    logging.disable_progress_bar()
    vit.half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # written for its owner alone, and about to be shipped
    preprocessing = {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"height": SIZE, "width": SIZE},
        "resample": 2,  # Pillow's bilinear, which is the triangle filter of the training's crops
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }
    write_json(folder / "preprocessor_config.json", preprocessing)
