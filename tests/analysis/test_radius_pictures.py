"""What masks leave of spectra, against a plain FFT; and the pictures, against the filter's own formula."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bandprobe.analysis.radius_pictures import RadiusSpectra, masks_of, write_radius
from bandprobe.errors import InputError
from bandprobe.images import Geometry, image_id

SIDE = 32
FILTERS = ["none", "identity", "lowpass:4px", "highpass:0.25nyq", "lowpass:4px+jpeg:75", "jpeg:50"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Six pictures, a real and a fake source of three each, and what was written of them."""
    folder = tmp_path_factory.mktemp("radius")
    rng = np.random.default_rng(0)
    rows, pixels = [], {}
    for label, name in ((0, "Real"), (1, "gen")):
        for number in range(3):
            picture = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            path = folder / f"{name}{number}.png"
            Image.fromarray(picture).save(path)
            rows.append((image_id(picture), str(path), label, name, "gan" if label else "real", "d", "test"))
            pixels[rows[-1][0]] = picture
    manifest = pd.DataFrame(
        rows, columns=["image_id", "path", "label", "generator", "family", "dataset", "split"]
    )
    path = folder / "radius.npz"
    write_radius(path, manifest, FILTERS, Geometry.squash(SIDE))
    return path, manifest, pixels


def gain(D: np.ndarray, spec: str) -> np.ndarray:
    """Butterworth of order 1: a low-pass at 4 px, a high-pass at 0.25 of Nyquist (4 px too), DC kept."""
    low = 1 / (1 + (D / 4) ** 2)
    return low if spec.startswith("low") else np.where(D == 0, 1, 1 - low)


def test_energy_left_is_that_of_the_filtered_spectra(made):
    path, manifest, pixels = made
    found = RadiusSpectra.load(path)
    assert found.filters == ("lowpass:4px", "highpass:0.25nyq")
    assert found.cutoff_px.tolist() == [4, 4]
    assert found.cutoff_nyq.tolist() == [0.25, 0.25]
    assert found.generators == ("Real", "gen")
    assert found.n.tolist() == [3, 3]
    u = np.fft.fftfreq(SIDE, 1 / SIDE)
    D = np.hypot(u[:, None], u)
    for source, name in enumerate(found.generators):
        ids = manifest.loc[manifest["generator"] == name, "image_id"]
        grey = [np.asarray(Image.fromarray(pixels[i]).convert("L"), float) / 127.5 - 1 for i in ids]
        power = np.mean([np.abs(np.fft.fft2(g)) ** 2 / SIDE**2 for g in grey], axis=0)
        power_ac = np.where(D == 0, 0, power)
        for mask, spec in enumerate(found.filters):
            left = (power_ac * gain(D, spec) ** 2).sum() / power_ac.sum()
            assert found.left[source, mask] == pytest.approx(left, rel=1e-9)
        for ring in (0, 1, 7, SIDE // 2):
            assert found.density[source, ring] == pytest.approx(power[np.rint(D) == ring].mean(), rel=1e-9)
    along = np.arange(SIDE // 2 + 1)
    for mask, spec in enumerate(found.filters):
        np.testing.assert_allclose(found.gain[mask], gain(along.astype(float), spec), atol=1e-12)
    np.testing.assert_allclose(found.frequency_nyq, along / (SIDE / 2))


def test_pictures_are_what_the_mask_makes_of_them(made):
    path, _, pixels = made
    table = pd.read_parquet(path.with_suffix(".parquet"))
    assert set(table["filter"]) == {"none", "lowpass:4px", "highpass:0.25nyq"}
    assert table["generator"].unique().tolist() == ["Real", "gen"]
    u = np.fft.fftfreq(SIDE, 1 / SIDE)
    D = np.hypot(u[:, None], u)
    for row in table.itertuples():
        shown = np.asarray(Image.open(io.BytesIO(row.webp)).convert("RGB"), float)
        whole = pixels[row.image_id] / 255.0
        mask = np.ones_like(D) if row.filter == "none" else gain(D, row.filter)
        expected = (
            np.fft.ifft2(np.fft.fft2(whole, axes=(0, 1)) * mask[..., None], axes=(0, 1)).real.clip(0, 1) * 255
        )
        # WebP halves the colours' resolution: means in blocks of eight are kept to a few levels, noise is not.
        blocks = [p.mean(2).reshape(4, 8, 4, 8).mean((1, 3)) for p in (shown, expected)]
        np.testing.assert_allclose(*blocks, atol=12)
        # Grey detail is there as far as the mask leaves it.
        assert shown.mean(2).std() == pytest.approx(expected.mean(2).std(), rel=0.35)


def test_of_very_many_masks_some_of_each_sweep_are_taken():
    many = [f"lowpass:{n}px" for n in range(1, 200)] + [f"highpass:{n}px" for n in range(1, 30)]
    masks = list(map(str, masks_of(many)))
    assert len(masks) <= 80
    assert {"lowpass:1px", "lowpass:199px", "highpass:1px", "highpass:29px"} <= set(masks)


def test_nothing_to_show_is_said(made, tmp_path):
    _, manifest, _ = made
    with pytest.raises(InputError, match="no mask with a cut-off"):
        write_radius(tmp_path / "radius.npz", manifest, ["none", "jpeg:75"], Geometry.squash(SIDE))
    with pytest.raises(InputError, match="no picture of the manifest"):
        write_radius(
            tmp_path / "radius.npz", manifest, FILTERS, Geometry.squash(SIDE), allowed=lambda path: False
        )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "radius.npz").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        RadiusSpectra.load(tmp_path / "radius.npz")
    arrays = dict.fromkeys(RadiusSpectra.__dataclass_fields__, np.zeros(3)) | {"side": 4}
    np.savez(tmp_path / "radius.npz", **arrays)
    with pytest.raises(InputError, match="do not fit together"):
        RadiusSpectra.load(tmp_path / "radius.npz")
