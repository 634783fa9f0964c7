"""Planted artefacts: each stays in its ring; its ring is found; and where there is none, none is claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_bands import cut

from bandprobe.errors import InputError, ShapeError
from bandprobe.selftest import Artefact, bands, plant, recompressed
from bandprobe.selftest.artefacts import KINDS, PHASE_ONLY
from bandprobe.selftest.band_recovery import photographs

RING = {"ring-noise": 4.0, "grid": 4.0, "missing": 1.0, "scramble": 1.0}


@pytest.fixture(scope="module")
def reals() -> np.ndarray:
    return photographs(320)


def spectra(images: np.ndarray) -> np.ndarray:
    return np.fft.fft2(images.astype(float).mean(-1))


def inside(size: int, low: float, high: float) -> np.ndarray:
    u = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(u[:, None], u[None, :]) / (size / 2)
    return (low <= radius) & (radius < high)


@pytest.mark.parametrize("kind", KINDS)
def test_an_artefact_stays_in_its_ring(kind: str) -> None:
    rng = np.random.default_rng(0)
    # Far from black and white: nothing is clipped.
    images = rng.integers(90, 160, (6, 48, 48, 3), dtype=np.uint8)
    artefact = Artefact(kind, 0.35, 0.45, RING[kind])
    change = spectra(plant(images, artefact, np.random.default_rng(1))) - spectra(images)
    ring = inside(48, 0.35, 0.45)
    power = (np.abs(change) ** 2).mean(0)
    rounding = 48**2 / 12  # power in each coefficient of errors that are uniform over one level
    assert power[~ring].mean() < 1.3 * rounding
    assert power[ring].mean() > 20 * rounding


def test_what_each_kind_does_to_the_ring() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(90, 160, (40, 48, 48, 3), dtype=np.uint8)
    ring = inside(48, 0.35, 0.45)
    before = np.abs(spectra(images))[:, ring]

    def after(kind: str, strength: float) -> np.ndarray:
        planted = plant(images, Artefact(kind, 0.35, 0.45, strength), np.random.default_rng(1))
        return np.abs(spectra(planted))[:, ring]

    assert after("missing", 1.0).mean() < 0.2 * before.mean()
    np.testing.assert_allclose(after("missing", 0.5).mean(), 0.5 * before.mean(), rtol=0.05)
    np.testing.assert_allclose(after("scramble", 1.0), before, atol=150)  # of some 800: the rounding's
    noise = spectra(plant(np.full_like(images, 128), Artefact("ring-noise", 0.35, 0.45, 4.0), rng))[:, ring]
    np.testing.assert_allclose((np.abs(noise) ** 2).sum(1).mean(), 16 * 48**4, rtol=0.1)  # Parseval
    wave = spectra(plant(np.full_like(images, 128), Artefact("grid", 0.35, 0.45, 6.0), rng))[0]
    at = round(0.4 * 24)
    np.testing.assert_allclose([abs(wave[at, 0]), abs(wave[0, at])], 6 / 2 * 48**2, rtol=0.05)


def test_what_cannot_be_planted_is_refused() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="Did you mean 'missing'"):
        plant(images, Artefact("mising", 0.3, 0.4, 1), rng)
    with pytest.raises(InputError, match=r"0 < low < high; got 0\.4 to 0\.3"):
        plant(images, Artefact("missing", 0.4, 0.3, 1), rng)
    with pytest.raises(InputError, match=r"in \(0, 1\]; got 2"):
        plant(images, Artefact("missing", 0.3, 0.4, 2), rng)
    with pytest.raises(InputError, match="no frequency of a 32 x 32 grid"):
        plant(images, Artefact("missing", 0.301, 0.302, 1), rng)
    with pytest.raises(ShapeError, match="got \\(2, 32, 32\\)"):
        plant(images[..., 0], Artefact("missing", 0.3, 0.4, 1), rng)
    with pytest.raises(InputError, match="give 200; got 2"):
        bands(1, 0, images=images)


def test_recompression_is_pillows(reals: np.ndarray) -> None:
    again = recompressed(reals[:3], 80)
    error = np.abs(again.astype(int) - reals[:3]).mean()
    assert again.shape == reals[:3].shape
    assert 0.5 < error < 12


def test_planted_bands_are_found_and_nulls_are_silent(reals: np.ndarray) -> None:
    found = bands(9, 30, images=reals, kinds=("ring-noise", "grid", "missing"), seed=3)
    counted = found.cases[found.cases["auroc"] >= 0.8]
    assert len(counted) == 9
    assert (counted["located"] & counted["covered"]).sum() >= 8
    unseen = found.cases[found.cases["auroc"] < 0.75]
    assert (unseen["claimed"] == 0).all()
    assert len(found.nulls) == 30
    assert (found.nulls["claimed"] == 0).all()
    assert (found.nulls["ungated"] == 0).sum() >= 26  # of 30 at 95 %, fewer have a chance of 1 in 100
    assert found.passed
    assert any(line.startswith("centre within 0.05") for line in found.lines())


def test_spectral_sees_no_phase_and_says_nothing(reals: np.ndarray) -> None:
    found = bands(1, 0, images=reals[:200], kinds=PHASE_ONLY, seed=1)
    assert len(found.cases) == 6  # drawn in vain
    assert (found.cases["auroc"] < 0.75).all()
    assert (found.cases["claimed"] == 0).all()
    assert found.summary["note"].tolist() == ["spectral cannot see it"]


def test_on_photographs(photos: Path) -> None:
    squares = cut(photos)
    chosen = np.random.default_rng(0).permutation(len(squares))[:320]
    found = bands(2, 0, images=squares[chosen], kinds=("missing", "grid"), seed=5)
    counted = found.cases[found.cases["auroc"] >= 0.8]
    assert (counted["located"] & counted["covered"]).all()
