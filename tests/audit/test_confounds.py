"""Planted confounds are named with their AUROC; nothing is named where nothing differs; equalising removes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from planted import SIDE, Writer, after, compressed, jpeg, picture, plant, png, resized

from bandprobe.audit import ALL_METADATA, ALL_PIXELS, COLUMNS, METADATA, PIXELS, Audit, audit, reading
from bandprobe.errors import InputError
from bandprobe.metrics import auroc

BILINEAR, LANCZOS, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.LANCZOS, Image.Resampling.BICUBIC
EXIF = Image.Exif()
EXIF[0x010F] = "Camera Co"

PLANTED: dict[str, tuple[Writer, Writer, set[str]]] = {
    "format": (jpeg(90), png(), {"format", "DCT histogram"}),
    "sizes": (png(), after(lambda a: a[:80, :80], png()), {"dimensions", "pixels"}),
    "aspect": (png(), after(lambda a: a[:, :80], png()), {"dimensions", "aspect"}),
    "kernel": (after(resized(64, LANCZOS), png()), after(resized(64, BILINEAR), png()), {"interpolation"}),
    "enlarged": (png(), after(lambda a: resized(SIDE, BICUBIC)(a[:70, :70]), png()), {"interpolation"}),
    "quality": (jpeg(92), jpeg(70), {"quantisation tables", "JPEG quality", "blockiness", "DCT histogram"}),
    "subsampling": (jpeg(90), jpeg(90, subsampling=0), {"chroma subsampling", "chroma detail"}),
    "EXIF": (jpeg(90, exif=EXIF.tobytes()), jpeg(90), {"EXIF"}),
    "progressive": (jpeg(90, progressive=True), jpeg(90), {"JPEG coding"}),
    "double JPEG": (after(lambda a: compressed(a, 60), jpeg(85)), jpeg(85), {"double JPEG"}),
    "hidden JPEG": (after(lambda a: compressed(a, 75), png()), png(), {"DCT histogram", "blockiness"}),
}  # fmt: skip


def rows(found: Audit) -> pd.DataFrame:
    return found.table.set_index("trace")


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_confound_is_named(name: str, tmp_path: Path) -> None:
    reals, fakes, expected = PLANTED[name]
    found = rows(audit(plant(tmp_path, reals, fakes), workers=1))
    assert (found.loc[list(expected), "auroc"] > 0.85).all(), found.loc[list(expected)]
    for trace in expected:
        assert found.loc[trace, "warning"], f"no warning of {trace}"
    kinds = {found.loc[trace, "kind"] for trace in expected}
    for kind, whole in (("metadata", ALL_METADATA), ("pixels", ALL_PIXELS)):
        if kind in kinds:
            assert found.loc[whole, "low"] > 0.6
    if name == "hidden JPEG":
        assert not found.loc[["format", "dimensions", "quantisation tables"], "warning"].any()
    if name in ("EXIF", "progressive"):
        assert not found.loc[[*PIXELS, ALL_PIXELS], "warning"].any()


@pytest.mark.parametrize("name", ["format", "sizes", "double JPEG"])
def test_equalising_brings_metadata_to_chance(name: str, tmp_path: Path) -> None:
    reals, fakes, _ = PLANTED[name]
    found = audit(plant(tmp_path, reals, fakes), equalise="auto", workers=1)
    table = rows(found)
    side = 80 if name == "sizes" else SIDE
    assert found.equalise == f"crop:{side}+squash:{side // 2}+jpeg:75"
    single = table.loc[list(METADATA)]
    assert (single["auroc"] == 0.5).all()
    assert table.loc[ALL_METADATA, "auroc_found"] == 1
    assert table.loc[ALL_METADATA, "low"] < 0.5 < table.loc[ALL_METADATA, "high"]
    if name in ("format", "quality", "double JPEG"):
        # What one common history leaves; it can be above chance, and is printed.
        assert table.loc[ALL_PIXELS, "auroc"] < table.loc[ALL_PIXELS, "auroc_found"] - 0.1
    assert any(f"from {table.loc[ALL_PIXELS, 'auroc_found']:.3f} to" in line
               for line in reading(found.table, found.equalise))  # fmt: skip


def test_nothing_is_named_where_nothing_differs(tmp_path: Path) -> None:
    """Two data sets of one distribution: mixed formats and qualities, alike in both classes."""

    def mixed(pixels: np.ndarray, stem: Path) -> Path:
        way = int(pixels[0, 0, 0]) % 3
        return (png(), jpeg(90), jpeg(75, progressive=True))[way](pixels, stem)

    parts = [
        plant(tmp_path / str(seed), mixed, mixed, 30, seed).assign(dataset=f"set {seed}") for seed in range(2)
    ]
    found = audit(pd.concat(parts), workers=1)
    assert (found.table["warning"] == "").all(), found.warnings
    assert reading(found.table)[-1] == "No trace tells fakes from reals."
    assert set(found.table["dataset"]) == {f"set {seed}" for seed in range(2)}
    assert len(found.table) == 2 * (len(METADATA) + len(PIXELS) + 2)
    together = found.table[found.table["trace"].isin((ALL_METADATA, ALL_PIXELS))]
    assert ((together["low"] < 0.5) & (together["high"] > 0.5)).mean() >= 0.75


def test_the_table(tmp_path: Path) -> None:
    table = plant(tmp_path, jpeg(90), png(), 30)
    found = audit(table, workers=1, samples=25)
    assert tuple(found.table.columns) == COLUMNS
    assert found.table["trace"].tolist() == [*METADATA, ALL_METADATA, *PIXELS, ALL_PIXELS]
    by = rows(found)
    assert by.loc["format", "warning"].startswith(
        "format differs: PNG in 100 % of fakes and 0 % of reals; JPEG in 0 %"
    )
    assert (by.loc["file size", "n_real"], by.loc["blockiness", "n_real"]) == (30, 25)
    sizes = np.array([Path(path).stat().st_size for path in table["path"]], float)
    plain = auroc(table["label"], sizes)
    assert by.loc["file size", "auroc"] == max(plain, 1 - plain)
    assert "median" in by.loc["file size", "warning"]
    assert "most of all format" in by.loc[ALL_METADATA, "warning"]
    assert found.notes == ["set: headers of 30 reals and 30 fakes, pixels of 25 reals and 25 fakes"]
    assert found.warnings[0].startswith("set: format differs")
    again = audit(table.sample(frac=1, random_state=1), workers=3, samples=25)
    pd.testing.assert_frame_equal(again.table, found.table)


def test_data_sets_apart(tmp_path: Path) -> None:
    clean = plant(tmp_path / "a", png(), png(), 30).assign(dataset="clean")
    marked = plant(tmp_path / "b", jpeg(90), png(), 30, seed=1).assign(dataset="marked")
    few = plant(tmp_path / "c", jpeg(90), png(), 10, seed=2).assign(dataset="few")
    found = audit(pd.concat([clean, marked, few]), workers=1)
    of = {name: part.set_index("trace") for name, part in found.table.groupby("dataset")}
    assert of["marked"].loc["format", "warning"]
    assert not (of["clean"]["warning"] != "").any()
    assert of["few"]["auroc"].isna().all()
    assert any("few" in note and "too few to judge" in note for note in found.notes)


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    table = plant(tmp_path, png(), png(), 30)
    paths = table["path"].tolist()
    Path(paths[0]).write_bytes(b"nothing of the kind")
    whole = Path(paths[1]).read_bytes()
    Path(paths[1]).write_bytes(whole[: len(whole) // 2])  # a whole header, half a picture
    Image.fromarray(picture(2)).save(paths[3])  # a fake with the pixels of the real before it
    both = pd.DataFrame([(paths[4], 1, "set")], columns=table.columns)
    found = audit(pd.concat([table, both]), workers=2)
    assert set(found.left_out) == {paths[at] for at in (0, 1, 2, 3, 4)}
    assert "not an image" in found.left_out[paths[0]]
    assert "truncated" in found.left_out[paths[1]]
    assert found.left_out[paths[2]] == found.left_out[paths[3]] == "the same image is real and fake"
    assert found.left_out[paths[4]] == "the same file is real and fake"


def test_small_pictures(tmp_path: Path) -> None:
    small = after(lambda a: a[:24, :24], png())
    found = audit(plant(tmp_path, small, small, 25), workers=1)
    by = rows(found)
    assert by.loc[list(PIXELS), "auroc"].isna().all()
    assert by.loc["format", "auroc"] == 0.5
    assert "50 are smaller than 32 px" in found.notes[0]
    uneven = plant(tmp_path / "uneven", png(), png(), 60)
    Image.fromarray(picture(0)[:40, :40]).save(uneven["path"][0])
    found = audit(uneven, equalise="auto", workers=1)
    assert found.equalise == f"crop:{SIDE}+squash:{SIDE // 2}+jpeg:75"
    assert "smaller than the common crop" in found.left_out[uneven["path"][0]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"equalise": "jpeg:75"}, "'jpeg:75'"),
        ({"equalise": "crop:4+jpeg:75"}, "8 to 16384"),
        ({"samples": 0}, "samples must be 1 or more"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"equalise": "crop:500+jpeg:75"}, "no image could be equalised"),
    ],
)
def test_wrong_use(tmp_path: Path, options: dict[str, object], words: str) -> None:
    table = plant(tmp_path, png(), png(), 3)
    with pytest.raises(InputError, match=words):
        audit(table, **{"workers": 1, **options})
    with pytest.raises(InputError, match="reals only"):
        audit(table[table["label"] == 0], workers=1)
