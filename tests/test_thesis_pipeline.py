"""The thesis's way and a study come to the same numbers, and the passes of both are what the design asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bandprobe import progress
from bandprobe.datasets import micro
from bandprobe.filters import FilterBank, expand
from bandprobe.run import Run

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SOURCES, TEST_SETS, IMAGES = 12, 11, 4
PROBES, CONDITIONS = ("ADM", "family:gan"), ("none", "identity", "lowpass:5px")


@dataclass
class World:
    folder: Path
    pipeline: Any
    design: Any
    alike: Run
    whole: ModuleType
    study: ModuleType
    thesis: ModuleType


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patched, progress.quiet():
        patched.syspath_prepend(str(BENCHMARKS))
        whole = pytest.importorskip("whole_study", reason="the benchmarks are not beside the tests")
        import thesis_pipeline
        import thesis_study

        folder = tmp_path_factory.mktemp("thesis")
        design = thesis_study.Design(IMAGES, PROBES, CONDITIONS)
        pipeline = design.pipeline(folder)
        alike, passes = whole.recorded(design, folder, folder / "alike", thesis_study.TRAINED_ALIKE)
        trained = SOURCES * 2 * IMAGES  # train and val, each also mirrored
        assert passes == SOURCES * IMAGES * len(CONDITIONS) + 2 * trained
        yield World(folder, pipeline, design, alike, whole, thesis_study, thesis_pipeline)


def test_the_design_is_the_thesis_s(world: World) -> None:
    assert len(world.thesis.TRAINING_SETS) == 14
    assert len(world.thesis.GENERATORS) == TEST_SETS
    assert list(world.thesis.CONDITIONS) == [str(spec) for spec in expand(["none", "thesis"])]
    assert len(world.thesis.CONDITIONS) == 40
    assert set(world.thesis.STANDS_FOR) == set(micro().table["generator"])
    for family, embedded in (("gan", "gan"), ("diffusion", "diffusion")):
        named = {world.thesis.STANDS_FOR[name] for name in micro().families[embedded]}
        assert set(world.thesis.FAMILIES[family]) == named


def test_every_probe_and_cell_is_the_study_s_and_every_pass_is_counted(world: World) -> None:
    with world.whole.counted() as sizes:
        distinct, tested = world.whole.compare(
            world.design, world.pipeline, world.study.Answers(world.alike), CONDITIONS
        )
    assert tested == len(PROBES) * TEST_SETS * len(CONDITIONS) * 2 * IMAGES
    assert distinct == len(PROBES) * SOURCES * len(CONDITIONS) * IMAGES
    # Each epoch all of the one batch there is, of one generator or five and the reals, and ADM's validation.
    trained = 5 * (2 * IMAGES + 6 * IMAGES + len(PROBES) * 2 * IMAGES)
    assert sum(sizes) == tested + trained


def test_an_embedding_made_otherwise_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = world.study.Answers(world.alike)
    head = world.pipeline.train("ADM")
    pictures = world.pipeline.pictures("test", ["LDM"])

    def check() -> None:
        logits = world.pipeline.logits(head, pictures, "lowpass:5px")
        answers.check_cell("ADM", "lowpass:5px", "LDM", pictures, logits)

    check()
    wider = world.thesis.butterworth(64, 5.5)
    monkeypatch.setattr(world.thesis, "butterworth", lambda *_: wider)
    with pytest.raises(ArithmeticError, match=r"logits of ADM on LDM under lowpass:5px: .* agree to 1e-05"):
        check()


def test_a_metric_that_is_not_its_logits_is_refused(world: World) -> None:
    answers = world.study.Answers(world.alike)
    answers._values[("ADM", "none", "LDM", "accuracy")] += 0.01
    pictures = world.pipeline.pictures("test", ["LDM"])
    logits = world.pipeline.logits(answers.head("ADM"), pictures, "none")
    with pytest.raises(ArithmeticError, match="accuracy of ADM on LDM under none"):
        answers.check_cell("ADM", "none", "LDM", pictures, logits)


def test_another_probe_is_refused(world: World) -> None:
    answers = world.study.Answers(world.alike)
    with pytest.raises(ArithmeticError, match="weights of ADM"):
        answers.check_head("ADM", answers.head("family:gan"))


@pytest.mark.parametrize("radius", [None, math.inf, 7.0])
def test_filtered_pictures_are_the_definitions(world: World, radius: float | None) -> None:
    pixels = micro("test").images("gan-style")[0]
    found = world.thesis.filtered(pixels, radius)
    u, v = np.meshgrid(np.fft.fftfreq(64, 1 / 64), np.fft.fftfreq(64, 1 / 64), indexing="ij")
    gain = np.ones((64, 64)) if radius is None else 1 / (1 + (u**2 + v**2) / radius**2)
    expected = np.fft.irfft2(np.fft.rfft2(pixels / 255, axes=(0, 1)) * gain[:, :33, None], axes=(0, 1))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    name = next(key for key, value in {"none": None, "identity": math.inf, "lowpass:7px": 7.0}.items()
                if value == radius)  # fmt: skip
    import torch

    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    [(_, ours)] = FilterBank(expand([name]), (64, 64))(image)
    np.testing.assert_allclose(ours[0].permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_rows_say_what_grows_with_probes(world: World) -> None:
    rows = world.whole.rows(images=2, probes=(1, 2), conditions=CONDITIONS, every=2)
    by_name = {row.name: row for row in rows}
    assert len(by_name) == len(rows) == 5
    assert all(min(row.ratio, row.ours, row.other) > 0 for row in rows)
    counted = by_name["encoder passes of a study"]
    assert counted.ours == SOURCES * (len(CONDITIONS) + 2)
    tested = 2 * TEST_SETS * len(CONDITIONS) * 2
    assert counted.other == tested + 5 * (2 + 2 + 2 * 2)
    assert counted.ratio == counted.other / counted.ours
    whole, one = by_name["whole study, wall"], by_name["whole study, wall / 1 of 2 probes"]
    assert whole.other == pytest.approx(2 * one.other)
    once = by_name["whole study, wall / each picture once for all test sets"]
    assert once.other < whole.other
    assert once.ours == whole.ours
    assert "extrapolated from 1 x 11 x 2" in whole.unit


def test_a_study_that_says_other_passes_than_it_made_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = world.study.Design

    class Silent:
        record = {"encoder_passes": {"done": 3}}  # noqa: RUF012

    monkeypatch.setattr(design, "run", lambda *_: Silent())
    with pytest.raises(ArithmeticError, match="a study made 0 passes; it says"):
        world.whole.recorded(world.design, world.folder, world.folder / "none")
