"""The open-set protocol on embeddings whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.metrics import roc_auc_score

from bandprobe.analysis.openset import COLUMNS, OpenSet, openset, redrawn
from bandprobe.analysis.openset_summary import mean_interval, sentences
from bandprobe.errors import InputError, StoreError
from bandprobe.metrics.sign_flips import sign_flip_p
from bandprobe.recipes import RECIPES
from made_up_embeddings import ENCODER, held, manifest, stored, training_set, vectors

EIGHT = {name: "gan" if name < "E" else "diffusion" for name in "ABCDEFGH"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, np.ndarray], OpenSet]:
    """Eight generators, each with an artefact of its own that low-passes take away, and a trace that all share."""
    table = manifest(100, EIGHT)
    found = vectors(table, own=6.0)
    store = stored(tmp_path_factory.mktemp("planted") / "store", table, found)
    recipes = ["plain", "radii", "leace"]
    return table, found, openset(store, table, recipes=recipes, by=["generator"], workers=1)


def test_a_recipe_that_helps_is_found(planted: tuple[pd.DataFrame, dict[str, np.ndarray], OpenSet]) -> None:
    rows, summary = planted[2].rows, planted[2].summary
    assert list(rows.columns) == list(COLUMNS)
    mine = summary[(summary["recipe"] == "radii") & (summary["metric"] == "auroc")]
    [row] = mine.to_dict("records")
    assert (row["verdict"], row["n_generators"], row["wins"]) == ("better", 8, 8)
    assert 0 < row["low"] < row["difference"] < row["high"] < 0.5
    assert row["value"] - row["plain"] == pytest.approx(row["difference"])
    said = [one for one in sentences(summary) if one.startswith("AUROC, generators left out one by one: ")]
    assert len(said) == 1
    assert "better than the plain probe: radii on toy +0." in said[0].lower()
    assert set(rows.loc[rows["recipe"] == "plain", "against"]) == {""}
    assert set(rows.loc[rows["recipe"] == "leace", "against"]) == {"plain toy"}


@pytest.mark.parametrize(
    ("protocol", "left_out", "tested_on"), [("generator", "C", "C"), ("family", "gan", "B")]
)
def test_values_are_those_of_detectors_trained_without(
    protocol: str, left_out: str, tested_on: str, tmp_path: Path
) -> None:
    table = manifest(40, EIGHT)
    found = vectors(table)
    store = stored(tmp_path / "store", table, found)
    result = openset(store, table, recipes=["plain", "leace"], by=[protocol], replicates=0, workers=1)
    without = [name for name in EIGHT if left_out in (name, EIGHT[name])]
    of = held(table, found)
    training = training_set(table, of, without, name=f"without {protocol}:{left_out}")
    assert not set(training.generators) & set(without)
    test = table[(table["split"] == "test") & table["generator"].isin(["Real", tested_on])]
    asked = (result.rows["left_out"] == left_out) & (result.rows["tested_on"] == tested_on)
    mine = result.rows[asked & (result.rows["metric"] == "auroc")].set_index("recipe")
    for name in ("plain", "leace"):
        made = RECIPES[name].make(training, (ENCODER,))
        value = roc_auc_score(test["label"], made.logits(of, test["image_id"].to_numpy(object)))
        assert mine.loc[name, "value"] == pytest.approx(value, abs=1e-9)
    difference = mine.loc["leace", "value"] - mine.loc["plain", "value"]
    assert mine.loc["leace", "difference"] == pytest.approx(difference, abs=1e-6)


def test_p_and_q_are_of_the_differences_over_generators(
    planted: tuple[pd.DataFrame, dict[str, np.ndarray], OpenSet],
) -> None:
    rows, summary = planted[2].rows, planted[2].summary
    for protocol, its in summary[summary["metric"] == "auroc"].groupby("protocol"):
        of = rows[(rows["protocol"] == protocol) & (rows["metric"] == "auroc")]
        p = {}
        for recipe in ("radii", "leace"):
            apart = of.loc[of["recipe"] == recipe, "difference"].to_numpy()
            p[recipe] = sign_flip_p(apart, np.random.default_rng(0))
            row = its[its["recipe"] == recipe].iloc[0]
            assert (row["wins"], row["losses"]) == ((apart > 0).sum(), (apart < 0).sum())
            assert row["p_value"] == pytest.approx(p[recipe])
        q = false_discovery_control(list(p.values()))
        np.testing.assert_allclose(its.set_index("recipe").loc[list(p), "q_value"], q)


def test_where_nothing_helps_it_says_none(tmp_path: Path) -> None:
    table = manifest(24, EIGHT)
    found = vectors(table, own=0.0)
    for X in found.values():  # every filter leaves the same, with noise of its own
        X[:, -1] = np.random.default_rng(1).standard_normal(len(table))
    store = stored(tmp_path / "store", table, found)
    result = openset(
        store, table, recipes=["plain", "radii", "leace"], by=["generator"], replicates=2, workers=1
    )
    assert "better" not in set(result.summary["verdict"])
    too_few = result.summary[(result.summary["metric"] != "auroc") & (result.summary["recipe"] != "plain")]
    assert too_few["reason"].str.startswith("too few real test images").all()
    assert all("no recipe is better than the plain probe" in one.lower() for one in sentences(result.summary))


def test_processes_and_order_change_nothing(tmp_path: Path) -> None:
    table = manifest(16)
    store = stored(tmp_path / "store", table, vectors(table))
    one = openset(store, table, recipes=["plain", "radii"], by=["generator"], replicates=1, workers=1)
    two = openset(
        store, table.sample(frac=1, random_state=0), recipes=["plain", "radii"], by=["generator"], replicates=1,
        workers=2,
    )  # fmt: skip
    pd.testing.assert_frame_equal(one.rows, two.rows)
    pd.testing.assert_frame_equal(one.summary, two.summary)
    assert set(one.summary.loc[one.summary["recipe"] == "radii", "verdict"]) == {"undecided"}
    assert one.summary["reason"].str.contains("fewer than five generators").any()


def test_the_interval_of_a_mean_holds_what_it_says() -> None:
    # Differences of eleven generators around 0.02, images that blur each, and trainings that move all alike.
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        training, spread = rng.normal(0, 0.01), rng.normal(0.02, 0.03, 11)
        own = spread + training + rng.normal(0, 0.02, 11)
        resampled = np.column_stack([own, own[:, None] + rng.normal(0, 0.02, (11, 200))])
        retrained = spread[:, None] + rng.normal(0, 0.01, 4) + rng.normal(0, 0.002, (11, 4))
        low, high = mean_interval(resampled, retrained, rng)
        covered.append(low <= 0.02 <= high)
    assert 0.92 <= np.mean(covered) <= 0.995


def test_redrawn_keeps_split_class_and_number() -> None:
    table = manifest(20)
    drawn = redrawn(table, np.random.default_rng(0))
    keys = ["split", "dataset", "label"]
    pd.testing.assert_series_equal(table.groupby(keys).size(), drawn.groupby(keys).size())
    assert set(drawn["image_id"]) < set(table["image_id"])


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    table = manifest(16)
    store = stored(tmp_path / "store", table, vectors(table))
    one = manifest(16, {"A": "gan"})
    for asked, words in (
        ({"manifest": one}, "leaving a generator out needs at least 3 generators with training images .* has 1"),
        ({"manifest": one, "recipes": ["plain"]}, "needs at least 2 generators"),
        ({"by": ["genrator"]}, "must be generator or family; got 'genrator'. Did you mean 'generator'"),
        ({"recipes": ["stacked"]}, "'stacked' joins two encoders or more; got toy"),
        ({"encoders": ["tyo"]}, "no embeddings of 'tyo'"),
        ({"manifest": manifest(16, {"A": "gan", "B": "gan", "C": "gan"}), "by": ["family"]}, "needs two families"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            openset(store, **{"manifest": table, "workers": 1, **asked})  # type: ignore[arg-type]
    bare = stored(tmp_path / "bare", table, {"none": vectors(table)["none"]})
    with pytest.raises(StoreError, match=r"lacks 'toy' under .*; make them with `bandprobe embed"):
        openset(bare, table, workers=1)
