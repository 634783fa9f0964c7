"""Spectra of data on disk: the whole way from PNG files against SciPy, and what is drawn and left out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import fft, ndimage

from bandprobe.analysis import spectra
from bandprobe.analysis.spectrum_pictures import draw, found_pictures
from bandprobe.errors import FilterError, InputError
from bandprobe.filters import parse
from bandprobe.images import build


def grey_files(folder: Path, size: int) -> np.ndarray:
    """Every file's luma by Pillow, the centre cut out, in float64."""
    found = []
    for path in sorted(folder.glob("*.png")):
        levels = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
        top, left = levels.shape[0] // 2 - size // 2, levels.shape[1] // 2 - size // 2
        found.append(levels[top : top + size, left : left + size] / 127.5 - 1)
    return np.stack(found)


def ricker_mean(images: np.ndarray) -> np.ndarray:
    """`fft_hp` of Ricker et al.: the complex mean of shifted spectra of median residuals, then abs."""
    total = np.zeros(images.shape[1:], dtype=complex)
    for image in images:
        total += np.fft.fftshift(np.fft.fft2(image - ndimage.median_filter(image, size=3), norm="ortho"))
    return np.abs(total / len(images))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of 20 colour PNG of 40 x 36 pixels, one with a pattern of its own."""
    root = tmp_path_factory.mktemp("spectra") / "set"
    rng = np.random.default_rng(0)
    wave = 12 * np.cos(np.pi * np.arange(36))  # Nyquist
    for source, stripes in (("Real", 0), ("ProGAN", wave)):
        (root / source).mkdir(parents=True)
        for number in range(20):
            smooth = ndimage.gaussian_filter(rng.normal(128, 120, (40, 36, 3)), (2, 2, 0)) + rng.normal(
                0, 6, (40, 36, 1)
            )
            levels = np.rint(smooth + np.broadcast_to(stripes, 36)[:, None]).clip(0, 255).astype(np.uint8)
            Image.fromarray(levels).save(root / source / f"{number:02d}.png")
    return root


def table_of(root: Path) -> pd.DataFrame:
    return found_pictures([str(root)])[0]


def test_whole_way_from_files_against_scipy(pictures: Path) -> None:
    words = ["fft_hp", "fft", "dct", "density", "coherent", "magnitude", "power", "std"]
    found = spectra(table_of(pictures), kinds=words, size=32)
    for source in ("Real", "ProGAN"):
        images = grey_files(pictures / source, 32)
        sums = found.sources["set", source]
        assert sums.count == 20
        np.testing.assert_allclose(sums.planes["fft_hp"].coherent, ricker_mean(images), atol=1e-6)
        each = {
            "fft": np.fft.fftshift(np.fft.fft2(images, norm="ortho"), axes=(1, 2)),
            "dct": np.stack([fft.dctn(image, norm="ortho") for image in images]),
        }
        for name, F in each.items():
            np.testing.assert_allclose(sums.planes[name].coherent, np.abs(F.mean(axis=0)), atol=1e-6)
            np.testing.assert_allclose(sums.planes[name].magnitude, np.abs(F).mean(axis=0), atol=1e-5)
            np.testing.assert_allclose(
                sums.planes[name].power, (np.abs(F) ** 2).mean(axis=0), rtol=1e-5, atol=1e-5
            )
            np.testing.assert_allclose(sums.planes[name].std, F.std(axis=0), atol=1e-5)
        y, x = np.indices((32, 32)) - 16
        ring = np.round(np.hypot(y, x))
        power = np.abs(each["fft"]) ** 2
        naive = np.stack([power[:, ring == r].mean(axis=1) for r in range(17)], axis=1)
        assert sums.density is not None
        np.testing.assert_allclose(sums.density.mean, naive.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(sums.density.std, naive.std(axis=0), rtol=1e-4, atol=1e-8)


def test_only_the_mean_is_as_exact_and_finds_the_pattern(pictures: Path) -> None:
    found = spectra(table_of(pictures), kinds=["fft_hp"], size=32)
    plane = found.sources["set", "ProGAN"].planes["fft_hp"]
    np.testing.assert_allclose(plane.coherent, ricker_mean(grey_files(pictures / "ProGAN", 32)), atol=1e-12)
    assert np.unravel_index(plane.coherent.argmax(), (32, 32)) == (16, 0)
    assert plane.coherent[16, 0] > 20 * plane.floor[16, 0]


def saved(found, path: Path) -> dict[str, np.ndarray]:
    found.save(path)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_saved_arrays_keep_their_names(pictures: Path, tmp_path: Path) -> None:
    arrays = saved(spectra(table_of(pictures), size=32), tmp_path / "spectra.npz")
    of = {
        name.removeprefix("set/Real/"): array
        for name, array in arrays.items()
        if name.startswith("set/Real/")
    }
    assert {"density", "density_deviation", "fft_hp", "fft_hp_floor", "magnitude_hp", "power_hp", "std_hp",
            "dct", "n"} <= set(of)  # fmt: skip
    assert of["fft_hp"].shape == of["dct"].shape == (32, 32)
    assert of["density"].shape == arrays["frequency_nyq"].shape == (17,)
    assert int(of["n"]) == 20
    assert str(arrays["filter"]) == "none"
    images = grey_files(pictures / "Real", 32)
    dct = np.stack([fft.dctn(image, norm="ortho") for image in images]).mean(axis=0)
    np.testing.assert_allclose(of["dct"], np.abs(dct), atol=1e-6)


def test_ricker_rings_of_files_at_256_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for source in ("Real", "ProGAN"):
        (tmp_path / "set" / source).mkdir(parents=True)
        for number in range(2):
            levels = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
            Image.fromarray(levels).save(tmp_path / "set" / source / f"{number}.png")
    found = spectra(table_of(tmp_path / "set"), kinds=["density"], rings="ricker")
    assert found.size == 256
    density = found.sources["set", "Real"].density
    assert density is not None
    assert density.mean.shape == (179,)
    power = (
        np.abs(
            np.fft.fftshift(
                np.fft.fft2(grey_files(tmp_path / "set" / "Real", 256), norm="ortho"), axes=(1, 2)
            )
        )
        ** 2
    )
    y, x = np.indices((256, 256)) - 127.5
    radius = np.hypot(y, x).astype(int)
    azimuthal = np.bincount(radius.ravel(), power.mean(axis=0).ravel()) / np.bincount(radius.ravel())
    np.testing.assert_allclose(density.mean, azimuthal[1:-1], rtol=1e-5)


def test_results_do_not_depend_on_the_workers(pictures: Path, tmp_path: Path) -> None:
    table = table_of(pictures)
    one, three = (saved(spectra(table, workers=n, seed=3), tmp_path / "s.npz") for n in (1, 3))
    assert set(one) == set(three)
    for name, array in one.items():
        assert np.array_equal(array, three[name]), name


def test_filter_goes_over_the_colour_image_on_its_own_grid(pictures: Path) -> None:
    found = spectra(table_of(pictures), kinds=["fft_hp"], size=32, filter="lowpass:5px")
    assert found.filter == "lowpass:5px"
    greys = []
    y, x = np.fft.fftfreq(40) * 40, np.fft.fftfreq(36) * 36
    distance = 36 * np.hypot(y[:, None] / 40, x / 36)
    for path in sorted((pictures / "Real").glob("*.png")):
        rgb = np.asarray(Image.open(path), dtype=np.float64) / 255
        filtered = np.fft.ifft2(
            np.fft.fft2(rgb, axes=(0, 1)) / (1 + (distance / 5) ** 2)[..., None], axes=(0, 1)
        ).real
        greys.append((2 * filtered @ np.array([0.299, 0.587, 0.114]) - 1)[4:36, 2:34])
    expected = ricker_mean(np.stack(greys))
    np.testing.assert_allclose(found.sources["set", "Real"].planes["fft_hp"].coherent, expected, atol=1e-6)


def test_identity_is_the_unrounded_luma(pictures: Path) -> None:
    plain, identity = (
        spectra(table_of(pictures), kinds=["fft"], size=32, filter=spec)
        .sources["set", "Real"]
        .planes["fft"]
        .coherent
        for spec in ("none", parse("identity"))
    )
    assert 0 < np.abs(plain - identity).max() < 0.05
    assert plain[16, 16] == pytest.approx(identity[16, 16], abs=0.05)


def test_sources_in_the_order_asked_for(pictures: Path) -> None:
    table = table_of(pictures)
    assert list(spectra(table, kinds=["density"], sources=["ProGAN", "set/Real"]).sources) == [
        ("set", "ProGAN"),
        ("set", "Real"),
    ]
    assert list(spectra(table, kinds=["density"], sources=["ProGAN"]).sources) == [("set", "ProGAN")]
    assert list(spectra(table, kinds=["density"]).sources) == [("set", "Real"), ("set", "ProGAN")]


def test_draw_is_random_seeded_and_equal(pictures: Path) -> None:
    table = table_of(pictures)
    sources = [("set", "Real"), ("set", "ProGAN")]
    first, again, other = (draw(table, sources, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert sorted(first["set", "Real"]) == sorted(other["set", "Real"])
    assert [len(paths) for paths in draw(table, sources, limit=3).values()] == [3, 3]
    split = table.assign(split=["train", "test"] * 20)
    assert [len(paths) for paths in draw(split, sources, limit=3).values()] == [6, 6]
    few = spectra(table, kinds=["density"], samples=7)
    assert set(few.counts.values()) == {7}


def test_a_manifest_gives_what_its_folders_give(pictures: Path, tmp_path: Path) -> None:
    manifest = build([pictures])
    manifest.save(tmp_path / "m.parquet")
    table, left_out = found_pictures([str(tmp_path / "m.parquet")])
    assert "image_id" in table
    assert not left_out
    of_manifest, of_folder = spectra(table, size=32), spectra(table_of(pictures), size=32)
    for source, sums in of_folder.sources.items():
        for name, array in sums.arrays().items():
            np.testing.assert_allclose(of_manifest.sources[source].arrays()[name], array, atol=1e-9)


def test_broken_images_copies_and_both_labels(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for source in ("Real", "ProGAN"):
        (root / source).mkdir(parents=True)
        for path in (pictures / source).iterdir():
            os.link(path, root / source / path.name)
    (root / "Real" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    Image.open(root / "Real" / "00.png").save(root / "Real" / "copy.bmp")
    Image.open(root / "Real" / "01.png").save(root / "ProGAN" / "real.bmp")
    Image.open(root / "ProGAN" / "00.png").rotate(180).save(root / "ProGAN" / "turned.png")
    found = spectra(table_of(root), kinds=["fft_hp", "density"], size=32)  # 22 files of each
    assert set(found.left_out) == {
        str(root / place) for place in ("Real/broken.png", "Real/01.png", "ProGAN/real.bmp")
    }
    assert "is real here and fake in" in found.left_out[str(root / "Real/01.png")]
    assert "is fake here and real in" in found.left_out[str(root / "ProGAN/real.bmp")]
    # Without 01, and one of the two 00, the reals are 19; the generator gives as many.
    assert set(found.counts.values()) == {19}
    kept = [
        path for path in sorted((root / "Real").glob("*.png")) if path.name not in ("broken.png", "01.png")
    ]
    images = np.stack([grey_files_of(path) for path in kept])
    np.testing.assert_allclose(
        found.sources["set", "Real"].planes["fft_hp"].coherent, ricker_mean(images), atol=1e-9
    )


def test_pictures_that_differ_outside_their_crop_are_no_copies(pictures: Path, tmp_path: Path) -> None:
    for number, source in enumerate(("Real", "ProGAN")):
        shutil.copytree(pictures / source, tmp_path / "set" / source)
        alike = np.array(Image.open(pictures / "Real" / "00.png").convert("RGB"))
        alike[0, number] ^= 255
        Image.fromarray(alike).save(tmp_path / "set" / source / "alike.png")
    found = spectra(table_of(tmp_path / "set"), kinds=["fft_hp"], size=32)
    assert not found.left_out
    assert set(found.counts.values()) == {21}


def grey_files_of(path: Path) -> np.ndarray:
    levels = np.asarray(Image.open(path).convert("L"), dtype=np.float64)
    return levels[4:36, 2:34] / 127.5 - 1


def test_small_images_are_passed_over_for_others(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for source in ("Real", "ProGAN"):
        (root / source).mkdir(parents=True)
        for path in (pictures / source).iterdir():
            os.link(path, root / source / path.name)
    for number in range(15):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(root / "Real" / f"small-{number}.png")
    found = spectra(table_of(root), kinds=["density"], size=36, samples=18)
    assert set(found.counts.values()) == {18}
    assert not found.left_out
    assert spectra(table_of(root), kinds=["density"]).size == 20


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": ["fft_hq"]}, "'fft_hp'"),
        ({"sources": ["Real", "ProGan"]}, "'ProGAN'"),
        ({"sources": []}, "no source"),
        ({"size": 31}, "even and at least 4; got 31"),
        ({"size": 64}, "no image of set/Real holds a crop of 64 px"),
        ({"samples": 0}, "samples must be 1 or more"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"rings": "rikcer", "kinds": ["density"]}, "'dc' or 'ricker'"),
        ({"background": "no colour"}, "background"),
    ],
)
def test_wrong_options(pictures: Path, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        spectra(table_of(pictures), **options)
    assert "\n" not in str(caught.value)


def test_wrong_filters(pictures: Path) -> None:
    with pytest.raises(FilterError, match="'lowpass'"):
        spectra(table_of(pictures), filter="lowpss:5px")
    with pytest.raises(FilterError):
        spectra(table_of(pictures), filter="ideal-highpass:900px")


def test_every_image_broken(tmp_path: Path) -> None:
    for source in ("Real", "ProGAN"):
        (tmp_path / "set" / source).mkdir(parents=True)
        (tmp_path / "set" / source / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    with pytest.raises(InputError, match=r"no image of set/(Real|ProGAN) can be used: truncated"):
        spectra(table_of(tmp_path / "set"), size=8)


_PEAK = """
import json, re, resource, sys
from pathlib import Path
import pandas as pd
from bandprobe.analysis import spectra
table = pd.read_csv(sys.argv[1])
spectra(table.groupby("generator").head(50), workers=2)
n = int(sys.argv[2])
assert set(spectra(table, samples=n, workers=2).counts.values()) == {n}
status = Path("/proc/self/status")
if status.is_file():  # `ru_maxrss` would hold that of the process that started this one
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_memory_does_not_grow_with_the_number_of_images(pictures: Path, tmp_path: Path) -> None:
    rows = []
    for source in ("Real", "ProGAN"):
        first = pictures / source / "00.png"
        for number in range(3000):
            path = tmp_path / f"{source}-{number}.png"
            os.link(first, path)
            rows.append((str(path), str(path), source, "set", 36, 40))
    columns = ["image_id", "path", "generator", "dataset", "width", "height"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "table.csv", index=False)
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", _PEAK, str(tmp_path / "table.csv"), str(n)],
                capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            ).stdout
        )
        for n in (300, 3000)
    ]  # fmt: skip
    # 5,400 more images of 40 x 36 pixels would be 23 MiB as 8-bit RGB and 53 MiB as float64 crops.
    assert peaks[1] < peaks[0] + 8, json.dumps(peaks)
