from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.errors import EncoderError


@pytest.mark.parametrize(
    "model_type",
    [
        "dinov2",
        "dinov3_vit",
        "dinov3_convnext",
        "clip",
        "siglip",
        "siglip2",
        "vit_mae",
        "vit",
        "swin",
        "resnet",
    ],
)
def test_the_twin_has_the_shape_and_none_of_the_weights(
    model_type: str, checkpoint: Any, images: Tensor
) -> None:
    folder, _ = checkpoint(model_type)
    own, twin = (encoders.load(f"{prefix}{folder}", device="cpu") for prefix in ("", "random:"))
    vectors = twin.encode(images)
    assert twin.name == f"random:tiny-{model_type}"
    assert (twin.dim, twin.preprocessing) == (own.dim, own.preprocessing)
    assert torch.isfinite(vectors).all()
    assert vectors.std(0).mean() > 1e-5  # no vector is the same for every image
    assert (vectors - own.encode(images)).abs().max() > 1e-2
    differing = {key for key in twin.fingerprint if twin.fingerprint[key] != own.fingerprint.get(key)}
    assert differing == {"weights", "random"}


def test_the_initialisation_is_transformers_own(checkpoint: Any) -> None:
    """DINOv2's: a normal of deviation 0.02 cut at two deviations for matrices, zeros for biases, ones for norms."""
    folder, _ = checkpoint("dinov2")
    twin: Any = encoders.load(f"random:{folder}", device="cpu")
    state = twin._model.state_dict()
    assert {value.device.type for value in state.values()} == {"cpu"}
    matrices = [value for key, value in state.items() if key.endswith("weight") and value.ndim == 2]
    every = torch.cat([matrix.flatten() for matrix in matrices])
    assert len(matrices) >= 10
    assert abs(float(every.std()) - 0.02) < 1e-3
    assert abs(float(every.mean())) < 1e-3
    assert all(value.abs().max() == 0 for key, value in state.items() if key.endswith("bias"))
    assert all((value == 1).all() for key, value in state.items() if "norm" in key and key.endswith("weight"))


def test_a_seed_names_the_weights(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    before = torch.random.get_rng_state()
    first, again, other = (encoders.load(f"random:{seed}{folder}", device="cpu") for seed in ("", "0:", "1:"))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.fingerprint == again.fingerprint
    assert torch.equal(first.encode(images), again.encode(images))
    assert {k for k in first.fingerprint if first.fingerprint[k] != other.fingerprint[k]} == {
        "weights",
        "random",
    }
    assert (first.encode(images) - other.encode(images)).abs().max() > 1e-3
    assert other.name == "random:1:tiny-dinov2"


def test_equal_in_another_process(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    code = (
        "import torch\nfrom bandprobe import encoders\ntorch.rand(7)\n"
        f"encoder = encoders.load('random:5:{folder}', device='cpu')\n"
        "print(encoder.fingerprint['weights'])\n"
        "print(*encoder.encode(torch.full((1, 3, 56, 56), 0.3)).flatten().tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    weights, vector = done.stdout.strip().splitlines()
    here = encoders.load(f"random:5:{folder}", device="cpu")
    assert here.fingerprint["weights"] == weights
    expected = torch.tensor([[float(value) for value in vector.split()]])
    torch.testing.assert_close(here.encode(torch.full((1, 3, 56, 56), 0.3)), expected, rtol=1e-6, atol=1e-6)


def test_weights_need_not_be_there(checkpoint: Any, images: Tensor, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint("clip")[0], tmp_path / "clip"))
    whole = encoders.load(f"random:{folder}", device="cpu").encode(images)
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    assert torch.equal(encoders.load(f"random:{folder}", device="cpu").encode(images), whole)
    with pytest.raises(EncoderError, match="has no weights"):
        encoders.load(str(folder), device="cpu")


def test_open_clips_format(images: Tensor, tmp_path: Path) -> None:
    vision = {
        "image_size": 56,
        "layers": 2,
        "width": 66,
        "head_width": 22,
        "mlp_ratio": 4.0,
        "patch_size": 14,
    }
    config = {"model_cfg": {"embed_dim": 20, "vision_cfg": vision}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    first, again = (encoders.load(f"random:{tmp_path}", device="cpu") for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert first.encode(images).shape == (5, 20)
    assert first.encode(images).std(0).mean() > 1e-4


def test_timm(make_images: Any) -> None:
    pytest.importorskip("timm", reason="the extra timm is not installed here")
    first, again, other = (
        encoders.load(f"random:{seed}timm:test_vit", device="cpu") for seed in ("", "", "1:")
    )
    images = make_images(3, 160, 160)
    assert first.name == "random:timm:test_vit"
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(first.encode(images), again.encode(images))
    assert first.encode(images).std(0).mean() > 1e-4


def test_open_clip_package(make_images: Any) -> None:
    open_clip = pytest.importorskip("open_clip", reason="the extra openclip is not installed here")
    name = "random:openclip:ViT-S-32-alt/absent"
    with pytest.raises(EncoderError, match="neither a file nor a tag"):
        encoders.load(name, device="cpu")
    tagged = next(
        (model, tag)
        for model, tag in open_clip.list_pretrained()
        if model == "ViT-B-32" and open_clip.get_pretrained_cfg(model, tag).get("quick_gelu")
    )
    own: Any = encoders.load(f"random:openclip:{'/'.join(tagged)}", device="cpu")
    settings = open_clip.get_pretrained_cfg(*tagged)
    assert own.preprocessing.mean == pytest.approx(tuple(settings.get("mean", own.preprocessing.mean)))
    assert own.fingerprint["quick_gelu"] == "True"
    assert own.encode(make_images(2, 224, 224)).std(0).mean() > 1e-4
