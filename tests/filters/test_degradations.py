"""The catalogue of degradations: what it names, how a condition is read, and that severities are severities."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bandprobe.datasets import photograph
from bandprobe.encoders import expand_names
from bandprobe.errors import EncoderError
from bandprobe.filters import check, expand, parse
from bandprobe.filters.degradations import FAMILIES, SEVERITIES, Degradation, Family, graded, readings


@cache
def pictures(size: int) -> NDArray[np.float32]:
    """Procedural photographs, (12, 3, size, size)."""
    made = np.stack([photograph(number, "degradations", size=size, seed=0)[0] for number in range(12)])
    images: NDArray[np.float32] = np.ascontiguousarray(
        made.transpose(0, 3, 1, 2), dtype=np.float32
    ) / np.float32(255)
    return images


def psnr(changed: NDArray[Any], images: NDArray[np.float32]) -> float:
    """Mean over images of the peak signal-to-noise ratio, dB."""
    return float((-10 * np.log10(((changed - images) ** 2).mean(axis=(1, 2, 3)))).mean())


@pytest.mark.parametrize("size", [64, 192])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_severity_leaves_less_of_the_picture(family: Family, size: int) -> None:
    images = pictures(size)
    ids = [str(number) for number in range(len(images))]
    left = [psnr(parse(spec)(images, ids=ids), images) for spec in family.specs]
    assert all(np.diff(left) < -0.15), left
    assert 10 < left[-1] < left[0] < 60, left


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_strongest_gives_what_an_8_bit_file_holds(family: Family) -> None:
    changed = parse(family.specs[-1])(pictures(64), ids=[str(number) for number in range(12)])
    assert np.allclose(changed * 255, np.rint(changed * 255), atol=1e-3)
    assert 0 <= changed.min() <= changed.max() <= 1


def test_the_preset_is_eight_families_in_five_severities_and_what_they_are_compared_with() -> None:
    names = [str(spec) for spec in expand("robustness")]
    assert names[0] == "none"
    assert len(names) == len(set(names)) == 41
    assert names[1:] == [spec for family in FAMILIES for spec in family.specs]
    for family in FAMILIES:
        assert [str(s) for s in expand(f"robustness-{family.name}")] == ["none", *family.specs]
        assert family.does
        assert family.source
    for spec in expand("robustness"):
        assert parse(str(spec)) == spec
        check(spec, (64, 64))


def test_after_a_filter_the_filter_itself_comes_first() -> None:
    names = [str(spec) for spec in expand("lowpass:0.50nyq+robustness")]
    assert names[0] == "lowpass:0.5nyq"
    assert len(names) == 41
    assert all(name.startswith("lowpass:0.5nyq+") for name in names[1:])


@pytest.mark.parametrize("before", ["none", "lowpass:0.5nyq", "jpeg:75+ideal-lowpass:9px", "resize:0.9"])
def test_every_condition_reads_back_as_what_it_is(before: str) -> None:
    for family in FAMILIES:
        for severity, spec in zip(SEVERITIES, family.specs, strict=True):
            whole = str(parse(f"{before}+{spec}"))
            assert readings(whole)[0] == Degradation(family.name, severity, before)


def test_what_is_none_and_what_can_be_read_in_two_ways() -> None:
    for spec in ("none", "identity", "lowpass:30px", "jpeg:74", "jpeg:95+lowpass:30px", "blur:2"):
        assert readings(spec) == []
    shared, compressed = Degradation("social", 1, "none"), Degradation("jpeg", 2, "resize:0.8")
    assert readings("resize:0.8+jpeg:85") == [shared, compressed]
    assert readings("resize:0.9+jpeg:85") == [Degradation("jpeg", 2, "resize:0.9")]


def test_what_can_be_read_in_two_ways_is_missing_from_no_grid() -> None:
    specs = [str(spec) for spec in expand(["robustness-social", "resize:0.8+robustness-jpeg"])]
    grids = {
        before: [(one.degradation, one.severity) for one in grid] for before, grid in graded(specs).items()
    }
    assert grids == {
        "none": [("none", 0), *(("social", severity) for severity in SEVERITIES)],
        "resize:0.8": [("none", 0), *(("jpeg", severity) for severity in SEVERITIES)],
    }
    # Some of the preset are others of it after a third; they make no grid of their own.
    assert list(graded([str(spec) for spec in expand("robustness")])) == ["none"]


def test_a_preset_with_noise_is_no_encoder_of_its_own() -> None:
    assert len(expand_names(["spectral@lowpass:9px+robustness-jpeg+micro-dino"])) == 6
    with pytest.raises(EncoderError, match="noise cannot be an encoder's own filter"):
        expand_names(["spectral@robustness+micro-dino"])
