"""A study with degradations, alone and after a filter: its tables, its report, and running it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bandprobe as bp
from bandprobe.filters.degradations import FAMILIES
from bandprobe.report.run_directory import read_run
from small_study import write_study

LOW = "lowpass:0.5nyq"
FILES = ("robustness.csv", "robustness_means.csv", "robustness_ranks.csv")
STUDY = """
[data]
root = "world"
near_duplicates = false
[encoders]
names = ["spectral"]
geometry = "squash:32"
[filters]
test = [{test}]
[probes]
seeds = 1
train_on = ["each", "all"]
[analysis]
information = false
audit = false
bands = false
claims = false
mmd = false
entropy = false
spectrum = false
pictures = false
calibration = false
{analysis}
"""
BOTH = f'"none", "robustness-jpeg", "{LOW}", "{LOW}+robustness-jpeg"'


def study(folder: Path, world: Path, checkpoint: Path, test: str = BOTH, analysis: str = "") -> bp.Study:
    return bp.Study.from_toml(
        write_study(folder, world, checkpoint, STUDY.format(test=test, analysis=analysis))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, world: Path, checkpoint: Path) -> bp.Run:
    folder = tmp_path_factory.mktemp("degraded")
    return study(folder, world, checkpoint).run(folder / "run")


def table(run: bp.Run, name: str) -> pd.DataFrame:
    return pd.read_csv(run.folder / name, keep_default_na=False, na_values=[""])


def test_every_severity_alone_and_after_the_filter(run: bp.Run) -> None:
    jpeg = next(family.specs for family in FAMILIES if family.name == "jpeg")
    cells = table(run, FILES[0])
    results = run.results[run.results["metric"] == "auroc"].set_index(["trained_on", "tested_on", "filter"])
    assert set(cells["metric"]) == {"auroc"}  # too few reals for any PD
    assert len(cells) == 3 * 2 * 2 * 6  # probes, generators, before, conditions
    for before, specs in (("none", jpeg), (LOW, [f"{LOW}+{spec}" for spec in jpeg])):
        mine = cells[cells["before"] == before]
        graded = mine[mine["degradation"] == "jpeg"]
        assert dict(zip(graded["severity"], graded["filter"], strict=True)) == dict(enumerate(specs, 1))
        for row in mine.to_dict("records"):
            place = row["trained_on"], row["tested_on"]
            value, without = (results.loc[(*place, spec), "value"] for spec in (row["filter"], before))
            assert row["value"] == pytest.approx(value, abs=1e-6)
            if row["severity"]:
                assert row["fall"] == pytest.approx(without - value, abs=1e-6)
                assert row["fall_low"] <= row["fall"] <= row["fall_high"]
    means = table(run, FILES[1])
    assert list(dict.fromkeys(means["probes"])) == ["own", "others", "all"]
    ranks = table(run, FILES[2])
    assert set(ranks["ranked"]) == {"probes"}
    assert (ranks["items"] == 3).all()
    assert ranks["tau"].between(-1, 1).all()


def test_the_report_has_a_section_with_both_arms(run: bp.Run) -> None:
    page = run.report.read_text(encoding="utf-8")
    section = page[page.index('<section id="robustness"') :]
    section = section[: section.index("</section>")]
    assert section.count("<img ") == 2
    assert section.count("<table") == 4  # ranks, ranks by degradation, falls of each arm
    assert "degraded after lowpass:0.5nyq" in section
    assert "probes of spectral" in section
    conditions = pd.read_csv(run.folder / "tables" / "conditions.csv")
    assert not conditions["filter"].str.contains("jpeg").any()  # they are in the section above
    assert {"robustness_means", "robustness_ranks"} <= set(read_run(run.folder).analyses)


def test_run_again_nothing_is_done_and_a_lost_table_comes_back(
    run: bp.Run, world: Path, checkpoint: Path
) -> None:
    before = {name: (run.folder / name).read_bytes() for name in FILES}
    again = study(run.folder.parent, world, checkpoint)
    times = {name: (run.folder / name).stat().st_mtime_ns for name in FILES}
    assert again.run(run.folder).record["encoder_passes"]["done"] == 0
    assert {name: (run.folder / name).stat().st_mtime_ns for name in FILES} == times
    for name in (*FILES, "scores.parquet"):  # without scores a run is not finished
        (run.folder / name).unlink()
    assert again.run(run.folder).record["encoder_passes"]["done"] == 0
    assert {name: (run.folder / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize(
    ("test", "analysis"),
    [('"none", "jpeg:95", "blur:1:bits=8"', ""), ('"none", "robustness-jpeg"', "robustness = false")],
    ids=["no two severities", "not asked"],
)
def test_no_table_without_a_grid_or_a_wish(
    test: str, analysis: str, world: Path, checkpoint: Path, tmp_path: Path, no_figures: None
) -> None:
    run = study(tmp_path, world, checkpoint, test, analysis).run(tmp_path / "run")
    assert not [name for name in FILES if (run.folder / name).exists()]
    assert np.isfinite(run.results["value"]).any()


def test_layers_beside_their_encoder_are_not_ranked_with_it(
    world: Path, checkpoint: Path, tmp_path: Path, no_figures: None
) -> None:
    text = STUDY.format(test='"none", "jpeg:95", "jpeg:30"', analysis="")
    text = text.replace('names = ["spectral"]', 'names = ["tiny-dinov2", "tiny-dinov2#layer1", "spectral"]')
    run = bp.Study.from_toml(write_study(tmp_path, world, checkpoint, text)).run(tmp_path / "run")
    assert "tiny-dinov2#layer1" in set(run.results["encoder"])
    assert set(table(run, FILES[0])["encoder"]) == {"tiny-dinov2", "spectral"}
    ranks = table(run, FILES[2])
    assert (ranks.loc[ranks["ranked"] == "encoders", "items"] == 2).all()
    assert set(ranks["encoder"].fillna("")) == {"", "tiny-dinov2", "spectral"}
