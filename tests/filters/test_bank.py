"""Filtered images against a naive complex FFT, and the laws the filters must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandprobe.errors import FilterError, ShapeError
from bandprobe.filters import FilterBank, ac_energy, clipped_share, distance, expand, parse, quantise

SIZES = [(32, 32), (33, 33), (32, 47), (47, 32), (31, 64), (64, 31), (224, 224)]


def naive_mask(kind: str, shape: tuple[int, int], D0: float, n: int, W: float, dc: str) -> np.ndarray:
    """Pixel by pixel on the shifted spectrum, as the textbook writes it."""
    H, Wd = shape
    mask = np.zeros(shape)
    for i in range(H):
        for j in range(Wd):
            D = min(H, Wd) * np.sqrt(((i - H // 2) / H) ** 2 + ((j - Wd // 2) / Wd) ** 2)
            low = 1 / (1 + (D / D0) ** (2 * n))
            if D == 0:
                band = 0.0
            elif D * D == D0 * D0:
                band = 1.0
            else:
                band = 1 - 1 / (1 + (D * W / (D * D - D0 * D0)) ** (2 * n))
            inside = float(D0 - W / 2 <= D < D0 + W / 2)
            mask[i, j] = {
                "lowpass": low,
                "highpass": 1 - low,
                "bandpass": band,
                "bandstop": 1 - band,
                "ideal-lowpass": float(D <= D0),
                "ideal-highpass": float(D > D0),
                "ideal-bandpass": inside,
                "ideal-bandstop": 1 - inside,
                "identity": 1.0,
            }[kind]
    if dc == "keep":
        mask[H // 2, Wd // 2] = 1
    return mask


def naive_filter(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    spectrum = np.fft.fftshift(np.fft.fft2(images.astype(np.float64)), axes=(-2, -1))
    back = np.fft.ifft2(np.fft.ifftshift(spectrum * mask, axes=(-2, -1)))
    assert np.abs(back.imag).max() < 1e-9
    return back.real


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dc", ["keep", "zero"])
def test_every_mask_against_the_naive_complex_fft(shape: tuple[int, int], dc: str) -> None:
    rng = np.random.default_rng(3)
    images = rng.random((2, 3, *shape)).astype(np.float32)
    cases = [("lowpass", 9.0, 1), ("lowpass", 9.0, 3), ("highpass", 6.5, 2), ("bandpass", 8.0, 1)]
    cases += [("bandstop", 8.0, 2), ("ideal-lowpass", 7.0, 1), ("ideal-highpass", 7.0, 1)]
    cases += [("ideal-bandpass", 9.0, 1), ("ideal-bandstop", 9.0, 1)]
    for kind, D0, n in cases[: 4 if shape == (224, 224) else None]:
        W = 6.0
        spec = f"{kind}:{D0}px" + ("" if kind.startswith("ideal") else f":order={n}")
        spec += f":width={W}px" if "band" in kind else ""
        ours = parse(f"{spec}:dc={dc}")(images)
        expected = naive_filter(images, naive_mask(kind, shape, D0, n, W, dc))
        np.testing.assert_allclose(ours, expected, atol=1e-5, err_msg=spec)
        assert ours.dtype == np.float32


def test_distance_is_pixels_from_the_centre_on_a_square_grid() -> None:
    D = np.fft.fftshift(distance((8, 8)))
    assert D[4, 4] == 0
    assert D[4, 7] == 3
    assert D[1, 0] == 5
    np.testing.assert_array_equal(distance((9, 12), half=True), distance((9, 12))[:, :7])


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    D0=st.floats(1.5, 15),
    order=st.integers(1, 6),
    kind=st.sampled_from(["", "ideal-"]),
    seed=st.integers(0, 1000),
)
def test_low_and_high_pass_sum_to_the_image(
    height: int, width: int, D0: float, order: int, kind: str, seed: int
) -> None:
    images = np.random.default_rng(seed).random((1, 3, height, width)).astype(np.float32)
    keys = "" if kind else f":order={order}"
    try:
        low = parse(f"{kind}lowpass:{D0}px{keys}")(images)
        high = parse(f"{kind}highpass:{D0}px{keys}:dc=zero")(images)
    except FilterError:
        return  # nothing passes on so small a grid, which another test covers
    np.testing.assert_allclose(low + high, images, atol=2e-6)


@pytest.mark.parametrize("shape", SIZES)
def test_identity_equals_the_input(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(1).random((2, 3, *shape)).astype(np.float32)
    np.testing.assert_allclose(parse("identity")(images), images, atol=1e-6)


def test_none_bypasses_and_copies() -> None:
    images = np.random.default_rng(1).random((1, 3, 8, 8)).astype(np.float32)
    out = parse("none")(images)
    np.testing.assert_array_equal(out, images)
    out[:] = 0
    assert images.max() > 0


def test_a_sinusoid_keeps_the_gain_of_its_frequency() -> None:
    """A closed form: a wave of k cycles at cut-off k passes a first-order Butterworth at half its height."""
    x = np.arange(64) / 64
    wave = np.broadcast_to(0.5 + 0.25 * np.cos(2 * np.pi * 10 * x), (1, 3, 64, 64))
    out = parse("lowpass:10px")(wave)
    np.testing.assert_allclose(
        out, 0.5 + 0.125 * np.cos(2 * np.pi * 10 * x) * np.ones((1, 3, 64, 64)), atol=1e-12
    )


def test_dc_keep_holds_the_mean_and_zero_removes_it() -> None:
    images = np.random.default_rng(2).random((1, 3, 16, 24))
    for spec in ("highpass:3px", "bandpass:5px:width=2px", "ideal-highpass:3px"):
        means = images.mean((2, 3))
        np.testing.assert_allclose(parse(spec)(images).mean((2, 3)), means, atol=1e-12)
        np.testing.assert_allclose(parse(f"{spec}:dc=zero")(images).mean((2, 3)), 0, atol=1e-12)


def test_eight_bits_clip_and_round() -> None:
    images = np.random.default_rng(4).random((2, 3, 20, 20))
    plain = parse("highpass:4px:dc=zero")(images)
    eight = parse("highpass:4px:dc=zero:bits=8")(images)
    np.testing.assert_array_equal(eight, np.round(np.clip(plain, 0, 1) * 255) / 255)
    np.testing.assert_allclose(quantise(torch.tensor([[-1.0, 0.5, 0.501, 2.0]])) * 255, [[0, 128, 128, 255]])


def test_clipped_share_counts_values_outside_the_range() -> None:
    image = torch.full((2, 3, 10, 10), 0.5)
    image[0, 0, :5] = -0.1
    image[1, :, 0, 0] = 1.5
    torch.testing.assert_close(clipped_share(image), torch.tensor([50 / 300, 3 / 300]))
    rounding = parse("identity")(torch.zeros(1, 3, 32, 32))
    assert clipped_share(rounding).item() == 0


def test_ac_energy_is_the_power_outside_dc() -> None:
    images = np.random.default_rng(5).random((2, 3, 15, 18))
    power = np.abs(np.fft.fft2(images, norm="ortho")) ** 2
    power[..., 0, 0] = 0
    np.testing.assert_allclose(ac_energy(torch.tensor(images)), power.sum((1, 2, 3)) / (15 * 18), rtol=1e-10)


def test_chain_is_one_filter_after_the_other() -> None:
    images = np.random.default_rng(6).random((1, 3, 21, 30))
    both = parse("lowpass:6px+highpass:2px:order=2")(images)
    np.testing.assert_allclose(both, parse("highpass:2px:order=2")(parse("lowpass:6px")(images)), atol=1e-12)
    stepwise = parse("highpass:2px:bits=8")(images)
    rounded = parse("highpass:2px:bits=8+lowpass:6px")(images)
    np.testing.assert_allclose(rounded, parse("lowpass:6px")(stepwise), atol=1e-12)


def test_a_bank_equals_its_filters_one_by_one() -> None:
    specs = expand(
        ["none", "identity", "lowpass:2..14/3px", "highpass:5px:bits=8", "bandstop:6px+lowpass:9px"]
    )
    images = torch.rand(5, 3, 30, 31, generator=torch.Generator().manual_seed(0))
    bank = FilterBank(specs, (30, 31))
    seen = []
    for spec, filtered in bank(images):
        seen.append(spec)
        torch.testing.assert_close(filtered, spec(images), atol=1e-6, rtol=0)
    assert seen == specs


@pytest.mark.parametrize("size", [24, 64])
def test_a_large_batch_gives_what_its_images_give_alone(size: int) -> None:
    """Many images go through the FFT in parts; the last part is smaller."""
    specs = expand(["none", "identity", "lowpass:5px", "highpass:3px:dc=zero:bits=8+lowpass:9px"])
    images = torch.rand(200, 3, size, size, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    bank = FilterBank(specs, (size, size))
    alone = [[*bank.measured(image)] for image in images.split(1)]
    for number, together in enumerate(bank.measured(images)):
        for name in ("images", "clipped_share", "ac_removed"):
            expected = torch.cat([getattr(one[number], name) for one in alone])
            torch.testing.assert_close(getattr(together, name), expected, atol=1e-6, rtol=0)


def test_arrays_and_tensors_are_mirrored() -> None:
    images = np.random.default_rng(7).random((2, 3, 12, 12))
    spec = parse("lowpass:4px")
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6), (torch.float16, 1e-3)):
        out = spec(torch.tensor(images, dtype=dtype))
        assert out.dtype == dtype
        np.testing.assert_allclose(out.double(), spec(images), atol=tolerance)
    assert spec(images).dtype == np.float64
    assert spec(images[0, 0]).shape == (12, 12)


@pytest.mark.parametrize("images", [np.zeros((2, 3, 8, 8), np.uint8), np.zeros(8), np.zeros((1, 3, 0, 8))])
def test_unfit_arrays_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="images must be a floating array of shape"):
        parse("identity")(images)


@pytest.mark.parametrize(
    "spec",
    ["ideal-highpass:200px", "highpass:1000000px", "ideal-lowpass:0.5px", "ideal-bandpass:300px:width=10px",
     "ideal-lowpass:4px+ideal-highpass:9px"],
)  # fmt: skip
def test_a_filter_that_removes_everything_is_refused(spec: str) -> None:
    with pytest.raises(FilterError, match="removes everything on a 32 x 32 grid"):
        parse(spec)(np.random.default_rng(0).random((1, 3, 32, 32)))
    parse("ideal-highpass:21px")(np.zeros((1, 3, 32, 32)))  # the corner, at 22.6 px, still passes


def test_images_with_their_channels_last_are_refused() -> None:
    channels_last = np.full((2, 16, 16, 3), 0.5, np.float32)
    with pytest.raises(ShapeError, match="looks channel-last"):
        parse("lowpass:2px")(channels_last)
    narrow = np.full((2, 3, 16, 4), 0.5, np.float32)  # its channels stand first: merely narrow
    assert parse("lowpass:2px")(narrow).shape == narrow.shape
