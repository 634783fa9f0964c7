from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.errors import EncoderError

Checkpoint = Callable[[str], tuple[Path, Any]]


def naflex_patches(pixels: Tensor, size: int) -> Tensor:
    """Patch by patch and pixel by pixel, as loops."""
    n, _, height, width = pixels.shape
    out = torch.empty(n, (height // size) * (width // size), size * size * 3)
    for image in range(n):
        for row in range(height // size):
            for column in range(width // size):
                flat = [
                    pixels[image, :, row * size + y, column * size + x]
                    for y in range(size)
                    for x in range(size)
                ]
                out[image, row * (width // size) + column] = torch.cat(flat)
    return out


def difference(vectors: Tensor, expected: Tensor) -> float:
    """The largest difference, as a part of the largest value."""
    return float((vectors - expected).abs().max() / expected.abs().max())


def direct(model_type: str, model: Any, pixels: Tensor) -> Tensor:  # noqa: PLR0911 - a row each
    """The vector by a direct call of the saved model, with no code of ours."""
    with torch.inference_mode():
        if model_type in ("dinov2", "dinov2_with_registers", "dinov3_vit"):
            return model(pixels).last_hidden_state[:, 0]
        if model_type == "dinov3_convnext":
            states = model(pixels).last_hidden_state
            return states[:, 0]
        if model_type in ("clip", "siglip", "chinese_clip"):
            return model.get_image_features(pixel_values=pixels).pooler_output
        if model_type == "clip_vision_model":
            return model(pixels).image_embeds
        if model_type == "siglip_vision_model":
            return model(pixels).pooler_output
        if model_type == "vit":
            return model.vit(pixels).last_hidden_state[:, 0]
        if model_type.startswith("siglip2"):
            rows, columns = pixels.shape[2] // 14, pixels.shape[3] // 14
            inputs = {
                "pixel_values": naflex_patches(pixels, 14),
                "pixel_attention_mask": torch.ones(len(pixels), rows * columns, dtype=torch.int64),
                "spatial_shapes": torch.tensor([[rows, columns]] * len(pixels)),
            }
            return getattr(model, "vision_model", model)(**inputs).pooler_output
        if model_type == "swin":
            return model(pixels).pooler_output
        if model_type == "deit":
            return model.deit(pixels).last_hidden_state[:, 0]
        if model_type == "resnet":
            return model.resnet(pixels).last_hidden_state.mean((2, 3))
    raise AssertionError(model_type)


TYPES = [
    "dinov2", "dinov2_with_registers", "dinov3_vit", "dinov3_convnext", "clip", "clip_vision_model",
    "siglip", "siglip_vision_model", "siglip2", "siglip2_vision_model", "vit",
    "swin", "deit", "resnet", "chinese_clip",
]  # fmt: skip


@pytest.mark.parametrize("model_type", TYPES)
def test_the_vector_is_that_of_a_direct_call(
    model_type: str, checkpoint: Checkpoint, images: Tensor, normalise: Callable[[Tensor], Tensor]
) -> None:
    folder, model = checkpoint(model_type)
    encoder = encoders.load(str(folder), device="cpu")
    expected = direct(model_type, model, normalise(images))
    vectors = encoder.encode(images)
    assert vectors.shape == (5, encoder.dim) == expected.shape
    assert vectors.dtype == torch.float32
    assert encoder.name == f"tiny-{model_type}"
    assert difference(vectors, expected) <= 2e-6
    assert vectors.std(0).mean() > 1e-3  # images are told apart, so equality says something


def test_clip_is_not_normalised(checkpoint: Checkpoint, images: Tensor) -> None:
    lengths = encoders.load(str(checkpoint("clip")[0]), device="cpu").encode(images).norm(dim=1)
    assert (lengths - 1).abs().min() > 0.05


def test_clip_loads_the_image_tower_alone(checkpoint: Checkpoint) -> None:
    folder, model = checkpoint("clip")
    encoder: Any = encoders.load(str(folder), device="cpu")
    loaded = sum(value.numel() for value in encoder._model.parameters())
    tower = (*model.vision_model.parameters(), *model.visual_projection.parameters())
    assert loaded == sum(value.numel() for value in tower)


def test_clip_projection_size_that_stands_at_the_top_of_the_configuration_alone(
    checkpoint: Checkpoint, images: Tensor, tmp_path: Path
) -> None:
    folder, _ = checkpoint("clip")
    copied = Path(shutil.copytree(folder, tmp_path / "clip"))
    config = json.loads((copied / "config.json").read_text())
    config["vision_config"].pop("projection_dim", None)
    (copied / "config.json").write_text(json.dumps(config))
    expected = encoders.load(str(folder), device="cpu").encode(images)
    assert torch.equal(encoders.load(str(copied), device="cpu").encode(images), expected)


def test_mae_sees_every_patch_in_its_place(
    checkpoint: Checkpoint, images: Tensor, normalise: Callable[[Tensor], Tensor]
) -> None:
    from transformers import ViTConfig, ViTModel

    folder, mae = checkpoint("vit_mae")
    keys = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "image_size",
        "patch_size",
        "intermediate_size",
    )
    config = ViTConfig(
        **{key: getattr(mae.config, key) for key in keys}, layer_norm_eps=mae.config.layer_norm_eps
    )
    vit = ViTModel(config, add_pooling_layer=False).eval()
    vit.load_state_dict(mae.vit.state_dict())
    with torch.inference_mode():
        expected = vit(normalise(images)).last_hidden_state[:, 0]
    encoder = encoders.load(str(folder), device="cpu")
    first, second = encoder.encode(images), encoder.encode(images)
    assert torch.equal(first, second)
    assert difference(first, expected) <= 2e-6


@pytest.mark.parametrize(
    "model_type", ["dinov2", "dinov3_vit", "clip", "siglip", "siglip2", "vit_mae", "vit"]
)
@pytest.mark.parametrize("grid", [(84, 84), (42, 70)])
def test_other_grids(
    model_type: str, grid: tuple[int, int], checkpoint: Checkpoint, make_images: Any, normalise: Any
) -> None:
    folder, model = checkpoint(model_type)
    batch = make_images(3, *grid)
    encoder = encoders.load(str(folder), device="cpu")
    vectors = encoder.encode(batch)
    assert torch.isfinite(vectors).all()
    pixels = normalise(batch)
    with torch.inference_mode():
        if model_type in ("clip", "siglip"):
            expected = model.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
        elif model_type == "vit":
            expected = model.vit(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]
        elif model_type == "vit_mae":
            patches = (grid[0] // 14) * (grid[1] // 14)
            noise = torch.linspace(0, 1, patches).repeat(3, 1)
            model.vit.config.mask_ratio, kept = 0.0, model.vit.config.mask_ratio
            expected = model.vit(pixels, noise=noise, interpolate_pos_encoding=True).last_hidden_state[:, 0]
            model.vit.config.mask_ratio = kept
        else:
            expected = direct(model_type, model, pixels)
    assert difference(vectors, expected) <= 2e-6


@pytest.mark.parametrize("model_type", ["dinov2", "siglip2", "vit_mae", "dinov3_convnext"])
def test_batch_size_and_order_do_not_matter(model_type: str, checkpoint: Checkpoint, images: Tensor) -> None:
    encoder = encoders.load(str(checkpoint(model_type)[0]), device="cpu")
    whole = encoder.encode(images)
    scale = float(whole.abs().max())
    for batch_size in (1, 2, 4):
        assert (encoder.encode(images, batch_size=batch_size) - whole).abs().max() <= 1e-5 * scale
    order = torch.tensor([3, 0, 4, 2, 1])
    assert (encoder.encode(images[order]) - whole[order]).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("model_type", ["dinov2", "siglip2", "vit_mae", "chinese_clip"])
def test_partial_patches_are_refused(model_type: str, checkpoint: Checkpoint, make_images: Any) -> None:
    encoder = encoders.load(str(checkpoint(model_type)[0]), device="cpu")
    with pytest.raises(EncoderError, match=r"multiples of its patch, 14; got 60 x 56.*squash:56"):
        encoder.encode(make_images(1, 60, 56))


def test_images_smaller_than_a_convolutional_network_takes(checkpoint: Checkpoint, make_images: Any) -> None:
    encoder = encoders.load(str(checkpoint("dinov3_convnext")[0]), device="cpu")
    with pytest.raises(EncoderError, match="does not take images of 8 x 8"):
        encoder.encode(make_images(1, 8, 8))


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.1), ("fp16", 0.02)])
def test_half_precision_is_near_and_not_equal(
    precision: str, tolerance: float, checkpoint: Checkpoint, images: Tensor
) -> None:
    folder = str(checkpoint("dinov2")[0])
    full, half = encoders.load(folder, device="cpu"), encoders.load(folder, device="cpu", precision=precision)
    one, other = full.encode(images), half.encode(images)
    assert other.dtype == torch.float32
    assert 0 < float((one - other).norm() / one.norm()) < tolerance
    assert full.fingerprint["precision"] != half.fingerprint["precision"]


def test_sharded_and_pytorch_files_give_the_same(
    checkpoint: Checkpoint, images: Tensor, tmp_path: Path
) -> None:
    folder, model = checkpoint("dinov2")
    expected = encoders.load(str(folder), device="cpu").encode(images)
    model.save_pretrained(tmp_path / "sharded", max_shard_size="60KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 1
    shutil.copytree(folder, tmp_path / "old")
    (tmp_path / "old" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "old" / "pytorch_model.bin")
    shutil.copy(folder / "preprocessor_config.json", tmp_path / "sharded")
    for kind in ("sharded", "old"):
        assert torch.equal(encoders.load(str(tmp_path / kind), device="cpu").encode(images), expected), kind


class TestFingerprint:
    def test_what_changes_it(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        folder, model = checkpoint("dinov2")
        base = encoders.load(str(folder), device="cpu").fingerprint

        weights = Path(shutil.copytree(folder, tmp_path / "weights"))
        with torch.no_grad():
            model.layernorm.bias[0] += 1
            model.save_pretrained(weights)
            model.layernorm.bias[0] -= 1
        changed = encoders.load(str(weights), device="cpu").fingerprint
        assert {key for key in base if base[key] != changed[key]} == {"weights"}

        mean = Path(shutil.copytree(folder, tmp_path / "mean"))
        settings = json.loads((mean / "preprocessor_config.json").read_text())
        settings["image_mean"][1] = 0.25
        (mean / "preprocessor_config.json").write_text(json.dumps(settings))
        changed = encoders.load(str(mean), device="cpu").fingerprint
        assert {key for key in base if base[key] != changed[key]} == {"mean"}

        activation = Path(shutil.copytree(folder, tmp_path / "activation"))
        config = json.loads((activation / "config.json").read_text())
        config["hidden_act"] = "relu"
        (activation / "config.json").write_text(json.dumps(config))
        changed = encoders.load(str(activation), device="cpu").fingerprint
        assert {key for key in base if base[key] != changed[key]} == {"config"}

    def test_what_does_not(self, checkpoint: Checkpoint, images: Tensor, tmp_path: Path) -> None:
        folder, _ = checkpoint("dinov2")
        encoder = encoders.load(str(folder), device="cpu")
        before = dict(encoder.fingerprint)
        encoder.encode(images, batch_size=2)
        moved = Path(shutil.copytree(folder, tmp_path / "another-name"))
        config = json.loads((moved / "config.json").read_text())
        config["transformers_version"] = "5.0.0"
        (moved / "config.json").write_text(json.dumps(config))
        assert before == encoder.fingerprint == encoders.load(str(moved)).fingerprint

    def test_weights_are_named_by_the_hash_of_the_file(self, checkpoint: Checkpoint) -> None:
        import hashlib

        folder, _ = checkpoint("clip")
        expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        fingerprint = encoders.load(str(folder), device="cpu").fingerprint
        assert fingerprint["weights"] == expected
        assert fingerprint["model_type"] == "clip"
        assert all(isinstance(value, str) for value in fingerprint.values())


class TestRefused:
    def test_weights_that_are_not_there(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        folder = Path(shutil.copytree(checkpoint("clip")[0], tmp_path / "clip"))
        state = load_file(folder / "model.safetensors")
        del state["visual_projection.weight"]
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EncoderError, match=r"1 of the image tower's weights.*visual_projection\.weight"):
            encoders.load(str(folder), device="cpu")

    def test_a_text_model(self, checkpoint: Checkpoint) -> None:
        with pytest.raises(EncoderError, match="tiny-bert is no vision model"):
            encoders.load(str(checkpoint("bert")[0]), device="cpu")

    def test_damaged_weights(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(checkpoint("dinov2")[0], tmp_path / "cut"))
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(EncoderError, match="weights cannot be loaded") as caught:
            encoders.load(str(folder), device="cpu")
        assert "\n" not in str(caught.value)

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    def test_a_pickle_that_would_run_code(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        import pickle

        folder = Path(shutil.copytree(checkpoint("dinov2")[0], tmp_path / "evil"))
        (folder / "model.safetensors").unlink()
        witness = tmp_path / "witness"

        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (witness,))

        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
        with pytest.raises(EncoderError, match="weights cannot be loaded") as caught:
            encoders.load(str(folder), device="cpu")
        assert "\n" not in str(caught.value)
        assert not witness.exists()

    def test_weights_of_another_shape(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(checkpoint("dinov2")[0], tmp_path / "shape"))
        config = json.loads((folder / "config.json").read_text())
        config["mlp_ratio"] = 3
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(EncoderError) as caught:
            encoders.load(str(folder), device="cpu")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"model_type": "unheard-of"}', "cannot use config.json .model_type 'unheard-of'"),
            ('{"architecture": "vit_tiny"}', "names no model_type.*timm:NAME"),
            ("{", "cannot be read as JSON"),
            ("[]", "must hold a JSON object"),
        ],
    )
    def test_unusable_configurations(
        self, content: str, message: str, checkpoint: Checkpoint, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(checkpoint("dinov2")[0], tmp_path / "config"))
        (folder / "config.json").write_text(content)
        with pytest.raises(EncoderError, match=message) as caught:
            encoders.load(str(folder), device="cpu")
        assert "\n" not in str(caught.value)

    def test_siglip_without_its_head(self, checkpoint: Checkpoint, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(checkpoint("siglip_vision_model")[0], tmp_path / "headless"))
        config = json.loads((folder / "config.json").read_text())
        config["vision_use_head"] = False
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(EncoderError, match="without its pooling head"):
            encoders.load(str(folder), device="cpu")


def test_transformers_voice_is_given_back(checkpoint: Checkpoint, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    encoders.load(str(checkpoint("clip")[0]), device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_a_broken_torchvision_does_no_harm(checkpoint: Checkpoint, tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from bandprobe import encoders; "
        "print(encoders.load(sys.argv[2], device='cpu').dim)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(checkpoint("clip")[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "20", done.stderr
