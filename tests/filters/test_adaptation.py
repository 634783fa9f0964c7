"""Adaptation and injection against naive complex transforms, index by index on the shifted spectrum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bandprobe.errors import FilterError, InputError, ShapeError
from bandprobe.filters import check, parse

SIZES = [(16, 16), (17, 17), (16, 21), (21, 16), (15, 32)]


def pair(shape: tuple[int, int], n: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    return rng.random((n, 3, *shape)), rng.random((n, 3, *shape))


def naive_fda(source: np.ndarray, reference: np.ndarray, beta: float) -> np.ndarray:
    """One channel: amplitudes exchanged one coefficient after the other."""
    H, W = source.shape
    ours = np.fft.fftshift(np.fft.fft2(source))
    theirs = np.fft.fftshift(np.fft.fft2(reference))
    b = int(np.floor(min(H, W) * beta))
    for i in range(H // 2 - b, H // 2 + b + 1):
        for j in range(W // 2 - b, W // 2 + b + 1):
            if i < H and j < W:  # at beta = 0.5 on an even side the window ends beyond the spectrum
                ours[i, j] = abs(theirs[i, j]) * np.exp(1j * np.angle(ours[i, j]))
    back = np.fft.ifft2(np.fft.ifftshift(ours))
    assert np.abs(back.imag).max() < 1e-12
    return back.real


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("beta", [0, 0.07, 0.2, 0.5])
def test_fda_against_a_naive_loop_over_the_window(shape: tuple[int, int], beta: float) -> None:
    images, references = pair(shape)
    ours = parse(f"fda:{beta}:reference=given")(images, references=references)
    for n in range(2):
        for c in range(3):
            np.testing.assert_allclose(
                ours[n, c], naive_fda(images[n, c], references[n, c], beta), atol=1e-10
            )


def test_fda_at_zero_changes_the_mean_alone() -> None:
    images, references = pair((18, 20))
    changed = parse("fda:0:reference=given")(images, references=references)
    np.testing.assert_allclose(changed.mean((2, 3)), references.mean((2, 3)), atol=1e-12)
    np.testing.assert_allclose(
        changed - changed.mean((2, 3), keepdims=True), images - images.mean((2, 3), keepdims=True), atol=1e-12
    )


@pytest.mark.parametrize("spec", ["fda:0.3:reference=r", "inject:5px:width=3px:reference=r"])
def test_a_reference_equal_to_the_source_is_the_identity(spec: str) -> None:
    images, _ = pair((24, 19))
    np.testing.assert_allclose(parse(spec)(images, references=images), images, atol=1e-12)
    narrow = images.astype(np.float32)
    np.testing.assert_allclose(parse(spec)(narrow, references=narrow), narrow, atol=2e-6)


def naive_mask(kind: str, shape: tuple[int, int], D0: float, n: int, W: float) -> np.ndarray:
    H, Wd = shape
    i, j = np.mgrid[:H, :Wd]
    D = min(H, Wd) * np.sqrt(((i - H // 2) / H) ** 2 + ((j - Wd // 2) / Wd) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = 1 / (1 + (D / D0) ** (2 * n))
        band = 1 - 1 / (1 + (D * W / (D**2 - D0**2)) ** (2 * n))
    inside = ((D0 - W / 2 <= D) & (D < D0 + W / 2)).astype(float)
    return {
        "lowpass": low, "highpass": 1 - low, "bandpass": band, "ideal-bandpass": inside,
        "ideal-lowpass": (D <= D0) * 1.0, "ideal-highpass": (D > D0) * 1.0,
    }[kind]  # fmt: skip


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    "kind", ["bandpass", "lowpass", "highpass", "ideal-bandpass", "ideal-lowpass", "ideal-highpass"]
)
def test_injection_against_the_naive_complex_fft(shape: tuple[int, int], kind: str) -> None:
    images, references = pair(shape)
    order = "" if kind.startswith("ideal") else ":order=2"
    width = ":width=2.5px" if "band" in kind else ""
    ours = parse(f"inject:{kind}:4.3px{order}{width}:reference=r")(images, references=references[:1])
    M = naive_mask(kind, shape, 4.3, 2, 2.5)
    if kind == "highpass":
        M[shape[0] // 2, shape[1] // 2] = 0
    F, G = (np.fft.fftshift(np.fft.fft2(x), axes=(-2, -1)) for x in (images, references[:1]))
    expected = np.fft.ifft2(np.fft.ifftshift(F * (1 - M) + G * M, axes=(-2, -1))).real
    np.testing.assert_allclose(ours, expected, atol=1e-10)
    if "low" not in kind:
        np.testing.assert_allclose(ours.mean((2, 3)), images.mean((2, 3)), atol=1e-12)


def test_a_file_is_read_and_one_of_another_size_resized_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images, _ = pair((20, 20))
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(picture).save("a,b+c.png")
    spec = parse("fda:0.2:reference=a%2Cb%2Bc.png")
    ours = spec(images)
    assert "30 x 40 px; resized to 20 x 20" in capsys.readouterr().err
    small = np.asarray(Image.fromarray(picture).resize((20, 20), Image.Resampling.BILINEAR)) / 255
    expected = naive_fda(images[1, 2], small[..., 2], 0.2)
    np.testing.assert_allclose(ours[1, 2], expected, atol=1e-6)
    large = picture.transpose(2, 0, 1)[None] / 255
    np.testing.assert_allclose(spec(images, references=large), ours, atol=5e-3)  # unrounded
    assert "the reference given is 30 x 40 px; resized" in capsys.readouterr().err


def test_wrong_use_in_one_line(tmp_path: Path) -> None:
    images, references = pair((16, 16))
    with pytest.raises(InputError, match=r"reference 'nowhere\.png' is no image file"):
        parse("fda:0.1:reference=nowhere.png")(images)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be used: empty file"):
        parse(f"fda:0.1:reference={broken}")(images)
    with pytest.raises(ShapeError, match="one for each of 2 images"):
        parse("fda:0.1:reference=r")(images, references=np.concatenate([references, references]))
    with pytest.raises(ShapeError, match="references must be a floating array"):
        parse("fda:0.1:reference=r")(images, references=np.zeros((1, 3, 16, 16), np.uint8))
    with pytest.raises(FilterError, match="takes nothing from its reference on a 16 x 16 grid"):
        check(parse("inject:ideal-highpass:90px:reference=r"), (16, 16))
