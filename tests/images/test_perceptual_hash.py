"""Hashes, thumbnails and alignment against SciPy, Pillow and naive arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from bandprobe.datasets.photographs import photograph
from bandprobe.errors import ShapeError
from bandprobe.images import image_id
from bandprobe.images.alignment import FINE, aligned
from bandprobe.images.hash_candidates import candidates
from bandprobe.images.perceptual_hash import FLIPS, coefficients, flipped, hamming, lattice, packed
from bandprobe.images.thumbnails import thumbnail, thumbnails_of_all


@pytest.fixture(scope="module")
def greys() -> np.ndarray:
    return np.stack([thumbnail(photograph(number, "hash", size=64)[0]) for number in range(12)])


def test_coefficients_are_a_cosine_transform(greys: np.ndarray) -> None:
    """Integrated over each pixel, so SciPy's DCT-II times the sinc of the pixel."""
    found = coefficients(greys, whole=True)[:, 0]
    u, v = lattice().frequency.T
    reference = dctn(greys.astype(float), type=2, axes=(1, 2))[:, u, v] / 4  # SciPy's has a 2 for each axis
    area = np.sinc(u / 128) * np.sinc(v / 128) / 64**2
    np.testing.assert_allclose(found, reference * area, atol=2e-4)


def test_a_window_s_coefficients_are_those_of_the_crop(greys: np.ndarray) -> None:
    """Where margins fall on pixel borders: 8 and 4 of 64 are no multiples of 5 %, 16 of 64 is: 25 %."""
    known = lattice()
    quarter = [i for i, m in enumerate(known.margins) if np.allclose(m, [0.25, 0, 0, 0.25])]
    found = coefficients(greys)[:, quarter[0]]
    inside = greys[:, 16:, :48].astype(float)
    u, v = known.frequency.T
    place = (np.arange(48)[:, None] + 0.5) / 48
    rows, columns = (np.cos(np.pi * k * place) * np.sinc(k / 96) / 48 for k in (u, v))
    np.testing.assert_allclose(found, np.einsum("nij,ik,jk->nk", inside, rows, columns), atol=2e-4)
    assert len(known.margins) == len({tuple(m) for m in known.margins.tolist()})
    assert known.margins[0].tolist() == [0, 0, 0, 0]
    assert known.margins[:, :2].sum(axis=1).max() == pytest.approx(0.25)


def test_flips_are_exact(greys: np.ndarray) -> None:
    plain = coefficients(greys, whole=True)
    for upside_down, left_to_right in FLIPS:
        turned = greys[:, :: -1 if upside_down else 1, :: -1 if left_to_right else 1]
        np.testing.assert_allclose(
            flipped(plain, upside_down, left_to_right), coefficients(turned, whole=True), atol=2e-4
        )


def test_packed_bits_and_their_distance() -> None:
    bits = np.random.default_rng(0).random((50, 48)) < 0.5
    numbers = packed(bits)
    assert [int("".join(map(str, row.astype(int))), 2) for row in bits] == numbers.tolist()
    other = np.roll(bits, 1, axis=0)
    np.testing.assert_array_equal(hamming(numbers, packed(other)), (bits != other).sum(axis=1))


def test_candidates_are_those_of_a_search_through_all_pairs(greys: np.ndarray) -> None:
    """Every pair within three bits, which no band can well miss, and none beyond six."""
    shifted = np.clip(greys.astype(int) + 15, 0, 255).astype(np.uint8)[:, :, ::-1]
    every = np.concatenate([greys, shifted])
    found = candidates(every)
    inside, whole = coefficients(every) > 0, coefficients(every, whole=True)[:, 0]
    asked = np.stack([flipped(whole, *flip) > 0 for flip in FLIPS], axis=1)
    # Windows of a, flips of b: bits that differ.
    far = {
        (a, b): (inside[a][:, None] != asked[b][None]).sum(axis=2)
        for a in range(len(every))
        for b in range(len(every))
        if a != b
    }
    met = set(zip(found.outer.tolist(), found.inner.tolist(), strict=True))
    either = {tuple(sorted(pair)) for pair in met}
    assert {tuple(sorted(pair)) for pair, bits in far.items() if bits.min() <= 3} <= either
    assert {(n, n + 12) for n in range(12)} <= either
    for outer, inner, window, flip, rank in zip(*found, strict=True):
        assert far[outer, inner][window, flip] <= 6
        assert rank in (0, 1)


def test_alignment_finds_a_planted_window() -> None:
    """A smooth random picture sampled anew on a window; margins within a fifth of a pixel, correlation near 1."""
    rng = np.random.default_rng(1)
    large = gaussian_filter(rng.standard_normal((640, 640)), 16)
    large = (large - large.min()) / np.ptp(large) * 255
    whole = large.reshape(64, 10, 64, 10).mean(axis=(1, 3))
    top, bottom, left, right = 50, 30, 20, 90
    inner = Image.fromarray(large[top : 640 - bottom, left : 640 - right].astype(np.float32))
    small = np.asarray(inner.resize((64, 64), Image.Resampling.BOX))
    first, second = (np.round(picture).astype(np.uint8)[None] for picture in (whole, small))
    margins, correlation = aligned(first, second, np.array([[0.05, 0.05, 0.05, 0.15]], np.float32), FINE)
    np.testing.assert_allclose(margins[0] * 640, [top, bottom, left, right], atol=2)
    assert correlation[0] > 0.98
    inverted, opposite = aligned(first, 255 - second, margins, FINE)
    assert opposite[0] < 0.3
    assert np.isfinite(inverted).all()


def test_alignment_ignores_gain_and_offset_and_says_nothing_of_blanks(greys: np.ndarray) -> None:
    start = np.zeros((len(greys), 4), np.float32)
    dim = (greys * 0.5 + 60).astype(np.uint8)
    assert (aligned(greys, dim, start)[1] > 0.99).all()
    blank = np.full_like(greys, 77)
    for first, second in ((greys, blank), (blank, greys), (blank, blank)):
        margins, correlation = aligned(first, second, start)
        assert (correlation == 0).all()
        assert np.isfinite(margins).all()


def test_thumbnails_are_means_of_areas() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    luma = (rgb @ np.array([0.299, 0.587, 0.114])).reshape(64, 2, 64, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(thumbnail(rgb), luma, atol=1.5)
    assert thumbnail(rgb[:20, :30]).shape == (64, 64)
    with pytest.raises(ShapeError, match=r"rgb must be uint8 of shape \(H, W, 3\)"):
        thumbnail(rgb[:, :, 0])


def test_known_thumbnails_are_not_read_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (side, 40, 3), dtype=np.uint8) for side in (40, 50, 12)]
    paths = {}
    for number, rgb in enumerate(pictures):
        Image.fromarray(rgb).save(tmp_path / f"{number}.png")
        paths[image_id(rgb)] = str(tmp_path / f"{number}.png")
    paths["gone"] = str(tmp_path / "gone.png")
    found = thumbnails_of_all(paths, workers=2)
    assert set(found) == {image_id(rgb) for rgb in pictures[:2]}  # 12 px say too little
    (tmp_path / "0.png").unlink()
    assert set(thumbnails_of_all(paths, known=found)) == set(found)
