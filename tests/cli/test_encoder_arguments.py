from __future__ import annotations

from pathlib import Path

import pytest

from bandprobe.cli.arguments import spread


@pytest.mark.parametrize(
    "word",
    [
        "pixel", "log-fft", "detector:model.onnx", "detector:mine:predict", "table:vectors.parquet",
        "random:dinov2-base", "random:2:facebook/dinov2-small", "dinov2-base#tokens",
        "dinov2-base@lowpass:5..185/5px+clip-vit-l-14", "spectral@jpeg:75+lowpass:30px+owner/model",
    ],
)  # fmt: skip
def test_every_form_of_an_encoder_may_follow_another(word: str) -> None:
    assert spread(["embed", "--encoder", "spectral", word]) == [
        "embed", "--encoder", "spectral", "--encoder", word,
    ]  # fmt: skip


def test_a_folder_of_images_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spectral+photos").mkdir()
    for word in ("spectral+photos", "photos", "owner/model"):
        assert spread(["embed", "--encoder", "spectral", word]) == ["embed", "--encoder", "spectral", word]
