"""The slider over masks: line, gain, energy left and pictures follow it."""

from __future__ import annotations

import base64
import shutil

import numpy as np
import pandas as pd
import pytest
from page_run import opened
from picture_run import EVIL, GENERATORS, SIDE
from PIL import Image
from report_runs import spectra, write_run

from bandprobe.report.radius_view import radius_view
from bandprobe.report.run_directory import read_run

FAMILIES = {name: family for name, (family, _) in GENERATORS.items()}
D0 = {"lowpass:3px": 3.0, "lowpass:12px": 12.0, "highpass:0.15nyq": 0.15 * SIDE / 2}


def energy_left(manifest, generator, spec):
    """Per cent of the energy outside DC that a Butterworth mask of order 1 leaves of a source's mean power."""
    u = np.fft.fftfreq(SIDE, 1 / SIDE)
    D = np.hypot(u[:, None], u)
    low = 1 / (1 + (D / D0[spec]) ** 2)
    mask = low if spec.startswith("low") else 1 - low
    paths = manifest.loc[manifest["generator"] == generator, "path"]
    power = np.mean(
        [np.abs(np.fft.fft2(np.asarray(Image.open(p).convert("L"), float))) ** 2 for p in paths], axis=0
    )
    power[0, 0] = 0
    return 100 * (power * mask**2).sum() / power.sum()


def test_the_slider_moves_everything(chromium, pictured):
    stored = pd.read_parquet(pictured.folder / "radius.parquet")
    with opened(chromium, pictured.page) as page:
        slider, words = page.locator("#radius-cutoff"), page.locator("#radius-words")
        assert words.inner_text() == "low-pass at 3 px (0.12 Nyquist)"  # the nearest to 0.15
        slider.focus()
        before = page.locator("#radius-gain").get_attribute("d")
        place = float(page.locator("#radius-line").get_attribute("x1"))
        page.keyboard.press("ArrowRight")
        assert words.inner_text() == "low-pass at 12 px (0.50 Nyquist)"
        assert slider.get_attribute("aria-valuetext") == words.inner_text()
        assert page.locator("#radius-gain").get_attribute("d") != before
        assert float(page.locator("#radius-line").get_attribute("x1")) > place
        for spec, group in (("lowpass:12px", "low-pass"), ("highpass:0.15nyq", "high-pass")):
            page.locator("#radius-kind").select_option(label=group)
            if spec.startswith("low"):
                slider.fill("1")
            for row in page.locator(".left tbody tr").all():
                name = row.locator("th").inner_text().strip()
                left = float(row.locator("[data-left]").inner_text())
                assert left == pytest.approx(energy_left(pictured.manifest, name, spec), abs=0.051)
            for image in page.locator("[data-picture]").all():
                data = base64.b64decode(image.get_attribute("src").partition(",")[2])
                label = image.get_attribute("alt").rpartition(", ")[0]
                mine = stored[(stored["filter"] == spec) & (stored["generator"] == label.partition(" (")[0])]
                assert mine["webp"].tolist() == [data]
                assert words.inner_text() in image.get_attribute("alt")
        assert slider.is_disabled()  # one high-pass: nothing to move


def test_sources_and_one_picture_of_each_family(pictured):
    view = radius_view(read_run(pictured.folder), FAMILIES)
    assert [line.label for line in view.lines] == ["Real", "ProGAN", EVIL]
    assert [line.n for line in view.lines] == [24, 12, 12]
    assert [one.label for one in view.pictures] == ["Real", f"{EVIL} (diffusion)", "ProGAN (GAN)"]
    assert view.groups == [("low-pass", 0, 2), ("high-pass", 2, 1)]
    curve = view.data["masks"][0]["gain"]
    points = [tuple(map(float, point.split())) for point in curve.removeprefix("M").split("L")]
    left, right, top, bottom = view.frame
    x, y = points[5]  # ring 6 of 24
    assert x == pytest.approx(left + 6 / 24 * (right - left), abs=0.06)
    assert (bottom - y) / (bottom - top) == pytest.approx(1 / (1 + (6 / 3) ** 2), abs=1e-3)


def test_without_pictures_or_a_radius_file_stored_spectra_serve(pictured, tmp_path):
    run = read_run(pictured.folder)
    write_run(tmp_path, run.results.drop(columns="test"), dict(run.record), spectra(GENERATORS, 64))
    view = radius_view(read_run(tmp_path), FAMILIES)
    assert view.pictures == []
    assert "at their own size, 64 px" in view.note
    # Cut-offs keep their fraction of Nyquist: 12 px of the grid's 24 is half of the spectra's 32.
    curve = view.data["masks"][1]["gain"].removeprefix("M").split("L")
    _, y = map(float, curve[15].split())  # ring 16 of 32
    assert (view.frame[3] - y) / (view.frame[3] - view.frame[2]) == pytest.approx(0.5, abs=1e-3)
    stored = spectra(GENERATORS, 64)["faces/Real/density"][:33]
    ring = np.rint(np.hypot(*np.meshgrid(np.arange(-32, 32), np.arange(-32, 32)))).astype(int)
    weight = np.bincount(ring[ring <= 32]) * stored
    weight[0] = 0
    left = 100 * (weight / (1 + (np.arange(33) / 16) ** 2) ** 2).sum() / weight.sum()
    assert float(view.data["masks"][1]["left"][0]) == pytest.approx(left, abs=0.051)


def test_a_run_without_masks_or_spectra_has_no_section(pictured, tmp_path):
    run = read_run(pictured.folder)
    plain = run.results[run.results["filter"] == "none"].drop(columns="test")
    write_run(tmp_path / "a", plain, dict(run.record), spectra(GENERATORS, 64))
    assert radius_view(read_run(tmp_path / "a"), FAMILIES) is None
    write_run(
        tmp_path / "b", run.results.drop(columns="test"), {"geometry": "native"}, spectra(GENERATORS, 64)
    )
    assert radius_view(read_run(tmp_path / "b"), FAMILIES) is None


def test_a_lost_picture_file_leaves_the_drawing(pictured, tmp_path):
    shutil.copytree(pictured.folder, tmp_path / "run")
    (tmp_path / "run" / "radius.parquet").write_bytes(b"lost")
    view = radius_view(read_run(tmp_path / "run"), FAMILIES)
    assert view.pictures == []
    assert len(view.lines) == 3
