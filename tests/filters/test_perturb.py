"""Operations on pixels against Pillow and SciPy; what is drawn depends on ids alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from bandprobe.errors import FilterError, ShapeError
from bandprobe.filters import FilterBank, check, expand, parse, quantise


def noise(n: int, *shape: int) -> np.ndarray:
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random((n, 3, *shape)), (0, 0, 1, 1))
    return np.round(smooth * 255) / 255


@pytest.mark.parametrize(("kind", "form"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_compression_is_pillows(kind: str, form: str) -> None:
    images = noise(2, 40, 33)
    ours = parse(f"{kind}:60")(images)
    for image, mine in zip(images, ours, strict=True):
        stream = io.BytesIO()
        Image.fromarray(np.round(image * 255).astype(np.uint8).transpose(1, 2, 0)).save(
            stream, form, quality=60
        )
        back = np.asarray(Image.open(stream).convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(np.round(mine * 255), back)
    grey = parse(f"{kind}:60")(images[:, :1])
    assert grey.shape == (2, 1, 40, 33)
    assert np.abs(grey - images[:, :1]).max() < 0.2
    with pytest.raises(ShapeError, match="1 or 3 channels"):
        parse(f"{kind}:60")(np.concatenate([images, images], axis=1))


@pytest.mark.parametrize("sigma", [0.4, 2, 30])
def test_blur_is_scipys(sigma: float) -> None:
    images = noise(2, 31, 20)
    expected = scipy.ndimage.gaussian_filter(images, (0, 0, sigma, sigma), mode="nearest")
    np.testing.assert_allclose(parse(f"blur:{sigma}")(images), expected, atol=1e-12)


def bilinear(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(
        Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    )


def test_resize_is_pillows_bilinear_down_and_up() -> None:
    images = noise(1, 41, 30)
    small = bilinear(images[0, 1], round(41 * 0.3), 9)
    np.testing.assert_allclose(parse("resize:0.3")(images)[0, 1], bilinear(small, 41, 30), atol=1e-5)
    np.testing.assert_allclose(parse("resize:1")(images), images, atol=1e-12)


def test_crop_is_the_enlarged_centre() -> None:
    images = noise(1, 40, 31)
    centre = images[0, 2][4:36, 3:28]  # 32 of 40, 25 of 31
    np.testing.assert_allclose(parse("crop:0.8")(images)[0, 2], bilinear(centre, 40, 31), atol=1e-5)


def test_flip_mirrors_and_chains() -> None:
    images = noise(2, 12, 15)
    np.testing.assert_array_equal(parse("flip")(images), images[..., ::-1])
    chain = parse("flip+lowpass:4px")(images)
    np.testing.assert_allclose(chain, parse("lowpass:4px")(images[..., ::-1].copy()), atol=1e-12)
    jpeg = parse("jpeg:75+lowpass:4px")(images)
    np.testing.assert_allclose(jpeg, parse("lowpass:4px")(parse("jpeg:75")(images)), atol=1e-12)


def test_noise_has_its_strength_and_no_colour() -> None:
    images = np.full((4, 3, 96, 96), 0.5)
    added = (parse("noise:5")(images, ids=list("abcd")) - images) * 255
    assert added.std() == pytest.approx(5, rel=0.02)
    assert abs(added.mean()) < 0.1
    flat = np.abs(np.fft.fft2(added[0, 0], norm="ortho")) ** 2
    assert flat[:48, :20].mean() == pytest.approx(flat[:48, 20:48].mean(), rel=0.2)
    stronger = (parse("noise:10")(images, ids=list("abcd")) - images) * 255
    np.testing.assert_allclose(stronger, 2 * added, atol=1e-4)  # the same pattern
    rounded = parse("noise:5:bits=8")(images, ids=list("abcd"))
    np.testing.assert_allclose(rounded, quantise(torch.tensor(parse("noise:5")(images, ids=list("abcd")))))


def test_random_lowpass_is_a_lowpass_with_a_cutoff_of_the_range_for_each_image() -> None:
    images = noise(1, 32, 32).repeat(40, axis=0)
    ids = [f"image {n}" for n in range(40)]
    ours = parse("random-lowpass:3..9px:order=2")(images, ids=ids)
    F = np.fft.fft2(images)
    ratio = (np.fft.fft2(ours) / F)[:, 0, 0, 5].real  # 1 / (1 + (5 / D0)^4)
    cutoffs = 5 / (1 / ratio - 1) ** 0.25
    assert cutoffs.min() >= 3
    assert cutoffs.max() <= 9
    assert len(set(np.round(cutoffs, 6))) == 40
    assert cutoffs.mean() == pytest.approx(6, abs=1)
    for n in range(3):
        alone = parse(f"lowpass:{cutoffs[n]:.10f}px:order=2")(images[n : n + 1])
        np.testing.assert_allclose(ours[n : n + 1], alone, atol=1e-8)
    np.testing.assert_allclose(
        parse("random-lowpass:0.1875..0.5625nyq:order=2")(images, ids=ids), ours, atol=1e-12
    )
    with pytest.raises(FilterError, match="may remove everything on a 32 x 32 grid"):
        check(parse("random-lowpass:0.001..9px:order=5"), (32, 32))


def test_random_bandstop_is_a_bandstop_with_a_centre_of_the_range_for_each_image() -> None:
    images = noise(1, 32, 32).repeat(40, axis=0)
    ids = [f"image {n}" for n in range(40)]
    ours = parse("random-bandstop:3..9px:width=4px:order=2")(images, ids=ids)
    F = np.fft.fft2(images)
    ratio = (np.fft.fft2(ours) / F)[:, 0, 0, 2].real  # 1 / (1 + (2 * 4 / (4 - D0^2))^4)
    centres = np.sqrt(4 + 8 / (1 / ratio - 1) ** 0.25)
    assert centres.min() >= 3
    assert centres.max() <= 9
    assert len(set(np.round(centres, 6))) == 40
    assert centres.mean() == pytest.approx(6, abs=1)
    for n in range(3):
        alone = parse(f"bandstop:{centres[n]:.10f}px:width=4px:order=2")(images[n : n + 1])
        np.testing.assert_allclose(ours[n : n + 1], alone, atol=1e-8)
    np.testing.assert_allclose(ours.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-6)  # the mean stays
    lowpass = parse("random-lowpass:3..9px")(images, ids=ids)
    cutoffs = 5 / np.sqrt(1 / (np.fft.fft2(lowpass) / F)[:, 0, 0, 5].real - 1)
    assert np.abs(np.corrcoef(cutoffs, centres)[0, 1]) < 0.5  # drawn apart from a low-pass's


SPECS = expand(["random-lowpass:3..9px", "random-bandstop:3..9px:width=4px", "noise:8",
                 "noise:8+noise:8", "jpeg:70+lowpass:5px", "blur:2", "flip",
                "fda:0.1:reference=r", "inject:6px:width=3px:reference=r",
                "random-lowpass:3..9px:bits=8+noise:2"])  # fmt: skip


def test_what_is_drawn_depends_on_neither_batch_nor_order() -> None:
    """Large enough a batch for the transforms to run in parts."""
    images = torch.rand(60, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ids = [f"id {n}" for n in range(60)]
    bank = FilterBank(
        SPECS, (64, 64), references=lambda step, asked: images[[int(i[3:]) // 2 for i in asked]]
    )
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    together = [*bank.measured(images, ids)]
    shuffled = [*bank.measured(images[order], [ids[n] for n in order])]
    alone = [*bank.measured(images[17:18], ids[17:18])]
    for one, two, three in zip(together, shuffled, alone, strict=True):
        for name in ("images", "clipped_share", "ac_removed"):
            whole = getattr(one, name)
            torch.testing.assert_close(whole[order], getattr(two, name), atol=2e-6, rtol=0)
            torch.testing.assert_close(whole[17:18], getattr(three, name), atol=2e-6, rtol=0)


def test_steps_of_one_kind_draw_each_for_itself() -> None:
    images = np.full((1, 3, 48, 48), 0.5)
    once, twice = (parse(spec)(images, ids=["a"]) - images for spec in ("noise:5", "noise:5+noise:5"))
    assert twice.std() == pytest.approx(once.std() * 2**0.5, rel=0.05)
    behind = parse("flip+noise:5")(images, ids=["a"]) - images
    np.testing.assert_allclose(behind, once, atol=1e-12)


def test_without_ids_an_images_own_pixels_decide() -> None:
    images = noise(3, 16, 16)
    spec = parse("noise:20")
    whole = spec(images)
    np.testing.assert_array_equal(whole[2:], spec(images[2:]))
    assert np.abs((whole - images)[0] - (whole - images)[1]).max() > 0.05
    with pytest.raises(FilterError, match="give ids="):
        next(FilterBank([spec], (16, 16)).measured(torch.tensor(images)))
    with pytest.raises(ShapeError, match="one for each of 3 images; got 2"):
        spec(images, ids=["a", "b"])


def test_leading_shapes_are_kept_and_plain_matrices_refused() -> None:
    image = noise(1, 16, 16)[0]
    assert parse("blur:1")(image).shape == (3, 16, 16)
    assert parse("jpeg:80")(image.astype(np.float32)[None, None]).shape == (1, 1, 3, 16, 16)
    with pytest.raises(ShapeError, match="images must be a floating array of shape"):
        parse("blur:1")(image[0])


def test_shares_of_clipped_pixels_are_those_before_an_encoder_clips_them() -> None:
    images = torch.rand(2, 3, 32, 32)
    specs = expand(["highpass:4px:dc=zero", "highpass:4px:dc=zero+jpeg:90"])
    plain, coded = FilterBank(specs, (32, 32)).measured(images)
    torch.testing.assert_close(plain.clipped_share, coded.clipped_share)
    assert coded.images.min() >= 0
