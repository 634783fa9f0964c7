"""Diversity of points and pictures that are known, against naive loops and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from zoo.diversity import (
    Space,
    Training,
    frechet,
    frechet_distance,
    memorisation,
    precision_and_recall,
    reduced,
    repetition,
)


def points(n: int, d: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def pictures(n: int, seed: int = 0) -> np.ndarray:
    """Coarse random pictures under noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (n, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    return (coarse + rng.integers(-20, 20, coarse.shape)).astype(np.uint8)


def reach(of: np.ndarray, k: int) -> list[float]:
    return [
        sorted(float(np.linalg.norm(p - q)) for j, q in enumerate(of) if j != i)[k - 1]
        for i, p in enumerate(of)
    ]


def test_precision_and_recall_are_what_loops_give() -> None:
    fakes, reals = points(110) * 0.8 + 0.3, points(110, seed=1)
    radii, own = reach(reals, 3), reach(fakes, 3)
    inside = [
        any(np.linalg.norm(f - r) <= radius for r, radius in zip(reals, radii, strict=True)) for f in fakes
    ]
    covered = [
        any(np.linalg.norm(f - r) <= radius for f, radius in zip(fakes, own, strict=True)) for r in reals
    ]
    precision, recall = precision_and_recall(fakes, reals)
    assert precision.value == pytest.approx(np.mean(inside))
    assert recall.value == pytest.approx(np.mean(covered))
    assert 0 <= precision.low < precision.value < precision.high <= 1


def test_the_direction_of_precision_and_recall() -> None:
    reals, narrow, wide = points(300), 0.2 * points(300, seed=1), 4 * points(300, seed=2)
    precise, missing = precision_and_recall(narrow, reals)
    assert precise.value > 0.95
    assert missing.value < 0.3
    astray, whole = precision_and_recall(wide, reals)
    assert astray.value < 0.3
    assert whole.value > 0.9
    assert precision_and_recall(reals, reals)[0].value == 1
    assert precision_and_recall(reals, reals)[0].low < 1  # not certain of it
    assert precision_and_recall(reals + 100, reals)[1].value == 0


def test_precision_in_its_intervals_as_often_as_not_by_chance() -> None:
    truth = np.mean(
        [precision_and_recall(points(200, seed=n), points(200, seed=1000 + n))[0].value for n in range(30)]
    )
    held = [precision_and_recall(points(200, seed=n), points(200, seed=1000 + n))[0] for n in range(15)]
    assert sum(each.low <= truth <= each.high for each in held) >= 12


def test_frechet_is_its_closed_form() -> None:
    a, b = points(200, 5), points(150, 5, seed=1) @ np.diag([1, 2, 0.5, 1, 1]) + 0.3
    one, other = np.cov(a.T), np.cov(b.T)
    crossed = linalg.sqrtm(one @ other).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + other - 2 * crossed)
    assert frechet(a, b) == pytest.approx(expected)
    assert frechet(a, b) == pytest.approx(frechet(b, a))
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, a + np.array([3.0, 0, 0, 0, 0])) == pytest.approx(9)
    assert frechet(a, 2 * a) == pytest.approx(np.trace(one) + (a.mean(0) ** 2).sum())


def test_frechets_interval_holds_the_distance_of_the_distributions() -> None:
    shifted = frechet_distance(points(400) + 0.5, points(400, seed=1))
    assert shifted.low < 4 * 0.25 + 4 / 400 * 2 < shifted.high


def test_each_part_of_the_space_has_variance_one() -> None:
    images = pictures(200)
    space = Space.fit(images)
    found = space(images)
    assert found.shape == (200, 38)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    assert found[:, :32].var(0, ddof=1).sum() == pytest.approx(1)
    assert found[:, 32:].var(0, ddof=1).sum() == pytest.approx(1)
    correlations = np.corrcoef(found[:, :32].T) - np.eye(32)
    assert abs(correlations).max() < 1e-6  # principal components
    np.testing.assert_allclose(space(images[:3]), found[:3], atol=1e-9)  # fixed, whatever is in the batch


def test_reducing_is_the_mean_of_squares() -> None:
    images = pictures(2)
    assert reduced(images)[1, 3, 5, 2] == pytest.approx(images[1, 12:16, 20:24, 2].mean() / 255)


def test_turned_and_mirrored_copies_are_found() -> None:
    training = pictures(60)
    memory = Training.of(Space.fit(training), training)
    turned = [
        np.rot90(training[7], 1),
        training[8][:, ::-1],
        training[9][::-1],
        training[10].transpose(1, 0, 2),
    ]
    distances, places = memory.two_nearest(np.stack([*turned, pictures(1, seed=5)[0]]))
    assert places[:4, 0].tolist() == [7, 8, 9, 10]
    assert distances[:4, 0].max() < 0.01
    assert distances[4, 0] > 0.3
    assert (distances[:, 0] <= distances[:, 1]).all()
    assert (places[:, 0] != places[:, 1]).all()


def test_the_two_nearest_are_what_loops_give() -> None:
    training, images = pictures(30), pictures(4, seed=3)
    space = Space.fit(training)
    distances, places = Training.of(space, training).two_nearest(images)
    for n, image in enumerate(images):
        here = space(image[None])[0, :32]
        each = [
            min(
                float(np.linalg.norm(space(way[None])[0, :32] - here))
                for quarter in range(4)
                for way in (np.rot90(photo, quarter), np.rot90(photo, quarter)[::-1])
            )
            for photo in training
        ]
        order = np.argsort(each)[:2]
        np.testing.assert_array_equal(places[n], order)
        np.testing.assert_allclose(distances[n], np.array(each)[order], atol=1e-4)


def test_memorisation_counts_copies_and_compares_medians() -> None:
    fresh = np.array([[1.0, 1.2]] * 50 + [[2.0, 2.5]] * 51)
    copied = np.vstack([fresh[:70], np.tile([0.1, 1.5], (31, 1))])
    found = memorisation(copied, fresh)
    assert found["copies"].value == pytest.approx(31 / 101)
    assert found["nearest"].value == pytest.approx(np.sort(copied[:, 0])[50] / np.sort(fresh[:, 0])[50])
    none = memorisation(fresh, fresh)
    assert (none["copies"].value, none["nearest"].value) == (0, 1)
    assert none["copies"].high > 0


def test_repetition_tells_collapse() -> None:
    reals = points(400)
    new = repetition(points(400, seed=1), reals)
    assert new["apart"].low < 1 < new["apart"].high
    assert new["repeats"].value < 0.05
    collapsed = repetition(points(40, seed=1).repeat(10, 0) + 1e-3 * points(400, seed=2), reals)
    assert collapsed["apart"].high < 0.1
    assert collapsed["repeats"].value == 1
