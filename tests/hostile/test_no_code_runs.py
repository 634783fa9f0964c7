"""Files that would run code when they are loaded are refused, by every loader, and nothing in them is run."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from bandprobe import encoders, probes
from bandprobe.cli import run
from bandprobe.errors import BandprobeError
from bandprobe.store import EmbeddingStore


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


def _saved(write: Callable[[Any, io.BytesIO], object], marker: Path) -> bytes:
    out = io.BytesIO()
    write(Payload(marker), out)
    return out.getvalue()


def _numpy(value: Any, out: io.BytesIO) -> None:
    np.save(out, np.array([value], dtype=object), allow_pickle=True)


def _archive(value: Any, out: io.BytesIO) -> None:
    np.savez(out, frequency_nyq=np.array([value], dtype=object))


WAYS: dict[str, Callable[[Any, io.BytesIO], object]] = {
    "pickle": pickle.dump,
    "torch": lambda value, out: torch.save({"weight": value, "state_dict": value}, out),
    "torch-old": lambda value, out: torch.save(value, out, _use_new_zipfile_serialization=False),
    "joblib": joblib.dump,
    "numpy": _numpy,
}


@pytest.fixture(params=list(WAYS))
def payload(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[bytes, Path]:
    """A file's bytes that make a folder when they are unpickled, and that folder."""
    marker = tmp_path / "it-ran"
    data = _saved(WAYS[request.param], marker)
    assert str(marker).encode() in data
    return data, marker


def refused(call: Callable[[], object], file: Path, marker: Path) -> None:
    with pytest.raises(BandprobeError) as caught:
        call()
    assert not marker.exists(), "code in the file was run"
    assert "\n" not in str(caught.value)
    assert file.name in str(caught.value) or file.parent.name in str(caught.value)


def planted(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def test_the_payloads_do_run_where_they_are_let(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    pickle.loads(_saved(WAYS["pickle"], marker))
    assert marker.is_dir()


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".bin", ".ckpt", ".joblib", ".npy"])
def test_probes(payload: tuple[bytes, Path], ending: str, tmp_path: Path) -> None:
    data, marker = payload
    file = planted(tmp_path / "probes", f"evil{ending}", data)
    refused(lambda: probes.load(file), file, marker)
    if ending == ".safetensors":
        refused(lambda: probes.load_folder(file.parent), file, marker)


@pytest.mark.parametrize("name", ["evil.pth", "evil.pt", "evil.bin", "evil.ckpt"])
def test_published_probes(payload: tuple[bytes, Path], name: str, tmp_path: Path) -> None:
    from bandprobe.probes.published import read

    data, marker = payload
    file = planted(tmp_path, name, data)
    refused(lambda: read(file), file, marker)


