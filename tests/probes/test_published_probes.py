"""Published probes: the format as its authors write it, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch

from bandprobe.cli.probe_import import import_probe
from bandprobe.errors import InputError
from bandprobe.probes import load, save
from bandprobe.probes.published import read


def saved(path: Path, dim: int = 768) -> torch.nn.Linear:
    """`fc_weights.pth` as training scripts write it: the state of `nn.Linear(768, 1)`."""
    layer = torch.nn.Linear(dim, 1)
    torch.save(layer.state_dict(), path)
    return layer


def test_a_published_probe_gives_its_own_logits_and_probabilities(tmp_path: Path) -> None:
    layer = saved(tmp_path / "fc_weights.pth")
    import_probe(tmp_path / "fc_weights.pth", tmp_path / "p", quiet=True)
    [path] = (tmp_path / "p").glob("*")
    file = load(path)
    assert (file.encoder, file.trained_on, file.fingerprint) == ("clip-vit-l-14", "external", {})
    X = np.random.default_rng(0).standard_normal((5, 768)).astype(np.float32)
    wanted = layer(torch.from_numpy(X)).detach().numpy()[:, 0]
    np.testing.assert_allclose(file.probe.logits(X), wanted, atol=1e-5)
    np.testing.assert_allclose(
        file.probe.probabilities(file.probe.logits(X)), 1 / (1 + np.exp(-wanted)), atol=1e-6
    )
    assert file.probe.threshold == 0


def test_another_encoder_and_threshold(tmp_path: Path) -> None:
    saved(tmp_path / "fc.pth", dim=512)
    file = read(tmp_path / "fc.pth", encoder="clip-vit-b-32", threshold=-0.5)
    assert (file.encoder, file.probe.threshold) == ("clip-vit-b-32", -0.5)
    with pytest.raises(InputError, match="takes 512 values, and clip-vit-l-14 gives 768"):
        read(tmp_path / "fc.pth")


def test_equal_probes_are_equal_files(tmp_path: Path) -> None:
    saved(tmp_path / "fc.pth")
    file = read(tmp_path / "fc.pth")
    written = {save(file, tmp_path / f"{time}").read_bytes() for time in range(8)}
    [content] = written
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert start % 8 == 0
    assert list(header) == sorted(header)
    metadata, arrays = header.pop("__metadata__"), safetensors.numpy.load(content)
    with safetensors.safe_open(tmp_path / "0" / file.file_name, "numpy") as opened:
        assert opened.metadata() == metadata
    np.testing.assert_array_equal(arrays["weight"], file.probe.weight)


class Command:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"weight": Command()}, "more than weights"),
        (torch.nn.Linear(3, 1), "more than weights"),
        ({"weight": torch.zeros(2, 768), "bias": torch.zeros(2)}, r"holds weight \(2, 768\), bias \(2,\)"),
        ({"weight": torch.zeros(1, 768)}, "holds weight"),
        ({"fc.weight": torch.zeros(1, 768), "fc.bias": torch.zeros(1)}, "holds fc.weight"),
        ({"weight": torch.full((1, 768), torch.nan), "bias": torch.zeros(1)}, "not finite"),
        ([1, 2], "holds no tensors"),
    ],
)
def test_other_content_is_refused_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "fc.pth")
    with pytest.raises(InputError, match=words) as caught:
        read("fc.pth")
    assert "\n" not in str(caught.value)
    assert not Path("ran").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "whole.pth")
    for data in (b"", b"text " * 100, (tmp_path / "whole.pth").read_bytes()[:400]):
        (tmp_path / "fc.pth").write_bytes(data)
        with pytest.raises(InputError, match="is damaged or holds more than weights"):
            read(tmp_path / "fc.pth")
    with pytest.raises(InputError, match="no file"):
        read(tmp_path / "absent.pth")
