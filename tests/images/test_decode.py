from __future__ import annotations

import hashlib
import io
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageFile

from bandprobe.errors import ImageError, InputError, ShapeError
from bandprobe.images import decode, decode_bytes, image_extensions, image_id, parse_colour, read

BLUE = (10, 20, 200)


def encoded(image: Image.Image, kind_of_file: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind_of_file, **options)
    return out.getvalue()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def over(rgb: np.ndarray, alpha: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    """Straight alpha in float64, rounded half up: the reference."""
    share = alpha[..., None].astype(float) / 255
    return np.floor(rgb * share + np.array(background) * (1 - share) + 0.5).astype(np.uint8)


def png(
    width: int, height: int, depth: int, kind: int, rows: list[bytes], *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG written by hand: colour types and chunks that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(*each) for each in extra)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def test_rgb_comes_back_as_it_was(tmp_path: Path) -> None:
    rgb = noise(7, 5, 3)
    files = {"a.png": "PNG", "a.bmp": "BMP", "a.tif": "TIFF", "a.ppm": "PPM", "b.png": "BMP"}
    for name, kind_of_file in files.items():
        path = tmp_path / name  # the last is another format than its name says
        path.write_bytes(encoded(Image.fromarray(rgb), kind_of_file))
        for source in (path, str(path)):
            out = decode(source)
            assert out.dtype == np.uint8
            assert out.flags.c_contiguous
            np.testing.assert_array_equal(out, rgb)


# What EXIF's eight values say about where row 0 and column 0 of the stored picture are seen.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("value", ORIENTATIONS)
@pytest.mark.parametrize("kind_of_file", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation(value: int, kind_of_file: str) -> None:
    rgb = noise(5, 4, 3, seed=value)
    exif = Image.Exif()
    exif[0x0112] = value
    options = {"lossless": True} if kind_of_file == "WEBP" else {}
    data = encoded(Image.fromarray(rgb), kind_of_file, exif=exif, **options)
    np.testing.assert_array_equal(decode_bytes(data), ORIENTATIONS[value](rgb))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_orientation_of_jpeg_and_of_damaged_exif() -> None:
    rgb = np.zeros((16, 32, 3), np.uint8)
    rgb[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored picture's left side is seen on top
    seen = decode_bytes(encoded(Image.fromarray(rgb), "JPEG", exif=exif, quality=95))
    assert seen.shape == (32, 16, 3)
    assert seen[:12].min() > 240
    assert seen[20:].max() < 15
    damaged = encoded(Image.fromarray(rgb), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert decode_bytes(damaged).shape == (16, 32, 3)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), BLUE])
def test_alpha_over_the_background(background: tuple[int, int, int]) -> None:
    rgba = noise(16, 16, 4)
    want = over(rgba[..., :3], rgba[..., 3], background)
    np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(rgba)), background=background), want)
    grey = noise(16, 16, 2)
    want = over(np.repeat(grey[..., :1], 3, axis=2), grey[..., 1], background)
    np.testing.assert_array_equal(
        decode_bytes(encoded(Image.fromarray(grey, "LA")), background=background), want
    )


def test_palette_with_and_without_transparency() -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    colours = np.array([[255, 0, 0], [0, 255, 0], [7, 8, 9]], np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    np.testing.assert_array_equal(decode_bytes(encoded(image)), colours[indices])
    one = decode_bytes(encoded(image, transparency=1), background=BLUE)
    want = colours[indices].copy()
    want[indices == 1] = BLUE
    np.testing.assert_array_equal(one, want)
    alphas = np.array([255, 100, 0], np.uint8)
    several = decode_bytes(encoded(image, transparency=alphas.tobytes()), background=BLUE)
    np.testing.assert_array_equal(several, over(colours[indices], alphas[indices], BLUE))
    gif = decode_bytes(encoded(image, "GIF", transparency=1), background=BLUE)
    np.testing.assert_array_equal(gif, want)


def test_grey_and_one_bit() -> None:
    grey = noise(5, 9)
    np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(grey))), np.stack([grey] * 3, axis=2))
    bits = grey > 127
    want = np.stack([np.where(bits, 255, 0)] * 3, axis=2)
    for kind_of_file in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(bits), kind_of_file)), want)


