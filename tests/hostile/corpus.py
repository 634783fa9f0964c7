"""More than three hundred hostile image files, made from a seed, each with what must become of it.

A file is left out with a reason (`picture` is None), or comes back as one known picture; a truncated file may be
either (`perhaps`), but never another picture.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from encoded_files import (
    PNG_SIGNATURE,
    bmp,
    chunk,
    encoded,
    exif,
    flat_png,
    ico,
    jpeg_size,
    noise,
    png,
    png_chunks,
    riff,
    segment,
    smooth,
    tiff,
    with_segment,
)
from PIL import Image, TiffImagePlugin

MAX_PIXELS = 2_000_000  # what the tests allow a picture; the bombs of the memory test go to the default


@dataclass(frozen=True)
class Specimen:
    """A file's name, its bytes, and what must become of it."""

    name: str
    data: bytes
    picture: np.ndarray | None = None  # uint8 (H, W, 3); None: it must be left out
    perhaps: bool = False  # the picture, or left out


def pillow(data: bytes) -> np.ndarray:
    """Pillow's own decode of a whole file of three 8-bit channels."""
    import io

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def corpus() -> list[Specimen]:
    made = [
        *truncations(), *bombs(), *false_headers(), *wrong_endings(), *profiles(), *exif_damage(), *animations(),
        *shapes(), *samples(), *damaged_chunks(), *names(),
    ]  # fmt: skip
    assert len({each.name for each in made}) == len(made)
    return made


