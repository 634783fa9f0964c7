"""A study's costs, before it is run, against what it then does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bandprobe as bp
from bandprobe.errors import InputError
from bandprobe.store import EmbeddingStore
from bandprobe.study.costs import Costs, PassCosts, costs
from bandprobe.study.devices import DEVICES, device, of_throughput
from bandprobe.study.forecast import forecast
from bandprobe.study.plan import Plan
from bandprobe.study.population import Population, population
from bandprobe.study.projection import TRAVERSALS, Fleet, coarser
from small_study import write_study

STUDY = """
[data]
root = "world"
[encoders]
names = ["spectral", "tiny-dinov2"]
geometry = "squash:32"
[filters]
test = ["none", "identity", "lowpass:3..15/4px"]
{filters}
[probes]
seeds = 1
train_on = ["all"]
[analysis]
{analysis}
audit = false
claims = false
calibration = false
spectrum = false
samples = 12
"""
VARIANTS = {
    "one set of filters": ("", ""),
    # Filters of their own for training images; what MMD needs beside those of the tests.
    "two sets of filters": ('train = ["lowpass:3px"]', "information = false"),
    "no twins": ("", "twin = false"),
}


def write(folder: Path, world: Path, checkpoint: Path, filters: str = "", analysis: str = "") -> bp.Study:
    text = STUDY.format(filters=filters, analysis=analysis)
    return bp.Study.from_toml(write_study(folder, world, checkpoint, text))


def planned(study: bp.Study, folder: Path) -> Plan:
    return Plan.of(study.config, folder, study.folder)


def of_stage(found: Costs, stage: str) -> tuple[int, int]:
    shares = [share for share in found.shares if share.stage == stage]
    return sum(share.to_do for share in shares), sum(share.saved for share in shares)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("variant", VARIANTS)
def test_passes_and_bytes_are_those_of_the_run(
    variant: str, tmp_path: Path, world: Path, checkpoint: Path
) -> None:
    study = write(tmp_path, world, checkpoint, *VARIANTS[variant])
    plan = planned(study, tmp_path / "run")
    before = forecast(plan, calibrated=False)
    assert before.people.images == 160
    assert not (tmp_path / "run").exists()

    run = study.run(tmp_path / "run")
    words = {"study": "encoder_passes", "bands": "band_passes", "twins": "twin_passes"}
    done = {stage: run.record[word] for stage, word in words.items()}

    # All of it is in the store now.
    again = forecast(plan, calibrated=False).costs
    assert again.to_do == again.reads == 0
    for stage, passes in done.items():
        assert of_stage(again, stage) == (0, sum(passes.values()))

    # With the manifest alone, the run's own numbers, savings among its stages included.
    (tmp_path / "run" / "store").rename(tmp_path / "kept")
    found = forecast(plan, calibrated=False).costs
    for stage, passes in done.items():
        assert of_stage(found, stage) == (passes["done"], passes["saved"])
    held = EmbeddingStore(tmp_path / "kept")
    vectors = [held.read(*condition).embedding.nbytes for condition in held.conditions()]
    assert found.vector_bytes == sum(vectors)

    # From the listing: draws and splits by other hashes, so near it; exactly where neither decides.
    assert before.costs.to_do == pytest.approx(found.to_do, rel=0.15)
    if variant == "one set of filters":
        assert of_stage(before.costs, "study") == (done["study"]["done"], 0)

    # Half of it is there: a condition is gone.
    (tmp_path / "kept").rename(tmp_path / "run" / "store")
    held = EmbeddingStore(tmp_path / "run" / "store")
    gone = len(held.read("tiny-dinov2", "lowpass:7px").image_id)
    held.remove("tiny-dinov2", "lowpass:7px")
    resumed = forecast(plan, calibrated=False)
    assert resumed.resumed
    assert resumed.costs.to_do == gone
    assert resumed.costs.reads == gone


def test_counts_alone_give_what_ids_give(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    study = write(tmp_path, world, checkpoint, 'train = ["lowpass:3px"]', "information = false")
    plan = planned(study, tmp_path / "run")
    rows = [
        (f"{source}{split}{number}", source, split)
        for source in ("Real", "ProGAN", "DDPM")
        for split, n in (("train", 30), ("val", 5), ("test", 20))
        for number in range(n)
    ]
    table = pd.DataFrame(rows, columns=["image_id", "generator", "split"])
    table = table.assign(label=(table["generator"] != "Real").astype(int), dataset="world", family="other")
    counts = (
        table.groupby(["dataset", "label", "generator", "family", "split"]).size().rename("n").reset_index()
    )
    of_pass = PassCosts("squash:32")
    exact = costs(plan, Population(counts, "", table), of_pass)
    counted = costs(plan, Population(counts, ""), of_pass)
    assert [(one.to_do, one.saved, one.images) for one in exact.shares] == [
        (one.to_do, one.saved, one.images) for one in counted.shares
    ]
    assert exact.reads == counted.reads == 3 * 55 + 3 * 12 + 3 * 12  # study, bands, twins


def test_another_number_of_images_keeps_the_shares(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    plan = planned(write(tmp_path, world, checkpoint), tmp_path / "run")
    here = population(plan)
    there = population(plan, 10_000_003)
    assert there.images == 10_000_003
    share = here.counts["n"] / here.images
    np.testing.assert_allclose(there.counts["n"] / there.images, share, atol=1e-6)
    assert "listing" in there.how


def test_a_study_whose_data_are_not_here_can_be_planned(
    tmp_path: Path, world: Path, checkpoint: Path
) -> None:
    write(tmp_path, world, checkpoint)
    (tmp_path / "world").unlink()
    plan = planned(bp.Study.from_toml(tmp_path / "study.toml"), tmp_path / "run")
    with pytest.raises(InputError, match=r"world.*--images N\.$"):
        population(plan)
    found = forecast(plan, images=1_000_000, calibrated=False)
    assert found.people.images == 1_000_000
    assert of_stage(found.costs, "study") == (2 * 1_000_000 * 6, 0)
    assert "not here" in found.people.how


def test_hours_on_gpus_follow_the_formula(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    plan = planned(write(tmp_path, world, checkpoint), tmp_path / "run")
    found = forecast(plan, images=10**6, calibrated=False).costs
    counted = [share for share in found.shares if share.cost is not None]
    assert found.flops == sum(share.to_do * share.cost.flops for share in counted if share.cost)
    a100 = device("A100")
    through = sum(share.to_do for share in counted) * TRAVERSALS * 4 * 3 * 32 * 32
    expected = (found.flops / (312e12 * 0.5) + through / 2039e9) / 3600
    fleet = Fleet(a100, 8, 0.5, usd_per_gpu_hour=2.0)
    assert fleet.gpu_hours(found, "bf16") == pytest.approx(expected)
    assert fleet.hours(found, "bf16") == pytest.approx(expected / 8)
    assert fleet.usd(found, "bf16") == pytest.approx(2 * expected)
    assert Fleet(device("t4"), 1).gpu_hours(found, "bf16") is None
    assert Fleet(device("t4"), 1).half == "fp16"
    given = Fleet(of_throughput(100), 1, 1.0).gpu_hours(found, "fp32")
    assert given == pytest.approx(found.flops / 100e12 / 3600)


def test_devices_are_in_order_and_unknown_ones_are_named() -> None:
    for one in DEVICES.values():
        peaks = [one.tflops[name] for name in ("fp32", "tf32", "bf16", "fp16") if name in one.tflops]
        assert peaks == sorted(peaks), one.name
        assert one.source
    with pytest.raises(InputError, match="Did you mean 'a100'"):
        device("a1000")


def test_a_coarser_sweep_keeps_controls_and_every_nth_cutoff() -> None:
    specs = ["none", "identity", *(f"lowpass:{px}px" for px in (1, 5, 10, 15, 20)), "highpass:9px", "jpeg:75"]
    assert coarser(specs, 2) == (
        "none", "identity", "lowpass:1px", "lowpass:10px", "lowpass:20px", "highpass:9px", "jpeg:75",
    )  # fmt: skip
    assert coarser(specs, 4)[2:4] == ("lowpass:1px", "lowpass:20px")


def test_calibration_times_every_encoder_and_what_if_saves(
    tmp_path: Path, world: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandprobe.study.calibration._ENOUGH", 0.05)
    plan = planned(write(tmp_path, world, checkpoint), tmp_path / "run")
    found = forecast(plan, fleet=Fleet(device("h100"), 4))
    measured = found.calibration
    assert measured is not None
    assert measured.read is not None
    assert 0 < measured.read < 1
    assert len(measured.timings) == 2  # a twin takes as long as its encoder
    assert all(timing.seconds and timing.passes for timing in measured.timings.values())
    seconds = dict(
        zip(("spectral", "dinov2"), (one.seconds or 0.0 for one in measured.timings.values()), strict=True)
    )
    of = {
        name: sum(share.to_do for share in found.costs.shares if name in share.reference.name)
        for name in seconds
    }
    total = sum(of[name] * seconds[name] for name in seconds) + found.costs.reads * measured.read
    assert found.hours_here == pytest.approx(total / 3600)
    first, *others = found.instead
    assert first.change == "as it stands"
    assert {row.change for row in others} >= {
        "in bf16", "every 2nd cut-off", "no bands", "no twins", "no spectral", "no tiny-dinov2", "16 images",
    }  # fmt: skip
    for row in others:
        assert row.costs.to_do < first.costs.to_do or row.precision == "bf16"


def test_a_detector_sees_test_images_alone(tmp_path: Path, world: Path, checkpoint: Path) -> None:
    (tmp_path / "always.py").write_text("def logit(images):\n    return images.mean((1, 2, 3))\n")
    study = write(tmp_path, world, checkpoint, analysis="bands = false\ntwin = false")
    names = [*study.config.encoders.names, f"detector:{tmp_path / 'always.py'}:logit"]
    config = study.config.model_copy(
        update={"encoders": study.config.encoders.model_copy(update={"names": names})}
    )
    plan = planned(replace(study, config=config), tmp_path / "run")
    found = forecast(plan, calibrated=False)
    [detector] = [share for share in found.costs.shares if share.reference.is_detector]
    assert detector.to_do == found.people.of("test") * 6
    assert detector.vector_bytes == 4 * detector.to_do
    assert detector.cost is None
    assert set(found.costs.uncounted) == {"spectral", "detector:always:logit"}