@pytest.mark.parametrize(("depth", "levels"), [(1, 2), (2, 4), (4, 16), (8, 256)])
def test_transparent_grey_of_every_depth(depth: int, levels: int) -> None:
    per_byte = 8 // depth
    samples = np.arange(2 * per_byte * 2).reshape(2, -1) % levels
    packed = [
        bytes(
            sum(int(v) << (8 - depth * (k + 1)) for k, v in enumerate(row[i : i + per_byte]))
            for i in range(0, len(row), per_byte)
        )
        for row in samples
    ]
    key = levels - 1 if depth < 8 else 2
    data = png(samples.shape[1], 2, depth, 0, packed, (b"tRNS", struct.pack(">H", key)))
    want = np.stack([samples * (255 // (levels - 1))] * 3, axis=2)
    want[samples == key] = BLUE
    np.testing.assert_array_equal(decode_bytes(data, background=BLUE), want)


def test_transparent_colour_of_rgb() -> None:
    rgb = noise(4, 4, 3)
    data = encoded(Image.fromarray(rgb), transparency=tuple(int(v) for v in rgb[1, 2]))
    want = rgb.copy()
    want[1, 2] = BLUE
    np.testing.assert_array_equal(decode_bytes(data, background=BLUE), want)
    deep = np.random.default_rng(1).integers(0, 65536, (4, 4, 3)).astype(">u2")
    key = deep[3, 0].tobytes()
    data = png(4, 4, 16, 2, [row.tobytes() for row in deep], (b"tRNS", key))
    want = (deep >> 8).astype(np.uint8)
    want[3, 0] = BLUE
    np.testing.assert_array_equal(decode_bytes(data, background=BLUE), want)


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (6, 5)).astype(np.uint16)
    want = np.stack([deep >> 8] * 3, axis=2).astype(np.uint8)
    np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(deep))), want)
    np.testing.assert_array_equal(decode_bytes(encoded(Image.fromarray(deep), "TIFF")), want)
    big = b"P5\n5 6\n65535\n" + deep.astype(">u2").tobytes()  # Pillow reads it as 32-bit integers
    np.testing.assert_array_equal(decode_bytes(big), want)
    motorola = Image.frombytes("I;16B", (5, 6), deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode_bytes(encoded(motorola, "TIFF")), want)
    # The same numbers as 16-bit colour come out the same, and with a transparent level too.
    colour = png(5, 6, 16, 2, [np.repeat(row, 3).astype(">u2").tobytes() for row in deep])
    np.testing.assert_array_equal(decode_bytes(colour), want)
    keyed = png(
        5, 6, 16, 0, [row.astype(">u2").tobytes() for row in deep],
        (b"tRNS", struct.pack(">H", int(deep[2, 3]))),
    )  # fmt: skip
    want[deep == deep[2, 3]] = BLUE
    np.testing.assert_array_equal(decode_bytes(keyed, background=BLUE), want)


