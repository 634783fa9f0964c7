"""Layers: the vector behind each block, from one pass."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from bandprobe import encoders
from bandprobe.encoders.layers import depth_of, embed_together, parse_layers, with_layers
from bandprobe.errors import EncoderError
from bandprobe.extract import extract
from bandprobe.filters import expand
from bandprobe.images import Geometry, decode, image_id
from bandprobe.protocol import Protocol
from bandprobe.store import EmbeddingStore

# Whether each architecture has a class token.
TOWERS = {
    "dinov2": True, "dinov2_with_registers": True, "dinov3_vit": True, "clip": True, "clip_vision_model": True,
    "siglip": False, "siglip_vision_model": False, "siglip2": False, "vit_mae": True, "vit": True, "deit": True,
    "chinese_clip": True,
}  # fmt: skip


def hidden_states(model_type: str, model: Any, pixels: Tensor) -> tuple[Tensor, ...]:
    """What transformers itself calls so, of a direct call of the saved model; the embeddings come first."""
    with torch.inference_mode():
        asked: dict[str, Any] = {"output_hidden_states": True}
        if model_type == "vit_mae":
            config = model.vit.embeddings.config
            ratio, config.mask_ratio = config.mask_ratio, 0.0
            order = torch.arange(16.0).expand(len(pixels), -1)
            states = model.vit(pixels, noise=order, **asked).hidden_states
            config.mask_ratio = ratio
        elif model_type == "siglip2":
            n = len(pixels)
            patches = pixels.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 4, 5, 1).reshape(n, 16, -1)
            shapes = torch.tensor([[4, 4]]).expand(n, 2)
            mask = torch.ones((n, 16), dtype=torch.int32)
            states = model.vision_model(patches, mask, shapes, **asked).hidden_states
        else:
            tower = next(
                (getattr(model, name) for name in ("vision_model", "vit", "deit") if hasattr(model, name)),
                model,
            )
            states = tower(pixels, **asked).hidden_states
    return tuple(states)


@pytest.mark.parametrize("model_type", TOWERS)
def test_layers_are_transformers_hidden_states(
    model_type: str, checkpoint: Any, images: Tensor, normalise: Any
) -> None:
    folder, model = checkpoint(model_type)
    states = hidden_states(model_type, model, normalise(images))
    assert len(states) == 3  # the embeddings, and two blocks
    names = with_layers([str(folder)], "all")
    assert names == [f"{folder}#layer1", f"{folder}#layer2", str(folder)]
    assert depth_of(encoders.resolve(str(folder))) == 2
    loaded = encoders.load_all(names, device="cpu")
    (served,) = embed_together(loaded, images)
    assert [encoder for encoder, _ in served] == loaded
    plain = encoders.load(str(folder), device="cpu").encode(images)
    for number, (encoder, vectors) in enumerate(served, 1):
        if number == 3:
            torch.testing.assert_close(vectors, plain, rtol=0, atol=0)
            continue
        expected = states[number][:, 0] if TOWERS[model_type] else states[number].mean(1)
        torch.testing.assert_close(vectors, expected, rtol=1e-5, atol=1e-5)
        assert vectors.shape == (5, encoder.dim) == (5, 48)
        alone = encoders.load(names[number - 1], device="cpu")
        torch.testing.assert_close(alone.encode(images), vectors, rtol=0, atol=0)
        assert alone.fingerprint == encoder.fingerprint
        assert (encoder.fingerprint["layer"], encoder.fingerprint["layers"]) == (str(number), "2")
        assert alone.name == f"tiny-{model_type}#layer{number}"
    fingerprints = [json.dumps(encoder.fingerprint) for encoder in loaded]
    assert len(set(fingerprints)) == 3
    assert "layer" not in loaded[-1].fingerprint


def test_stages_of_a_convolutional_network(checkpoint: Any, images: Tensor, normalise: Any) -> None:
    folder, model = checkpoint("dinov3_convnext")
    loaded = encoders.load_all(with_layers([str(folder)], "all"), device="cpu")
    states, state = [], normalise(images)
    with torch.inference_mode():
        for stage in model.model.stages:
            state = stage(state)
            states.append(state)
    (served,) = embed_together(loaded, images)
    assert [encoder.dim for encoder in loaded] == [16, 24, 32, 48, 48]
    for (_, vectors), expected in zip(served, states, strict=False):
        torch.testing.assert_close(vectors, expected.flatten(2).mean(2), rtol=1e-5, atol=1e-5)


def test_blocks_behind_the_wanted_one_are_not_run(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    first = encoders.load(f"{folder}#layer1", device="cpu")
    ran = []
    for number, block in enumerate(first.whole.blocks(), 1):  # type: ignore[attr-defined]
        block.module.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    first.encode(images)
    assert ran == [1]
    first.whole.encode(images)  # type: ignore[attr-defined]
    assert ran == [1, 1, 2]


def test_threads_that_share_a_model_catch_their_own(checkpoint: Any, make_images: Any) -> None:
    folder, _ = checkpoint("clip")
    loaded = encoders.load_all(with_layers([str(folder)], "all"), device="cpu")
    batches = [make_images(3, 56, 56) + 0.01 * number for number in range(8)]

    def work(batch: Tensor) -> list[Tensor]:
        return [vectors for served in embed_together(loaded, batch) for _, vectors in served]

    expected = [work(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(work, batches), expected, strict=True):
                for one, other in zip(found, right, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected[0][0], expected[1][0])


def test_the_vector_can_be_differentiated(checkpoint: Any, images: Tensor) -> None:
    encoder = encoders.load(f"{checkpoint('dinov2')[0]}#layer1", device="cpu")
    pixels = images.clone().requires_grad_()
    encoder.vectors(pixels)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert pixels.grad is not None
    step = torch.zeros_like(images)
    step[2, 1, 20, 30] = 1e-2
    found = (encoder.encode(images + step) - encoder.encode(images - step))[2, 0] / 2e-2
    assert float(pixels.grad[2, 1, 20, 30]) == pytest.approx(float(found), rel=0.02, abs=1e-4)


def test_half_precision_twins_and_other_statistics(checkpoint: Any, images: Tensor) -> None:
    name = f"{checkpoint('dinov2')[0]}#layer2"
    full = encoders.load(name, device="cpu").encode(images)
    half = encoders.load(name, device="cpu", precision="bf16").encode(images)
    assert 0 < float((full - half).norm() / full.norm()) < 0.1
    twin = encoders.twin(name)
    assert twin is not None
    other = encoders.load(twin, device="cpu")
    assert other.name == "random:tiny-dinov2#layer2"
    assert not torch.allclose(other.encode(images), full)
    switched = encoders.load(name, device="cpu", protocol=Protocol.parse("imagenet_stats"))
    assert switched.preprocessing.mean == (0.485, 0.456, 0.406)
    assert not torch.allclose(switched.encode(images), full)
    whole = encoders.load(
        name.removesuffix("#layer2"), device="cpu", protocol=Protocol.parse("imagenet_stats")
    )
    assert whole.fingerprint["mean"] == switched.fingerprint["mean"]


def test_an_alias_is_the_encoders(checkpoint: Any) -> None:
    folder, _ = checkpoint("dinov2")
    names = with_layers([f"d2={folder}"], (2,))
    assert [encoders.display_name(name) for name in names] == ["d2#layer2", "d2"]
    assert encoders.resolve(names[0]).whole == encoders.resolve(names[1])
    assert encoders.display_name(encoders.twin(names[0]) or "") == "random-d2#layer2"


def test_a_layer_within_a_compound(checkpoint: Any, images: Tensor) -> None:
    folder, _ = checkpoint("dinov2")
    both = encoders.load(f"{folder}#layer1@lowpass:8px+{folder}", device="cpu")
    assert both.name == "tiny-dinov2#layer1@lowpass:8px+tiny-dinov2"
    (low,) = expand("lowpass:8px")
    expected = encoders.load(f"{folder}#layer1", device="cpu").encode(low(images))
    torch.testing.assert_close(both.encode(images)[:, :48], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spectral#layer2", "spectral gives no layers here"),
        ("log-dct#layer1", "log-dct gives no layers here"),
        ("micro-dino#layer0", "counted from 1"),
        ("micro-dino#layer5", "micro-dino has layers 1 to 4; got #layer5"),
        ("micro-dino#tokens#layer1", "micro-dino#tokens gives no layers here"),
        ("micro-dino#layer1#layer2", "micro-dino#layer1 gives no layers here"),
        ("micro-dino#layer1#tokens", "gives no tokens here"),
        ("micro-din#layer1", "Did you mean 'micro-dino'"),
    ],
)
def test_layers_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.load(name, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_type", ["resnet", "swin"])
def test_architectures_without_blocks_of_one_width(model_type: str, checkpoint: Any) -> None:
    folder, _ = checkpoint(model_type)
    for ask in (
        lambda: encoders.load(f"{folder}#layer1", device="cpu"),
        lambda: with_layers([str(folder)], "all"),
    ):
        with pytest.raises(EncoderError, match="gives no layers here") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_choices_of_layers() -> None:
    assert parse_layers("all") == "all"
    assert parse_layers(" 1, 4,12") == (1, 4, 12)
    assert parse_layers("") == ()
    assert with_layers(["micro-dino"], parse_layers("3,1")) == [
        "micro-dino#layer1",
        "micro-dino#layer3",
        "micro-dino",
    ]
    for words in ("every", "1,,2", "-1", "1.5"):
        with pytest.raises(EncoderError, match="layers must be all, or numbers"):
            parse_layers(words)
    for names, layers, message in (
        (["spectral"], "all", "spectral gives no layers"),
        (["micro-dino+spectral"], "all", "gives no layers"),
        (["micro-dino"], (1, 7), "micro-dino has layers 1 to 4; got 7"),
        (["micro-dino#layer1"], "all", "is a layer already"),
    ):
        with pytest.raises(EncoderError, match=message) as caught:
            with_layers(names, layers)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


@pytest.fixture
def pictures(tmp_path: Path) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (56, 56, 3), dtype=np.uint8)).save(path)
        rows.append((image_id(decode(path)), str(path)))
    return pd.DataFrame(rows, columns=["image_id", "path"])


def test_one_pass_gives_all_layers_and_only_what_is_missing_is_done(
    tmp_path: Path, pictures: pd.DataFrame, checkpoint: Any
) -> None:
    folder, _ = checkpoint("dinov2")
    names = with_layers([str(folder)], "all")
    filters, grid = expand(["none", "lowpass:8px"]), Geometry.squash(56)
    seen: list[int] = []

    def load(*which: str) -> list[encoders.Encoder]:
        loaded = encoders.load_all(which, device="cpu")
        whole = getattr(loaded[0], "whole", loaded[0])
        whole.blocks()[0].module.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
        return loaded

    store = EmbeddingStore(tmp_path / "store")
    done = extract(store, pictures, load(*names), filters, geometry=grid, batch_size=4)
    assert (done.passes, done.saved, sum(seen)) == (14, 0, 14)
    done = extract(store, pictures, load(*names), filters, geometry=grid)
    assert (done.passes, done.saved, sum(seen)) == (0, 14, 14)

    # A layer of one condition, and the output of another, are made again: one pass each.
    seen.clear()
    before = {condition: store.read(*condition).embedding for condition in store.conditions()}
    store.remove("tiny-dinov2#layer1", "none")
    store.remove("tiny-dinov2", "none")
    store.remove("tiny-dinov2#layer2", "lowpass:8px")
    done = extract(store, pictures, load(*names), filters, geometry=grid)
    assert (done.passes, done.saved, sum(seen)) == (14, 0, 14)
    assert store.conditions() == sorted(before)
    for condition, vectors in before.items():
        np.testing.assert_allclose(store.read(*condition).embedding, vectors, atol=1e-5)

    # One layer alone, elsewhere: the same vectors.
    other = EmbeddingStore(tmp_path / "other")
    done = extract(other, pictures, load(names[0]), filters, geometry=grid)
    assert done.passes == 14
    for spec in ("none", "lowpass:8px"):
        one, two = (held.read("tiny-dinov2#layer1", spec).embedding for held in (store, other))
        np.testing.assert_allclose(one, two, atol=1e-5)
        assert store.fingerprint("tiny-dinov2#layer1", spec) == other.fingerprint("tiny-dinov2#layer1", spec)
        assert store.fingerprint("tiny-dinov2#layer2", spec) != store.fingerprint("tiny-dinov2#layer1", spec)


def test_timms_blocks_are_its_own_intermediates(tmp_path: Path, make_images: Any) -> None:
    timm = pytest.importorskip("timm", reason="the extra timm is not installed here")
    images = make_images(2, 160, 160)
    for name in ("test_vit", "test_convnext", "test_efficientnet"):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = timm.create_model(name, pretrained=False, num_classes=0).eval()
        torch.save(model.state_dict(), tmp_path / f"{name}.pt")
        loaded = encoders.load_all(with_layers([f"timm:{name}@{tmp_path / name}.pt"], "all"), device="cpu")
        mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
        with torch.inference_mode():
            pixels = (images - mean) / std
            if name == "test_vit":
                found = model.forward_intermediates(
                    pixels, intermediates_only=True, return_prefix_tokens=True, norm=False
                )
                expected = [prefix[:, 0] for _, prefix in found]
            elif name == "test_convnext":
                expected = [
                    one.mean((2, 3)) for one in model.forward_intermediates(pixels, intermediates_only=True)
                ]
            else:
                expected = [one.mean((2, 3)) for one in _features(timm, name, model, pixels)]
        (served,) = embed_together(loaded, images)
        assert len(served) == len(expected) + 1
        for (encoder, vectors), right in zip(served, expected, strict=False):
            assert vectors.shape == (2, encoder.dim)
            torch.testing.assert_close(vectors, right, rtol=1e-5, atol=1e-5)


def _features(timm: Any, name: str, model: Any, pixels: Tensor) -> list[Tensor]:
    """timm's own way to the same: a model that gives its features."""
    extractor = timm.create_model(name, pretrained=False, features_only=True).eval()
    extractor.load_state_dict(model.state_dict(), strict=False)
    found: list[Tensor] = extractor(pixels)
    return found


