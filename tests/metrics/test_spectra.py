"""Spectra against direct computations, closed forms and the conventions of Ricker et al."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from scipy import fft, ndimage

from bandprobe.errors import InputError, ShapeError
from bandprobe.metrics import (
    RadialDensity,
    Spectrum,
    gathering,
    luma,
    median3,
    radial_power,
    residual,
    ring_frequencies,
    spectral_slope,
    to_grey,
)
from bandprobe.metrics.grey import grey_of
from bandprobe.metrics.spectrum_kinds import Kinds, array_name


def eight_bit(seed: int, n: int, size: int) -> np.ndarray:
    levels = np.random.default_rng(seed).integers(0, 256, (n, size, size))
    smooth = ndimage.uniform_filter(levels.astype(float), (0, 2, 2)).round()
    return (smooth / 127.5 - 1).astype(np.float32)


def test_grey_is_pillows_luma_of_the_centre() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (41, 30, 3), dtype=np.uint8)
    found = to_grey(rgb, 16)
    levels = np.asarray(Image.fromarray(rgb).convert("L"))[12:28, 7:23]
    assert luma(rgb, 16).dtype == np.uint8
    assert np.array_equal(luma(rgb, 16), levels)
    assert found.dtype == np.float32
    assert found == pytest.approx(levels.astype(float) / 127.5 - 1, abs=1e-7)
    assert to_grey(np.full((4, 4, 3), 255, np.uint8), 4).max() == 1
    assert to_grey(np.zeros((4, 4, 3), np.uint8), 4).min() == -1


def test_grey_of_filtered_colour_is_the_luma_unrounded() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    found = grey_of(np.moveaxis(rgb, 2, 0)[None] / 255)[0]
    assert found.shape == (20, 20)
    assert found == pytest.approx(rgb @ np.array([0.299, 0.587, 0.114]) / 127.5 - 1)
    assert np.abs(found - to_grey(rgb, 20)).max() <= 0.51 / 127.5  # half a level


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 5, 9), (2, 2), (2, 1, 2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_median_is_scipys(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, shape).astype(dtype)
    found = median3(images)
    assert found.dtype == dtype
    assert np.array_equal(found, ndimage.median_filter(images, size=(1,) * (len(shape) - 2) + (3, 3)))


def transformed(images: np.ndarray, transform: str) -> np.ndarray:
    """Each image's full spectrum in float64 by SciPy and NumPy."""
    exact = images.astype(np.float64)
    if transform == "dct":
        return np.stack([fft.dctn(image, norm="ortho") for image in exact])
    if transform == "fft_hp":
        exact = np.stack([image - ndimage.median_filter(image, size=3) for image in exact])
    return np.fft.fftshift(np.fft.fft2(exact, norm="ortho"), axes=(1, 2))