def truncations() -> list[Specimen]:
    """Every 5 % of each common format, and of its variants a few."""
    picture = smooth(1)
    whole = {
        "jpg": encoded(picture, "JPEG", quality=90),
        "png": encoded(picture, "PNG"),
        "webp": encoded(picture, "WEBP", quality=90),
        "tif": encoded(picture, "TIFF"),
        "gif": encoded(picture, "GIF"),
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "lossless.webp": encoded(picture, "WEBP", lossless=True),
        "lzw.tif": encoded(picture, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encoded(picture, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": encoded(picture, "BMP"),
        "jp2": encoded(picture, "JPEG2000"),
    }
    plain = ("jpg", "png", "webp", "tif", "gif")
    return [
        Specimen(
            f"cut-{percent:02d}.{ending}", data[: len(data) * percent // 100], pillow(data), perhaps=True
        )
        for ending, data in whole.items()
        for percent in (range(5, 100, 5) if ending in plain else (10, 50, 90, 99))
    ]


def bombs() -> list[Specimen]:
    """Small files that ask for much memory."""
    million = zlib.compress(bytes(64 * 2**20), 9)
    picture = noise(2, 6, 5, 3)
    whole = png_chunks(encoded(picture, "PNG"))
    text = chunk(b"zTXt", b"Comment\0\0" + million)
    profile = chunk(b"iCCP", b"bomb\0\0" + million)
    international = chunk(b"iTXt", b"Comment\0\1\0\0\0" + million)

    def beside(*extra: bytes) -> bytes:
        head, *rest = [chunk(*each) for each in whole]
        return PNG_SIGNATURE + head + b"".join(extra) + b"".join(rest)

    return [
        Specimen("bomb-60000x60000.png", png(60_000, 60_000, zlib.compress(b"\0"))),
        Specimen("bomb-largest.png", png(2**31 - 1, 2**31 - 1, zlib.compress(b"\0"))),
        Specimen("bomb-wide.png", png(2**31 - 1, 1, zlib.compress(b"\0"))),
        Specimen("bomb-zlib-idat.png", png(8, 8, million), np.zeros((8, 8, 3), np.uint8), perhaps=True),
        Specimen("bomb-ztxt.png", beside(text), picture, perhaps=True),
        Specimen("bomb-itxt.png", beside(international), picture, perhaps=True),
        Specimen("bomb-iccp.png", beside(profile), picture, perhaps=True),
        Specimen("bomb-honest.png", flat_png(1500, 1400)),
        Specimen("bomb-honest-alpha.png", flat_png(1500, 1400, 4)),
        Specimen("bomb.ico", ico(flat_png(1600, 1300, 4))),
        Specimen("bomb.jpg", jpeg_size(encoded(picture, "JPEG"), 65_500, 65_500)),
        Specimen(
            "bomb.gif", encoded(picture, "GIF")[:6] + b"\xff\xff\xff\xff" + encoded(picture, "GIF")[10:]
        ),
        Specimen("bomb.bmp", bmp(40_000, 40_000, bytes(99))),
        Specimen("bomb.tif", tiff(50_000, 50_000, bytes(64))),
        Specimen("bomb-deflate.tif", tiff(50_000, 50_000, million, compression=8)),
        Specimen(
            "bomb-strip.tif", tiff(8, 8, million, compression=8), np.zeros((8, 8, 3), np.uint8), perhaps=True
        ),
        Specimen(
            "bomb.webp", riff((b"VP8X", struct.pack("<I", 0) + b"\xff\x3f\0\xff\x3f\0"), (b"VP8 ", bytes(40)))
        ),
        Specimen("bomb.ppm", b"P6 99999 99999 255\n" + bytes(30)),
        Specimen("bomb-digits.ppm", b"P6 " + b"9" * 5000 + b" 1 255\n"),
        Specimen("bomb.qoi", b"qoif" + struct.pack(">IIBB", 60_000, 60_000, 3, 0) + b"\xc0" * 30),
        Specimen(
            "bomb.psd", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(80)
        ),
        Specimen("bomb.pcx", b"\x0a\5\1\x08\0\0\0\0\xff\x7f\xff\x7f" + bytes(116)),
    ]


def false_headers() -> list[Specimen]:
    """Sizes that the data do not have."""
    picture = noise(3, 6, 5, 3)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture))
    jpeg = encoded(smooth(3), "JPEG")
    return [
        Specimen("claims-0x0.png", png(0, 0, rows)),
        Specimen("claims-0x5.png", png(0, 5, rows)),
        Specimen("claims-taller.png", png(5, 60, rows)),
        Specimen("claims-taller-white.png", png(5, 60, zlib.compress((b"\0" + b"\xff" * 15) * 9))),
        Specimen("claims-taller-clear.png", png(5, 60, zlib.compress(bytes(21 * 9)), kind=6)),
        Specimen("claims-wider.png", png(500, 6, rows)),
        Specimen("claims-depth-3.png", png(5, 6, rows, depth=3)),
        Specimen("claims-colour-5.png", png(5, 6, rows, kind=5)),
        Specimen("claims-taller.bmp", bmp(5, 600, bytes(200))),
        Specimen("claims-negative.bmp", bmp(-5, 6, bytes(200))),
        Specimen("claims-0x0.bmp", bmp(0, 0, bytes(200))),
        Specimen("claims-more.tif", tiff(64, 64, bytes(100))),
        Specimen("claims-bits-7.tif", tiff(8, 8, bytes(64), bits=7)),
        Specimen("claims-0x0.jpg", jpeg_size(jpeg, 0, 0)),
        Specimen("claims-0x0.gif", b"GIF89a\0\0\0\0\0\0\0" + b";"),
        Specimen("claims-header-only.gif", b"GIF89a\5\0\5\0\0\0\0"),
        Specimen("claims-nothing.webp", b"RIFF\4\0\0\0WEBP"),
        Specimen("claims-length.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + bytes(20)),
        Specimen("claims-nothing.ppm", b"P6 4 4 255\n"),
        Specimen("claims-maximum-0.ppm", b"P6 4 4 0\n" + bytes(48)),
        Specimen("claims-offset.tif", b"II*\0\xff\xff\xff\x7f"),
        Specimen("claims-loop.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        Specimen("claims-loop.jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2h"),
    ]


def wrong_endings() -> list[Specimen]:
    """Images that are called something else, and things called images."""
    picture, other = noise(4, 7, 6, 3), noise(5, 7, 6, 3)
    jpeg, webp = encoded(smooth(6), "JPEG"), encoded(smooth(7), "WEBP")
    return [
        Specimen("png-called.jpg", encoded(picture, "PNG"), picture),
        Specimen("jpeg-called.png", jpeg, pillow(jpeg)),
        Specimen("webp-called.gif", webp, pillow(webp)),
        Specimen("bmp-called.TIF", encoded(other, "BMP"), other),
        Specimen("text.png", b"not an image at all\n"),
        Specimen("page.jpg", b"<!DOCTYPE html><script>alert(1)</script>"),
        Specimen("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        Specimen("program.png", b"\x7fELF" + noise(8, 64).tobytes()),
        Specimen("archive.webp", b"PK\3\4" + noise(9, 64).tobytes()),
        Specimen("postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n"),
        Specimen("document.jpg", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"),
        Specimen("pickle.png", b"cos\nsystem\n(S'true'\ntR."),
        Specimen("noise.png", noise(10, 4000).tobytes()),
        Specimen("zeros.jpg", bytes(4000)),
        Specimen("ones.webp", b"\xff" * 4000),
        Specimen("empty.png", b""),
        Specimen("empty.jpg", b""),
        Specimen("one-byte.gif", b"G"),
        Specimen("signature.png", PNG_SIGNATURE),
        Specimen("signature.jpg", b"\xff\xd8\xff"),
        Specimen("signature.tif", b"II*\0"),
        Specimen("archive-behind.jpg", jpeg_behind := encoded(smooth(11), "JPEG") + b"PK\3\4" + bytes(99),
                 pillow(jpeg_behind)),
        Specimen("script-behind.png", encoded(noise(12, 5, 5, 3), "PNG") + b"<script>alert(1)</script>",
                 noise(12, 5, 5, 3)),
    ]  # fmt: skip


def profiles() -> list[Specimen]:
    """Damaged colour profiles: the numbers in the file stay the pixels."""
    picture, jpeg, webp = noise(13, 6, 6, 3), encoded(smooth(13), "JPEG"), encoded(smooth(14), "WEBP")
    head, *rest = [chunk(*each) for each in png_chunks(encoded(picture, "PNG"))]
    rest = b"".join(rest)
    inside = png_chunks(encoded(picture, "PNG"))[1][1]
    junk = noise(15, 300).tobytes()
    block = b"ICC_PROFILE\0"
    return [
        Specimen("icc-junk.png", png(6, 6, inside, chunk(b"iCCP", b"x\0\0" + zlib.compress(junk))), picture),
        Specimen("icc-not-zlib.png", png(6, 6, inside, chunk(b"iCCP", b"x\0\0" + junk)), picture, perhaps=True),
        Specimen("icc-empty.png", png(6, 6, inside, chunk(b"iCCP", b"")), picture, perhaps=True),
        Specimen("icc-method.png", png(6, 6, inside, chunk(b"iCCP", b"x\0\7" + junk)), picture, perhaps=True),
        Specimen("icc-junk.jpg", with_segment(jpeg, segment(0xE2, block + b"\1\1" + junk)), pillow(jpeg)),
        Specimen("icc-part-9-of-2.jpg", with_segment(jpeg, segment(0xE2, block + b"\x09\2" + junk)), pillow(jpeg)),
        Specimen("icc-no-number.jpg", with_segment(jpeg, segment(0xE2, block)), pillow(jpeg), perhaps=True),
        Specimen("icc-length.jpg", with_segment(jpeg, segment(0xE2, block + b"\1\1" + junk, 65_535)), pillow(jpeg),
                 perhaps=True),
        Specimen("icc-junk.webp", encoded(smooth(14), "WEBP", icc_profile=junk), pillow(webp)),
        Specimen("icc-junk.tif", encoded(picture, "TIFF", icc_profile=junk), picture),
        Specimen("gamma-0.png", png(6, 6, inside, chunk(b"gAMA", bytes(4))), picture),
        Specimen("chroma-short.png", png(6, 6, inside, chunk(b"cHRM", b"\1")), picture, perhaps=True),
        Specimen("srgb-short.png", PNG_SIGNATURE + head + chunk(b"sRGB", b"") + rest, picture, perhaps=True),
    ]  # fmt: skip


def exif_damage() -> list[Specimen]:
    """Orientations that are none turn nothing, and damaged blocks hurt no pixel."""
    jpeg, picture = encoded(smooth(16), "JPEG"), noise(17, 6, 5, 3)
    seen = pillow(jpeg)
    blocks = {
        "0": exif(value=b"\0\0\0\0"),
        "9": exif(value=b"\0\x09\0\0"),
        "65535": exif(value=b"\xff\xff\0\0"),
        "text": exif(kind=2, value=b"six\0"),
        "float": exif(kind=11, value=struct.pack(">f", float("nan"))),
        "unknown-type": exif(kind=99),
        "count-4-billion": exif(count=2**32 - 1),
        "count-0": exif(count=0),
        "cut": exif()[:15],
        "no-tiff": b"nothing of the kind",
        "empty": b"",
        "offset": b"MM\0*\xff\xff\xff\xf0",
        "loop": b"MM\0*\0\0\0\x08\0\0\0\0\0\x08",
        "many": b"MM\0*\0\0\0\x08\xff\xff" + bytes(40),
    }
    made = [
        Specimen(f"exif-{name}.jpg", with_segment(jpeg, segment(0xE1, b"Exif\0\0" + block)), seen)
        for name, block in blocks.items()
    ]
    inside = png_chunks(encoded(picture, "PNG"))[1][1]
    made += [
        Specimen(f"exif-{name}.png", png(5, 6, inside, chunk(b"eXIf", block)), picture, perhaps=not block)
        for name, block in blocks.items()
    ]
    turned = with_segment(jpeg, segment(0xE1, b"Exif\0\0" + exif()))
    return [
        *made,
        Specimen("exif-turned.jpg", turned, np.ascontiguousarray(np.rot90(seen, -1))),
        Specimen("exif-twice.jpg", with_segment(turned, segment(0xE1, b"Exif\0\0" + exif())),
                 np.ascontiguousarray(np.rot90(seen, -1)), perhaps=True),
        Specimen("exif-too-long.jpg", with_segment(jpeg, segment(0xE1, b"Exif\0\0" + exif(), 65_000)), seen,
                 perhaps=True),
        Specimen("exif-length-0.jpg", with_segment(jpeg, segment(0xE1, b"", 0)), seen, perhaps=True),
    ]  # fmt: skip


def animations() -> list[Specimen]:
    """The first frame, whatever follows."""
    frames = [smooth(seed, 20, 24) for seed in (18, 19, 20)]
    images = [Image.fromarray(frame) for frame in frames]
    made = []
    for ending, kind, options in (
        ("gif", "GIF", {}), ("webp", "WEBP", {"lossless": True}), ("png", "PNG", {}), ("tif", "TIFF", {}),
    ):  # fmt: skip
        data = encoded(images[0], kind, save_all=True, append_images=images[1:], **options)
        first = pillow(encoded(images[0], "GIF")) if ending == "gif" else frames[0]
        made.append(Specimen(f"animated.{ending}", data, first))
        made.append(Specimen(f"animated-cut.{ending}", data[: len(data) * 9 // 10], first, perhaps=True))
    photographs = [Image.fromarray(smooth(seed)) for seed in (21, 22)]
    first = encoded(photographs[0], "JPEG")
    made.append(Specimen("two-in-one.jpg", encoded(photographs[0], "MPO", save_all=True, append_images=photographs[1:]),
                         pillow(first)))  # fmt: skip
    return made


def shapes() -> list[Specimen]:
    """Of every form and colour that a picture may have."""
    arrays = {
        "1x1": noise(23, 1, 1, 3),
        "1x10000": noise(24, 10_000, 1, 3),
        "10000x1": noise(25, 1, 10_000, 3),
        "2x3": noise(26, 3, 2, 3),
        "black": np.zeros((9, 8, 3), np.uint8),
        "white": np.full((9, 8, 3), 255, np.uint8),
        "checks": np.repeat((np.indices((9, 8)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8),
    }
    return [
        Specimen(f"shape-{name}.{ending}", encoded(array, kind), array)
        for name, array in arrays.items()
        for ending, kind in (("png", "PNG"), ("tif", "TIFF"), ("bmp", "BMP"))
    ]


def samples() -> list[Specimen]:
    """Every kind of sample: with an agreed range it is handled, without one left out."""
    grey16, colour16 = noise(27, 6, 5, dtype=np.uint16), noise(28, 6, 5, 3, dtype=np.uint16)
    rows16 = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in colour16))
    alpha = noise(29, 6, 5, 4)
    over = np.floor(alpha[..., :3] * (alpha[..., 3:] / 255) + 255 * (1 - alpha[..., 3:] / 255) + 0.5)
    cmyk = Image.fromarray(noise(30, 6, 5, 4), "CMYK")
    table, at = noise(31, 16, 3), noise(32, 6, 5) % 16
    palette = Image.fromarray(at.astype(np.uint8), "P")
    palette.putpalette(table.tobytes())
    seen = table[at].copy()
    seen[at == 3] = 255
    bits = (noise(33, 6, 8) > 127).astype(np.uint8)
    spoilt = np.ones((6, 5), np.float32)
    spoilt[0, 0], spoilt[1, 1], spoilt[2, 2] = np.nan, np.inf, -np.inf
    cmyk_jpeg = encoded(cmyk.resize((32, 32)), "JPEG")
    grey = noise(34, 6, 5)
    whole = TiffImagePlugin.ImageFileDirectory_v2()
    whole[0x0112] = 6
    return [
        Specimen("grey16.png", encoded(grey16, "PNG"), np.repeat((grey16 >> 8)[..., None], 3, 2).astype(np.uint8)),
        Specimen("grey16.tif", encoded(grey16, "TIFF"), np.repeat((grey16 >> 8)[..., None], 3, 2).astype(np.uint8)),
        Specimen("colour16.png", png(5, 6, rows16, depth=16), (colour16 >> 8).astype(np.uint8)),
        Specimen("alpha.png", encoded(alpha, "PNG"), over.astype(np.uint8)),
        Specimen("alpha.tif", encoded(alpha, "TIFF"), over.astype(np.uint8)),
        Specimen("cmyk.tif", encoded(cmyk, "TIFF"), np.asarray(cmyk.convert("RGB"))),
        Specimen("cmyk.jpg", cmyk_jpeg, pillow(cmyk_jpeg)),
        Specimen("palette.png", encoded(palette, "PNG", transparency=3), seen),
        Specimen("palette.gif", encoded(palette, "GIF", transparency=3), seen),
        Specimen("one-bit.png", encoded(Image.fromarray(bits * 255).convert("1"), "PNG"),
                 np.repeat(bits[..., None] * 255, 3, 2).astype(np.uint8)),
        Specimen("grey.tif", encoded(grey, "TIFF"), np.repeat(grey[..., None], 3, 2)),
        Specimen("grey-alpha.png", encoded(np.dstack([grey, np.full_like(grey, 255)]), "PNG"),
                 np.repeat(grey[..., None], 3, 2)),
        Specimen("nan-inf.tif", encoded(spoilt, "TIFF")),
        Specimen("nan-by-hand.tif", tiff(5, 6, spoilt.tobytes(), bits=32, form=3)),
        Specimen("double.tif", tiff(5, 6, spoilt.astype(np.float64).tobytes(), bits=64, form=3)),
        Specimen("float.tif", encoded(np.linspace(0, 1, 30, dtype=np.float32).reshape(6, 5), "TIFF")),
        Specimen("integer32.tif", encoded(np.full((6, 5), 2**30, np.int32), "TIFF")),
        Specimen("negative.tif", encoded(np.full((6, 5), -7, np.int32), "TIFF")),
        Specimen("turned.tif", encoded(noise(35, 6, 5, 3), "TIFF", tiffinfo=whole),
                 np.ascontiguousarray(np.rot90(noise(35, 6, 5, 3), -1))),
    ]  # fmt: skip


def damaged_chunks() -> list[Specimen]:
    """PNG says how to tell damage from data: what fails its checks is no picture."""
    picture = noise(36, 16, 12, 3)
    whole = encoded(picture, "PNG")
    chunks = png_chunks(whole)
    head, end = chunk(*chunks[0]), chunk(b"IEND", b"")
    body = chunks[1][1]
    at = whole.index(b"IDAT") + 4
    made = [
        Specimen(f"flip-{percent:02d}.png", _flipped(whole, at + len(body) * percent // 100), None)
        for percent in range(5, 100, 10)
    ]
    raw = zlib.decompress(body)
    return [
        *made,
        Specimen("checksum-idat.png", PNG_SIGNATURE + head + chunk(b"IDAT", body, crc=7) + end),
        Specimen("checksum-ihdr.png", PNG_SIGNATURE + chunk(*chunks[0], crc=7) + chunk(b"IDAT", body) + end),
        Specimen("no-end.png", PNG_SIGNATURE + head + chunk(b"IDAT", body), picture, perhaps=True),
        Specimen("no-data.png", PNG_SIGNATURE + head + end),
        Specimen("no-header.png", PNG_SIGNATURE + chunk(b"IDAT", body) + end),
        Specimen("two-headers.png", PNG_SIGNATURE + head + head + chunk(b"IDAT", body) + end, picture, perhaps=True),
        Specimen("split-data.png", PNG_SIGNATURE + head + chunk(b"IDAT", body[:9]) + chunk(b"IDAT", body[9:]) + end,
                 picture),
        Specimen("unknown-critical.png", PNG_SIGNATURE + head + chunk(b"WHAT", b"x") + chunk(b"IDAT", body) + end,
                 picture, perhaps=True),
        Specimen("length-lie.png", PNG_SIGNATURE + head + struct.pack(">I", 2**31 - 1) + b"IDAT" + body + end),
        Specimen("filter-9.png", png(12, 16, zlib.compress(b"\x09" + raw[1:]))),
        Specimen("adler.png", png(12, 16, body[:-4] + b"\0\0\0\0"), picture, perhaps=True),
        Specimen("behind-data.png", png(12, 16, zlib.compress(raw + bytes(5000))), picture, perhaps=True),
    ]  # fmt: skip


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


NAMES = {
    "newline": "two\nlines.png",
    "carriage": "a\rb.png",
    "tab": "a\tb.png",
    "quotes": "it's \"quoted\".png",
    "html": "<script>alert(1)<\\script>.png",
    "attribute": "x\" onerror=\"alert(1).png",
    "entity": "&lt;&amp;.png",
    "formula": "=HYPERLINK(1,2).png",
    "long": "l" * 246 + ".png",
    "dash": "--out.png",
    "percent": "100%s%20{}.png",
    "comma": "a,b;c.png",
    "backslash": "a\\b.png",
    "colon": "t.parquet::7.png",
    "equals": "Real=fake.png",
    "blank": " .png",
    "stops": "...x.png",
    "emoji": "\U0001f600\u200d.png",
    "rtl": "\u202egnp.png",
    "composed": "e\u0301.png",
    "escape": "\x1b[31mred.png",
    "null-word": "NULL.png",
    "nan": "nan.png",
    "star": "*?[a].png",
    "dollar": "$(id)`id`.png",
}  # fmt: skip


def names() -> list[Specimen]:
    """Sound pictures with names that break what handles names carelessly."""
    return [
        Specimen(name, encoded(noise(100 + number, 5, 4, 3), "PNG"), noise(100 + number, 5, 4, 3))
        for number, name in enumerate(NAMES.values())
        if not name.startswith(".")
    ]


# --- what is no file at all, or has no name that text can hold --------------------------------------


def plant_places(folder: Path) -> set[str]:
    """Links, pipes and folders called like images; the names that must be listed as left out."""
    sound = folder / "target-of-links.png"
    sound.write_bytes(encoded(noise(200, 5, 4, 3), "PNG"))
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "to-and.png").symlink_to("fro.png")
    (folder / "fro.png").symlink_to("to-and.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "good-link.png").symlink_to(sound.name)
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.csv")
    (folder / "link-to-pipe.png").symlink_to("pipe.png")
    (folder / "link-to-device.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    (folder / "folder.png/inside.png").write_bytes(encoded(noise(201, 5, 4, 3), "PNG"))
    (folder / "round").symlink_to(".")
    (folder / "up").symlink_to("..")
    with open(os.fsencode(folder) + b"/not-utf8-\xff.png", "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(encoded(noise(202, 5, 4, 3), "PNG"))
    return {
        "loop.png", "to-and.png", "fro.png", "dangling.png", "link-to-pipe.png", "link-to-device.png",
        "not-utf8-\\xff.png",
    }  # fmt: skip


PLACES = (200, 201)  # seeds of the pictures that `plant_places` leaves sound
