from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bandprobe import encoders
from bandprobe.errors import DiskError, EncoderError

timm = pytest.importorskip("timm", reason="the extra timm is not installed here")

NAME = "test_vit"  # timm's own tiny ViT: 160 px, patches of 16, statistics of 0.5


@pytest.fixture(scope="module")
def model() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = timm.create_model(NAME, pretrained=False).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def file(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "weights.pt"
    torch.save(model.state_dict(), path)
    return path


def test_pooled_features_without_the_classifier(file: Path, model: Any, make_images: Any) -> None:
    encoder = encoders.load(f"timm:{NAME}@{file}", device="cpu")
    images = make_images(3, 160, 160)
    mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        pixels = (images - mean) / std
        expected = model.forward_head(model.forward_features(pixels), pre_logits=True)
    vectors = encoder.encode(images)
    assert vectors.shape == (3, encoder.dim)
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
    assert encoder.name == f"timm:{NAME}@weights.pt"


def test_position_embeddings_follow_the_size(file: Path, make_images: Any) -> None:
    encoder = encoders.load(f"timm:{NAME}@{file}", device="cpu")
    assert encoder.encode(make_images(2, 64, 96)).shape == (2, encoder.dim)


def test_convolutional_models(make_images: Any, tmp_path: Path) -> None:
    model = timm.create_model("test_efficientnet", pretrained=False).eval()
    torch.save(model.state_dict(), tmp_path / "w.pt")
    encoder = encoders.load(f"timm:test_efficientnet@{tmp_path / 'w.pt'}", device="cpu")
    images = make_images(2, 64, 64)
    mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features((images - mean) / std), pre_logits=True)
    torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-5, atol=1e-5)


def test_fingerprint_names_the_weights(file: Path, model: Any, tmp_path: Path) -> None:
    base = encoders.load(f"timm:{NAME}@{file}", device="cpu").fingerprint
    state = model.state_dict()
    other = {**state, "norm.bias": state["norm.bias"] + 1}
    torch.save(other, tmp_path / "other.pt")
    changed = encoders.load(f"timm:{NAME}@{tmp_path / 'other.pt'}", device="cpu").fingerprint
    assert {key for key in base if base[key] != changed[key]} == {"weights"}


def test_weights_that_do_not_fit(model: Any, tmp_path: Path) -> None:
    state = model.state_dict()
    del state["norm.bias"]
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(EncoderError, match=r"less\.pt does not fit the model, e\.g\. norm\.bias"):
        encoders.load(f"timm:{NAME}@{tmp_path / 'less.pt'}", device="cpu")
    (tmp_path / "damaged.pt").write_bytes(b"no weights")
    with pytest.raises(EncoderError, match=r"damaged\.pt cannot be loaded") as caught:
        encoders.load(f"timm:{NAME}@{tmp_path / 'damaged.pt'}", device="cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(EncoderError, match="there is no file"):
        encoders.load(f"timm:{NAME}@{tmp_path / 'absent.pt'}", device="cpu")


def test_images_it_does_not_take(file: Path, make_images: Any) -> None:
    encoder = encoders.load(f"timm:{NAME}@{file}", device="cpu")
    with pytest.raises(EncoderError, match=r"does not take images of 50 x 64.*squash:160x160"):
        encoder.encode(make_images(1, 50, 64))


def test_unknown_name() -> None:
    with pytest.raises(EncoderError, match=r"no model 'resnet5'\. Did you mean 'resnet50'"):
        encoders.load("timm:resnet5", device="cpu")


def test_no_network() -> None:
    with pytest.raises(DiskError, match="could not be fetched") as caught:
        encoders.load(f"timm:{NAME}", device="cpu")
    assert "\n" not in str(caught.value)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EncoderError, match=r'pip install "bandprobe\[timm\]"'):
        encoders.load(f"timm:{NAME}", device="cpu")
