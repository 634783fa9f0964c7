"""Probes of attributes on vectors that hold them or do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score

from bandprobe.datasets import photograph
from bandprobe.datasets.captions import attributes, caption
from zoo.attributes import ATTRIBUTES, NUMBERS, WORDS, Losses, chance, pixels, probe, scenes, table
from zoo.fingerprints import resamples

TRAIN, TEST = scenes(300, "a"), scenes(200, "b")


def holding(rows: pd.DataFrame, attribute: str, seed: int) -> np.ndarray:
    """Vectors in which an attribute can be read off linearly, turned so that no axis shows it."""
    rng = np.random.default_rng(seed)
    if attribute in NUMBERS:
        told = rows[[attribute]].to_numpy(float)
    else:
        words = sorted(set(TRAIN[attribute]) | set(TEST[attribute]))
        told = np.array([[value == word for word in words] for value in rows[attribute]], float)
    told = np.hstack([told, 0.1 * rng.standard_normal((len(rows), 3))])
    return told @ np.random.default_rng(99).standard_normal((told.shape[1], 12))


def test_scenes_are_those_of_the_photographs() -> None:
    for number in (0, 7, 123):
        _, scene = photograph(number, "a")
        row = TRAIN.iloc[number]
        assert row["caption"] == caption(scene)
        for name, value in attributes(scene).items():
            assert row[name] == value
    assert set(ATTRIBUTES) < set(TRAIN.columns)


@pytest.mark.parametrize("attribute", WORDS)
def test_a_word_that_is_there_is_found(attribute: str) -> None:
    losses = probe((holding(TRAIN, attribute, 0), TRAIN), (holding(TEST, attribute, 1), TEST), attribute)
    assert set(np.unique(losses.own)) <= {0.0, 1.0}
    assert 1 - losses.own.mean() > 0.97


def test_a_number_that_is_there_is_found() -> None:
    vectors = [holding(rows, "texture_slope", n) for n, rows in enumerate((TRAIN, TEST))]
    losses = probe((vectors[0], TRAIN), (vectors[1], TEST), "texture_slope")
    assert 1 - losses.own.sum() / losses.base.sum() > 0.95


@pytest.mark.parametrize("attribute", ["shape", "colour", "texture_slope"])
def test_noise_is_no_better_than_chance(attribute: str) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((len(rows), 20)) for rows in (TRAIN, TEST)]
    losses = probe((noise[0], TRAIN), (noise[1], TEST), attribute)
    score = 1 - losses.own.sum() / losses.base.sum()
    assert score < chance(TRAIN, TEST, attribute) + 0.1


def test_either_of_the_two_leading_colours_is_right() -> None:
    told = TEST.assign(colour=TEST["second_colour"])  # what the probe reads is the other one
    losses = probe((holding(TRAIN, "colour", 0), TRAIN), (holding(told, "colour", 1), TEST), "colour")
    assert 1 - losses.own.mean() > 0.95


def test_chance_is_the_most_frequent_word() -> None:
    most = TRAIN["light"].value_counts().index[0]
    assert chance(TRAIN, TEST, "light") == pytest.approx((TEST["light"] == most).mean())
    assert chance(TRAIN, TEST, "texture_slope") == 0
    assert 0.1 < chance(TRAIN, TEST, "colour") < 0.35  # two of ten may be named


def test_a_score_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.integers(3, size=50), rng.integers(3, size=50)
    ones, twice = np.ones((1, 50), np.uint8), rng.integers(0, 3, (1, 50)).astype(np.uint8)
    words = Losses((truth != said).astype(float), np.ones(50))
    assert words.score(ones)[0] == pytest.approx(accuracy_score(truth, said))
    drawn = np.repeat(np.arange(50), twice[0])
    assert words.score(twice)[0] == pytest.approx(accuracy_score(truth[drawn], said[drawn]))
    x, y = rng.standard_normal((2, 50))
    numbers = Losses((x - y) ** 2, (x - x.mean()) ** 2)
    assert numbers.score(ones)[0] == pytest.approx(r2_score(x, y))


def test_the_table_pairs_differences_over_test_images() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.4  # wrong whoever answers
    worse = hard | (rng.random(400) < 0.1)

    def run(wrong: np.ndarray) -> dict[str, list[Losses]]:
        return {name: [Losses(wrong.astype(float), np.ones(400))] for name in ATTRIBUTES}

    losses = {"ours": run(hard), "random": run(worse)}
    losses["ours"]["shape"] += [Losses(worse.astype(float), np.ones(400))]
    rows = table(losses, "random")
    mean = rows[(rows["encoder"] == "ours") & (rows["seed"] == "mean")].set_index("attribute")
    alone = mean.loc["size"]
    assert alone["value"] == pytest.approx(1 - hard.mean())
    assert alone["difference"] == pytest.approx(worse.mean() - hard.mean())
    # The images that both get wrong cancel: the difference is known better than either score.
    assert alone["difference_high"] - alone["difference_low"] < 0.8 * (alone["high"] - alone["low"])
    counts = resamples(400, 0, "probes")[1:].astype(float)
    naive = counts @ (worse.astype(float) - hard) / 400
    assert alone["difference_low"] == pytest.approx(np.quantile(naive, 0.025))
    two = rows[(rows["encoder"] == "ours") & (rows["attribute"] == "shape")]
    assert two["seed"].tolist() == ["0", "1", "mean"]
    assert two["value"].iloc[-1] == pytest.approx(two["value"].iloc[:2].mean())
    assert rows[rows["encoder"] == "random"]["difference"].isna().all()


def test_pixels_are_the_reduced_picture() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found = pixels(images)
    assert found.shape == (2, 768)
    assert found[1, 0] == pytest.approx(images[1, :4, :4, 0].mean() / 255)
