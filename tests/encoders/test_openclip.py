from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bandprobe import encoders
from bandprobe.encoders import openclip_format
from bandprobe.errors import DiskError, EncoderError

open_clip = pytest.importorskip("open_clip", reason="the extra openclip is not installed here")

# Heads and hidden layer of unusual size, as in ViT-g-14 (head width 88, MLP ratio 4.3637).
MODEL: dict[str, Any] = {
    "embed_dim": 20,
    "vision_cfg": {
        "image_size": 56,
        "layers": 2,
        "width": 66,
        "head_width": 22,
        "mlp_ratio": 4.3637,
        "patch_size": 14,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 49, "width": 16, "heads": 2, "layers": 1},
}
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
PREPROCESS = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}


def build(**options: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = open_clip.model.CLIP(**{**MODEL, **options}).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def save(folder: Path, model: Any, *, pickled: bool = False, **options: Any) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    config = {"model_cfg": {**MODEL, **options}, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    if pickled:
        distributed = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}
        torch.save(distributed, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(state, folder / "open_clip_model.safetensors")
    return folder


def normalised(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("pickled", [False, True])
def test_converted_tower_gives_open_clips_embedding(
    quick_gelu: bool, pickled: bool, images: Tensor, tmp_path: Path
) -> None:
    model = build(quick_gelu=quick_gelu)
    folder = save(tmp_path / "tower", model, pickled=pickled, quick_gelu=quick_gelu)
    encoder = encoders.load(str(folder), device="cpu")
    with torch.inference_mode():
        expected = model.encode_image(normalised(images), normalize=False)
    vectors = encoder.encode(images)
    assert encoder.dim == 20
    torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
    assert expected.std(0).mean() > 1e-2


def test_activation_matters(images: Tensor, tmp_path: Path) -> None:
    model = build(quick_gelu=True)
    right = encoders.load(str(save(tmp_path / "right", model, quick_gelu=True)), device="cpu")
    wrong = encoders.load(str(save(tmp_path / "wrong", model)), device="cpu")
    assert (right.encode(images) - wrong.encode(images)).abs().max() > 1e-4
    assert right.fingerprint["config"] != wrong.fingerprint["config"]
    assert right.fingerprint["weights"] == wrong.fingerprint["weights"]


def test_converted_tower_takes_other_grids(make_images: Any, tmp_path: Path) -> None:
    encoder = encoders.load(str(save(tmp_path / "tower", build())), device="cpu")
    assert encoder.encode(make_images(2, 84, 70)).shape == (2, 20)


def test_transformers_files_are_taken_first(checkpoint: Any, images: Tensor, tmp_path: Path) -> None:
    folder, _ = checkpoint("clip")
    both = save(tmp_path / "both", build())
    for file in folder.iterdir():
        (both / file.name).write_bytes(file.read_bytes())
    expected = encoders.load(str(folder), device="cpu")
    assert torch.equal(encoders.load(str(both), device="cpu").encode(images), expected.encode(images))


def test_the_authors_geometry(tmp_path: Path) -> None:
    encoder = encoders.load(str(save(tmp_path / "tower", build())), device="cpu")
    assert str(encoder.native_geometry) == "shortest-edge:56:bicubic:crop:56"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attentional_pool", True),
        ("timm_model_name", "vit_base_patch16_224"),
        ("layers", [2, 2, 2, 2]),
        ("pool_type", "avg"),
        ("ls_init_value", 0.1),
        ("no_ln_pre", True),
        ("qk_norm", True),
        ("image_size", [56, 70]),
        ("invented_later", 1),
    ],
)
def test_towers_without_a_counterpart_are_refused(option: str, value: Any) -> None:
    config = copy.deepcopy(MODEL)
    config["vision_cfg"][option] = value
    with pytest.raises(EncoderError, match="openclip:MODEL/TAG") as caught:
        openclip_format.convert_visual({}, config, "tower")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"pool_type": "tok"}, {"patch_dropout": 0.5}, {"timm_pool": "avg"}, {"act_kwargs": None}]
)
def test_options_that_change_nothing_are_not(option: dict[str, Any]) -> None:
    config = {**MODEL, "vision_cfg": {**MODEL["vision_cfg"], **option}}
    state = build().visual.state_dict()
    assert openclip_format.convert_visual(state, {"model_cfg": config}).config.projection_dim == 20