def test_commands_say_it_in_one_line(
    payload: tuple[bytes, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, marker = payload
    file = planted(tmp_path, "evil.safetensors", data)
    for command in (
        ["score", str(tmp_path), "--probe", str(file)],
        ["import-probe", str(file), "--out", str(tmp_path / "out")],
    ):
        assert run(command) == 2
        said = capfd.readouterr().err.splitlines()
        assert len(said) == 1
        assert said[0].startswith("error: ")
        assert "evil.safetensors" in said[0]
    assert not marker.exists()


def _vision_folder(folder: Path) -> Path:
    config = {
        "model_type": "dinov2", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "image_size": 14, "patch_size": 7, "architectures": ["Dinov2Model"],
    }  # fmt: skip
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_weights_of_transformers(payload: tuple[bytes, Path], name: str, tmp_path: Path) -> None:
    data, marker = payload
    file = planted(_vision_folder(tmp_path / "evil-model"), name, data)
    refused(lambda: encoders.load(str(file.parent), device="cpu"), file, marker)


def test_shards_of_transformers(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    data, marker = payload
    folder = _vision_folder(tmp_path / "evil-model")
    file = planted(folder, "pytorch_model-00001-of-00001.bin", data)
    index = {"metadata": {"total_size": 1}, "weight_map": {"embeddings.cls_token": file.name}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    refused(lambda: encoders.load(str(folder), device="cpu"), file, marker)


@pytest.mark.parametrize("known", [False, True])
def test_code_beside_a_model_of_transformers(known: bool, tmp_path: Path) -> None:
    """A configuration that names classes of its own is not followed, whether its type is known or not."""
    marker = tmp_path / "it-ran"
    folder = _vision_folder(tmp_path / "evil-model")
    config = json.loads((folder / "config.json").read_text())
    named = {"AutoConfig": "modeling_evil.EvilConfig", "AutoModel": "modeling_evil.EvilModel"}
    config |= {"auto_map": named} | ({} if known else {"model_type": "evil"})
    (folder / "config.json").write_text(json.dumps(config))
    code = f"import os\nos.mkdir({str(marker)!r})\nclass EvilConfig: pass\nclass EvilModel: pass\n"
    file = planted(folder, "modeling_evil.py", code.encode())
    planted(folder, "model.safetensors", b"\2\0\0\0\0\0\0\0{}")
    processor = {
        "auto_map": {"AutoImageProcessor": "modeling_evil.EvilModel"},
        "image_processor_type": "Evil",
    }
    planted(folder, "preprocessor_config.json", json.dumps(processor).encode())
    refused(lambda: encoders.load(str(folder), device="cpu"), file, marker)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "open_clip_model.safetensors"])
def test_weights_in_open_clips_format(payload: tuple[bytes, Path], name: str, tmp_path: Path) -> None:
    data, marker = payload
    folder = tmp_path / "evil-clip"
    vision = {"image_size": 16, "layers": 1, "width": 8, "patch_size": 8}
    planted(
        folder,
        "open_clip_config.json",
        json.dumps({"model_cfg": {"embed_dim": 8, "vision_cfg": vision}}).encode(),
    )
    file = planted(folder, name, data)
    refused(lambda: encoders.load(str(folder), device="cpu"), file, marker)


def test_a_checkpoint_for_timm(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    pytest.importorskip("timm", reason="the extra timm is not installed")
    data, marker = payload
    for name in ("evil.pth", "evil.safetensors"):
        file = planted(tmp_path, name, data)
        refused(lambda file=file: encoders.load(f"timm:test_vit@{file}", device="cpu"), file, marker)


def test_a_checkpoint_for_open_clip(tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="the extra openclip is not installed")
    marker = tmp_path / "it-ran"
    file = planted(tmp_path, "evil.pt", _saved(WAYS["torch"], marker))
    with pytest.raises(BandprobeError) as caught:
        encoders.load(f"openclip:RN50/{file}", device="cpu")
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    assert "evil.pt" in str(caught.value)


@pytest.mark.parametrize("name", ["evil.parquet", "evil.npy", "evil.joblib"])
def test_tables_of_embeddings(payload: tuple[bytes, Path], name: str, tmp_path: Path) -> None:
    data, marker = payload
    file = planted(tmp_path, name, data)
    refused(lambda: encoders.load_table(f"table:{file}"), file, marker)


def test_detectors(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    data, marker = payload
    file = planted(tmp_path, "evil.onnx", data)
    refused(lambda: encoders.load(f"detector:{file}", device="cpu"), file, marker)


def test_parts_of_a_store(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    data, marker = payload
    store = EmbeddingStore(tmp_path / "store")
    file = planted(store.partition("spectral", "none"), "part-0.parquet", data)
    refused(lambda: store.read("spectral", "none"), file, marker)
    assert [part for part, _ in store.verify()] == [file]
    assert not marker.exists()


def test_arrays_of_a_run(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    from bandprobe.report.run_directory import read_spectra

    data, marker = payload
    for content in (data, _saved(_archive, marker)):
        file = planted(tmp_path, "spectra.npz", content)
        refused(lambda file=file: read_spectra(file), file, marker)


def test_checkpoints_of_training(payload: tuple[bytes, Path], tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="the extra train is not installed")
    from bandprobe.probes.lightning_import import import_lightning

    import_lightning()
    from bandprobe.probes.network import _checkpoint

    data, marker = payload
    file = planted(tmp_path, "last.ckpt", data)
    refused(lambda: _checkpoint(file), file, marker)
