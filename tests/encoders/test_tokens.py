from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.errors import EncoderError


def direct(model_type: str, model: Any, pixels: Tensor) -> Tensor:
    """All tokens by a direct call of the saved model; registers still among them."""
    with torch.inference_mode():
        if model_type == "clip":
            tower = model.vision_model
            states: Tensor = tower.post_layernorm(tower(pixels).last_hidden_state)
        elif model_type == "vit":
            states = model.vit(pixels).last_hidden_state
        elif model_type == "vit_mae":
            config = model.vit.embeddings.config
            ratio, config.mask_ratio = config.mask_ratio, 0.0
            order = torch.arange(16.0).expand(len(pixels), -1)
            states = model.vit(pixels, noise=order).last_hidden_state
            config.mask_ratio = ratio
        elif model_type == "siglip":
            states = model.vision_model(pixels).last_hidden_state
        else:
            states = model(pixels).last_hidden_state
    return states


@pytest.mark.parametrize(
    ("model_type", "registers", "first"),
    [
        ("dinov2", 0, True), ("dinov2_with_registers", 4, True), ("dinov3_vit", 2, True), ("clip", 0, True),
        ("vit", 0, True), ("vit_mae", 0, True), ("siglip", 0, False),
    ],
)  # fmt: skip
def test_tokens_are_those_of_a_direct_call(
    model_type: str, registers: int, first: bool, checkpoint: Any, images: Tensor, normalise: Any
) -> None:
    folder, model = checkpoint(model_type)
    encoder = encoders.load(f"{folder}#tokens", device="cpu")
    states = direct(model_type, model, normalise(images))
    expected = torch.cat([states[:, :1], states[:, 1 + registers :]], 1)
    tokens = 16 + first
    vectors = encoder.encode(images)
    assert expected.shape == (5, tokens, 48)
    assert encoder.tokens_on(56, 56) == tokens
    assert vectors.shape == (5, tokens * 48)
    assert (encoder.dim, encoder.fingerprint["token_dim"]) == (48, "48")
    assert encoder.fingerprint["tokens"] == ("class+patch" if first else "patch")
    torch.testing.assert_close(vectors, expected.flatten(1), rtol=1e-5, atol=1e-5)
    assert encoder.name == f"tiny-{model_type}#tokens"


def test_the_first_token_is_the_plain_vector(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    plain = encoders.load(str(folder), device="cpu")
    tokens = encoders.load(f"{folder}#tokens", device="cpu").encode(images)
    torch.testing.assert_close(tokens[:, :48], plain.encode(images))
    assert "tokens" not in plain.fingerprint
    assert plain.tokens_on(56, 56) == 1


def test_the_grid_decides_how_many(checkpoint: Any, make_images: Any) -> None:
    encoder = encoders.load(f"{checkpoint('dinov2')[0]}#tokens", device="cpu")
    assert encoder.tokens_on(28, 70) == 1 + 2 * 5
    assert encoder.encode(make_images(2, 28, 70)).shape == (2, 11 * 48)
    assert encoder.encode(np.empty((0, 3, 28, 70), np.float32)).shape == (0, 11 * 48)
    assert encoder.encode(make_images(5, 28, 70), batch_size=2).shape == (5, 11 * 48)


def test_tokens_of_a_twin_and_of_an_alias(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    twin = encoders.load(f"random:{folder}#tokens", device="cpu")
    assert twin.encode(images).shape == (5, 17 * 48)
    assert encoders.load(f"t={folder}#tokens", device="cpu").name == "t"


@pytest.mark.parametrize("model_type", ["dinov3_convnext", "swin", "resnet"])
def test_architectures_without_tokens_say_so(model_type: str, checkpoint: Any) -> None:
    with pytest.raises(EncoderError, match=r"gives no tokens here\. Choose a vision transformer") as caught:
        encoders.load(f"{checkpoint(model_type)[0]}#tokens", device="cpu")
    assert "\n" not in str(caught.value)
