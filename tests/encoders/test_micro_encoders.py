"""The encoders that ship: found by name wherever the package lies, checked, and as their cards say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bandprobe import encoders, shipped
from bandprobe.datasets import micro
from bandprobe.errors import DiskError, EncoderError

NAMES = ("micro-dino", "micro-dino-noblur", "micro-clip", "micro-clip-notexture")


@pytest.fixture
def installed(
    checkpoint: Callable[[str], tuple[Path, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Installs a package with one encoder somewhere."""

    def install(place: str) -> Path:
        folder = tmp_path / place / "embedded"
        shutil.copytree(checkpoint("dinov2")[0], folder / "encoders" / "micro-dino")
        shipped.seal(folder)
        monkeypatch.setattr(shipped, "FOLDER", folder)
        return folder / "encoders" / "micro-dino"

    return install


def test_they_are_names_like_any_other() -> None:
    for name in NAMES:
        assert encoders.resolve(name) == encoders.Reference(name, "shipped", name)
        assert encoders.twin(name) == f"random:{name}"
        assert encoders.display_name(f"{name}#tokens") == f"{name}#tokens"
    assert encoders.display_name("a=random:2:micro-clip") == "a"
    assert encoders.display_name("micro-dino@lowpass:9px+micro-clip") == "micro-dino@lowpass:9px+micro-clip"
    with pytest.raises(EncoderError, match="Did you mean 'micro-dino'"):
        encoders.resolve("micro-dyno")
    with pytest.raises(EncoderError, match="revision is for models on the Hugging Face Hub"):
        encoders.load("micro-dino", revision="main")


def test_the_catalogue_lists_them() -> None:
    entries = {entry.name: entry for entry in encoders.catalogue()}
    for name in NAMES:
        entry = entries[name]
        assert (entry.source, entry.dim, entry.licence, entry.patch) == ("built in", 128, "Apache-2.0", 8)
        assert entry.native_size == 64
        assert entry.objective == entries["clip-vit-l-14" if "clip" in name else "dinov2-base"].objective


def test_its_vectors_and_fingerprint_are_the_folders_and_know_no_path(
    installed: Callable[[str], Path], images: torch.Tensor
) -> None:
    folder = installed("here")
    own, plain = encoders.load("micro-dino", device="cpu"), encoders.load(str(folder), device="cpu")
    assert (own.name, own.dim) == ("micro-dino", plain.dim)
    torch.testing.assert_close(own.encode(images), plain.encode(images), atol=0, rtol=0)
    installed("there")
    moved = encoders.load("micro-dino", device="cpu").fingerprint
    assert moved == own.fingerprint == plain.fingerprint
    assert not [value for value in moved.values() if "/" in value]
    assert encoders.resolve("micro-dino").files == sorted((shipped.FOLDER / "encoders/micro-dino").iterdir())


def test_tokens_and_random_weights(installed: Callable[[str], Path], images: torch.Tensor) -> None:
    installed("here")
    encoder, tokens = (encoders.load(name, device="cpu") for name in ("micro-dino", "micro-dino#tokens"))
    shape = (len(images), -1, encoder.dim)
    # The first token goes through the same norm in both.
    torch.testing.assert_close(tokens.encode(images).reshape(shape)[:, 0], encoder.encode(images))
    first, again, other = (
        encoders.load(name, device="cpu").encode(images)
        for name in ("random:micro-dino", "random:micro-dino", "random:1:micro-dino")
    )
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first, encoder.encode(images))


def test_a_damaged_or_missing_file_is_one_line_that_names_it(installed: Callable[[str], Path]) -> None:
    folder = installed("here")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DiskError, match=r"model\.safetensors is damaged.*Reinstall bandprobe") as caught:
        encoders.load("micro-dino", device="cpu")
    assert "\n" not in str(caught.value)
    (folder / "config.json").unlink()
    with pytest.raises(DiskError, match=r"config\.json is missing.*Reinstall bandprobe") as caught:
        encoders.load("micro-dino", device="cpu")
    assert caught.value.exit_code == 3
    with pytest.raises(DiskError, match=r"micro-clip is missing.*python -m zoo\.package"):
        encoders.load("micro-clip", device="cpu")


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_encoder_gives_the_vectors_on_its_card(name: str) -> None:
    encoder = encoders.load(name, device="cpu")
    folder = shipped.part(f"encoders/{name}")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    test = micro("test")
    places = {picture: row for row, picture in enumerate(test.table["name"])}
    pictures = test.images()[[places[picture] for picture in card["embeddings"]]]
    vectors = encoder.encode(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    assert len(card["embeddings"]) == 4
    assert vectors.shape == (4, 128)
    np.testing.assert_allclose(vectors, list(card["embeddings"].values()), atol=1e-3, rtol=0)
    assert np.std(vectors, axis=0).mean() > 0.05  # pictures are told apart


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_weights_are_fp16_on_disk_and_fp32_in_memory(name: str) -> None:
    encoder = encoders.load(name, device="cpu")
    assert encoder.dim == 128
    assert encoder.fingerprint["precision"] == "fp32"
    with safe_open(shipped.part(f"encoders/{name}") / "model.safetensors", "np") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {np.dtype(np.float16)}  # noqa: SIM118
    assert (shipped.FOLDER / "encoders" / name / "README.md").is_file()
    assert (shipped.FOLDER / "LICENSE").is_file()