@pytest.mark.parametrize("transform", ["fft", "fft_hp", "dct"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_against_direct_computation(transform: str, dtype: type) -> None:
    images = eight_bit(1, 9, 32)
    given = np.rint((images + 1) * 127.5).astype(np.uint8) if dtype == np.uint8 else images.astype(dtype)
    before = given.copy()
    exact = given / 127.5 - 1 if dtype == np.uint8 else given
    full = transformed(exact, transform)
    found = Spectrum(32, transform).add(given[:4]).add(given[4:])
    assert np.array_equal(given, before)
    assert found.count == 9
    assert found.coherent == pytest.approx(np.abs(full.mean(axis=0)), abs=1e-6)
    assert found.magnitude == pytest.approx(np.abs(full).mean(axis=0), abs=1e-5)
    assert found.power == pytest.approx((np.abs(full) ** 2).mean(axis=0), rel=1e-5, abs=1e-5)
    assert found.std == pytest.approx(full.std(axis=0), abs=1e-5)
    chance = math.sqrt(2 / math.pi) if transform == "dct" else math.sqrt(math.pi) / 2
    assert found.floor == pytest.approx(full.std(axis=0) * chance / 3, abs=1e-5)
    for name in ("coherent", "magnitude", "power", "std"):
        assert np.array_equal(found.statistic(name), getattr(found, name))

    mean = Spectrum(32, transform, spread=False).add(given)
    assert mean.coherent == pytest.approx(
        np.abs(full.mean(axis=0)), abs=1e-12 if dtype != np.float32 else 1e-6
    )
    level = math.sqrt((full.std(axis=0) ** 2).mean())
    assert mean.floor == pytest.approx(np.full((32, 32), level * chance / 3), rel=1e-6)
    with pytest.raises(InputError, match="spread=True"):
        _ = mean.magnitude


@pytest.mark.parametrize("rings", ["dc", "ricker"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_density_against_direct_computation(rings: str, dtype: type) -> None:
    images = eight_bit(1, 9, 32)
    given = np.rint((images + 1) * 127.5).astype(np.uint8) if dtype == np.uint8 else images
    exact = given / 127.5 - 1 if dtype == np.uint8 else given.astype(float)
    each = (naive_rings if rings == "dc" else naive_ricker)(exact)
    found = RadialDensity(32, rings).add(given)
    assert found.mean == pytest.approx(each.mean(axis=0), rel=1e-5)
    assert found.std == pytest.approx(each.std(axis=0), rel=1e-3, abs=1e-6)
    assert np.array_equal(found.frequencies, ring_frequencies(32, rings))
    expected = naive_residual(exact)
    assert residual(given) * (1 / 127.5 if dtype == np.uint8 else 1) == pytest.approx(expected, abs=1e-6)


def naive_residual(images: np.ndarray) -> np.ndarray:
    """Each pixel less the middle of the nine around it, borders repeated."""
    found = np.empty_like(images)
    for n, image in enumerate(images):
        around = np.pad(image, 1, mode="symmetric")
        for y, x in np.ndindex(image.shape):
            found[n, y, x] = image[y, x] - np.sort(around[y : y + 3, x : x + 3], axis=None)[4]
    return found


def naive_rings(images: np.ndarray) -> np.ndarray:
    size = images.shape[-1]
    power = np.abs(np.fft.fftshift(np.fft.fft2(images, norm="ortho"), axes=(1, 2))) ** 2
    y, x = np.indices((size, size)) - size // 2
    distance = np.round(np.sqrt(x**2 + y**2))
    return np.stack([power[:, distance == r].mean(axis=1) for r in range(size // 2 + 1)], axis=1)


def naive_ricker(images: np.ndarray) -> np.ndarray:
    size = images.shape[-1]
    power = np.abs(np.fft.fftshift(np.fft.fft2(images, norm="ortho"), axes=(1, 2))) ** 2
    y, x = np.indices((size, size)) - (size - 1) / 2
    distance = np.floor(np.sqrt(x**2 + y**2))
    every = [power[:, distance == r].mean(axis=1) for r in np.unique(distance)]
    return np.stack(every[1:-1], axis=1)


@pytest.mark.parametrize("size", [4, 8, 30, 64])
def test_rings(size: int) -> None:
    images = np.random.default_rng(size).normal(size=(3, size, size))
    found = radial_power(images)
    assert found.shape == (3, size // 2 + 1)
    assert found.dtype == np.float64
    assert found == pytest.approx(naive_rings(images))
    assert found[:, 0] == pytest.approx(images.mean(axis=(1, 2)) ** 2 * size**2)
    assert radial_power(images, "ricker") == pytest.approx(naive_ricker(images))
    mean = RadialDensity(size, "ricker").add(images).mean
    assert mean == pytest.approx(naive_ricker(images).mean(axis=0))


def test_rings_of_ricker_at_256_pixels() -> None:
    found = radial_power(np.zeros((1, 256, 256)), "ricker")
    assert found.shape == (1, 179)
    frequencies = ring_frequencies(256, "ricker")
    assert frequencies.shape == (179,)
    assert frequencies[127] == 1
    assert ring_frequencies(256).tolist() == [ring / 128 for ring in range(129)]
    assert radial_power(np.zeros((0, 8, 8))).shape == (0, 5)
    assert RadialDensity(256, "ricker").add(np.zeros((1, 256, 256), np.uint8)).mean.shape == (179,)


@pytest.mark.parametrize(
    "make", [lambda: Spectrum(16), lambda: Spectrum(16, "dct", spread=False), lambda: RadialDensity(16)]
)
def test_blocks_and_their_joining_do_not_matter(make, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(2).integers(0, 256, (11, 16, 16), dtype=np.uint8)
    whole = make().add(images)
    monkeypatch.setattr(gathering, "BLOCK", 3 * 256)
    parts = make().add(images[:5]).merge(make().add(images[5:9])).add(images[9:])
    more = make().add(images).merge(make().add(images[2:7])).remove(make().add(images[2:7]))
    assert parts.count == more.count == whole.count == 11
    names = ["mean", "std"] if isinstance(whole, RadialDensity) else ["coherent", "floor"]
    names += ["magnitude", "power", "std"] if getattr(whole, "spread", False) else []
    for name in names:
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-9), name
        assert getattr(more, name) == pytest.approx(getattr(whole, name), abs=1e-7), name


def test_white_noise_is_flat_and_its_mean_sinks_to_the_floor() -> None:
    rng = np.random.default_rng(0)
    found, mean, density = Spectrum(32, "fft"), Spectrum(32, "dct", spread=False), RadialDensity(32)
    for _ in range(4):
        images = 0.3 * rng.normal(size=(400, 32, 32))
        for each in (found, mean, density):
            each.add(images)
    assert density.mean == pytest.approx(np.full(17, 0.09), rel=0.12)
    assert density.mean[2:].mean() == pytest.approx(0.09, rel=0.01)
    assert abs(density.slope) < 0.05
    assert found.power.mean() == pytest.approx(0.09, rel=0.01)
    assert found.coherent.mean() == pytest.approx(found.floor.mean(), rel=0.06)
    assert found.floor.mean() == pytest.approx(0.3 * math.sqrt(math.pi / 4 / 1600), rel=0.01)
    assert found.magnitude[4, 4] == pytest.approx(0.3 * math.sqrt(math.pi) / 2, rel=0.05)
    assert mean.coherent.mean() == pytest.approx(mean.floor.mean(), rel=0.06)
    assert mean.floor.mean() == pytest.approx(0.3 * math.sqrt(2 / math.pi / 1600), rel=0.01)


def test_a_wave_stands_in_its_ring_and_place() -> None:
    y, x = np.indices((64, 64))
    image = 0.5 * np.cos(2 * np.pi * (6 * x + 8 * y) / 64)  # ten cycles a side
    found = radial_power(image[None])[0]
    assert np.argmax(found) == 10
    distance = np.round(np.hypot(*(np.indices((64, 64)) - 32)))
    assert found[10] == pytest.approx(0.5**2 / 2 * 64**2 / (distance == 10).sum())
    assert np.delete(found, 10).max() < 1e-20
    place = Spectrum(64, "fft").add(image[None]).power
    assert {tuple(at) for at in np.argwhere(place > 1)} == {(32 + 8, 32 + 6), (32 - 8, 32 - 6)}


def test_identical_images_have_no_deviation() -> None:
    image = eight_bit(3, 1, 16)
    found = Spectrum(16).add(np.repeat(image, 20, axis=0))
    assert found.std.max() < 1e-6
    assert found.coherent == pytest.approx(found.magnitude, abs=1e-6)
    levels = np.repeat(np.rint((image + 1) * 127.5).astype(np.uint8), 20, axis=0)
    assert Spectrum(16, spread=False).add(levels).floor.max() < 1e-6


@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.0, 1.3])
def test_slope_of_a_power_law(exponent: float) -> None:
    columns = np.arange(129)
    power = np.stack([np.r_[7.0, scale * columns[1:] ** exponent] for scale in (1.0, 30.0)])
    assert spectral_slope(power) == pytest.approx([exponent, exponent])
    power[:, columns > 64] = 5  # beyond half of Nyquist nothing counts
    power[:, columns < 12.8] = 9
    assert spectral_slope(power) == pytest.approx([exponent, exponent])
    assert spectral_slope(power[0], band=(0.0, 1.0)) != pytest.approx(exponent, abs=0.05)


def test_slope_of_an_image_with_a_power_law() -> None:
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128))
    frequency[0, 0] = 1
    images = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(40, 128, 128))) / frequency, s=(128, 128))
    assert RadialDensity(128).add(images).slope == pytest.approx(-2, abs=0.05)
    assert RadialDensity(128, "ricker").add(images).slope == pytest.approx(-2, abs=0.15)
    ricker = radial_power(images, "ricker").mean(axis=0)
    assert spectral_slope(ricker, frequencies=ring_frequencies(128, "ricker")) == pytest.approx(-2, abs=0.15)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: radial_power(np.zeros((2, 3, 8, 8))),
            r"\(n, size, size\) with even size; got \(2, 3, 8, 8\)",
        ),
        (lambda: radial_power(np.zeros((2, 7, 7))), r"got \(2, 7, 7\)"),
        (lambda: residual(np.zeros((8, 8))), r"got \(8, 8\)"),
        (lambda: radial_power(np.zeros((1, 8, 8)), "round"), "'dc' or 'ricker'"),
        (lambda: Spectrum(7), "even"),
        (lambda: Spectrum(8).add(np.zeros((1, 16, 16))), r"\(n, 8, 8\); got \(1, 16, 16\)"),
        (lambda: Spectrum(8).merge(Spectrum(16)), "size 8"),
        (lambda: Spectrum(8).merge(Spectrum(8, "fft")), "transform='fft_hp', spread=True"),
        (lambda: Spectrum(8).merge(Spectrum(8, spread=False)), "spread=False"),
        (lambda: RadialDensity(8).merge(RadialDensity(8, "ricker")), "rings='dc'"),
        (lambda: RadialDensity(8, "rikcer"), "'dc' or 'ricker'"),
        (lambda: Spectrum(8, "fft_ph"), "'fft_hp'"),
        (lambda: Spectrum(8).statistic("magnitud"), "'magnitude'"),
        (lambda: RadialDensity(8).mean, "add a batch"),
        (lambda: Kinds.parse(["fft_hp", "desity"]), "'density'"),
        (lambda: Kinds.parse([]), "fft, fft_hp, dct"),
        (lambda: Spectrum(8).coherent, "add a batch"),
        (lambda: spectral_slope(np.ones(3)), "holds 1 of 3"),
        (lambda: spectral_slope(np.zeros(40)), "positive"),
        (lambda: spectral_slope(np.ones(40), frequencies=np.ones(39)), "frequencies"),
        (lambda: to_grey(np.zeros((8, 8, 3), np.uint8), 9), "8 x 8"),
        (lambda: to_grey(np.zeros((8, 8, 4), np.uint8), 4), r"\(8, 8, 4\)"),
        (lambda: to_grey(np.zeros((8, 8, 3)), 4), "float64"),
    ],
)
def test_wrong_input(call, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, (InputError, ShapeError))


def test_kinds() -> None:
    assert Kinds.parse(["fft_hp"]).planes == (("fft_hp", "coherent"),)
    assert Kinds.parse(["fft_hp"]).transforms == {"fft_hp": False}
    assert Kinds.parse(["power,std"]).planes == (("fft_hp", "power"), ("fft_hp", "std"))
    crossed = Kinds.parse(["dct", "density", "magnitude", "fft", "std", "dct"])
    assert crossed.planes == (("dct", "magnitude"), ("dct", "std"), ("fft", "magnitude"), ("fft", "std"))
    assert crossed.transforms == {"dct": True, "fft": True}
    assert crossed.density
    assert crossed.density_std
    assert Kinds.parse(["density"]) == Kinds((), density=True)
    default = Kinds.parse()
    assert default.planes == (("fft_hp", "magnitude"), ("fft_hp", "coherent"))
    assert default.transforms == {"fft_hp": True, "dct": False}
    names = [array_name(*plane) for plane in (*default.planes, ("dct", "power"), ("fft", "coherent"))]
    assert names == ["magnitude_hp", "fft_hp", "power_dct", "fft"]