def test_wide_integers_and_floats_are_refused() -> None:
    wide = Image.fromarray(np.array([[0, 70_000]], np.int32))
    with pytest.raises(ImageError, match="32-bit integer samples have no agreed range"):
        decode_bytes(encoded(wide, "TIFF"))
    negative = Image.fromarray(np.array([[0, -1]], np.int32))
    with pytest.raises(ImageError, match="32-bit integer"):
        decode_bytes(encoded(negative, "TIFF"))
    with pytest.raises(
        ImageError, match="32-bit float samples have no agreed range; save it as 8- or 16-bit"
    ):
        decode_bytes(encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"))


def test_cmyk_of_tiff_and_inverted_of_jpeg() -> None:
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[...] = (200, 30, 90, 40)
    want = np.array([(255 - c) * (255 - 40) / 255 for c in (200, 30, 90)])
    for kind_of_file, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        data = encoded(Image.fromarray(cmyk, "CMYK"), kind_of_file, **options)
        assert (b"Adobe" in data) == (
            kind_of_file == "JPEG"
        )  # which is what says that a JPEG's inks are inverted
        np.testing.assert_allclose(decode_bytes(data), np.broadcast_to(want, (16, 16, 3)), atol=2)


def test_ycbcr_lab_and_premultiplied() -> None:
    ycbcr = np.zeros((4, 4, 3), np.uint8)
    ycbcr[...] = (120, 90, 160)
    y, cb, cr = 120.0, 90 - 128.0, 160 - 128.0
    want = [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
    # Compressed: what Pillow 12 writes of it uncompressed, it cannot read itself.
    out = decode_bytes(encoded(Image.fromarray(ycbcr, "YCbCr"), "TIFF", compression="tiff_lzw"))
    np.testing.assert_allclose(out[0, 0], want, atol=1.5)
    lab = np.zeros((4, 4, 3), np.uint8)
    lab[...] = (128, 0, 0)  # L = 50.2, a = b = 0: the grey of Y = 0.1855, D50
    out = decode_bytes(encoded(Image.fromarray(lab, "LAB"), "TIFF"))
    linear = ((128 / 255 * 100 + 16) / 116) ** 3
    np.testing.assert_allclose(out[0, 0], 255 * (1.055 * linear ** (1 / 2.4) - 0.055), atol=2)


@pytest.mark.parametrize("kind_of_file", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_animations(kind_of_file: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    options = {"lossless": True} if kind_of_file == "WEBP" else {}
    data = encoded(frames[0], kind_of_file, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_bytes(data), np.full((6, 8, 3), (255, 0, 0)))


def test_pixel_limit_is_held_against_the_header() -> None:
    header_alone = png(50_000, 50_000, 8, 2, [])  # 7.5 GB if anything were decoded
    with pytest.raises(ImageError, match="too many pixels"):
        decode_bytes(header_alone)
    data = encoded(Image.new("RGB", (20, 10)))
    assert decode_bytes(data, max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(ImageError, match="too many pixels: 20 x 10; the limit is 199"):
        decode_bytes(data, max_pixels=199)


def test_broken_files_and_their_reasons(tmp_path: Path) -> None:
    whole_png = encoded(Image.fromarray(noise(64, 64, 3)))
    whole_jpeg = encoded(Image.fromarray(noise(64, 64, 3)), "JPEG")
    files = {
        "empty.png": (b"", r"empty file \(0 bytes\)"),
        "text.png": (b"hello, no picture here", "not an image: it begins with b'hello, n'"),
        "html.jpg": (b"<html><body>404</body></html>", "not an image"),
        "half.png": (whole_png[: len(whole_png) // 2], "truncated"),
        "half.jpg": (whole_jpeg[: len(whole_jpeg) // 2], "truncated"),
        "start.png": (whole_png[:12], "truncated or corrupt: begins like PNG"),
        "start.jpg": (whole_jpeg[:30], "truncated or corrupt|truncated"),
        "damaged.png": (whole_png[:60] + bytes(50) + whole_png[110:], "corrupt|truncated"),
        "zeros.png": (bytes(5000), "not an image"),
        "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    }
    for name, (data, reason) in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        for call in (lambda p=path: decode(p), lambda d=data: decode_bytes(d)):
            with pytest.raises(ImageError, match=reason) as caught:
                call()
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 250
    with pytest.raises(ImageError, match=r"no such file: .*nowhere\.png"):
        decode(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="cannot be read"):
        decode(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_any_damage_is_an_image_error() -> None:
    draw = np.random.default_rng(0)
    picture = Image.fromarray(noise(24, 24, 3))
    sound = [encoded(picture, kind_of_file) for kind_of_file in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")]
    refused = 0
    for data in sound:
        for _ in range(60):
            damaged = bytearray(data)
            for at in draw.integers(0, len(data), 20):
                damaged[at] = draw.integers(0, 256)
            try:
                out = decode_bytes(bytes(damaged[: draw.integers(1, len(data))]))
            except ImageError:
                refused += 1
            else:
                assert out.ndim == 3
                assert out.dtype == np.uint8
    assert refused > 100


def test_pillow_stays_as_it_was(tmp_path: Path) -> None:
    def state() -> tuple[object, ...]:
        return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, GifImagePlugin.LOADING_STRATEGY

    before = state()
    decode_bytes(encoded(Image.new("P", (3, 3)), "GIF"), max_pixels=9)
    with pytest.raises(ImageError):
        decode_bytes(b"x")
    assert state() == before


def test_threads_get_their_own_pictures(tmp_path: Path) -> None:
    arrays = [noise(40, 30, 3, seed=n) for n in range(40)]
    for n, rgb in enumerate(arrays):
        Image.fromarray(rgb).save(tmp_path / f"{n}.png")
    gate = threading.Barrier(4)

    def job(n: int) -> np.ndarray:
        if n < 4:
            gate.wait(timeout=10)
        return decode(tmp_path / f"{n}.png")

    with ThreadPoolExecutor(4) as pool:
        for rgb, out in zip(arrays, pool.map(job, range(40)), strict=True):
            np.testing.assert_array_equal(out, rgb)


def test_image_id_is_the_hash_of_size_and_pixels() -> None:
    rgb = noise(3, 5, 3)
    want = hashlib.sha256((3).to_bytes(4, "little") + (5).to_bytes(4, "little") + bytes(rgb.ravel().tolist()))
    assert image_id(rgb) == want.hexdigest()
    assert image_id(np.asfortranarray(rgb)) == want.hexdigest()
    assert image_id(rgb.reshape(5, 3, 3)) != want.hexdigest()
    as_png, as_bmp = (
        decode_bytes(encoded(Image.fromarray(rgb), kind_of_file)) for kind_of_file in ("PNG", "BMP")
    )
    assert image_id(as_png) == image_id(as_bmp)
    with pytest.raises(ShapeError, match=r"rgb must be uint8 of shape \(H, W, 3\); got float64"):
        image_id(rgb.astype(float))


def test_read_says_what_the_file_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(noise(8, 8, 3)).save(path, "JPEG")
    found = read(path)
    assert (found.format, found.file_bytes) == ("JPEG", path.stat().st_size)


def test_colours_and_extensions() -> None:
    assert parse_colour("white") == (255, 255, 255)
    assert parse_colour("#0a14c8") == BLUE
    assert parse_colour((1, 2, 3)) == (1, 2, 3)
    for wrong in ("whyte", (1, 2), (0, 0, 256), "#11223344"):
        with pytest.raises(InputError, match="background must be"):
            parse_colour(wrong)
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".bmp", ".gif"} <= image_extensions()
    assert not {".eps", ".pdf", ".csv", ".txt"} & image_extensions()
