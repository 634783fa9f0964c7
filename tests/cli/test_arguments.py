"""Several values behind one option, and nothing else taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandprobe.cli.arguments import spread


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("embed d --filter none identity thesis --store s",
         "embed d --filter none --filter identity --filter thesis --store s"),
        ("filter a.png --filter lowpass:3px highpass:5px+identity --out o",
         "filter a.png --filter lowpass:3px --filter highpass:5px+identity --out o"),
        ("filter --filter lowpass:3px a.png b.png --out o", "filter --filter lowpass:3px a.png b.png --out o"),
        ("filter --filter a.png identity", "filter --filter a.png --filter identity"),
        ("embed d --encoder spectral dinov2-small model --store s",
         "embed d --encoder spectral --encoder dinov2-small --encoder model --store s"),
        ("embed d --encoder spectral tiny=dinov2-small fakes=data --store s",
         "embed d --encoder spectral --encoder tiny=dinov2-small fakes=data --store s"),
        ("embed --encoder spectral data --store s", "embed --encoder spectral data --store s"),
        ("train --train-on each all family:gan --out p",
         "train --train-on each --train-on all --train-on family:gan --out p"),
        ("report --format latex markdown runs/a --paper cvpr ieee",
         "report --format latex --format markdown runs/a --paper cvpr --paper ieee"),
        ("score --format jsonl a.jpg", "score --format jsonl a.jpg"),
        ("index none identity", "index none identity"),
        ("embed d --filter none --quiet identity", "embed d --filter none --quiet identity"),
    ],
)  # fmt: skip
def test_spread(given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    assert spread(given.split()) == meant.split()
