from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bandprobe import encoders
from bandprobe.errors import DiskError, EncoderError
from bandprobe.protocol import Protocol


def test_names_and_the_catalogue_need_no_torch() -> None:
    code = (
        "import sys\nfrom bandprobe import encoders\nfrom bandprobe.errors import EncoderError\n"
        "encoders.catalogue(); encoders.display_name('dinov2-giant')\n"
        "try: encoders.load('dinov2-gigant')\nexcept EncoderError as error: print(error)\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    message, modules = done.stdout.strip().splitlines()
    assert "Did you mean 'dinov2-giant'?" in message
    assert modules == "[]"


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("dinov2-giant", "hub", "facebook/dinov2-giant"),
        ("openclip-vit-g-14", "hub", "laion/CLIP-ViT-g-14-laion2B-s34B-b88K"),
        ("clip-vit-l-14", "hub", "openai/clip-vit-large-patch14"),
        ("dinov3-vith16plus", "hub", "facebook/dinov3-vith16plus-pretrain-lvd1689m"),
        ("dinov3-convnext-tiny", "hub", "facebook/dinov3-convnext-tiny-pretrain-lvd1689m"),
        ("siglip2-so400m-patch14-384", "hub", "google/siglip2-so400m-patch14-384"),
        ("siglip2-base-patch16-naflex", "hub", "google/siglip2-base-patch16-naflex"),
        ("mae-huge", "hub", "facebook/vit-mae-huge"),
        ("facebook/dinov2-small", "hub", "facebook/dinov2-small"),
        ("spectral", "weightless", "spectral"),
        ("timm:vit_small_patch14_dinov2.lvd142m", "timm", "vit_small_patch14_dinov2.lvd142m"),
        ("openclip:ViT-B-32/openai", "openclip", "ViT-B-32/openai"),
    ],
)
def test_known_names(name: str, kind: str, target: str) -> None:
    assert encoders.resolve(name) == encoders.Reference(name, kind, target)  # type: ignore[arg-type]


def test_folders_files_and_aliases_show_no_path(
    checkpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(checkpoint("dinov2")[0], tmp_path / "run=1+a" / "my dino"))
    assert encoders.display_name(str(folder)) == encoders.display_name(f"{folder}/") == "my dino"
    monkeypatch.chdir(folder)
    assert encoders.display_name(".") == "my dino"
    monkeypatch.chdir(tmp_path)
    assert encoders.resolve("run=1+a").name == "run=1+a"
    assert encoders.load(f"renamed={folder}", device="cpu").name == "renamed"
    assert encoders.resolve("d2=facebook/dinov2-base") == encoders.Reference(
        "d2", "hub", "facebook/dinov2-base"
    )
    assert encoders.display_name("s=spectral") == "s"
    assert encoders.display_name("timm:resnet50@/a/b/c.pt") == "timm:resnet50@c.pt"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dino2-base", "Did you mean 'dinov2-base'"),
        ("zzzz", "is unknown. It must be a short name"),
        ("./no/such/folder", "is a folder that is not there"),
        ("a/b/c", "is a folder that is not there"),
        ("tim:resnet50", "there is no kind 'tim:'. Did you mean 'timm'"),
        ("", "is unknown"),
        ("timm:", "must have the form timm:NAME"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.load(name, device="cpu")
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"has no config\.json"):
        encoders.load(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"has no weights .model\.safetensors"):
        encoders.load(str(tmp_path))
    with pytest.raises(EncoderError, match=r"is a file\. Give the folder"):
        encoders.load(str(tmp_path / "config.json"))


def test_no_network_exits_as_the_networks_fault() -> None:
    with pytest.raises(DiskError, match="Run once with a network, or check the path") as caught:
        encoders.load("facebook/no-such-model-in-the-cache")
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "meta", "cuda:99"])
def test_unknown_devices(device: str) -> None:
    with pytest.raises(EncoderError, match="device"):
        encoders.load("spectral", device=device)


def test_devices() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert encoders.load("spectral").device.type == best
    assert encoders.load("spectral", device=torch.device("cpu")).device == torch.device("cpu")


def test_unknown_precision_and_idle_revision(checkpoint: Any) -> None:
    with pytest.raises(EncoderError, match="precision must be one of fp32, fp16, bf16; got 'int8'"):
        encoders.load(str(checkpoint("dinov2")[0]), precision="int8")
    with pytest.raises(EncoderError, match="revision is for models on the Hugging Face Hub"):
        encoders.load("spectral", revision="main")


def test_the_catalogue() -> None:
    entries = {entry.name: entry for entry in encoders.catalogue()}
    assert [entries[f"dinov2-{size}"].dim for size in ("small", "base", "large", "giant")] == [
        384,
        768,
        1024,
        1536,
    ]
    assert entries["openclip-vit-g-14"].dim == 1024
    assert {entry.name for entry in entries.values() if entry.gated} == {
        n for n in entries if n.startswith("dinov3")
    }
    assert entries["spectral"].dim == encoders.load("spectral", device="cpu").dim
    hub = [entry.source for entry in entries.values() if entry.source != "built in"]
    assert len(set(hub)) == len(hub) == len(entries) - 10


def test_imagenet_statistics_for_every_encoder_with_weights(checkpoint: Any, images: torch.Tensor) -> None:
    folder, model = checkpoint("clip")
    switched = Protocol(imagenet_stats=True)
    encoder = encoders.load(str(folder), device="cpu", protocol=switched)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        pixels = (images - mean[:, None, None]) / std[:, None, None]
        expected = model.get_image_features(pixel_values=pixels).pooler_output
    torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-5, atol=1e-5)
    own = encoders.load(str(folder), device="cpu").fingerprint
    assert {key for key in own if own[key] != encoder.fingerprint[key]} == {"mean", "std"}
    assert encoder.fingerprint["mean"] == "0.485 0.456 0.406"
    both = encoders.load(f"{folder}@lowpass:9px+pixel", device="cpu", protocol=switched).fingerprint
    assert (both["part1.mean"], both["part2.mean"]) == ("0.485 0.456 0.406", "0.0 0.0 0.0")
    for name in ("spectral", "pixel"):
        plain = encoders.load(name, device="cpu")
        assert encoders.load(name, device="cpu", protocol=switched).fingerprint == plain.fingerprint
