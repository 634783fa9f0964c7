"""The whole study on images and encoders that the package makes itself, offline."""

from __future__ import annotations

import json
from pathlib import Path

from bandprobe import progress
from bandprobe.files import output_folder
from bandprobe.run import Run
from bandprobe.study import Study

_SIDE = 64
_ENCODERS = ("random-dinov2", "random-clip")
SIZES = {"reals": 300, "fakes": 150}
CAVEAT = "Procedural images, and transformers with random weights: this shows the tool, not DINOv2 or CLIP."
FILTERS = ["none", "identity", "lowpass:2px", "lowpass:4..44/4px"]  # up to the corner


def run(out: str | Path) -> Run:
    """Run the demonstration.

    Reals are procedural photographs; fakes carry the traces of real up-sampling layers. The encoders are
    `spectral` and two small transformers with random weights, saved and loaded as any checkpoint is: they
    show the tool, and say nothing about DINOv2 or CLIP.

    Args:
        out: the run's folder; images go to `images/`, the two checkpoints to `encoders/`.

    Returns:
        The run.
    """
    folder = output_folder(out)
    from bandprobe.datasets import write_world

    progress.say(
        "procedural images, and encoders with random weights: this shows the tool, not DINOv2 or CLIP"
    )
    write_world(folder / "images", size=_SIDE, **SIZES)
    for name in _ENCODERS:
        write_random_encoder(folder / "encoders" / name, name)
    return Study.from_dict(
        {
            # Two fifths for testing: over 100 reals, which PD@10% needs.
            "data": {"root": str(folder / "images"), "splits": (0.5, 0.1, 0.4)},
            "families": {"interpolation": ["nearest", "bilinear"], "convolution": ["transposed-convolution"]},
            "encoders": {
                "names": ["spectral", *(str(folder / "encoders" / name) for name in _ENCODERS)],
                "geometry": f"squash:{_SIDE}",
            },
            "filters": {"test": FILTERS},
            "run": {"batch_size": 64},
        },
        "demo",
        (CAVEAT,),
    ).run(folder)


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
