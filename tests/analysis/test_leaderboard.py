"""The leaderboard: what is known of encoders, which rows compare, and what merges into what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandprobe.analysis import leaderboard as module
from bandprobe.analysis.leaderboard import (
    COLUMNS,
    STATISTICS,
    TRAITS,
    UNKNOWN,
    leaderboard,
    rows_of_run,
    traits_of,
    world_of,
)
from bandprobe.encoders.catalogue import ENTRIES
from bandprobe.encoders.training_facts import entry_of, training_of
from bandprobe.errors import InputError

IMAGES = pd.DataFrame(
    {
        "image_id": [f"{i:064x}" for i in range(6)],
        "label": [0, 0, 0, 1, 1, 1],
        "generator": ["Real"] * 3 + ["ProGAN", "ProGAN", "ADM"],
        "family": ["real"] * 3 + ["gan", "gan", "diffusion"],
        "dataset": "faces",
        "split": ["train", "val", "test"] * 2,
        "path": [f"/somewhere/{i}.png" for i in range(6)],
    }
)
RECORD: dict[str, Any] = {
    "geometry": "squash:224",
    "protocol": "corrected",
    "config": {"data": {"background": "white", "equalise": ""}, "run": {"store": None}},
    "versions": {"bandprobe": "1.2"},
    "filters": {"test": ["none", "identity"]},
    "encoders": [
        {"name": "dinov2-small", "source": "dinov2-small", "weights": "a", "precision": "fp32"},
        {"name": "dinov2-small#layer3", "source": "dinov2-small#layer3", "weights": "a", "layer": "3", "layers": "12"},
        {"name": "random:dinov2-small", "source": "random:dinov2-small", "random": "0"},
        {"name": "detector:mine", "source": "detector:mine.onnx"},
        {"name": "mine", "source": "mine=/home/somebody/vit", "weights": "b"},
    ],
}  # fmt: skip


def write_run(folder: Path, images: pd.DataFrame = IMAGES, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({**RECORD, **changes}))
    images.to_parquet(folder / "manifest.parquet")
    return folder


@pytest.fixture(autouse=True)
def probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probes: what is worked out from them is tested on planted embeddings and on a study."""
    monkeypatch.setattr(module, "load_folder", lambda folder: [])


def test_every_fact_belongs_to_the_catalogue() -> None:
    trained = [entry for entry in ENTRIES.values() if not entry.objective.startswith("none")]
    assert all(training_of(entry) for entry in trained)
    assert not any(training_of(entry) for entry in ENTRIES.values() if entry.objective.startswith("none"))
    for entry in trained:
        training = training_of(entry)
        assert training is not None
        assert training.source
        assert training.data
        assert training.images is None or training.images > 0
        assert bool(training.augmentation) or training.blur is None


def test_the_micro_encoders_facts_are_those_of_their_cards() -> None:
    folder = Path(module.__file__).parents[1] / "embedded" / "encoders"
    for name in ("micro-dino", "micro-dino-noblur", "micro-clip", "micro-clip-notexture"):
        card = (folder / name / "README.md").read_text(encoding="utf-8")
        training = training_of(ENTRIES[name])
        assert training is not None
        assert "On 24,000 procedural photographs" in card
        assert training.images == 0.024
        assert training.blur == ("Gaussian blur of" in card)
        assert ("solarisation" in training.augmentation) == ("solarised" in card)
        assert ("90 to 100 %" in training.augmentation) == ("crop of 90% to 100%" in card)


def test_traits_are_the_catalogues_or_unknown() -> None:
    known = traits_of("d2", "d2=dinov2-small")
    assert (known["objective"], known["parameters"], known["patch"], known["blur"]) == (
        "self-distillation", 22, 14, "yes",
    )  # fmt: skip
    assert traits_of("x", "facebook/dinov2-small") == known
    assert traits_of("micro-clip", "micro-clip")["blur"] == "no"
    assert traits_of("siglip2-base-patch16-224")["augmentation"] == UNKNOWN
    assert traits_of("siglip2-base-patch16-naflex")["resolution"] == "varies"
    assert traits_of("dinov3-convnext-tiny")["patch"] == "none"
    assert traits_of("spectral")["training_data"] == "none"
    for name, source in (
        ("mine", "/home/somebody/vit"),
        ("dinov2-small", "/home/somebody/vit"),
        ("timm:x", "timm:x"),
    ):
        assert set(traits_of(name, source).values()) == {UNKNOWN}
    assert entry_of("built in", "built in") is None