@pytest.mark.parametrize("missing", ["vision_cfg", "embed_dim"])
def test_a_configuration_without_its_parts(missing: str) -> None:
    config = {key: value for key, value in MODEL.items() if key != missing}
    with pytest.raises(EncoderError, match="holds no vision_cfg or no embed_dim"):
        openclip_format.convert_visual({}, config, "tower")


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    state = build().visual.state_dict()
    del state["ln_pre.weight"]
    with pytest.raises(EncoderError, match=r"do not fit its configuration.*pre_layrnorm") as caught:
        openclip_format.convert_visual(state, MODEL, "tower")
    assert "\n" not in str(caught.value)
    (tmp_path / "text.bin").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match=r"text\.bin cannot be loaded"):
        openclip_format.read_visual(tmp_path / "text.bin", "tower")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "Tiny-B-14.json").write_text(json.dumps(MODEL))
    open_clip.add_model_config(folder / "Tiny-B-14.json")
    torch.save(build().state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


class TestAdapter:
    """`openclip:MODEL/TAG`, with a file for a tag."""

    def test_gives_open_clips_embedding(self, file: Path, images: Tensor) -> None:
        encoder = encoders.load(f"openclip:Tiny-B-14/{file}", device="cpu")
        mean, std = (
            torch.tensor(v)[:, None, None]
            for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        )
        with torch.inference_mode():
            expected = build().encode_image((images - mean) / std, normalize=False)
        torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-5, atol=1e-5)
        assert encoder.name == "openclip:Tiny-B-14/weights.pt"
        assert encoder.dim == 20
        assert encoder.fingerprint["revision"] == "local"
        assert str(encoder.native_geometry) == "shortest-edge:56:bicubic:crop:56"

    def test_agrees_with_the_converted_tower(self, file: Path, images: Tensor, tmp_path: Path) -> None:
        folder = save(tmp_path / "tower", build())
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL}))
        adapter = encoders.load(f"openclip:Tiny-B-14/{file}", device="cpu").encode(images)
        torch.testing.assert_close(
            adapter, encoders.load(str(folder), device="cpu").encode(images), rtol=1e-5, atol=1e-5
        )

    def test_a_tags_activation_wins_over_the_architectures(
        self, file: Path, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {"file": str(file), "quick_gelu": True, "mean": MEAN, "std": STD}
        for module in (open_clip, open_clip.factory):
            monkeypatch.setattr(module, "get_pretrained_cfg", lambda model, tag: settings)
            monkeypatch.setattr(module, "list_pretrained_tags_by_model", lambda model: ["trained"])
        encoder = encoders.load("openclip:Tiny-B-14/trained", device="cpu")
        quick = build(quick_gelu=True)
        quick.load_state_dict(build().state_dict())
        with torch.inference_mode():
            expected = quick.encode_image(normalised(images), normalize=False)
        torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-5, atol=1e-5)
        assert encoder.fingerprint["revision"] == "trained"

    def test_one_size_only(self, file: Path, make_images: Any) -> None:
        encoder = encoders.load(f"openclip:Tiny-B-14/{file}", device="cpu")
        with pytest.raises(EncoderError, match="56 x 56 only; got 84 x 84"):
            encoder.encode(make_images(1, 84, 84))

    def test_half_precision(self, file: Path, images: Tensor) -> None:
        full = encoders.load(f"openclip:Tiny-B-14/{file}", device="cpu").encode(images)
        half = encoders.load(f"openclip:Tiny-B-14/{file}", device="cpu", precision="bf16").encode(images)
        assert 0 < float((full - half).norm() / full.norm()) < 0.1

    def test_names_that_are_not_there(self, file: Path) -> None:
        with pytest.raises(EncoderError, match=r"no model 'ViT-B-33'. Did you mean 'ViT-B-32'"):
            encoders.load("openclip:ViT-B-33/openai", device="cpu")
        with pytest.raises(
            EncoderError, match=r"'nonesuch' is neither a file nor a tag of ViT-B-32; its tags are .*openai"
        ):
            encoders.load("openclip:ViT-B-32/nonesuch", device="cpu")
        with pytest.raises(EncoderError, match="the file does not fit ViT-B-32") as caught:
            encoders.load(f"openclip:ViT-B-32/{file}", device="cpu")
        assert "\n" not in str(caught.value)
        with pytest.raises(EncoderError, match="must have the form openclip:MODEL/TAG"):
            encoders.load("openclip:ViT-B-32", device="cpu")

    def test_no_network(self) -> None:
        with pytest.raises(DiskError, match="could not be fetched") as caught:
            encoders.load("openclip:ViT-B-32/laion2b_s34b_b79k", device="cpu")
        assert "\n" not in str(caught.value)

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "open_clip", None)
        with pytest.raises(EncoderError, match=r'pip install "bandprobe\[openclip\]"'):
            encoders.load("openclip:ViT-B-32/openai", device="cpu")
