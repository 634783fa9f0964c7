"""Figures for papers: exact widths, legible type, embedded fonts, nothing cut off or on top of another."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from report_checks import assert_readable
from report_runs import (
    PHOTOS,
    THESIS,
    minimal_results,
    photo_results,
    spectra,
    thesis_results,
    write_run,
)
from test_mmd_figures import table as mmd_table

from bandprobe.cli import run as command
from bandprobe.errors import InputError
from bandprobe.report.paper_figures import VENUES, paper_figures, planned
from bandprobe.report.run_directory import Run, read_run, read_spectra
from bandprobe.report.style import Page, drawing, on_page, page

PAGES = [("cvpr", ""), ("iclr", ""), ("ieee", "-wide")]  # narrow, middle, wide


def bands(names: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`bands.csv` and `bands_tested.csv` of probes that use the lowest frequencies."""
    edges = np.linspace(0, 1.45, 11)
    tested = pd.DataFrame(
        [
            {"encoder": "spectral", "trained_on": name, "train_filter": "none", "tested_on": name, "kind": "pass",
             "own_auroc": 0.9, "outcome": "1 claimed", "low_nyq": low, "high_nyq": high,
             "auroc": 0.95 - 0.4 * low / 1.45}
            for name in names
            for low, high in itertools.pairwise(edges)
        ]
    )  # fmt: skip
    claimed = tested.drop_duplicates("trained_on").assign(centre_nyq=0.07, strength=0.8, p_value=0.01)
    return claimed, tested


@pytest.fixture(scope="module")
def photo_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = write_run(tmp_path_factory.mktemp("photos"), photo_results(("spectral",)), None, spectra(PHOTOS))
    claimed, tested = bands([*PHOTOS, "all", "a generator with a long name"])
    families = {"Real": "", **{name: family for name, (family, _) in PHOTOS.items()}}
    mmd = mmd_table(families, [1, 2, 5, 10, 20, 50, 100], ("bandpass:0.325nyq:width=0.35nyq", "jpeg:75"))
    analyses = {"bands": claimed, "bands_tested": tested, "mmd": mmd}
    run = read_run(folder)
    return Run(run.folder, run.results, spectra=run.spectra, analyses=analyses)


def draw(run: Run, chosen: Page, *starts: str) -> dict[str, object]:
    """Figures whose names begin so, each checked for all that holds for every one of a paper."""
    drawn = {}
    with on_page(chosen), drawing():
        for one in planned(run, chosen):
            if not one.stem.startswith(starts):
                continue
            figure = drawn[one.stem] = one.draw()
            width, height = figure.get_size_inches()
            assert width == pytest.approx(chosen.width, abs=1e-9), one.stem
            assert height <= chosen.height, one.stem
            assert_readable(figure)
            sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()}
            assert min(sizes) >= 7, one.stem
            words = [text.get_text() for text in figure.findobj(Text)]
            assert figure.get_label().endswith(".")
            assert not any(
                word and word in figure.get_label().split(".")[0] for word in words if len(word) > 30
            )
    return drawn


@pytest.mark.parametrize(("venue", "ending"), PAGES)
def test_every_kind_is_readable_at_every_width(photo_run: Run, venue: str, ending: str) -> None:
    drawn = draw(
        photo_run, VENUES[venue].pages[ending], "heatmap-spectral-auroc", "curves-spectral-auroc-lowpass-rel",
        "spectrum-scenes", "mmd-one-fake-vs-real", "bands",
    )  # fmt: skip
    kinds = {stem.partition("-")[0] for stem in drawn}
    assert kinds == {"heatmap", "curves", "spectrum", "mmd", "bands"}
    assert len(drawn) >= 8


@pytest.mark.parametrize("ending", ["", "-wide"])
def test_a_grid_of_the_thesis_fits_a_column(tmp_path: Path, ending: str) -> None:
    arrays = spectra({name: (family, "lsun-bedroom") for name, family in THESIS.items()})
    folder = write_run(tmp_path, thesis_results(("dinov2-giant",)), None, arrays)
    run = read_run(folder)
    assert read_spectra(folder / "spectra.npz") is not None
    starts = ["heatmap-dinov2-giant-accuracy"]
    if not ending:
        starts += ["curves-dinov2-giant-auroc-lowpass-rel", "spectrum-lsun-bedroom-magnitude"]
    drawn = draw(run, VENUES["cvpr"].pages[ending], *starts)
    texts = [text.get_text() for text in drawn[starts[0]].findobj(Text)]
    numbers = [text for text in texts if re.fullmatch(r"\d+\.\d", text)]
    assert len(numbers) == (12 * 15 if ending else 0)  # without room for its number a cell shows its colour


def test_pages_are_of_the_venues_width_with_truetype_fonts_and_captions(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path, minimal_results())
    assert command(["report", str(folder), "--paper", "cvpr", "--paper", "iclr"]) == 0
    made = tmp_path / "figures"
    assert capsys.readouterr().out.split() == [
        str(made / "cvpr" / "captions.tex"),
        str(made / "iclr" / "captions.tex"),
    ]
    assert not (tmp_path / "report.html").exists()
    for name, inches in (
        ("cvpr/heatmap-spectral-auroc", 3.25), ("cvpr/heatmap-spectral-auroc-wide", 6.875),
        ("iclr/heatmap-spectral-auroc", 5.5),
    ):  # fmt: skip
        content = (made / f"{name}.pdf").read_bytes()
        (box,) = re.findall(rb"/MediaBox \[ ?([\d. ]+) ?\]", content)
        left, bottom, right, _ = map(float, box.split())
        assert (left, bottom) == (0, 0)
        assert right == pytest.approx(72 * inches, abs=0.01)
        assert b"/Type3" not in content
        assert b"/FontFile2" in content
        faces = set(re.findall(rb"/BaseFont /([A-Z]{6}\+)?", content))
        assert faces
        assert b"" not in faces  # each is a part of a face, and so embedded
        with Image.open(made / f"{name}.png") as picture:
            assert picture.width == round(200 * inches)
    assert not (made / "iclr" / "heatmap-spectral-auroc-wide.pdf").exists()
    captions = (made / "cvpr" / "captions.tex").read_text(encoding="ascii")
    assert r"\includegraphics{heatmap-spectral-auroc}" in captions
    assert "AUROC on unfiltered images: spectral. One probe per column." in captions
    assert (
        captions.count(r"\begin{figure*}") == captions.count("-wide}\n") - captions.count(r"\label") // 2 == 2
    )
    (made / "cvpr" / "curves-gone.pdf").write_bytes(b"")
    paper_figures(folder, "cvpr")
    assert not (made / "cvpr" / "curves-gone.pdf").exists()
    if shutil.which("pdflatex"):
        document = (
            "\\documentclass[twocolumn]{article}\n\\usepackage{graphicx}\n\\begin{document}\n\\input{captions}\n"
            "\\end{document}\n"
        )
        (made / "cvpr" / "paper.tex").write_text(document)
        compiled = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
            cwd=made / "cvpr", capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert compiled.returncode == 0, compiled.stdout.decode("latin-1")[-1500:]


def test_only_inside_is_a_page_another_one_and_venues_are_known(tmp_path: Path) -> None:
    before = page()
    with on_page(VENUES["ieee"].pages["-wide"]):
        assert page().width == 7.16
    assert page() == before == Page()
    with pytest.raises(InputError, match="cvpr, iclr, ieee; got 'nature'"):
        paper_figures(tmp_path, "nature")
    assert command(["report", str(tmp_path), "--paper", "ieeee"]) == 2