def test_a_row_for_each_whole_encoder(tmp_path: Path) -> None:
    table = rows_of_run(write_run(tmp_path / "run"))
    assert list(table.columns) == list(COLUMNS)
    assert list(table["encoder"]) == ["dinov2-small", "mine"]
    assert list(table["patch"]) == ["14", UNKNOWN]
    assert list(table["n_images"]) == [6, 6]
    assert list(table["n_test"]) == [2, 2]
    assert list(table["n_generators"]) == [2, 2]
    assert set(table["version"]) == {"1.2"}
    assert table["fingerprint"].nunique() == 2
    for one in STATISTICS:
        assert table[one.name].isna().all()
        assert set(table[f"{one.name}_note"]) == {"the run's store is not there"}
    assert "somebody" not in table.drop(columns="source").to_csv()


def test_worlds_are_told_apart_by_images_and_how_they_are_seen(tmp_path: Path) -> None:
    base = world_of(IMAGES, RECORD)
    moved = IMAGES.sample(frac=1, random_state=0).assign(path="elsewhere")
    assert world_of(moved, {**RECORD, "versions": {}, "encoders": []}) == base
    for images, record in (
        (IMAGES.iloc[1:], RECORD),
        (IMAGES.assign(split="test"), RECORD),
        (IMAGES, {**RECORD, "geometry": "squash:64"}),
        (IMAGES, {**RECORD, "protocol": "abs_uint8"}),
        (IMAGES, {**RECORD, "config": {"data": {"background": "black"}}}),
        (IMAGES, {**RECORD, "config": {"data": {"background": "white", "equalise": "crop:64+jpeg:75"}}}),
    ):
        assert world_of(images, record) != base
    table = leaderboard([write_run(tmp_path / "a"), write_run(tmp_path / "b", geometry="squash:64")])
    assert len(table) == 4
    assert table.groupby("world")["geometry"].nunique().tolist() == [1, 1]


def test_merging_keeps_the_later_of_two_alike(tmp_path: Path) -> None:
    first, again = write_run(tmp_path / "first"), write_run(tmp_path / "again")
    table = leaderboard([first, again])
    assert set(table["run"]) == {"again"}
    assert len(table) == 2
    encoders = [{**one, "precision": "bf16"} for one in RECORD["encoders"]]
    other = leaderboard([first, write_run(tmp_path / "half", encoders=encoders)])
    assert len(other) == 4


def test_a_csv_goes_on_from_where_it_was(tmp_path: Path) -> None:
    table = leaderboard([write_run(tmp_path / "run")])
    table.loc[0, ["kept_cutoff", "kept_cutoff_low", "kept_cutoff_high"]] = [0.25, 0.125, 0.5]
    (tmp_path / "board").mkdir()
    table.to_csv(tmp_path / "board" / "leaderboard.csv", index=False)
    for place in (tmp_path / "board", tmp_path / "board" / "leaderboard.csv"):
        pd.testing.assert_frame_equal(leaderboard([place]), table)
    both = leaderboard([tmp_path / "board", write_run(tmp_path / "new", geometry="squash:64")])
    assert len(both) == 4
    assert both["kept_cutoff"].dropna().tolist() == [0.25]


def test_the_least_dependent_come_first(tmp_path: Path) -> None:
    table = leaderboard([write_run(tmp_path / "run")])
    table["kept_cutoff"] = [0.5, 0.25]
    table.to_csv(tmp_path / "leaderboard.csv", index=False)
    assert leaderboard([tmp_path / "leaderboard.csv"])["kept_cutoff"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent", "neither a run's folder"),
        (lambda folder: folder, "neither a run's folder"),
        (lambda folder: _file(folder / "x.csv", "encoder,world\na,b\n"), "lacks the column 'source'"),
        (lambda folder: _file(folder / "x.csv", ""), "cannot be read"),
        (lambda folder: _file(folder / "run.json", "{"), "is not whole"),
        (lambda folder: write_run(folder / "r", encoders=[]), "no encoder to list"),
    ],
)
def test_what_cannot_be_merged_is_refused_in_a_line(tmp_path: Path, make: Any, message: str) -> None:
    place = make(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        leaderboard([place.parent if place.name == "run.json" else place])
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    table = leaderboard([write_run(tmp_path / "run")]).astype(object)
    table.loc[0, "own_auroc"] = "much"
    table.to_csv(tmp_path / "leaderboard.csv", index=False)
    with pytest.raises(InputError, match="holds no numbers where they belong"):
        leaderboard([tmp_path / "leaderboard.csv"])


def test_columns_are_named_once() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert {trait.name for trait in TRAITS} <= set(COLUMNS)
    assert np.all([one.meaning for one in STATISTICS])


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