def test_open_clips_blocks_are_its_own_intermediates(tmp_path: Path, images: Tensor) -> None:
    open_clip = pytest.importorskip("open_clip", reason="the extra openclip is not installed here")
    settings: dict[str, Any] = {
        "embed_dim": 20,
        "vision_cfg": {"image_size": 56, "layers": 3, "width": 32, "head_width": 16, "patch_size": 14},
        "text_cfg": {"context_length": 8, "vocab_size": 49, "width": 16, "heads": 2, "layers": 1},
    }
    stages = {**settings, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}}
    for name, chosen, side in (("Layers-B-14", settings, 56), ("Layers-RN", stages, 64)):
        (tmp_path / f"{name}.json").write_text(json.dumps(chosen))
        open_clip.add_model_config(tmp_path / f"{name}.json")
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = open_clip.create_model(name).eval()
        torch.save(model.state_dict(), tmp_path / f"{name}.pt")
        loaded = encoders.load_all(
            with_layers([f"openclip:{name}/{tmp_path / name}.pt"], "all"), device="cpu"
        )
        mean, std = (
            torch.tensor(v)[:, None, None]
            for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        )
        given = torch.nn.functional.interpolate(images, (side, side))
        with torch.inference_mode():
            found = model.visual.forward_intermediates(
                (given - mean) / std,
                intermediates_only=True,
                **({"output_extra_tokens": True} if side == 56 else {}),
            )
        if side == 56:
            expected = [prefix[:, 0] for prefix in found["image_intermediates_prefix"]]
        else:
            expected = [one.mean((2, 3)) for one in found["image_intermediates"][-4:]]
        (served,) = embed_together(loaded, given)
        assert len(served) == len(expected) + 1
        with torch.inference_mode():
            whole = model.encode_image((given - mean) / std, normalize=False)
        torch.testing.assert_close(served[-1][1], whole, rtol=1e-4, atol=1e-5)
        for (encoder, vectors), right in zip(served, expected, strict=False):
            assert vectors.shape == (5, encoder.dim)
            torch.testing.assert_close(vectors, right, rtol=1e-4, atol=1e-5)
