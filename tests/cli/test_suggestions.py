"""A misspelt name is answered with the nearest one that is known, in one line and one style."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandprobe.cli import run

STUDY = '[data]\nroot = "world"\n'


@pytest.mark.parametrize(
    ("line", "wrong", "meant"),
    [
        ("embd world", "unknown command 'embd'", "embed"),
        ("store verfy emb", "unknown command 'verfy'", "verify"),
        ("--versoin", "unknown option '--versoin'", "--version"),
        ("embed world --encodr spectral", "unknown option '--encodr'", "--encoder"),
        ("embed world --encoder spectral --store s --engine rya", "'rya' is not one of", "ray"),
        ("selftest --only band", "'band' is not one of", "bands"),
        ("mmd --store s --out o --experiment fake_vs_reel", "'fake_vs_reel' is not one of", "fake_vs_real"),
        ("filter world --filter lowpas:5px --out o", "unknown filter 'lowpas'", "lowpass"),
        ("filter world --filter jpeg:75+higpass:5px --out o", "unknown filter 'higpass'", "highpass"),
        ("filter world --filter thesi --out o", "unknown filter 'thesi'", "thesis"),
        ("embed world --encoder dinov2-smal --store s", "'dinov2-smal' is unknown", "dinov2-small"),
        ("embed world --encoder tim:resnet50 --store s", "'tim:'", "timm"),
        ("embed world --encoder spectral --store s --protocol thesiss", "'thesiss'", "thesis"),
        ("index world --layout folder", "got 'folder'", "folders"),
        ("spectrum world --out o --kind densty", "got 'densty'", "density"),
        ("plan s.toml --gpu h10", "'h10'", "h100"),
        ("plan key.toml", "unknown key 'layot' in [data]", "layout"),
        ("plan section.toml", "unknown key 'probe' in a study file", "probes"),
    ],
)
def test_the_nearest_name(
    line: str,
    wrong: str,
    meant: str,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("world").symlink_to(world)
    Path("s.toml").write_text(STUDY)
    Path("key.toml").write_text(STUDY + 'layot = "auto"\n')
    Path("section.toml").write_text(STUDY + '[probe]\nhead = "mlp"\n')
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [said] = err.splitlines()
    assert said.startswith("error: ")
    assert wrong in said
    assert f" Did you mean {meant!r}?" in said


@pytest.mark.parametrize("line", ["xyzzy", "embed world --qqqqqq", "filter world --filter xyzzy:5px --out o"])
def test_nothing_is_suggested_for_what_is_like_nothing(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(line.split()) == 2
    err = capsys.readouterr().err
    assert "Did you mean" not in err
    assert "bandprobe" in err  # where to look


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda bp: bp.metrics.blank_reason("auroq", 100), "auroc"),
        (lambda bp: bp.filters.parse("lowpas:5px"), "lowpass"),
        (lambda bp: bp.encoders.load("spectrall"), "spectral"),
    ],
)
def test_python_suggests_as_the_command_line(call, meant: str) -> None:
    import bandprobe as bp

    with pytest.raises(bp.errors.InputError, match=f"Did you mean {meant!r}"):
        call(bp)
