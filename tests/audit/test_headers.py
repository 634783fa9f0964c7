"""Header traces against Pillow's own reading, and against damage."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from PIL.JpegImagePlugin import get_sampling
from planted import picture

from bandprobe.audit.headers import CATEGORIES, METADATA, NUMBERS, Values, header_of, read_header
from bandprobe.errors import ImageError

PICTURE = Image.fromarray(picture(1))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def read(data: bytes) -> Values:
    return read_header(io.BytesIO(data), len(data))


def values_or_reason(data: bytes) -> Values | str:
    try:
        return read(data)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 99, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_as_pillow_wrote_it(quality: int, subsampling: int) -> None:
    data = encoded(PICTURE, "JPEG", quality=quality, subsampling=subsampling)
    found = read(data)
    names = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
    assert get_sampling(Image.open(io.BytesIO(data))) == subsampling
    assert found["chroma subsampling"] == names[subsampling]
    assert found["JPEG quality"] == quality
    assert found["quantisation tables"].startswith(f"quality {quality},")
    assert (found["format"], found["dimensions"], found["mode"]) == ("JPEG", "96x96", "RGB")
    assert found["file size"] == len(data)
    assert found["bits per pixel"] == pytest.approx(8 * len(data) / 96**2)
    assert tuple(found) == (*CATEGORIES, *(name for name in found if name not in CATEGORIES))
    assert set(found) == set(METADATA)
    assert all(isinstance(found[name], float) for name in NUMBERS)


def test_other_tables_are_named_otherwise() -> None:
    tables = [[3 + at // 4 for at in range(64)], [9] * 64]
    found = read(encoded(PICTURE, "JPEG", qtables=tables))
    assert found["quantisation tables"].startswith("near quality ")
    assert (
        found["quantisation tables"]
        != read(encoded(PICTURE, "JPEG", qtables=tables[::-1]))["quantisation tables"]
    )


def test_coding() -> None:
    assert read(encoded(PICTURE, "JPEG"))["JPEG coding"] == "baseline"
    assert read(encoded(PICTURE, "JPEG", progressive=True))["JPEG coding"].startswith("progressive")
    assert read(encoded(PICTURE, "JPEG", optimize=True))["JPEG coding"] == "baseline, own Huffman tables"
    assert read(encoded(PICTURE.convert("L"), "JPEG"))["chroma subsampling"] == "grey"
    assert read(encoded(PICTURE.convert("CMYK"), "JPEG"))["mode"] == "CMYK"
    restarts = encoded(PICTURE, "JPEG", restart_marker_rows=1)
    assert read(restarts)["JPEG coding"] == "baseline, restarts"


def test_what_is_attached() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Camera Co", "Editor 2"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a prompt")
    for form, extra in (("JPEG", {}), ("PNG", {"pnginfo": text}), ("WEBP", {})):
        bare = read(encoded(PICTURE, form))
        full = read(encoded(PICTURE, form, exif=exif.tobytes(), icc_profile=profile, dpi=(300, 300), **extra))
        assert (bare["EXIF"], bare["ICC profile"], bare["other metadata"]) == ("none", "none", "none")
        assert full["EXIF"] == "Camera Co / Editor 2"
        assert full["ICC profile"] != "none"
        if form != "WEBP":
            assert full["resolution tag"] != bare["resolution tag"]
    assert read(encoded(PICTURE, "PNG", pnginfo=text))["other metadata"] == "text parameters"
    assert read(encoded(PICTURE, "JPEG", comment=b"hello"))["other metadata"] == "comment"
    assert read(encoded(PICTURE, "JPEG", exif=b"Exif\0\0nonsense"))["EXIF"] in ("damaged", "present")


def test_png_rows_against_their_own_unpacking() -> None:
    data = encoded(PICTURE, "PNG")
    packed, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(96, 96 * 3 + 1)[:, 0]
    found = read(data)
    assert set(found["PNG filters"]) <= set(map(str, rows))
    assert set(found["PNG filters"]) >= set(map(str, rows[:40]))
    assert found["PNG chunks"] == "IHDR IDAT IEND"
    assert found["PNG packing"] != read(encoded(PICTURE, "PNG", compress_level=1))["PNG packing"]
    sixteen = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8))
    assert read(encoded(sixteen, "PNG"))["mode"] == "L 16 bits"


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats(form: str) -> None:
    found = read(encoded(PICTURE, form))
    assert (found["format"], found["dimensions"]) == (form, "96x96")
    assert (found["quantisation tables"], found["JPEG quality"]) == ("none", 101.0)


def test_a_picture_in_a_table(tmp_path: Path) -> None:
    data = encoded(PICTURE, "JPEG", quality=80)
    pq.write_table(pa.table({"image": pa.array([data], pa.binary()), "label": [0]}), tmp_path / "t.parquet")
    assert header_of(f"{tmp_path}/t.parquet::0") == read(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_truncated_headers_are_refused_or_whole(form: str) -> None:
    data = encoded(PICTURE, form)
    whole = read(data)
    for share in range(0, 100, 5):
        part = data[: len(data) * share // 100]
        found = values_or_reason(part)
        assert "\n" not in found if isinstance(found, str) else found["dimensions"] == whole["dimensions"]
    with pytest.raises(ImageError):
        read(data[:20])


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 3), st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=12)
)
def test_damage_gives_values_or_one_error(which: int, damage: list[tuple[int, int]]) -> None:
    form = ("JPEG", "PNG", "WEBP", "GIF")[which]
    data = bytearray(encoded(PICTURE, form))
    for at, value in damage:
        data[min(at, len(data) - 1)] = value
    found = values_or_reason(bytes(data))
    assert "\n" not in found if isinstance(found, str) else set(found) == set(METADATA)


def test_missing_and_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for name, words in (("nowhere.png", "no such file"), ("empty.png", "empty"), ("", "cannot be read")):
        with pytest.raises(ImageError, match=words):
            header_of(tmp_path / name)
