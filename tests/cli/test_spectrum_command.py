"""`bandprobe spectrum` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bandprobe.cli import run
from bandprobe.report import spectrum_figures


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def test_the_published_command(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """fft_hp of chosen sources in a given order, --log --vmin 1e-5 --vmax 1e-1, labels of one's own."""
    drawn: list[Figure] = []
    make = spectrum_figures.new_figure
    monkeypatch.setattr(spectrum_figures, "new_figure", lambda *size: drawn.append(make(*size)) or drawn[-1])
    arguments = ["--kind", "fft_hp", "--source", "ProGAN", "--source", "Real", "--source", "DDPM", "--log"]
    arguments += ["--labels", "A,B,C", "--vmin", "1e-5", "--vmax", "1e-1", "--json", "--quiet"]
    assert call("spectrum", world, "--out", "sp", *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figures"] == ["sp/spectrum-world-coherent.png"]
    assert Path("sp/spectrum-world-coherent.pdf").is_file()
    assert list(said["n"]) == ["world/ProGAN", "world/Real", "world/DDPM"]
    assert set(said["n"].values()) == {45}
    panels = [axes for axes in drawn[0].axes if (axes.get_gid() or "").startswith("source:")]
    assert [axes.get_gid() for axes in panels] == ["source:ProGAN", "source:Real", "source:DDPM"]
    assert [axes.texts[0].get_text() for axes in panels] == ["A", "B", "C"]
    assert (panels[0].images[0].norm.vmin, panels[0].images[0].norm.vmax) == (1e-5, 1e-1)


def test_every_option(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--kind",
        "fft,dct,density,std,power",
        "--difference",
        "--linear",
        "--rings",
        "ricker",
        "--width",
    ]
    arguments += ["column", "--filter", "lowpass:5px", "--samples", "9", "--size", "16", "--limit", "20"]
    assert call("spectrum", world, "--out", "sp", *arguments, "--seed", "1", "--workers", "1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    stems = {Path(path).stem for path in said["figures"]}
    two = {
        f"spectrum-world-{t}-{s}{d}"
        for t in ("fft", "dct")
        for s in ("std", "power")
        for d in ("", "-difference")
    }
    assert stems == {"spectrum-world-density", *two}
    assert said["filter"] == "lowpass:5px"
    assert said["size"] == 16
    assert set(said["n"].values()) == {9}
    assert all(Image.open(path).width == 680 for path in said["figures"])
    with np.load("sp/spectra.npz", allow_pickle=False) as arrays:
        assert str(arrays["filter"]) == "lowpass:5px"
        assert arrays["world/Real/std_dct"].shape == (16, 16)
        assert arrays["frequency_nyq"].max() > 1
    assert call("spectrum", world, "--out", "sp", "--kind", "density", "--quiet", "--samples", "9") == 0
    assert {path.name for path in Path("sp").iterdir()} == {
        "spectra.npz", "spectrum-world-density.png", "spectrum-world-density.pdf",
    }  # fmt: skip


def test_a_broken_image_is_listed(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("Real", "ProGAN"):
        (tmp_path / "set" / source).mkdir(parents=True)
        for path in sorted((world / source).iterdir())[:5]:
            (tmp_path / "set" / source / path.name).write_bytes(path.read_bytes())
    (tmp_path / "set" / "Real" / "003.png").write_bytes(b"no image")
    assert call("spectrum", "set", "--out", "sp", "--kind", "density", "--json") == 1
    out, err = capsys.readouterr()
    assert set(json.loads(out)["n"].values()) == {4}
    assert [Path(path).name for path in json.loads(out)["left_out"]] == ["003.png"]
    assert "1 image left out" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "fft_ph"], "'fft_hp'"),
        (["--source", "ProGAN", "--source", "Rael"], "'Real'"),
        (["--source", "Real,ProGAN", "--labels", "A"], "got 1 for 2"),
        (["--labels", "Real=A", "--labels", "B"], "NAME=SHOWN"),
        (["--labels", "Real=A,ProGAN=A"], "must differ"),
        (["--vmin", "1", "--vmax", "0.5"], "vmin must lie below vmax"),
        (["--vmin", "0"], "vmin must be above 0"),
        (["--vmin", "2", "--kind", "fft_hp"], "give both vmin and vmax"),
        (["--width", "wide"], "page, column or a number"),
        (["--width", "0.5"], "between 2 and 20"),
        (["--source", "ProGAN", "--difference"], "--source Real"),
        (["--filter", "lowpss:5px"], "'lowpass'"),
        (["--size", "31"], "even"),
        (["--rings", "rikcer"], "ricker"),
    ],
)
def test_wrong_use_is_one_line(
    world: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("spectrum", world, "--out", "sp", "--samples", "2", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert words in err
