"""Transformers with random weights, in the files of real checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

_SIDE = 64


def write_random_encoder(folder: Path, name: str) -> None:
    """A small vision transformer with random weights, in the files `save_pretrained` writes."""
    if (folder / "preprocessor_config.json").exists():
        return
    import torch

    from bandprobe.encoders.extras import hide_broken_torchvision

    hide_broken_torchvision()
    import transformers

    shape = {
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": _SIDE,
        "patch_size": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # Wider than the usual 0.02: features of an untrained network have to differ between images.
        if name == "random-dinov2":
            model = transformers.Dinov2Model(transformers.Dinov2Config(**shape, initializer_range=0.1))
        else:
            model = transformers.CLIPVisionModelWithProjection(
                transformers.CLIPVisionConfig(
                    **shape,
                    intermediate_size=512,
                    projection_dim=128,
                    hidden_act="gelu",
                    initializer_factor=5.0,
                )
            )
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    statistics = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(statistics), encoding="utf-8")
